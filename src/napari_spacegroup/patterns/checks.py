"""What every scan is held to before anything is read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array as da
import numpy as np

from ..errors import ScanError
from .calibrated import check_center
from .source import check_numeric

if TYPE_CHECKING:
    from .scan import PatternScan


def check_scan(scan: PatternScan) -> None:
    """Check shapes and types of a scan; nothing is read.

    Raises
    ------
    ScanError
        If an array has the wrong shape or type, there are no patterns, or the center of
        the direct beam lies far beyond them.
    """
    if not isinstance(scan.data, da.Array) or scan.data.ndim != 4:
        raise ScanError(
            f"A PatternScan needs a dask array of four dimensions; got {type(scan.data)} "
            f"of shape {getattr(scan.data, 'shape', None)}. Use PatternScan.from_array."
        )
    if 0 in scan.data.shape:
        raise ScanError(
            f"The scan {scan.name!r} has shape {scan.data.shape}: zero patterns, or patterns "
            "without pixels; need at least one. Check that the scan was saved."
        )
    check_numeric(scan.data.dtype, f"The scan {scan.name!r}")
    for label, image, shape in (
        ("static background", scan.static_background, scan.pattern_shape),
        ("mask", scan.mask, scan.pattern_shape),
        ("presence", scan.present, scan.scan_shape),
        ("navigation image", scan.navigation, scan.scan_shape),
    ):
        if image is not None and tuple(image.shape) != shape:
            raise ScanError(
                f"The {label} of {scan.name!r} has shape {tuple(image.shape)}; need {shape} "
                "to fit the patterns. Crop or bin both alike, or leave it out."
            )
    center = np.zeros(3) if scan.geometry is None else scan.geometry.pattern_center
    if center.ndim == 3 and center.shape[:2] != scan.scan_shape:
        raise ScanError(
            f"Pattern centers of shape {center.shape} do not fit the scan of "
            f"{scan.scan_shape}; need one per pixel or one in all."
        )
    check_center(scan.calibration, scan.pattern_shape, scan.name)
