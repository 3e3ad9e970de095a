"""Peaks of a powder profile: positions, heights, and the width they share.

Peaks are where the curve bends most (the minima of a smoothed second derivative), so that a
shoulder is found beside its neighbour and no background has to be known. What counts as noise is
measured on the curve itself, whatever its unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from .profiles import K_ALPHA

SIGNIFICANT = 5.0
"""Least bend of a peak, in deviations of the noise."""

LEAST = 0.012
"""Least height over that of the highest."""

DOUBLET = 0.00248
"""Relative difference of the wavelengths of copper Kα1 and Kα2; other anodes are near."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of one profile in rising order.

    Parameters
    ----------
    positions
        In the unit of the axis, shape ``(n,)``.
    heights
        Over the highest, shape ``(n,)``.
    width
        Full width at half maximum of the strong ones, in the unit of the axis.
    """

    positions: NDArray[np.float64]
    heights: NDArray[np.float64]
    width: float


def find_peaks(
    axis: NDArray[np.floating],
    counts: NDArray[np.floating],
    *,
    most: int = 30,
    is_doublet: bool = False,
) -> Peaks:
    """Return the peaks of a profile, the first ``most`` of them.

    Parameters
    ----------
    axis
        Evenly spaced and rising, shape ``(n,)``.
    counts
        Intensity in any unit, shape ``(n,)``.
    most
        How many are kept, from the start of the axis.
    is_doublet
        Whether the axis is an angle 2θ [degrees] measured with Kα1 and Kα2, which stand apart at
        large angles; the second of such a pair is left out.
    """
    axis, curve = np.asarray(axis, np.float64), np.asarray(counts, np.float64)
    step = float(np.median(np.diff(axis)))
    width = _shared_width(curve, step)
    window = max(5, round(1.1 * width / step) | 1)
    if len(curve) < max(2 * window, 40):
        return Peaks(np.empty(0), np.empty(0), width)
    bend = -savgol_filter(curve, window, min(3, window - 2), deriv=2)
    level = np.sqrt(np.maximum(savgol_filter(curve, 31, 1), 1e-3 * curve.max() + 1e-12))
    # Counting noise grows with the root of the level; peaks are in the upper part of the bends.
    noise = np.percentile(np.abs(bend) / level, 30) / 0.385 * level
    inner = bend[1:-1]
    is_peak = (inner > bend[:-2]) & (inner >= bend[2:]) & (inner > SIGNIFICANT * noise[1:-1])
    places = np.flatnonzero(is_peak) + 1
    heights = bend[places]
    if not len(places):
        return Peaks(np.empty(0), np.empty(0), width)
    keep = heights > LEAST * heights.max()
    places, heights = places[keep], heights[keep]
    before, at, after = bend[places - 1], bend[places], bend[places + 1]
    offset = 0.5 * (before - after) / (before - 2 * at + after - 1e-30)
    positions = axis[places] + offset * step
    keep = _is_own(positions, heights, width, is_doublet=is_doublet)
    positions, heights = positions[keep][:most], heights[keep][:most]
    return Peaks(positions, heights / heights.max(), width)


def peak_wavelengths(
    positions: NDArray[np.floating], width: float, wavelength: float
) -> NDArray[np.float64]:
    """Return the wavelength that each peak belongs to.

    A peak is found where the curve bends most. Kα1 and Kα2 that are not resolved bend most
    between them, where the mean of the doublet stands; as they part, the bend moves to Kα1.

    Parameters
    ----------
    positions
        2θ [degrees], shape ``(n,)``.
    width
        Full width at half maximum of peaks [degrees].
    wavelength
        What the file says [Å]; where it is the mean of no known doublet, it is every peak's.

    Returns
    -------
    wavelengths
        Shape ``(n,)`` [Å].
    """
    found = np.full(len(positions), wavelength)
    for first, second in K_ALPHA:
        mean = (2 * first + second) / 3
        if abs(wavelength - mean) > 2e-4 * mean:
            continue
        angle = np.tan(np.radians(np.asarray(positions, np.float64) / 2))
        split = np.degrees(2 * angle * (second - first) / mean)
        parted = np.clip((split / width - 0.3) / 0.6, 0, 1)
        found += (first - wavelength) * parted**2 * (3 - 2 * parted)
    return found


def _shared_width(counts: NDArray[np.float64], step: float) -> float:
    """Return the median full width at half maximum of the six highest peaks."""
    places = np.arange(0, len(counts), 20)
    low = [np.percentile(counts[max(0, i - 200) : i + 201], 10) for i in places]
    height = counts - np.interp(np.arange(len(counts)), places, low)
    is_free = np.ones(len(counts), bool)
    widths: list[float] = []
    for i in np.argsort(-height).tolist():
        if not is_free[i]:
            continue
        below = height < height[i] / 2
        left = i - int(below[:i][::-1].argmax()) if below[:i].any() else 0
        right = i + int(below[i:].argmax()) if below[i:].any() else len(counts) - 1
        is_free[max(0, left - 10) : right + 11] = False
        widths.append((right - left) * step)
        if len(widths) == 6:
            break
    span = step * len(counts)
    return float(np.clip(np.median(widths), 3 * step, 0.01 * span))


def _is_own(
    positions: NDArray[np.float64], heights: NDArray[np.float64], width: float, *, is_doublet: bool
) -> NDArray[np.bool_]:
    """Return which are no ripple beside a far higher peak, and no Kα2 of the one before."""
    apart = positions[:, None] - positions[None]
    ratio = heights[None] / heights[:, None]
    found: NDArray[np.bool_] = ~np.asarray(
        ((np.abs(apart) < 1.6 * width) & (ratio > 12)).any(axis=1)
    )
    if is_doublet:
        split = np.degrees(2 * np.tan(np.radians(positions / 2)) * DOUBLET)[:, None]
        is_second = (np.abs(apart - split) < 0.25 * split + 0.01) & (ratio > 1.3)
        found = np.asarray(found & ~(is_second & (split > 0.5 * width)).any(axis=1))
    return found
