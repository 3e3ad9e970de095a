"""The calibration of a scan's spot patterns: changed by hand, and as files state it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..config import CalibrationSpec
from ..errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterable

ANGSTROM_PER_UNIT = {"1/å": 1.0, "å^-1": 1.0, "å-1": 1.0, "1/a": 1.0, "1/nm": 0.1, "nm^-1": 0.1,
                     "nm-1": 0.1, "1/angstrom": 1.0, "angstrom^-1": 1.0,
                     "1/pm": 100.0}  # fmt: skip
"""1/Å in one of each reciprocal unit that files use, in small letters."""

FILE_CALIBRATION = "calibration"
"""Key of a scan's metadata: what its file said, whatever was changed since; None for nothing."""

ROUND = 1e-3
"""Detector axes whose scales differ by less are one scale."""


def calibrated(
    present: CalibrationSpec | None, other: CalibrationSpec | None, changes: Mapping[str, Any]
) -> CalibrationSpec:
    """Return another calibration, or the present one, with changed fields."""
    base = other or present or CalibrationSpec()
    return base.replace(**changes) if changes else base


def check_center(
    calibration: CalibrationSpec | None, pattern_shape: tuple[int, int], name: str
) -> None:
    """Refuse a center of the direct beam that the patterns can't have.

    Raises
    ------
    ScanError
        If it lies more than half a pattern outside of it.
    """
    if calibration is None or calibration.center is None:
        return
    rows, columns = pattern_shape
    column, row = calibration.center
    if not (-columns / 2 <= column <= 1.5 * columns and -rows / 2 <= row <= 1.5 * rows):
        raise ScanError(
            f"The center of {name!r} is column {column:g}, row {row:g}, its patterns have "
            f"{columns} columns and {rows} rows; need the direct beam on them or near. Column "
            "comes first."
        )


def calibration_of_axes(axes: Iterable[Mapping[str, Any]]) -> CalibrationSpec | None:
    """Return the calibration that a file's two detector axes state.

    Parameters
    ----------
    axes
        With ``scale`` and ``units``, as rosettasciio gives them.

    Returns
    -------
    calibration
        With a camera constant alone: an axis' offset is a display choice in most files. None
        where the axes are no reciprocal lengths, or are two scales.
    """
    scales = [_reciprocal(axis.get("scale"), axis.get("units")) for axis in axes]
    known = [scale for scale in scales if scale is not None]
    if len(known) != 2 or abs(known[0] - known[1]) > ROUND * known[0]:
        return None
    # Seven digits: a single-precision file says 0.10000000149 for 0.1.
    return CalibrationSpec(camera_constant=float(f"{1 / known[0]:.7g}"))


def _reciprocal(scale: Any, unit: Any) -> float | None:
    """Return the size of a pixel [1/Å], None where the unit is another or there is none."""
    factor = ANGSTROM_PER_UNIT.get(str(unit).strip().lower().replace(" ", "").replace("$", ""))
    if factor is None or not isinstance(scale, int | float):
        return None
    size = abs(float(scale)) * factor
    return size if math.isfinite(size) and size > 0 else None
