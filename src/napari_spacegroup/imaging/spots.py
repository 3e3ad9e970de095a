"""Finding the spots of diffraction patterns and the point they are arranged about.

One code for simulated and measured patterns, for cameras and for photographs: nothing is
assumed about intensity unit, polarity (negatives are turned) or size. Needs torch alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .filters import gaussian_blur

WORKING_SIZE = 256
"""Rows of the picture that spots are looked for in; larger ones are averaged down."""

SPOTS = 64
"""Most spots that are kept of one pattern, the strongest ones."""

THRESHOLD = 5.0
"""Least height of a spot over its surroundings, in deviations of the noise."""


Correction = tuple[tuple[float, float], tuple[float, float]]
"""Rows of a matrix on offsets from the center, x to the right and y up."""


@dataclass(frozen=True)
class FoundSpots:
    """Spots of many patterns, in units of the pattern's height.

    Parameters
    ----------
    center
        x from the left and y from the top of the point of symmetry, in pixels of the
        original pattern with pixel centers at whole numbers, shape ``(n, 2)``.
    position
        x to the right and y **up** from the center over the pattern's smaller side, without the
        distortion that was to be corrected, shape ``(n, SPOTS, 2)``; 0 where there is none.
    strength
        Over the background, the strongest 1, shape ``(n, SPOTS)``, descending; 0 for none.
    symmetry
        Share of the spots' strength that has a partner opposite of it, shape ``(n,)``.
    """

    center: Tensor
    position: Tensor
    strength: Tensor
    symmetry: Tensor

    @property
    def is_spot(self) -> Tensor:
        """Return which entries hold a spot, shape ``(n, SPOTS)``."""
        return self.strength > 0


def find_spots(
    images: Tensor,
    mask: Tensor | None = None,
    *,
    center: tuple[float, float] | None = None,
    correction: Correction | None = None,
) -> FoundSpots:
    """Return spots and center of patterns, inside the central square of a longer picture.

    Parameters
    ----------
    images
        Shape ``(n, rows, columns)``, any intensity unit.
    mask
        True inside the screen, shape ``(rows, columns)``, or None.
    center
        Column and row of the point of symmetry in all of them, pixel centers at whole numbers;
        None finds one in each.
    correction
        Rows of the matrix that takes an elliptic distortion out of offsets from the center
        (x to the right, y up); None for none. Pairs of opposite spots, and with them the
        center, are the same with and without.
    """
    rows, columns = images.shape[-2:]
    side = min(rows, columns)
    small, inside = _working(images.to(torch.float32), mask)
    small = upright(small, inside)
    detail = gaussian_blur(small, 1.2) - _wide_blur(small)
    weight = _wide_blur(inside)
    # The step at the rim of the picture is no spot.
    detail = torch.where((weight > 0.45) & (inside > 0.5), detail, torch.zeros_like(detail))
    noise = _noise(detail, inside)
    column, row, height = _peaks(detail, noise)
    place, strength = _refined(detail, column, row, height)
    strength = strength * _is_round(detail, column, row, height)
    scale = side / WORKING_SIZE
    corner = torch.tensor([(columns - side) // 2, (rows - side) // 2], device=images.device)
    if center is None:
        middle, symmetry = _center(place, strength, small)
    else:
        given = torch.tensor(center, device=images.device, dtype=place.dtype)
        middle = ((given - corner + 0.5) / scale - 0.5).expand(len(images), 2)
        symmetry = _symmetry_about(middle, place, strength)
    offset = place - middle[:, None]
    offset = torch.stack([offset[..., 0], -offset[..., 1]], dim=-1)
    is_beam = offset.norm(dim=-1) < _beam_reach(small, middle)[:, None]
    strength = torch.where(is_beam, torch.zeros_like(strength), strength)
    order = strength.argsort(dim=1, descending=True)[:, :SPOTS]
    strength = strength.gather(1, order)
    offset = offset.gather(1, order[..., None].expand(-1, -1, 2))
    if correction is not None:
        offset = offset @ torch.tensor(correction, device=images.device, dtype=offset.dtype).mT
    top = strength[:, :1].clamp_min(1e-12)
    strength = strength / top
    offset = torch.where((strength > 0)[..., None], offset / WORKING_SIZE, 0.0)
    return FoundSpots((middle + 0.5) * scale - 0.5 + corner, offset, strength, symmetry)


def _wide_blur(images: Tensor) -> Tensor:
    """Return the images blurred by about four pixels, at half the resolution."""
    half = gaussian_blur(functional.avg_pool2d(images[:, None], 2)[:, 0], 2.0)
    wide: Tensor = functional.interpolate(half[:, None], scale_factor=2, mode="bilinear")[:, 0]
    return wide


def _working(images: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the central squares in the working size, and where they show something."""
    rows, columns = images.shape[-2:]
    side = min(rows, columns)
    inside = torch.ones_like(images[:1]) if mask is None else mask.to(images)[None]
    if rows != columns:
        top, left = (rows - side) // 2, (columns - side) // 2
        images = images[:, top : top + side, left : left + side]
        inside = inside[:, top : top + side, left : left + side]
    size = (WORKING_SIZE, WORKING_SIZE)
    if side != WORKING_SIZE:
        if side > WORKING_SIZE:
            images = functional.interpolate(images[:, None], size, mode="area")[:, 0]
        else:
            images = functional.interpolate(
                images[:, None], size, mode="bilinear", align_corners=False
            )[:, 0]
        inside = functional.interpolate(inside[:, None], size, mode="area")[:, 0]
    return images, inside


def upright(images: Tensor, inside: Tensor) -> Tensor:
    """Return pictures with bright spots on dark, height 0 to about 1; negatives are turned.

    Spots are few, so the longer tail of the intensities is theirs: a picture whose median is
    nearer to its bright end is a negative.
    """
    flat = images[:, ::4, ::4].flatten(1)
    shown = inside[:, ::4, ::4].flatten(1).expand_as(flat) > 0.5
    middle = torch.where(shown, flat, torch.nan).nanmedian(dim=1).values
    filled = torch.where(shown, flat, middle[:, None])
    count = max(filled.shape[1] // 200, 1)
    high = filled.topk(count, dim=1).values.mean(dim=1)
    low = -(-filled).topk(count, dim=1).values.mean(dim=1)
    is_negative = high - middle < middle - low
    sign = torch.where(is_negative, -1.0, 1.0)
    span = torch.maximum(high - middle, middle - low).clamp_min(1e-12)
    turned = (images - middle[:, None, None]) * (sign / span)[:, None, None]
    return turned * (inside > 0.5)


def _noise(detail: Tensor, inside: Tensor) -> Tensor:
    """Return the deviation of the noise around each pixel, which spots hardly change.

    The median size over the picture, and where it is more, the local mean size of what
    is below three of that: the background's own noise grows towards the middle.
    """
    flat = detail[:, ::4, 1::4].flatten(1).abs()
    shown = inside[:, ::4, 1::4].flatten(1).expand_as(flat) > 0.5
    deviation = torch.where(shown, flat, torch.nan).nanmedian(dim=1).values / 0.6745
    deviation = torch.maximum(deviation, 2e-4 * detail.flatten(1).amax(dim=1)).clamp_min(1e-9)
    deviation = deviation[:, None, None]
    size = torch.minimum(detail.abs(), 3 * deviation)
    local = functional.avg_pool2d(size[:, None], 8)
    local = functional.avg_pool2d(local, 3, stride=1, padding=1, count_include_pad=False)
    local = functional.interpolate(local, detail.shape[1:], mode="bilinear")[:, 0]
    return torch.maximum(deviation, 1.25 * local)


def _peaks(detail: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return column, row and height of the highest local maxima, zero height for none."""
    # Neighbours by shifted views: on a CPU ten times as fast as max_pool2d.
    highest = detail.clone()
    for axis, size in ((1, detail.shape[1]), (2, detail.shape[2])):
        before = highest.clone()
        for shift in (1, 2):
            low, high = (
                before.narrow(axis, 0, size - shift),
                before.narrow(axis, shift, size - shift),
            )
            for part, other in ((highest.narrow(axis, 0, size - shift), high),
                                (highest.narrow(axis, shift, size - shift), low)):  # fmt: skip
                torch.maximum(part, other, out=part)
    is_peak = (detail == highest) & (detail > THRESHOLD * noise)
    is_peak[:, :3] = is_peak[:, -3:] = False
    is_peak[:, :, :3] = is_peak[:, :, -3:] = False
    found = torch.where(is_peak, detail, torch.zeros_like(detail)).flatten(1)
    height, place = found.topk(SPOTS + 32, dim=1)
    return place % detail.shape[2], place // detail.shape[2], height


def _refined(detail: Tensor, column: Tensor, row: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions to a fraction of a pixel and strengths, from 5 by 5 pixels."""
    step = torch.arange(-2, 3, device=detail.device)
    rows = (row[..., None, None] + step[:, None]).clamp(0, detail.shape[1] - 1)
    columns = (column[..., None, None] + step).clamp(0, detail.shape[2] - 1)
    index = rows * detail.shape[2] + columns
    flat = detail.flatten(1)
    part = flat.gather(1, index.flatten(1)).reshape(*index.shape).clamp_min(0)
    total = part.sum(dim=(-2, -1)).clamp_min(1e-12)
    x = column + (part * step).sum(dim=(-2, -1)) / total
    y = row + (part * step[:, None]).sum(dim=(-2, -1)) / total
    return torch.stack([x, y], dim=-1), torch.where(height > 0, total, torch.zeros_like(total))


def _inversion(coarse: Tensor) -> Tensor:
    """Return how well the halo equals its own inversion through each point, the best 1.

    The product of a picture with its inversion through c, summed up, is its convolution with
    itself at 2c. A beam stop darkens one side and moves the best point little.
    """
    size = coarse.shape[-1]
    bright = coarse.clamp(0, 1) ** 0.5
    spectrum = torch.fft.rfft2(bright, s=(2 * size, 2 * size))
    product = torch.fft.irfft2(spectrum**2, s=(2 * size, 2 * size))
    # Entry k stands for a center at (k + 1) / 2 coarse pixels from the corner.
    part = product[:, size // 2 - 1 : 3 * size // 2, size // 2 - 1 : 3 * size // 2]
    part = part / part.flatten(1).amax(dim=1)[:, None, None].clamp_min(1e-9)
    fine: Tensor = functional.interpolate(
        part[:, None], (2 * size + 1, 2 * size + 1), mode="bilinear", align_corners=True
    )[:, 0]
    # Bins of the votes are whole pixels, whose centers lie half a pixel from the corner.
    return 0.5 * (fine[:, :-1, :-1] + fine[:, 1:, 1:])


def _is_round(detail: Tensor, column: Tensor, row: Tensor, height: Tensor) -> Tensor:
    """Return whether a peak falls off to all sides, as no point of an edge or line does."""
    flat, columns = detail.flatten(1), detail.shape[2]
    lengthwise = torch.zeros_like(height)
    for across, down in ((3, 0), (2, 2), (0, 3), (2, -2)):
        ends = []
        for sign in (1, -1):
            x = (column + sign * across).clamp(0, columns - 1)
            y = (row + sign * down).clamp(0, detail.shape[1] - 1)
            ends.append(flat.gather(1, y * columns + x))
        lengthwise = torch.maximum(lengthwise, torch.minimum(*ends))
    return lengthwise < 0.65 * height


def _beam_reach(small: Tensor, center: Tensor) -> Tensor:
    """Return how far the direct beam and its flank reach from the center [pixel]."""
    step = torch.arange(3.0, 30.0, 1.5, device=small.device)
    angle = torch.arange(16, device=small.device) * (2 * torch.pi / 16)
    x = center[:, :1, None] + step[:, None] * torch.cos(angle)
    y = center[:, 1:, None] + step[:, None] * torch.sin(angle)
    limit = WORKING_SIZE - 1
    index = y.round().long().clamp(0, limit) * WORKING_SIZE + x.round().long().clamp(0, limit)
    ring = small.flatten(1).gather(1, index.flatten(1)).reshape(*index.shape)
    # The median over the ring: spots and a beam stop cover less than half of it.
    profile = ring.median(dim=2).values
    floor = profile[:, -1:]
    is_bright = profile - floor > 0.4 * (profile[:, :1] - floor).clamp_min(0.15)
    reach = step[is_bright.to(torch.int8).cumprod(dim=1).sum(dim=1).clamp_max(len(step) - 1)]
    return (reach + 2.5).clamp_max(24.0)


def _center(place: Tensor, strength: Tensor, small: Tensor) -> tuple[Tensor, Tensor]:
    """Return the point about which spots come in pairs, and how well they do.

    Every pair of spots votes for the point between its members, by the strength of the
    weaker one. All points halfway between lattice points collect votes, the true one the
    most; a bright middle and nearness to the middle of the picture decide ties.
    """
    count, spots = strength.shape
    edge, size = WORKING_SIZE // 4, WORKING_SIZE // 2
    root = strength.clamp_min(0) ** 0.5
    root = root / root.amax(dim=1, keepdim=True).clamp_min(1e-12)
    weight = torch.minimum(root[:, :, None], root[:, None])
    weight = weight * (1 - torch.eye(spots, device=weight.device))
    middle = 0.5 * (place[:, :, None] + place[:, None])
    bins = (middle - edge).round().long()
    in_sight = ((bins >= 0) & (bins < size)).all(dim=-1)
    index = (bins[..., 1] * size + bins[..., 0]).clamp(0, size * size - 1).flatten(1)
    votes = torch.zeros(count, size * size, device=weight.device)
    votes.scatter_add_(1, index, (weight * in_sight).flatten(1))
    share = 9 * functional.avg_pool2d(
        votes.reshape(count, 1, size, size), 3, stride=1, padding=1
    )[:, 0]  # fmt: skip
    share = share / root.sum(dim=1)[:, None, None].clamp_min(1e-6)
    axis = (torch.arange(size, device=weight.device, dtype=share.dtype) + edge) / WORKING_SIZE - 0.5
    distance = axis[:, None] ** 2 + axis[None] ** 2
    coarse_glow = functional.avg_pool2d(small.clamp(-1, 1)[:, None], 4)
    glow = gaussian_blur(coarse_glow[:, 0], 1.5)
    glow = glow / glow.flatten(1).amax(dim=1)[:, None, None].clamp_min(1e-6)
    glow = functional.interpolate(glow[:, None], scale_factor=4, mode="bilinear")[:, 0]
    glow = glow[:, edge : edge + size, edge : edge + size]
    score = share + 0.4 * glow.clamp_min(0) + _inversion(coarse_glow[:, 0]) - 2.0 * distance
    best = score.flatten(1).argmax(dim=1)
    coarse = torch.stack([best % size, best // size], dim=-1).to(place.dtype) + edge
    # Mean of the midpoints that voted for it.
    apart = (middle - coarse[:, None, None]).norm(dim=-1)
    voting = weight * (apart < 1.3)
    cast = voting.sum(dim=(1, 2))
    mean = (middle * voting[..., None]).sum(dim=(1, 2)) / cast.clamp_min(1e-6)[:, None]
    center = torch.where((cast > 0)[:, None], mean, coarse)
    beam, is_visible = _beam(small, coarse)
    has_pairs = share.flatten(1).gather(1, best[:, None]) > 0.4
    center = torch.where((is_visible & ~has_pairs[:, 0])[:, None], beam, center)
    paired = (voting.amax(dim=2) > 0).to(root) * root
    # The direct beam is its own partner and counts for neither side.
    is_beam = (place - center[:, None]).norm(dim=-1) < 4.0
    whole = (root * ~is_beam).sum(dim=1).clamp_min(1e-6)
    return center, ((paired * ~is_beam).sum(dim=1) / whole).clamp(0, 1)


def _symmetry_about(center: Tensor, place: Tensor, strength: Tensor) -> Tensor:
    """Return the share of the spots' strength that has a partner opposite of a given center."""
    root = strength.clamp_min(0) ** 0.5
    root = root / root.amax(dim=1, keepdim=True).clamp_min(1e-12)
    opposite = 2 * center[:, None] - place
    apart = (opposite[:, :, None] - place[:, None]).norm(dim=-1)
    is_beam = (place - center[:, None]).norm(dim=-1) < 4.0
    has_partner = ((apart < 2.6) & (root > 0)[:, None]).any(dim=2)
    counted = root * ~is_beam
    whole = counted.sum(dim=1).clamp_min(1e-6)
    share: Tensor = ((counted * has_partner).sum(dim=1) / whole).clamp(0, 1)
    return share


def _beam(small: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
    """Return the middle of the bright disk near a point, and whether there is one."""
    half = 14
    step = torch.arange(-half, half + 1, device=small.device)
    limit = WORKING_SIZE - 1
    rows = (coarse[:, 1].round().long()[:, None, None] + step[:, None]).clamp(0, limit)
    columns = (coarse[:, 0].round().long()[:, None, None] + step).clamp(0, limit)
    index = (rows * WORKING_SIZE + columns).flatten(1)
    part = small.flatten(1).gather(1, index).reshape(-1, len(step), len(step))
    rim = torch.cat([part[:, 0], part[:, -1], part[:, :, 0], part[:, :, -1]], dim=1)
    top = part.flatten(1).amax(dim=1)
    floor = rim.mean(dim=1)
    above = (part - (0.5 * (top + floor))[:, None, None]).clamp_min(0)
    total = above.sum(dim=(1, 2)).clamp_min(1e-9)
    x = coarse[:, 0].round() + (above * step).sum(dim=(1, 2)) / total
    y = coarse[:, 1].round() + (above * step[:, None]).sum(dim=(1, 2)) / total
    return torch.stack([x, y], dim=-1), top - floor > 0.3
