"""The irreducible sector of m-3m: where all of a cubic crystal's Kikuchi pattern lies.

A direction ``(x, y, z)`` in crystal axes is folded by the 48 operations of m-3m into
``x >= y >= z >= 0`` and written as ``(y / x, z / x)``, a gnomonic triangle about [100]
that the square ``0..1`` holds together with its mirror image. A pattern whose orientation
is known covers the sector several times over, so that folding averages noise away and
brings every cubic crystal into one and the same picture.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn import functional

from ..imaging.filters import gaussian_blur_each


def cubic_operations() -> Tensor:
    """Return the 48 matrices of m-3m, the 24 rotations first, shape ``(48, 3, 3)``."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = torch.zeros(3, 3)
            for row, (column, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[row, column] = sign
            found.append(matrix)
    found.sort(key=lambda m: -float(torch.linalg.det(m)))
    return torch.stack(found)


def sector_coordinates(directions: Tensor) -> Tensor:
    """Return ``(y / x, z / x)`` of directions folded into the sector.

    Parameters
    ----------
    directions
        Crystal axes, any length, shape ``(..., 3)``.

    Returns
    -------
    coordinates
        Shape ``(..., 2)``, each 0 to 1, the first at least the second.
    """
    size = directions.abs()
    largest, smallest = size.amax(-1), size.amin(-1)
    middle = size.sum(-1) - largest - smallest
    return torch.stack([middle, smallest], -1) / largest[..., None]


def sector_directions(side: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the unit vectors of a square grid over the sector and its mirror image.

    Returns
    -------
    directions
        Shape ``(side, side, 3)``; rows follow ``y / x``, columns ``z / x``.
    """
    step = torch.linspace(0, 1, side, device=device)
    down, across = torch.meshgrid(step, step, indexing="ij")
    return functional.normalize(torch.stack([torch.ones_like(down), down, across], -1), dim=-1)


def sample_sector(sheets: Tensor, directions: Tensor) -> Tensor:
    """Return the values of sector sheets in any directions, by bilinear interpolation.

    Parameters
    ----------
    sheets
        Shape ``(n, k, side, side)``; a first axis of 1 serves all.
    directions
        Shape ``(n, m, 3)``.

    Returns
    -------
    values
        Shape ``(n, k, m)``.
    """
    grid = sector_coordinates(directions).flip(-1) * 2 - 1
    if len(sheets) == 1:
        drawn = functional.grid_sample(sheets, grid[None], align_corners=True)
        return drawn[0].transpose(0, 1)
    drawn = functional.grid_sample(sheets, grid[:, None], align_corners=True)
    return drawn[:, :, 0]


def sector_slopes(sheets: Tensor, directions: Tensor) -> Tensor:
    """Return how the values of sector sheets change as the crystal turns.

    Parameters
    ----------
    sheets
        Shape ``(n, side, side)``.
    directions
        Shape ``(n, m, 3)``.

    Returns
    -------
    slopes
        Change per rotation of the directions about x, y and z [1/rad], shape
        ``(n, m, 3)``.
    """
    spacing = 1 / (sheets.shape[-1] - 1)
    across, down = torch.gradient(sheets, spacing=spacing, dim=(2, 1))
    by_smallest, by_middle = sample_sector(torch.stack([across, down], 1), directions).unbind(1)
    size = directions.abs()
    largest, smallest = size.amax(-1, keepdim=True), size.amin(-1, keepdim=True)
    middle = size.sum(-1, keepdim=True) - largest - smallest
    by_middle, by_smallest = by_middle[..., None], by_smallest[..., None]
    by_largest = -(by_middle * middle + by_smallest * smallest) / largest
    gradient = torch.where(
        size == largest, by_largest, torch.where(size == smallest, by_smallest, by_middle)
    )
    gradient = gradient * torch.sign(directions) / largest
    slopes: Tensor = torch.linalg.cross(directions, gradient)
    return slopes


def screen_rays(centers: Tensor, side: int) -> Tensor:
    """Return the unit vectors from the source to the pixels of a square screen.

    Parameters
    ----------
    centers
        Pattern centers of the square, Bruker's convention, shape ``(n, 3)``.
    side
        Pixels along an edge.

    Returns
    -------
    rays
        Detector axes (x to the right, y up, z from the source to the screen as in
        kikuchipy), shape ``(n, side * side, 3)``.
    """
    step = (torch.arange(side, device=centers.device, dtype=centers.dtype) + 0.5) / side
    pcx, pcy, pcz = (value[:, None] for value in centers.unbind(-1))
    across = ((step - pcx) / pcz)[:, None, :].expand(-1, side, -1)
    up = ((pcy - step) / pcz)[:, :, None].expand(-1, -1, side)
    rays = torch.stack([across, up, torch.ones_like(up)], -1).flatten(1, 2)
    return functional.normalize(rays, dim=-1)


def limit_resolution(images: Tensor, centers: Tensor, angle: float | Tensor) -> Tensor:
    """Return patterns without what is finer than an angle, as strong as before.

    A far screen shows finer lines than the master patterns that a network was trained on hold;
    blurred by an angle, and not by pixels, patterns of all screens show the same.

    Parameters
    ----------
    images
        Shape ``(n, 1, side, side)``; exact zeros lie outside the screen.
    centers
        Pattern centers of the square, Bruker's convention, shape ``(n, 3)``.
    angle
        Standard deviation of the blur, at the pattern center [degrees]; one for all, or of
        each, shape ``(n,)``.
    """
    sigmas = images.shape[-1] * centers[:, 2] * angle * math.radians(1)
    sigmas = sigmas.clamp_min(0.05)  # hardly a blur
    pictures = images[:, 0]
    inside = pictures != 0
    weight = gaussian_blur_each(inside.to(pictures), sigmas).clamp_min(0.1)
    blurred = gaussian_blur_each(pictures, sigmas) / weight * inside
    before, after = (x.square().sum((1, 2), keepdim=True) for x in (pictures, blurred))
    return (blurred * (before / after.clamp_min(1e-12)).sqrt())[:, None]


def fold_patterns(images: Tensor, directions: Tensor, side: int) -> Tensor:
    """Average the pixels of patterns that symmetry makes equal.

    Parameters
    ----------
    images
        Shape ``(n, 1, rows, columns)``; exact zeros lie outside the screen.
    directions
        Crystal direction of each pixel, shape ``(n, rows * columns, 3)``.
    side
        Of the sector's square.

    Returns
    -------
    folded
        Shape ``(n, 2, side, side)``: the mean, standardised, and the logarithm of the
        number of pixels behind it. The square is its own mirror image.
    """
    return _means(_sums(images, directions, side))


def fold_twice(images: Tensor, directions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return :func:`fold_patterns` on two grids in one pass.

    Returns
    -------
    coarse, fine
        Shapes ``(n, 2, side, side)`` and ``(n, 2, 2 * side - 1, 2 * side - 1)``; every second
        cell of the fine grid is one of the coarse.
    """
    fine = _sums(images, directions, 2 * side - 1)
    # The hat of a coarse cell is the sum of fine ones with these weights, so this is exact.
    hat = torch.tensor([0.5, 1.0, 0.5], device=fine.device, dtype=fine.dtype)
    kernel = (hat[:, None] * hat[None])[None, None]
    stacked = fine.flatten(0, 1)[:, None]
    coarse = functional.conv2d(stacked, kernel, stride=2, padding=1)
    return _means(coarse.reshape(2, -1, side, side)), _means(fine)


def _sums(images: Tensor, directions: Tensor, side: int) -> Tensor:
    """Return the sums of pixels and of their weights in each cell, ``(2, n, side, side)``."""
    count = len(images)
    values = images.reshape(count, -1)
    inside = (values != 0).to(values.dtype)
    place = sector_coordinates(directions) * (side - 1)
    corner = place.floor().clamp(0, side - 2)
    down, across = (place - corner).unbind(-1)
    first = torch.arange(count, device=images.device)[:, None] * (side * side)
    index = first + (corner[..., 0] * side + corner[..., 1]).long()
    sums = torch.zeros(2, count * side * side, device=images.device, dtype=values.dtype)
    for offset, share in (
        (0, (1 - down) * (1 - across)),
        (1, (1 - down) * across),
        (side, down * (1 - across)),
        (side + 1, down * across),
    ):
        weight = share * inside
        flat = (index + offset).reshape(-1)
        sums[0].index_add_(0, flat, (weight * values).reshape(-1))
        sums[1].index_add_(0, flat, weight.reshape(-1))
    sums = sums.reshape(2, count, side, side)
    # Cells above the diagonal got what interpolation spilled over it.
    return sums + sums.mT


def _means(total: Tensor) -> Tensor:
    mean = total[0] / (total[1] + 0.3)
    mean = mean - mean.mean((1, 2), keepdim=True)
    mean = mean / (mean.std((1, 2), keepdim=True) + 1e-5)
    return torch.stack([mean, 0.3 * torch.log(total[1] + 0.1)], 1)


def unpack_folded(folded: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and number of pixels, ``(n, side, side)``, of what folding gave."""
    return folded[:, 0], (torch.exp(folded[:, 1] / 0.3) - 0.1).clamp(min=0)
