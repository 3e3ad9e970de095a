"""Virtual bright-field and dark-field images of scans of spot patterns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import ScanError
from .scan import PatternScan


def virtual_image(
    scan: PatternScan,
    *,
    center: tuple[float, float] | None = None,
    inner: float = 0.0,
    outer: float | None = None,
) -> NDArray[np.float32]:
    """Return the intensity inside a disk or ring of every pattern: a virtual detector.

    ``replace(scan, navigation=virtual_image(scan))`` makes it the navigation image.

    Parameters
    ----------
    scan
        Read once.
    center
        Column and row [pixel]; the brightest place of a mean of 24 patterns where None. For a
        dark field, that of a spot.
    inner, outer
        Radii [pixel]; a disk of 4 % of the pattern's height where ``outer`` is None.

    Returns
    -------
    image
        Mean intensity inside the detector, shape ``(scan_y, scan_x)``, float32.

    Raises
    ------
    ScanError
        If no pixel lies inside.
    """
    rows, columns = scan.pattern_shape
    outer = max(0.04 * rows, 1.5) if outer is None else outer
    if center is None:
        mean = ndimage.gaussian_filter(scan.sample(24).astype(np.float64).mean(axis=0), outer / 2)
        row, column = np.unravel_index(int(mean.argmax()), mean.shape)
        center = (float(column), float(row))
    down, across = np.mgrid[:rows, :columns]
    distance = np.hypot(across - center[0], down - center[1])
    inside = (distance <= outer) & (distance >= inner)
    if scan.mask is not None:
        inside &= scan.mask
    if not inside.any():
        raise ScanError(
            f"no pixel of {rows} x {columns} is {inner:g} to {outer:g} pixels from {center}; give "
            "a center on the pattern and radii that leave room between them"
        )
    out = np.empty(scan.n_patterns, dtype=np.float32)
    for start, patterns in scan.batches(256):
        out[start : start + len(patterns)] = patterns[:, inside].mean(axis=1, dtype=np.float64)
    return out.reshape(scan.scan_shape)


__all__ = ["virtual_image"]
