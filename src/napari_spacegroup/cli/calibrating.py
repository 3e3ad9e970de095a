"""The options of all verbs that calibrate spot and ring patterns, and what becomes of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .shown import say

if TYPE_CHECKING:
    from ..config import CalibrationSpec
    from ..patterns import PatternScan


def add_calibration(verb: argparse.ArgumentParser) -> None:
    """Let a verb take the fields of a :class:`~napari_spacegroup.config.CalibrationSpec`."""
    verb.add_argument(
        "--center", "--ring-center", type=float, nargs=2, metavar=("COLUMN", "ROW"),
        help="of the direct beam in spot and ring patterns (default: found)",
    )  # fmt: skip
    verb.add_argument(
        "--camera-constant", type=float, metavar="PIXEL_Å",
        help="of spot and ring patterns: radius of a ring times its spacing; ring patterns become "
        "profiles by it",
    )  # fmt: skip
    verb.add_argument(
        "--ellipse", type=float, nargs=2, metavar=("RATIO", "DEGREES"),
        help="that the lenses make of a circle: long over short axis, and the direction of the "
        "long one, counterclockwise from the right",
    )  # fmt: skip


def add_find(verb: argparse.ArgumentParser) -> None:
    """Let a verb look for what is not given."""
    verb.add_argument(
        "--find-calibration", action="store_true",
        help="find one center of spot patterns, and the ellipse from many of a cubic crystal "
        "(default: a center in each, no ellipse)",
    )  # fmt: skip


def calibrated(scan: PatternScan, options: argparse.Namespace) -> PatternScan:
    """Return a scan with what is found, if that was asked for, and with what was given."""
    if getattr(options, "find_calibration", False):
        from ..infer import find_calibration

        found = find_calibration(scan)
        say(found.remark)
        scan = scan.with_calibration(**found.calibration.given())
    asked = asked_calibration(options)
    return scan if asked is None else scan.with_calibration(**asked.given())


def asked_calibration(options: argparse.Namespace) -> CalibrationSpec | None:
    """Return the calibration that was given, None for nothing.

    Raises
    ------
    SpecError
        If a value makes no sense.
    """
    names = ("center", "camera_constant", "ellipse")
    values: dict[str, Any] = {name: getattr(options, name) for name in names}
    told = {name: value for name, value in values.items() if value is not None}
    if not told:
        return None
    from ..config import CalibrationSpec

    return CalibrationSpec.from_mapping(told, "the command line")
