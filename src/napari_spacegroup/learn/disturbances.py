"""How a measured pattern might look if it were measured again: for learning without labels.

All work on what a network reads, because the physics of a measured pattern is not known.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..imaging import ProfileContract

STRETCH = 0.01
"""Largest change of ln q: another composition, a shift of the zero."""

UNEVEN = 0.25
"""Spread of ln intensity over a profile: texture, absorption."""

KNOTS = 12
CUTS, CUT = 2, 0.06
"""Parts of a profile taken as not measured, and the length of each over that of the profile."""


def disturbed_profiles(
    profiles: Tensor, contract: ProfileContract, generator: torch.Generator
) -> Tensor:
    """Return profiles shifted, with uneven intensities, noise and gaps.

    Parameters
    ----------
    profiles
        Prepared, shape ``(n, 1, 1, points)``.
    contract
        That they were prepared for.
    generator
        Source of the random numbers.
    """
    count, points = len(profiles), profiles.shape[-1]
    device = generator.device

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator, device=device)

    flat = profiles.reshape(count, points)
    # On a grid of angles a cell that grows does not shift lines alike; a shift of the zero does.
    reach = STRETCH / contract.step if contract.grid == "log_q" else 0.05 / contract.step
    places = torch.arange(points, device=device) + reach * (2 * uniform(count, 1) - 1)
    left = places.floor().clamp(0, points - 2)
    share = (places - left).clamp(0, 1)
    index = left.long()
    moved = flat.gather(1, index) * (1 - share) + flat.gather(1, index + 1) * share
    is_measured = (moved >= 0) & (places >= 0) & (places <= points - 1)
    knots = torch.randn(count, 1, KNOTS, generator=generator, device=device)
    spread = functional.interpolate(knots, points, mode="linear", align_corners=True)[:, 0]
    moved = moved * torch.exp(UNEVEN * contract.power * spread)
    noise = 0.06 * uniform(count, 1) ** 2
    moved = moved + noise * torch.randn(count, points, generator=generator, device=device)
    moved = moved.clamp(0, 1)
    line = torch.arange(points, device=device)
    for _ in range(CUTS):
        start = uniform(count, 1) * points
        is_measured &= ~((line >= start) & (line < start + CUT * points))
    return torch.where(is_measured, moved, contract.outside).reshape(profiles.shape)


def disturbed_pictures(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures with uneven gain, noise, and a square taken out.

    Parameters
    ----------
    pictures
        Prepared or folded, shape ``(n, channels, rows, columns)``; exact zeros were not measured.
    generator
        Source of the random numbers.
    """
    count, _, rows, columns = pictures.shape
    device = generator.device

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device)

    gain = functional.interpolate(normal(count, 1, 4, 4), (rows, columns), mode="bilinear")
    level = 0.3 * torch.rand((count, 1, 1, 1), generator=generator, device=device)
    noise = level * normal(count, 1, rows, columns)
    first = pictures[:, :1]
    changed = torch.where(first != 0, first * torch.exp(0.15 * gain) + noise, first)
    side = max(1, min(rows, columns) // 4)
    corner = torch.rand((2, count, 1, 1, 1), generator=generator, device=device)
    top, edge = corner[0] * (rows - side), corner[1] * (columns - side)
    down = torch.arange(rows, device=device)[:, None]
    across = torch.arange(columns, device=device)
    is_out = (down >= top) & (down < top + side) & (across >= edge) & (across < edge + side)
    # Folded pictures carry the number of pixels behind them: that stays.
    return torch.cat([changed.masked_fill(is_out, 0.0), pictures[:, 1:]], 1)
