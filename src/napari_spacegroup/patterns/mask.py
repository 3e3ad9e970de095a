"""Finding a circular screen in the patterns themselves.

Many detectors image a round phosphor screen onto a rectangular chip. What lies outside
carries no diffraction, and a network must not look at it. Shared by the readers and by
whoever gets a bare array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MIN_OUTSIDE = 0.04
"""Least share of the frame outside the screen; a full disk in a square leaves 0.21."""

MIN_AGREEMENT = 0.965
"""Least share of pixels on which the dead corners and the fitted disk agree. Measured:
0.98 to 1.00 on round screens; see the tests."""


def detect_mask(patterns: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Return where the screen is, or None if it fills the frame.

    A screen counts as round when areas that touch at least two corners neither change
    from pattern to pattern nor differ from the corner itself, and when their edge fits
    one circle.

    Parameters
    ----------
    patterns
        Shape ``(detector_y, detector_x)``, a mean pattern or a static background, or
        ``(n, detector_y, detector_x)``, a sample of patterns. A background-corrected
        scan needs the sample: there the corners have the mean grey of the screen and
        differ only by standing still.

    Returns
    -------
    mask
        Shape ``(detector_y, detector_x)``, True inside the screen, one pixel inside its
        edge. None if no round screen is found.
    """
    stack = np.asarray(patterns, dtype=np.float64)
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3 or min(stack.shape) < 1 or min(stack.shape[1:]) < 16:
        return None
    stack = stack[np.isfinite(stack).all(axis=(1, 2))]
    if not len(stack):
        return None
    mean = stack.mean(axis=0)
    dead = _still_corners(mean, 0.05)
    mask = _fit_disk(dead)
    if mask is None and len(stack) > 1:
        mask = _fit_disk(_still_corners(stack.std(axis=0), 0.1))
    if mask is None:
        texture = np.sqrt(np.maximum(0.0, _local_variance(stack).mean(axis=0)))
        mask = _fit_disk(_still_corners(texture, 0.1))
    return mask


def _local_variance(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    size = (1, *(max(3, n // 40 | 1) for n in stack.shape[1:]))
    mean = ndimage.uniform_filter(stack, size)
    variance: NDArray[np.float64] = ndimage.uniform_filter(stack**2, size) - mean**2
    return variance


def _still_corners(image: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Return the areas around the corners whose value stays at the corner's own."""
    low, high = np.percentile(image, [0.5, 99.5])
    edge = max(3, min(image.shape) // 30)
    corners = [
        image[rows, columns]
        for rows in (slice(0, edge), slice(-edge, None))
        for columns in (slice(0, edge), slice(-edge, None))
    ]
    level = float(np.median([np.median(corner) for corner in corners]))
    spread = float(np.median([corner.std() for corner in corners]))
    dead = np.abs(image - level) <= max(share * (high - low), 4 * spread)
    # A screen is brighter, or livelier, than its surroundings; noise opens single pixels.
    dead = ndimage.median_filter(dead, size=3, mode="nearest")
    labels, _ = ndimage.label(dead)
    at_corner = {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    touching: NDArray[np.bool_] = np.isin(labels, list(at_corner))
    return touching


def _fit_disk(dead: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the disk whose outside is the dead area, or None if there is none."""
    height, width = dead.shape
    corners = sum(bool(dead[y, x]) for y in (0, -1) for x in (0, -1))
    if corners < 2 or not MIN_OUTSIDE <= dead.mean() <= 0.6:
        return None
    rim = dead & ndimage.binary_dilation(~dead)
    rim[[0, -1], :] = rim[:, [0, -1]] = False
    y, x = np.nonzero(rim)
    if len(y) < 12:
        return None
    keep = np.ones(len(y), dtype=bool)
    for _ in range(6):
        # Circle through the rim by linear least squares: x² + y² = 2ax + 2by + c.
        design = np.column_stack([2 * x[keep], 2 * y[keep], np.ones(keep.sum())])
        (a, b, c), *_ = np.linalg.lstsq(design, x[keep] ** 2 + y[keep] ** 2, rcond=None)
        radius = float(np.sqrt(max(0.0, c + a * a + b * b)))
        error = np.abs(np.hypot(x - a, y - b) - radius)
        keep = error <= max(1.5, 2.5 * float(np.median(error)))
        if keep.sum() < 12:
            return None
    if not 0.3 * min(height, width) <= radius <= 0.75 * max(height, width):
        return None
    grid_y, grid_x = np.ogrid[:height, :width]
    distance = np.hypot(grid_y - b, grid_x - a)
    if float(((distance > radius - 0.5) == dead).mean()) < MIN_AGREEMENT:
        return None
    mask: NDArray[np.bool_] = distance <= radius - 1.5
    return mask
