"""Templates of the orientation search, from the master patterns of a training set."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..imaging import InputContract
from ..imaging.filters import gaussian_blur
from ..models.sector import cubic_operations, sector_directions
from ..simulate.projector import lambert_coordinates

TYPICAL_DISTANCE = 0.6
"""Screen distance over height, which turns the input's background window into degrees."""


def fold_masters(patterns: Tensor, side: int) -> Tensor:
    """Return master patterns folded into the sector of m-3m.

    Parameters
    ----------
    patterns
        Upper hemispheres on the square Lambert grid, shape ``(n, hemisphere, m, m)``; the
        mean over the 48 operations stands for crystals of lower symmetry.
    side
        Pixels along an edge of the sector's square.

    Returns
    -------
    sectors
        Shape ``(n, side, side)``.
    """
    upper = patterns[:, :1].float()
    directions = sector_directions(side, upper.device)
    total = torch.zeros(len(upper), side, side, device=upper.device)
    for operation in cubic_operations().to(upper.device):
        turned = directions @ operation.mT
        turned = torch.where(turned[..., 2:] < 0, -turned, turned)
        column, row = lambert_coordinates(*turned.unbind(-1))
        grid = torch.stack([column, row], -1)[None].expand(len(upper), -1, -1, -1)
        total += functional.grid_sample(upper, grid, align_corners=True)[:, 0]
    return total / 48


def cubic_templates(
    patterns: Tensor, weights: Tensor, count: int, side: int, contract: InputContract
) -> Tensor:
    """Return principal components of cubic master patterns.

    Parameters
    ----------
    patterns
        As for :func:`fold_masters`, any number of crystals.
    weights
        How much each counts, shape ``(n,)``: space groups of few structures must be found
        as well as those of many.
    count
        Number of components.
    side
        Pixels along an edge of the sector's square.
    contract
        The network's input, whose background removal the templates must have seen too.

    Returns
    -------
    templates
        Each component times its standard deviation, strongest first, shape
        ``(count, side, side)``. Missing ones, of sets smaller than ``count``, are zero.
    """
    sheets = patterns[:, 0].float()
    degrees_per_pixel = 180 / (sheets.shape[-1] - 1)
    window = contract.background_sigma / TYPICAL_DISTANCE * 180 / torch.pi
    detail = sheets - gaussian_blur(sheets, window / degrees_per_pixel)
    sectors = fold_masters(detail[:, None], side)
    sectors = sectors - sectors.mean((1, 2), keepdim=True)
    rows = (sectors / sectors.std((1, 2), keepdim=True)).flatten(1)
    rows = rows * torch.sqrt(weights / weights.sum())[:, None]
    _, deviations, components = torch.linalg.svd(rows, full_matrices=False)
    found = components[:count] * deviations[:count, None]
    # The sign of a component is arbitrary: fix it, so that a set always gives one result.
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    templates = torch.zeros(count, side, side, device=found.device)
    templates[: len(found)] = (found * largest.sign()).reshape(-1, side, side)
    return templates
