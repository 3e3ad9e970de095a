"""Index spot patterns of a cubic crystal whose cell, orientation and camera constant are unknown.

Two spots fix a hypothesis: which pair of indices has their ratio of lengths and their angle
is looked up in a table, and that gives orientation and scale. Each hypothesis is judged by
all spots at once, with Occam's razor: a sparse lattice that explains the spots is far likelier
than a dense one that also does, by the area of its cell over that of the error. The best
are refined by least squares. Needs torch and numpy alone; works on batches.

A pattern in which only some of the lattice shows, such as that of one zone axis, is indexed
on the sparsest lattice that explains it. For an F lattice along [001] that is half its cell:
from that pattern alone nobody can say more.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

LARGEST = 36
"""Largest h² + k² + l² of the two spots that a hypothesis starts from."""

ANGLES, RATIOS, RATIO_LIMIT = 90, 40, 1.4
"""Bins of the table: angle between the two spots, and log of the ratio of their lengths."""

ENTRIES = 24
"""Hypotheses per bin, those with the smallest indices."""

PAIRS, JUDGES, REFINED = 24, 24, 48
"""Pairs of spots that start hypotheses, spots that judge them, hypotheses that are refined."""

SIGMA, SIGMA_SLOPE = 0.0030, 0.006
"""Error of a position: constant, and growing with the distance (distortion); over the side."""

SLOPES = (0.03, 0.02, 0.012, SIGMA_SLOPE)
"""The same of hypotheses that are not refined yet: what errs at the seeds errs more far out."""

COARSE = 0.02
"""From this slope on, the tilt of a hypothesis counts as coarse."""

OUTLIER = 0.1
"""Share of spots that belong to no lattice."""

SURE = 12.0
"""Evidence from which on a lattice counts as found."""

LAYER = 0.6
"""How far above and below reflections are looked for at first, in units of the spacing."""

CURVATURE = 0.025
"""Height of the Ewald sphere over the squared distance, both over the picture's side: 200 kV
and a picture whose rim is at 1 1/Å. A wrong value tilts a pattern by less than a degree."""


@dataclass(frozen=True)
class IndexedSpots:
    """Orientation and indices of patterns.

    Parameters
    ----------
    rotation
        Turns cubic axes into the frame of the picture (x right, y up, z to the source), shape
        ``(n, 3, 3)``.
    spacing
        Length of the reciprocal axis over the picture's side, shape ``(n,)``.
    hkl
        Indices of each spot, shape ``(n, spots, 3)``.
    weight
        Probability that a spot belongs to the lattice, 0 for no spot, shape ``(n, spots)``.
    evidence
        Log likelihood ratio against spots at random places, per pattern, shape ``(n,)``.
    offset
        Of the true center from the one found, over the side, shape ``(n, 2)``.
    strain
        Affine distortion of the picture, shape ``(n, 2, 2)``.
    """

    rotation: Tensor
    spacing: Tensor
    hkl: Tensor
    weight: Tensor
    evidence: Tensor
    offset: Tensor
    strain: Tensor


@cache
def _table() -> tuple[Tensor, Tensor, Tensor]:
    """Return the bins, and of each entry the transposed frame and the sum of both lengths.

    Bins have shape ``(ANGLES, RATIOS, ENTRIES)``; -1 fills up.
    """
    reach = range(-6, 7)
    vectors = np.array([v for v in itertools.product(reach, reach, reach)
                        if 0 < v[0] ** 2 + v[1] ** 2 + v[2] ** 2 <= LARGEST])  # fmt: skip
    # Multiples show no other lattice than the vector itself where both are visible.
    firsts = [v for v in vectors.tolist() if v[0] >= v[1] >= v[2] >= 0]
    group = _signed_permutations()
    codes = vectors @ np.array([400, 20, 1])
    firsts_kept, seconds_kept = [], []
    for first in firsts:
        keeps = group[(group @ np.array(first) == first).all(axis=1)]
        images = np.einsum("kij,nj->nki", keeps, vectors) @ np.array([400, 20, 1])
        mine = vectors[codes == images.max(axis=1)]
        independent = np.abs(np.cross(mine, first)).sum(axis=1) > 0
        longer = (mine**2).sum(axis=1) >= np.sum(np.square(first))
        mine = mine[independent & longer]
        firsts_kept.append(np.repeat([first], len(mine), axis=0))
        seconds_kept.append(mine)
    first, second = np.concatenate(firsts_kept), np.concatenate(seconds_kept)
    one, two = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    angle = np.degrees(np.arccos(np.clip((first * second).sum(axis=1) / (one * two), -1, 1)))
    ratio = np.log(two / one)
    e1 = first / one[:, None]
    e3 = np.cross(first, second)
    e3 = e3 / np.linalg.norm(e3, axis=1, keepdims=True)
    frame = np.stack([e1, np.cross(e3, e1), e3], axis=1)
    bins = -np.ones((ANGLES, RATIOS, ENTRIES), np.int64)
    order = np.argsort(one + two, kind="stable")
    for i, j in itertools.product(range(ANGLES), range(RATIOS)):
        near = (np.abs(angle[order] - (i + 0.5) * 180 / ANGLES) < 2.4) & (
            np.abs(ratio[order] - (j + 0.5) * RATIO_LIMIT / RATIOS) < 0.045
        )
        found = order[near][:ENTRIES]
        bins[i, j, : len(found)] = found
    return (
        torch.from_numpy(bins),
        torch.tensor(frame, dtype=torch.float32),
        torch.tensor(one + two, dtype=torch.float32),
    )


def _signed_permutations() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return the 48 operations of m-3m."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), np.int64)
            for row, (column, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[row, column] = sign
            found.append(matrix)
    return np.array(found)


def index_cubic(position: Tensor, strength: Tensor) -> IndexedSpots:
    """Return the likeliest cubic lattice of each pattern.

    Parameters
    ----------
    position
        x to the right and y up from the center over the picture's side, shape
        ``(n, spots, 2)``.
    strength
        0 for no spot, descending, shape ``(n, spots)``.

    Returns
    -------
    indexed
        Always something; ``evidence`` says what it is worth.
    """
    height = CURVATURE * (position**2).sum(dim=-1, keepdim=True)
    places = torch.cat([position, height], dim=-1)
    has_spot = strength > 0
    trust = has_spot * (0.3 + 0.7 * strength.clamp_min(0) ** 0.25)
    first, second, is_pair = _pairs(places, strength)
    rotation, spacing, is_possible = _hypotheses(first, second, is_pair)
    judges = _rank(places, strength).argsort(dim=1)[:, :JUDGES]
    evidence = _evidence(
        rotation, spacing, places.gather(1, judges[..., None].expand(-1, -1, 3)),
        trust.gather(1, judges), None, SLOPES[0],
    )  # fmt: skip
    evidence = torch.where(is_possible, evidence, -1e9)
    best = evidence.topk(min(REFINED, evidence.shape[1]), dim=1).indices
    rotation = rotation.gather(1, best[..., None, None].expand(-1, -1, 3, 3))
    spacing = spacing.gather(1, best)
    rotation, spacing, offset = _refined(rotation, spacing, places, trust)
    evidence = _evidence(rotation, spacing, places, trust, offset)
    rows = torch.arange(len(places), device=places.device)
    chosen = evidence.argmax(dim=1)
    rotation, spacing = rotation[rows, chosen], spacing[rows, chosen]
    offset, evidence = offset[rows, chosen], evidence[rows, chosen]
    return _indexed(rotation, spacing, offset, evidence, places, trust)


def _rank(places: Tensor, strength: Tensor) -> Tensor:
    """Return the order in which spots start hypotheses: near and strong ones first."""
    rank = places.norm(dim=-1) - 0.06 * torch.log(strength.clamp_min(1e-4))
    return torch.where(strength > 0, rank, torch.full_like(rank, 1e6))


def _pairs(places: Tensor, strength: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of short, strong spots that are not in line, the shorter one first."""
    length = places.norm(dim=-1)
    rank = _rank(places, strength)
    picked = rank.argsort(dim=1)[:, :12]
    seeds = places.gather(1, picked[..., None].expand(-1, -1, 3))
    rank, length = rank.gather(1, picked), length.gather(1, picked)
    left, right = torch.triu_indices(12, 12, 1, device=places.device)
    one, two = seeds[:, left], seeds[:, right]
    swap = (length[:, left] > length[:, right])[..., None]
    one, two = torch.where(swap, two, one), torch.where(swap, one, two)
    crossed = torch.linalg.cross(one, two).norm(dim=-1)
    sine = crossed / (one.norm(dim=-1) * two.norm(dim=-1)).clamp_min(1e-9)
    cost = rank[:, left] + rank[:, right] + 1e3 * (sine < 0.25)
    cost, order = cost.topk(PAIRS, dim=1, largest=False)
    index = order[..., None].expand(-1, -1, 3)
    return one.gather(1, index), two.gather(1, index), cost < 500


def _hypotheses(first: Tensor, second: Tensor, is_pair: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rotation and spacing of each hypothesis, and whether there is one."""
    bins, frames, lengths = (t.to(first.device) for t in _table())
    one, two = first.norm(dim=-1).clamp_min(1e-9), second.norm(dim=-1).clamp_min(1e-9)
    cosine = ((first * second).sum(dim=-1) / (one * two)).clamp(-1, 1)
    angle = (torch.rad2deg(torch.acos(cosine)) * (ANGLES / 180)).long().clamp(0, ANGLES - 1)
    ratio = (torch.log(two / one) * (RATIOS / RATIO_LIMIT)).long()
    entry = bins[angle, ratio.clamp(0, RATIOS - 1)]
    is_possible = (entry >= 0) & (is_pair & (ratio < RATIOS))[..., None]
    entry = entry.clamp_min(0)
    e1 = first / one[..., None]
    e3 = torch.linalg.cross(first, second)
    e3 = e3 / e3.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    triad = torch.stack([e1, torch.linalg.cross(e3, e1), e3], dim=-1)
    rotation = triad[:, :, None] @ frames[entry]
    spacing = (one + two)[..., None] / lengths[entry]
    return rotation.flatten(1, 2), spacing.flatten(1), is_possible.flatten(1)


def _deviation(places: Tensor, slope: float) -> Tensor:
    deviation: Tensor = SIGMA + slope * places[..., :2].norm(dim=-1)
    return deviation


def _residuals(
    rotation: Tensor, spacing: Tensor, places: Tensor, offset: Tensor | None, *, is_coarse: bool
) -> tuple[Tensor, Tensor]:
    """Return indices ``(n, c, spots, 3)`` and residuals in the plane ``(n, c, spots, 2)``.

    The height of a spot is that of the Ewald sphere. While the tilt of a hypothesis is still
    coarse, reflections above and below that fit better in the plane are taken instead.
    """
    target = places[:, None]
    if offset is not None:
        target = torch.cat([target[..., :2] - offset[:, :, None], target[..., 2:].expand(
            -1, offset.shape[1], -1, -1)], dim=-1)  # fmt: skip
    local = (target @ rotation) / spacing[..., None, None]
    across = rotation[:, :, :2].mT
    hkl = torch.round(local)
    residual = target[..., :2] - spacing[..., None, None] * (hkl @ across)
    if not is_coarse:
        return hkl, residual
    cost = (residual**2).sum(dim=-1)
    up = LAYER * rotation[:, :, None, 2]
    for sign in (-1, 1):
        other = torch.round(local + sign * up)
        apart = target[..., :2] - spacing[..., None, None] * (other @ across)
        price = (apart**2).sum(dim=-1) + (0.002) ** 2
        better = (price < cost)[..., None]
        hkl, residual = torch.where(better, other, hkl), torch.where(better, apart, residual)
        cost = torch.minimum(cost, price)
    return hkl, residual


def _ratio(
    hkl: Tensor, residual: Tensor, spacing: Tensor, places: Tensor, slope: float = SIGMA_SLOPE
) -> Tensor:
    """Return by how much likelier a spot is on the lattice than at random."""
    sigma = _deviation(places, slope)[:, None]
    error = (residual**2).sum(dim=-1) / sigma**2
    area = (spacing[..., None] / sigma) ** 2 / (2 * math.pi)
    found = area.clamp_max(1e4) * torch.exp(-0.5 * error)
    # 000 is the direct beam, never a spot.
    return torch.where((hkl == 0).all(dim=-1), torch.zeros_like(found), found)


def _evidence(
    rotation: Tensor, spacing: Tensor, places: Tensor, trust: Tensor, offset: Tensor | None,
    slope: float = SIGMA_SLOPE,
) -> Tensor:  # fmt: skip
    is_coarse = slope >= COARSE
    hkl, residual = _residuals(rotation, spacing, places, offset, is_coarse=is_coarse)
    ratio = _ratio(hkl, residual, spacing, places, slope) / (3.0 if is_coarse else 1.0)
    total: Tensor = (trust[:, None] * torch.log(OUTLIER + (1 - OUTLIER) * ratio)).sum(dim=-1)
    return total


def _refined(
    rotation: Tensor, spacing: Tensor, places: Tensor, trust: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return hypotheses fitted to the spots that they explain, and the shift of the center."""
    offset = torch.zeros_like(rotation[..., 0, :2])
    for slope in SLOPES:
        is_coarse = slope >= COARSE
        hkl, residual = _residuals(rotation, spacing, places, offset, is_coarse=is_coarse)
        ratio = _ratio(hkl, residual, spacing, places, slope)
        share = (1 - OUTLIER) * ratio / (OUTLIER + (1 - OUTLIER) * ratio)
        weight = trust[:, None] * share
        total = weight.sum(dim=-1).clamp_min(1e-6)
        # Two spots say nothing about the center: a prior of one spot's weight at zero.
        shift = (weight[..., None] * residual).sum(dim=2) / (total + 2.0)[..., None]
        offset = (offset + shift).clamp(-0.03, 0.03)
        target = torch.cat([places[:, None, :, :2] - offset[:, :, None],
                            places[:, None, :, 2:].expand(-1, offset.shape[1], -1, -1)],
                           dim=-1)  # fmt: skip
        # The present hypothesis counts a little, or a single line of spots leaves a freedom.
        matrix = torch.einsum("ncs,ncsi,ncsj->ncij", weight, target, hkl)
        size = torch.einsum("ncs,ncsi->nc", weight, hkl**2).clamp_min(1e-6)
        matrix = matrix + 0.02 * (size * spacing)[..., None, None] * rotation
        u, _, v = torch.linalg.svd(matrix)
        sign = torch.det(u @ v)[..., None, None]
        flip = torch.ones_like(matrix[..., :1, :])
        flip = torch.cat([flip[..., :2], sign * flip[..., 2:]], dim=-1)
        rotation = (u * flip) @ v
        seen = hkl @ rotation[:, :, :2].mT
        fitted = torch.einsum("ncs,ncsi,ncsi->nc", weight, target[..., :2], seen)
        norm = torch.einsum("ncs,ncsi->nc", weight, seen**2)
        fresh = fitted / norm.clamp_min(1e-9)
        spacing = torch.where((norm > 1e-6) & (fresh > 0.5 * spacing), fresh, spacing)
    return rotation, spacing, offset


def _indexed(
    rotation: Tensor, spacing: Tensor, offset: Tensor, evidence: Tensor, places: Tensor,
    trust: Tensor,
) -> IndexedSpots:  # fmt: skip
    """Return indices after taking an affine distortion of the picture out."""
    identity = torch.eye(2, device=places.device).expand(len(places), 2, 2)
    strain = identity
    shifted = places[..., :2] - offset[:, None]
    for _ in range(2):
        straight = torch.linalg.solve(strain[:, None], shifted[..., None])[..., 0]
        target = torch.cat([straight, places[..., 2:]], dim=-1)[:, None]
        hkl, residual = _residuals(
            rotation[:, None], spacing[:, None], target[:, 0], None, is_coarse=False
        )
        ratio = _ratio(hkl, residual, spacing[:, None], places)[:, 0]
        weight = (trust > 0) * (1 - OUTLIER) * ratio / (OUTLIER + (1 - OUTLIER) * ratio)
        seen = spacing[:, None, None] * (hkl[:, 0] @ rotation[:, :2].mT)
        # Ridge: the strain of one lattice row is not known across it.
        prior = 2.0 * spacing[:, None, None] ** 2 * identity
        left = torch.einsum("ns,nsi,nsj->nij", weight, shifted, seen) + prior
        right = torch.einsum("ns,nsi,nsj->nij", weight, seen, seen) + prior
        fitted = left @ torch.linalg.inv(right)
        strain = identity + (fitted - identity).clamp(-0.06, 0.06)
    return IndexedSpots(rotation, spacing, hkl[:, 0], weight, evidence, offset, strain)
