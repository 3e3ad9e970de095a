"""Find the plane lattice of a spot pattern, the crystal and the camera unknown.

Spots of one Laue zone differ by vectors of a plane lattice, whichever zone it is and however the
crystal is tilted. So the lattice is looked for among the differences of spots: two of them that
occur often start a hypothesis, which is judged by all differences at once with Occam's razor, as in
:mod:`.spot_indexing`, and the best ones are refined. Needs torch alone; works on batches.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

SOURCES = 28
"""Spots whose differences are looked at, the direct beam and the nearest and strongest ones."""

SHORTEST, LONGEST = 0.02, 0.34
"""Of a difference, over the picture's side."""

JUDGES, STARTS, REFINED = 160, 20, 12
"""Differences that judge hypotheses, those that start them, hypotheses that are refined."""

SIGMA, SIGMA_SLOPE = 0.0042, 0.008
"""Error of a difference: constant, and growing with its length; over the side."""

OUTLIER = 0.25
"""Share of differences that belong to no lattice, those between two Laue zones among them."""

LEAST_SINE = 0.3
"""Of the angle between two differences that start a hypothesis."""


@dataclass(frozen=True)
class PlaneLattice:
    """The plane lattice of each pattern, reduced.

    Parameters
    ----------
    basis
        Rows are the two shortest vectors over the picture's side, the shorter one first, with an
        angle from 60 to 90 degrees between them, shape ``(n, 2, 2)``.
    evidence
        Log likelihood ratio of the differences against random ones, shape ``(n,)``.
    """

    basis: Tensor
    evidence: Tensor

    def coordinates(self, position: Tensor) -> Tensor:
        """Return places in units of the basis, shape ``(n, k, 2)`` to ``(n, k, 2)``."""
        found: Tensor = position @ torch.linalg.inv(self.basis)
        return found


def find_plane_lattice(position: Tensor, strength: Tensor) -> PlaneLattice:
    """Return the likeliest plane lattice of each pattern.

    Parameters
    ----------
    position
        x and y from the center over the picture's side, shape ``(n, spots, 2)``.
    strength
        0 for no spot, shape ``(n, spots)``.

    Returns
    -------
    lattice
        Always something; ``evidence`` says what it is worth. Where too few spots span no plane
        it is 0 and the basis a square of a tenth of the side.
    """
    apart, weight = _differences(position, strength)
    basis, is_possible = _hypotheses(apart, weight)
    evidence = torch.where(is_possible, _evidence(basis, apart, weight), -1e9)
    best = evidence.topk(min(REFINED, evidence.shape[1]), dim=1).indices
    basis = basis.gather(1, best[..., None, None].expand(-1, -1, 2, 2))
    for _ in range(3):
        basis = _refined(basis, apart, weight)
    basis = reduced(basis)
    is_plane = torch.linalg.det(basis).abs() > SHORTEST**2 * LEAST_SINE
    evidence = torch.where(is_plane, _evidence(basis, apart, weight), -1e9)
    evidence, chosen = evidence.max(dim=1)
    found = basis[torch.arange(len(basis), device=basis.device), chosen]
    is_found = evidence > -1e8
    square = 0.1 * torch.eye(2, device=basis.device).expand_as(found)
    return PlaneLattice(
        torch.where(is_found[:, None, None], found, square), torch.where(is_found, evidence, 0.0)
    )


def reduced(basis: Tensor) -> Tensor:
    """Return Gauss-reduced bases, shape ``(..., 2, 2)``, with angles from 60 to 90 degrees."""
    one, two = basis.unbind(dim=-2)
    for _ in range(6):
        swap = (one.norm(dim=-1) > two.norm(dim=-1))[..., None]
        one, two = torch.where(swap, two, one), torch.where(swap, one, two)
        square = (one**2).sum(dim=-1, keepdim=True).clamp_min(1e-9)
        two = two - torch.round((one * two).sum(dim=-1, keepdim=True) / square) * one
    swap = (one.norm(dim=-1) > two.norm(dim=-1))[..., None]
    one, two = torch.where(swap, two, one), torch.where(swap, one, two)
    sign = torch.where((one * two).sum(dim=-1, keepdim=True) < 0, -1.0, 1.0)
    return torch.stack([one, sign * two], dim=-2)


def _differences(position: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    """Return differences of spots with their weights, the weightiest ``JUDGES``."""
    rank = position.norm(dim=-1) - 0.04 * torch.log(strength.clamp_min(1e-4))
    rank = torch.where(strength > 0, rank, torch.full_like(rank, 1e6))
    picked = rank.argsort(dim=1)[:, : SOURCES - 1]
    place = position.gather(1, picked[..., None].expand(-1, -1, 2))
    trust = strength.gather(1, picked).clamp_min(0) ** 0.25
    place = torch.cat([torch.zeros_like(place[:, :1]), place], dim=1)
    trust = torch.cat([torch.ones_like(trust[:, :1]), trust], dim=1)
    left, right = torch.triu_indices(place.shape[1], place.shape[1], 1, device=place.device)
    apart = place[:, right] - place[:, left]
    length = apart.norm(dim=-1)
    is_short = (length > SHORTEST) & (length < LONGEST)
    weight = trust[:, left] * trust[:, right] * is_short
    # Short differences are safer: a distortion moves them less.
    weight, order = (weight * torch.exp(-length / 0.2)).topk(min(JUDGES, len(left)), dim=1)
    return apart.gather(1, order[..., None].expand(-1, -1, 2)), weight


def _hypotheses(apart: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return bases of two differences that occur often, and whether they span a plane."""
    upward = torch.where((apart[..., :1] < 0) | ((apart[..., :1] == 0) & (apart[..., 1:] < 0)),
                         -apart, apart)  # fmt: skip
    gap = torch.cdist(upward, upward)
    near = torch.exp(-0.5 * (gap / (1.5 * SIGMA)) ** 2)
    often = (near * weight[:, None]).sum(dim=-1) * (weight > 0)
    # One of each heap of equal differences: the others of it give way.
    starts = []
    for _ in range(min(STARTS, apart.shape[1])):
        best = often.argmax(dim=1)
        rows = torch.arange(len(apart), device=apart.device)
        starts.append(upward[rows, best])
        often = often * (gap[rows, best] > 3 * SIGMA)
    chosen = torch.stack(starts, dim=1)
    pairs = torch.tensor(list(itertools.combinations(range(chosen.shape[1]), 2)),
                         device=apart.device)  # fmt: skip
    basis = chosen[:, pairs]
    area = torch.linalg.det(basis).abs()
    sine = area / (basis.norm(dim=-1).prod(dim=-1)).clamp_min(1e-9)
    return basis, sine > LEAST_SINE


def _fit(basis: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
    """Return indices and residuals of differences, both ``(n, c, k, 2)``."""
    determinant = torch.linalg.det(basis)
    safe = torch.where(determinant.abs() < 1e-9, 1e-9, determinant)
    inverse = torch.stack([
        torch.stack([basis[..., 1, 1], -basis[..., 0, 1]], dim=-1),
        torch.stack([-basis[..., 1, 0], basis[..., 0, 0]], dim=-1),
    ], dim=-2) / safe[..., None, None]  # fmt: skip
    index = torch.round(apart[:, None] @ inverse)
    return index, apart[:, None] - index @ basis


def _ratio(basis: Tensor, index: Tensor, residual: Tensor, apart: Tensor) -> Tensor:
    """Return by how much likelier a difference is on the lattice than at random."""
    sigma = SIGMA + SIGMA_SLOPE * apart.norm(dim=-1)[:, None]
    area = torch.linalg.det(basis).abs()[..., None] / (2 * math.pi * sigma**2)
    found = area.clamp_max(1e4) * torch.exp(-0.5 * (residual**2).sum(dim=-1) / sigma**2)
    return torch.where((index == 0).all(dim=-1), torch.zeros_like(found), found)


def _evidence(basis: Tensor, apart: Tensor, weight: Tensor) -> Tensor:
    index, residual = _fit(basis, apart)
    ratio = _ratio(basis, index, residual, apart)
    total: Tensor = (weight[:, None] * torch.log(OUTLIER + (1 - OUTLIER) * ratio)).sum(dim=-1)
    return total


def _refined(basis: Tensor, apart: Tensor, weight: Tensor) -> Tensor:
    """Return bases fitted to the differences that they explain."""
    index, residual = _fit(basis, apart)
    ratio = (1 - OUTLIER) * _ratio(basis, index, residual, apart)
    share = weight[:, None] * ratio / (OUTLIER + ratio)
    normal = torch.einsum("nck,ncki,nckj->ncij", share, index, index)
    normal = normal + 1e-3 * torch.eye(2, device=basis.device)
    target = torch.einsum("nck,ncki,ncks->ncis", share, index, residual)
    fitted: Tensor = basis + torch.linalg.solve(normal, target)
    return fitted
