"""From a list of spots to the space group of any crystal.

The plane lattice of the spots is found first (:mod:`.plane_lattice`), whatever the crystal. Spots
are then told by their place in that lattice, which no longer depends on the camera or on how the
picture is turned, and a transformer reads them as a set: which places of the lattice are empty,
which spots are equally strong, and how the layers above lie is what symmetry shows in. Beside it
stands what the search for a cubic lattice found (:mod:`.spot_indexing`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .plane_lattice import find_plane_lattice
from .spot_indexing import index_cubic

SPOT_FEATURES, GLOBALS = 21, 16


ODD = (0, 1, 3, 4, 9, 10, 13, 14, 18, 19)
"""Columns of a spot, and with ``ODD_FACTS`` of the last row, that change sign where the picture is
turned by 180 degrees."""

ODD_FACTS = (6, 8)


def describe(inputs: Tensor) -> Tensor:
    """Return what the network reads of spots.

    Parameters
    ----------
    inputs
        Spots as :func:`~napari_spacegroup.imaging.prepare_spots` gives them, shape
        ``(n, 1, spots + 1, 3)``.

    Returns
    -------
    features
        Shape ``(n, spots + 1, SPOT_FEATURES)``: one row for each spot, zeros where there is none,
        and a last row with ``GLOBALS`` numbers about the pattern.
    """
    spots, last = inputs[:, 0, :-1], inputs[:, 0, -1]
    position, strength = spots[..., :2], spots[..., 2].clamp_min(0)
    is_spot = strength > 0
    lattice = find_plane_lattice(position, strength)
    cubic = index_cubic(position, strength)
    one, two = lattice.basis.unbind(dim=1)
    length, other = one.norm(dim=-1), two.norm(dim=-1)
    # Turned so that the first vector is x, and mirrored so that the second one points up.
    unit = one / length[:, None]
    normal = torch.stack([-unit[:, 1], unit[:, 0]], dim=-1)
    normal = normal * torch.sign((two * normal).sum(dim=-1, keepdim=True) + 1e-12)
    turned = torch.stack(
        [(position * unit[:, None]).sum(-1), (position * normal[:, None]).sum(-1)], dim=-1
    )
    place = lattice.coordinates(position)
    turns = 2 * math.pi * place
    # Where the spots lie between the lattice's points, if most of them lie alike.
    mean = torch.stack([torch.cos(turns), torch.sin(turns)], dim=-1)
    weight = (strength**0.25)[..., None, None]
    shift = (mean * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1e-6)
    parity = math.pi * place
    rows = torch.cat([
        turned / 0.25, position.norm(dim=-1, keepdim=True) / 0.25, place / 4,
        (strength.clamp_min(1e-4).log() / 3 + 1)[..., None], (strength**0.5)[..., None],
        torch.cos(turns), torch.sin(turns), torch.cos(parity), torch.sin(parity),
        torch.cos(parity.sum(dim=-1, keepdim=True)), torch.cos(turns / 3), torch.sin(turns / 3),
    ], dim=-1)  # fmt: skip
    rows = torch.cat([rows, torch.ones_like(rows[..., :1])], dim=-1) * is_spot[..., None]
    cosine = (one * two).sum(dim=-1) / (length * other)
    count = is_spot.sum(dim=1)
    ours = (cubic.weight * is_spot).sum(dim=1) / count.clamp_min(1)
    facts = torch.stack([
        torch.log(length / 0.06), torch.log(other / length), cosine,
        (lattice.evidence / 40).clamp(-3, 6), count / strength.shape[1],
        *shift.flatten(1).unbind(dim=1),
        (cubic.evidence / 20).clamp(-3, 8), torch.log(cubic.spacing.clamp_min(1e-3) / 0.05), ours,
        *cubic.rotation[:, 2].abs().sort(dim=1).values.unbind(dim=1), last[:, 2],
    ], dim=1)  # fmt: skip
    final = torch.zeros_like(rows[:, :1])
    final[:, 0, : facts.shape[1]] = facts
    return torch.cat([rows, final], dim=1)


def turned(features: Tensor) -> Tensor:
    """Return what :func:`describe` gives of the pictures turned by 180 degrees, the other frame.

    A plane lattice does not tell the two apart.
    """
    sign = torch.ones_like(features[:1])
    sign[:, :-1, list(ODD)] = -1
    sign[:, -1, list(ODD_FACTS)] = -1
    return features * sign


class _Block(nn.Module):
    """Attention among spots, then two layers for each."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        count, size, width = tokens.shape
        mixed = self.into(self.before(tokens)).view(count, size, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + self.out(found.transpose(1, 2).reshape(count, size, width))
        moved: Tensor = tokens + self.layers(self.between(tokens))
        return moved


class LatticeNet(nn.Module):
    """Find the plane lattice of the spots, read them as a set, classify.

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Of a token.
    depth
        Blocks of attention.
    heads
        Of each.
    dropout
        Share of units dropped in training.
    """

    def __init__(
        self, classes: int, width: int = 96, depth: int = 4, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(SPOT_FEATURES, width)
        self.first = nn.Sequential(nn.Linear(GLOBALS, width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(3 * width)
        self.head = nn.Sequential(
            nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Dropout(2 * dropout),
            nn.Linear(2 * width, classes),
        )  # fmt: skip

    @staticmethod
    def describe(inputs: Tensor) -> Tensor:
        """Return :func:`describe` of both frames, ``(n, 2, spots + 1, SPOT_FEATURES)``."""
        features = describe(inputs)
        return torch.stack([features, turned(features)], dim=1)

    def read(self, features: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``, of what :func:`describe` gave."""
        rows, facts = features[:, :-1], features[:, -1, :GLOBALS]
        is_spot = rows[..., -1] > 0
        tokens = torch.cat([self.first(facts)[:, None], self.enter(rows)], dim=1)
        mask = torch.cat([torch.ones_like(is_spot[:, :1]), is_spot], dim=1)[:, None, None]
        for block in self.blocks:
            tokens = block(tokens, mask)
        spots = tokens[:, 1:] * is_spot[..., None]
        mean = spots.sum(dim=1) / is_spot.sum(dim=1, keepdim=True).clamp_min(1)
        most = torch.where(is_spot[..., None], tokens[:, 1:], -1e4).amax(dim=1).clamp_min(-50)
        logits: Tensor = self.head(self.norm(torch.cat([tokens[:, 0], mean, most], dim=1)))
        return logits

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``, of spots, shape ``(n, 1, spots + 1, 3)``.

        The mean over both frames.
        """
        with torch.no_grad():
            features = self.describe(inputs)
        both = self.read(features.flatten(0, 1)).unflatten(0, (-1, 2))
        mean: Tensor = both.mean(dim=1)
        return mean
