"""What can be told from the bytes of a pattern alone.

Storage that is laid out before it is filled says nothing about how far the writer has
come; only the bytes do. These tests are vectorised over a block and cost less than
reading it.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

RANDOM_LEAST_BYTES = 512
"""Smaller patterns are not tested for randomness: their histogram says too little."""


def are_empty(patterns: NDArray[np.generic], fill: float = 0) -> NDArray[np.bool_]:
    """Return which patterns hold nothing but the fill value, shape ``(n,)``.

    Parameters
    ----------
    patterns
        Shape ``(n, detector_y, detector_x)``.
    fill
        What storage reads as before it is written; NaN is allowed.
    """
    if patterns.size == 0:
        return np.ones(len(patterns), dtype=bool)
    flat = patterns.reshape(len(patterns), -1)
    # Most patterns are told by their middle, without a look at the rest.
    empty: NDArray[np.bool_] = _is_fill(flat[:, flat.shape[1] // 2], fill)
    (suspects,) = np.nonzero(empty)
    if len(suspects):
        empty[suspects] = _is_fill(flat[suspects], fill).all(axis=1)
    return empty


def fill_tail(pattern: NDArray[np.generic], fill: float = 0) -> int:
    """Return how many pixels at the end of a pattern hold the fill value.

    A pattern that is being written has such a tail, and so has one behind a round screen.
    """
    flat = _is_fill(pattern.reshape(-1), fill)[::-1]
    return int(len(flat) if flat.all() else np.argmin(flat))


def checksum(pattern: NDArray[np.generic]) -> int:
    """Return the CRC-32 of a pattern's bytes."""
    return zlib.crc32(np.ascontiguousarray(pattern).view(np.uint8).reshape(-1).data)


def are_repeats(
    patterns: NDArray[np.generic], before: NDArray[np.generic] | None
) -> NDArray[np.bool_]:
    """Return which patterns equal the one before them byte for byte, shape ``(n,)``.

    Two exposures of a camera never agree in every pixel, whatever the sample; a frame
    that was read out twice does. Frames of one grey value (a blanked beam, a saturated
    camera) agree without being repeats and are left alone.

    Parameters
    ----------
    patterns
        Shape ``(n, detector_y, detector_x)``, in the order in which they were taken.
    before
        The pattern before the first, or None.
    """
    count = len(patterns)
    repeats = np.zeros(count, dtype=bool)
    if count == 0:
        return repeats
    flat = patterns.reshape(count, -1)
    middle = flat[:, flat.shape[1] // 2 :][:, :64]
    repeats[1:] = (middle[1:] == middle[:-1]).all(axis=1)
    repeats[0] = before is not None
    for i in np.flatnonzero(repeats):
        previous = before.reshape(-1) if i == 0 and before is not None else flat[i - 1]
        repeats[i] = np.array_equal(flat[i], previous) and bool((flat[i] != flat[i, 0]).any())
    return repeats


def are_random(patterns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which patterns are random bytes instead of an image, shape ``(n,)``.

    Both must hold: all 256 bytes are equally frequent (χ² within six standard deviations
    of its mean), and neighbouring pixels do not correlate (within five). Camera noise in
    the dark has no flat histogram, and an equalised pattern has neighbours that agree.
    Floating-point patterns are not judged.

    Parameters
    ----------
    patterns
        Shape ``(n, detector_y, detector_x)``.
    """
    count = len(patterns)
    random = np.zeros(count, dtype=bool)
    if count == 0 or patterns.dtype.kind not in "ui":
        return random
    raw = np.ascontiguousarray(patterns).reshape(count, -1).view(np.uint8)
    if raw.shape[1] < RANDOM_LEAST_BYTES:
        return random
    # A cheap sieve first, all patterns at once: the upper four bits of some 512 bytes.
    sample = raw[:, :: raw.shape[1] // RANDOM_LEAST_BYTES] >> 4
    bins = sample + 16 * np.arange(count, dtype=np.int64)[:, None]
    counts = np.bincount(bins.ravel(), minlength=16 * count).reshape(count, 16)
    expected = sample.shape[1] / 16
    chi_squared = ((counts - expected) ** 2).sum(axis=1) / expected
    for i in np.flatnonzero(chi_squared < 15 + 6 * math.sqrt(2 * 15)):
        random[i] = _has_flat_histogram(raw[i]) and not _has_neighbours(patterns[i])
    return random


def _has_flat_histogram(raw: NDArray[np.uint8]) -> bool:
    expected = len(raw) / 256
    counts = np.bincount(raw, minlength=256)
    chi_squared = float(((counts - expected) ** 2).sum() / expected)
    return abs(chi_squared - 255) < 6 * math.sqrt(2 * 255)


def _has_neighbours(pattern: NDArray[np.generic]) -> bool:
    image = pattern.astype(np.float64)
    image -= image.mean()
    variance = float((image**2).mean())
    if variance == 0:
        return True
    along = float((image[:, 1:] * image[:, :-1]).mean()) / variance
    if len(image) == 1:  # a profile
        return abs(along) > 5 / math.sqrt(image.size)
    across = float((image[1:] * image[:-1]).mean()) / variance
    return max(abs(along), abs(across)) > 5 / math.sqrt(image.size)


def _is_fill(values: NDArray[np.generic], fill: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.isnan(values) if fill != fill else values == fill
    return found
