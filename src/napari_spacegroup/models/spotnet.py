"""From a list of spots to the space group of a cubic crystal.

The spots are indexed first (:mod:`.spot_indexing`): orientation and cell come out, the crystal
unknown. What then decides on the space group are reflections that should show, by orientation
and place, and don't. Expected and seen reflections are summed up by kinds that reflection
conditions speak of (parities, zones 0kl and hhl, rows h00) and by the low families of
equivalent planes; two hidden layers read these sums.

The four-fold axes of a Laue class m-3 crystal are two-fold: indexing can't know which of two
settings is meant. Both are read and averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .spot_indexing import CURVATURE, IndexedSpots, index_cubic

BOX = 12
"""Largest index of reflections that are expected; their squares sum to ``BOX²`` at most."""

FAMILIES = 30
"""Largest h² + k² + l² of families that are read one by one."""

CONDITIONS = 44
"""Kinds of reflections that conditions speak of."""

GLOBALS = 10
"""Numbers about the pattern as a whole."""


@cache
def _reflections() -> tuple[Tensor, Tensor, Tensor]:
    """Return indices ``(m, 3)``, kinds ``(2, m, 4)`` and families ``(2, m)`` of both settings.

    A kind of -1 means none of this sort; families that are not read are -1.
    """
    reach = np.arange(-BOX, BOX + 1)
    box = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = (box**2).sum(axis=1)
    hkl = box[(squares > 0) & (squares <= BOX**2)]
    kinds, families = [], []
    known: dict[tuple[int, ...], int] = {}
    for setting in (hkl, hkl[:, [0, 2, 1]]):
        size = np.abs(setting)
        kinds.append(_kinds(size))
        turned = np.stack([size, size[:, [1, 2, 0]], size[:, [2, 0, 1]]], axis=1)
        codes = turned @ np.array([10_000, 100, 1])
        canonical = turned[np.arange(len(size)), codes.argmax(axis=1)]
        numbers = []
        for row in canonical.tolist():
            low = sum(x * x for x in row) <= FAMILIES
            numbers.append(known.setdefault(tuple(row), len(known)) if low else -1)
        families.append(numbers)
    return torch.tensor(hkl), torch.tensor(np.array(kinds)), torch.tensor(families)


def _kinds(size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the kind of each reflection as hkl, 0kl, hhl and h00, shape ``(m, 4)``."""
    total = size.sum(axis=1)
    general = 4 * (size % 2).sum(axis=1) + total % 4
    zone = np.full(len(size), -1)
    for first in range(3):
        k, m = size[:, (first + 1) % 3], size[:, (first + 2) % 3]
        here = size[:, first] == 0
        zone[here] = (16 + 8 * (k % 2) + 4 * (m % 2) + (k + m) % 4)[here]
    diagonal = np.full(len(size), -1)
    for first in range(3):
        h, k = size[:, (first + 1) % 3], size[:, (first + 2) % 3]
        here = h == k
        diagonal[here] = (32 + 4 * (h % 2) + (2 * h + size[:, first]) % 4)[here]
    row = np.where((size > 0).sum(axis=1) == 1, 40 + size.max(axis=1) % 4, -1)
    return np.stack([general, zone, diagonal, row], axis=1)


def family_count() -> int:
    """Return how many families are read."""
    return int(_reflections()[2].max()) + 1


def feature_count() -> int:
    """Return the length of the vector that the layers read."""
    return 4 * CONDITIONS + 3 * family_count() + GLOBALS


@cache
def _partners() -> Tensor:
    """Return pairs of families, such as 012 and 021, that are one in m-3m, shape ``(p, 2)``."""
    first, second = _reflections()[2]
    both = torch.stack([torch.minimum(first, second), torch.maximum(first, second)], dim=1)
    both = both[(first >= 0) & (first != second)]
    found: Tensor = torch.unique(both, dim=0)
    return found


def with_partners(features: Tensor) -> Tensor:
    """Return features with how unlike the families are that only m-3 tells apart.

    Parameters
    ----------
    features
        Shape ``(..., feature_count())``.
    """
    pairs = _partners().to(features.device)
    size, start = family_count(), 4 * CONDITIONS
    wanted, had, top = (
        features[..., start + k * size : start + (k + 1) * size][..., pairs].unbind(-1)
        for k in range(3)
    )
    weight = torch.minimum(torch.expm1(wanted[0]), torch.expm1(wanted[1])).clamp_max(2)
    absent = (had[0] - had[1]).abs() * weight
    unlike = (top[0] - top[1]).abs() * weight
    total = weight.sum(dim=-1, keepdim=True)
    height = ((top[0] + top[1]) * weight).sum(dim=-1, keepdim=True)
    joined: Tensor = torch.cat([
        features, absent, unlike, total, absent.sum(dim=-1, keepdim=True) / (total + 0.3),
        unlike.sum(dim=-1, keepdim=True) / (height + 0.1),
    ], dim=-1)  # fmt: skip
    return joined


@dataclass(frozen=True)
class FoldedSpots:
    """What an indexed pattern says about reflection conditions.

    Parameters
    ----------
    features
        Of both settings, shape ``(n, 2, feature_count())``.
    indexed
        Orientation and cell.
    """

    features: Tensor
    indexed: IndexedSpots


def fold(inputs: Tensor) -> FoldedSpots:
    """Return the sums by kind and family of patterns.

    Parameters
    ----------
    inputs
        Spots as :func:`~napari_spacegroup.imaging.prepare_spots` gives them, shape
        ``(n, 1, spots + 1, 3)``.
    """
    spots, last = inputs[:, 0, :-1], inputs[:, 0, -1]
    position, strength = spots[..., :2], spots[..., 2]
    found = index_cubic(position, strength)
    hkl, kinds, families = (t.to(inputs.device) for t in _reflections())
    lab = found.spacing[:, None, None] * (hkl.to(inputs) @ found.rotation.mT)
    error = CURVATURE * (lab[..., :2] ** 2).sum(dim=-1) - lab[..., 2]
    place = lab[..., :2] @ found.strain.mT + (found.offset + last[:, :2])[:, None]
    distance = lab[..., :2].norm(dim=-1)
    in_sight = (place.abs() < 0.485).all(dim=-1) & (distance > 0.03)
    is_ours = (strength > 0) & (found.weight > 0.5)
    mine = found.spacing[:, None] * (found.hkl @ found.rotation[:, 2, :, None])[..., 0]
    height = CURVATURE * (position**2).sum(dim=-1) - mine
    total = is_ours.sum(dim=1).clamp_min(1)
    spread = torch.sqrt((height**2 * is_ours).sum(dim=1) / total).clamp(0.004, 0.03)
    expected = torch.exp(-0.5 * (error / spread[:, None]) ** 2) * in_sight
    seen = _seen(found, strength, is_ours, hkl)
    root = seen.clamp_min(0) ** 0.5
    observed = expected.clamp_min(0.1) * (seen > 0)
    whole = root.sum(dim=1, keepdim=True).clamp_min(1e-6)
    beam = found.rotation[:, 2].abs().sort(dim=1).values
    facts = torch.cat([
        (found.weight * (strength > 0)).sum(dim=1, keepdim=True)
        / (strength > 0).sum(dim=1, keepdim=True).clamp_min(1),
        (found.evidence[:, None] / 20).clamp(-3, 8), torch.log(found.spacing[:, None] / 0.05),
        (strength > 0).sum(dim=1, keepdim=True) / strength.shape[1],
        spread[:, None] / found.spacing[:, None].clamp_min(1e-3),
        torch.log1p(expected.sum(dim=1, keepdim=True)), last[:, 2:], beam,
    ], dim=1)  # fmt: skip
    settings = []
    for setting in range(2):
        parts = []
        for group, size in ((kinds[setting], CONDITIONS), (families[setting][:, None],
                                                           family_count())):  # fmt: skip
            wanted, had, share, top = (
                _summed(value, group, size, is_top=is_top)
                for value, is_top in ((expected, False), (observed, False), (root / whole, False),
                                      (root, True))
            )  # fmt: skip
            parts += [torch.log1p(wanted), had / (torch.maximum(wanted, had) + 0.3), top]
            if size == CONDITIONS:
                parts.append(share)
        settings.append(torch.cat([*parts, facts], dim=1))
    return FoldedSpots(torch.stack(settings, dim=1), found)


def _seen(found: IndexedSpots, strength: Tensor, is_ours: Tensor, hkl: Tensor) -> Tensor:
    """Return the strength of each reflection, 0 where no spot has its indices."""
    side = 2 * BOX + 1
    codes = torch.tensor([side * side, side, 1], device=strength.device)
    fits = is_ours & (found.hkl.abs() <= BOX).all(dim=-1)
    index = ((found.hkl.long() + BOX).clamp(0, side - 1) @ codes).clamp(0, side**3 - 1)
    table = torch.zeros(len(strength), side**3, device=strength.device)
    table.scatter_reduce_(1, index, strength * fits, "amax")
    return table[:, (hkl + BOX) @ codes]


def _summed(value: Tensor, group: Tensor, size: int, *, is_top: bool) -> Tensor:
    """Return sums, or the largest values, over the reflections of each kind, ``(n, size)``."""
    out = torch.zeros(len(value), size + 1, device=value.device)
    for column in group.unbind(-1):
        index = torch.where(column < 0, torch.full_like(column, size), column)
        if is_top:
            out.scatter_reduce_(1, index.expand(len(value), -1), value, "amax")
        else:
            out.index_add_(1, index, value)
    return out[:, :size]


class SpotNet(nn.Module):
    """Index spots, sum up what shows and what is absent, classify.

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Units of each of the two hidden layers.
    dropout
        Share of units dropped in training.
    """

    def __init__(self, classes: int, width: int = 384, dropout: float = 0.2) -> None:
        super().__init__()
        size = feature_count() + 2 * len(_partners()) + 3
        self.norm = nn.BatchNorm1d(size)
        self.layers = nn.Sequential(
            nn.Dropout(0.5 * dropout), nn.Linear(size, width), nn.GELU(),
            nn.Dropout(dropout), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(width, classes),
        )  # fmt: skip

    @staticmethod
    def describe(inputs: Tensor) -> Tensor:
        """Return what is read of patterns, both settings: shape ``(n, 2, feature_count())``."""
        return fold(inputs).features

    def read(self, features: Tensor) -> Tensor:
        """Return logits from the features of one setting, shape ``(n, class)``."""
        logits: Tensor = self.layers(self.norm(with_partners(features)))
        return logits

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(n, class)`` of spots, the mean over both settings."""
        with torch.no_grad():
            features = self.describe(inputs)
        first, second = features.unbind(dim=1)
        return 0.5 * (self.read(first) + self.read(second))
