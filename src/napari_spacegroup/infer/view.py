"""How the patterns of one scan are shown to a model: background, screen, pattern center.

All of it is decided once for a scan, before its first pattern is classified, and stored
with the map. Two maps of one scan can only be equal bit for bit if they share it: that is
what ``like`` asks of ``classify`` and ``follow``.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import CalibrationSpec
from ..errors import ResultError, SpecError
from ..patterns.geometry import Geometry
from ..patterns.mask import detect_mask
from .centers import SAMPLE, CenterFinder, ScanCenter, decide_center, scan_center
from .pixel_status import PixelStatus, pattern_status
from .provenance import as_plain

if TYPE_CHECKING:
    from ..imaging import ProfileAxis
    from ..patterns.scan import PatternScan
    from .classifier import Classifier
    from .spacegroup_map import SpaceGroupMap

VIEW_KEY = "view"
"""Where a map's provenance keeps it."""

CALIBRATION_KEY = "calibration"
"""Where the view, and for people the provenance itself, keep that of spot patterns."""

_BROKEN = (KeyError, TypeError, ValueError, binascii.Error, zlib.error)


@dataclass(frozen=True, eq=False)
class PatternView:
    """What a model is told about the patterns of a scan.

    Parameters
    ----------
    static_background
        Shape ``(detector_y, detector_x)``, or None.
    mask
        True inside the screen, shape ``(detector_y, detector_x)``; None for all of it.
    center
        Pattern centers; None for a model that does without.
    axis
        What the columns of powder profiles stand for; None for pictures.
    calibration
        Of spot patterns; None for a model that does not read spots, or where nothing is known.
    """

    static_background: NDArray[Any] | None = None
    mask: NDArray[np.bool_] | None = None
    center: ScanCenter | None = None
    axis: ProfileAxis | None = None
    calibration: CalibrationSpec | None = None

    def without_rim(self, patterns: NDArray[Any]) -> NDArray[Any]:
        """Return patterns with 0 where NaN outside the screen would spread into the picture."""
        if self.mask is None or patterns.dtype.kind != "f" or np.isfinite(patterns).all():
            return patterns
        return np.where(self.mask, patterns, patterns.dtype.type(0))

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it, without the background: that stays in the file."""
        center = self.center
        stored: dict[str, Any] | None = None
        if center is not None:
            # Centers that the file has for every pixel are not stored twice.
            is_whole = center.centers.ndim == 1 or center.shift is None
            stored = {
                "source": center.source,
                "explained": center.explained,
                "value": center.centers.tolist() if is_whole else None,
                "shift": None if center.shift is None else center.shift.tolist(),
            }
        calibration = {}
        if self.calibration is not None:
            calibration = {CALIBRATION_KEY: self.calibration.model_dump(mode="json")}
        return calibration | {
            "mask": None if self.mask is None else _pack(self.mask),
            "pattern_center": stored,
            "axis": None if self.axis is None else {
                "kind": self.axis.kind, "wavelength": self.axis.wavelength,
                "radiation": self.axis.radiation,
            },
        }  # fmt: skip


def view_of_scan(
    scan: PatternScan,
    model: Classifier,
    *,
    pattern_center: tuple[float, float, float] | None = None,
    like: Mapping[str, Any] | None = None,
) -> PatternView:
    """Return how a finished scan is shown to a model.

    Parameters
    ----------
    scan, model
        What is classified, and by what.
    pattern_center
        Taken as it is, for every pixel; Bruker's convention.
    like
        What :meth:`PatternView.as_plain` gave for another map of this scan.

    Raises
    ------
    SpecError
        If the pattern center makes no sense.
    ResultError
        If ``like`` does not fit the scan.
    """
    if like is not None:
        found = restored_view(like, scan.static_background, scan.geometry, scan.pattern_shape)
        return replace(found, axis=scan.axis)
    center = None
    if isinstance(model, CenterFinder) and model.needs_pattern_center:
        if pattern_center is not None:
            center = given_center(pattern_center)
        else:
            center = scan_center(scan, model, model.card.sha256)
    calibration = told_calibration(scan, model)
    return PatternView(scan.static_background, scan.mask, center, scan.axis, calibration)


def told_calibration(scan: PatternScan, model: Any) -> CalibrationSpec | None:
    """Return what a model is told of a scan's calibration: nothing unless it reads spots."""
    return scan.calibration if getattr(model, "reads_spots", False) else None


def calibration_of_map(result: SpaceGroupMap) -> CalibrationSpec | None:
    """Return the calibration that the spots of a map were corrected by, None for none.

    Raises
    ------
    SpecError
        If the stored one is damaged.
    """
    view = result.provenance.get(VIEW_KEY)
    stored = view.get(CALIBRATION_KEY) if isinstance(view, Mapping) else None
    return None if stored is None else CalibrationSpec.from_mapping(stored, "the stored view")


def view_of_first(
    patterns: NDArray[Any],
    model: Classifier,
    *,
    static_background: NDArray[Any] | None = None,
    geometry: Geometry | None = None,
    pattern_center: tuple[float, float, float] | None = None,
    axis: ProfileAxis | None = None,
    name: str = "the scan",
) -> PatternView:
    """Return how a scan that has just begun is shown to a model, for all that comes later.

    Follows the rules for finished scans, with patterns spread over those that are there
    instead of over the scan. Where the screen fills the frame and the center is given, the
    outcome is the same; else ``like`` makes it the same.

    Parameters
    ----------
    patterns
        The first ones, shape ``(n, detector_y, detector_x)``.
    model
        What classifies them.
    static_background, geometry
        What the file says, or None.
    pattern_center
        Taken as it is; Bruker's convention.
    axis
        What the columns of profiles stand for; these have neither screen nor center.
    name
        For messages.
    """
    if axis is not None:
        return PatternView(static_background, axis=axis)
    mask = None if static_background is None else detect_mask(static_background)
    if mask is None:
        mask = detect_mask(patterns[spread(len(patterns), SAMPLE)])
    center = None
    if isinstance(model, CenterFinder) and model.needs_pattern_center:
        if pattern_center is not None:
            center = given_center(pattern_center)
        else:
            chosen = patterns[spread(len(patterns), 2 * SAMPLE)]
            chosen = chosen[pattern_status(chosen, mask) == PixelStatus.OK]
            chosen = PatternView(mask=mask).without_rim(chosen[spread(len(chosen), SAMPLE)])
            center = decide_center(
                chosen, model, geometry, static_background=static_background, mask=mask, name=name
            )
    return PatternView(static_background, mask, center)


def given_center(pattern_center: tuple[float, float, float]) -> ScanCenter:
    """Return a center that a person gave, Bruker's convention; taken as it is.

    Raises
    ------
    SpecError
        If it is not three finite numbers, the last above 0.
    """
    value = np.asarray(pattern_center, dtype=np.float64)
    if value.shape != (3,) or not np.isfinite(value).all() or value[2] <= 0:
        raise SpecError(
            f"pattern_center is {pattern_center!r}; need x, y (from the top) and z above 0, in "
            "fractions of the detector, Bruker's convention"
        )
    return ScanCenter(value, "given", float("nan"))


def restored_view(
    stored: Mapping[str, Any],
    static_background: NDArray[Any] | None,
    geometry: Geometry | None,
    pattern_shape: tuple[int, int],
) -> PatternView:
    """Return the view that was stored, for the same scan.

    Raises
    ------
    ResultError
        If it is damaged, or belongs to patterns of another shape.
    """
    try:
        mask = None if stored["mask"] is None else _unpack(stored["mask"])
        center = stored["pattern_center"]
        found = None if center is None else _center(center, geometry)
        told = stored.get(CALIBRATION_KEY)
        calibration = None if told is None else CalibrationSpec.from_mapping(told, "the view")
    except _BROKEN as error:
        raise ResultError(
            f"the stored view of the patterns can't be used ({error}); give the pattern center "
            "instead, or start anew"
        ) from error
    if mask is not None and mask.shape != pattern_shape:
        raise ResultError(
            f"the stored screen has {mask.shape} pixels, the patterns {pattern_shape}; need a map "
            "of the same scan"
        )
    return PatternView(static_background, mask, found, calibration=calibration)


def stored_view(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what a map's provenance says about the view.

    Raises
    ------
    ResultError
        If it says nothing.
    """
    view = provenance.get(VIEW_KEY)
    if not isinstance(view, Mapping):
        raise ResultError(
            f"the map {name} does not say how its patterns were looked at; need one that this "
            "version saved. Classify its scan again."
        )
    return view


def note_view(result: SpaceGroupMap, view: PatternView) -> None:
    """Write into a map's provenance how its patterns were looked at."""
    result.provenance[VIEW_KEY] = as_plain(view.as_plain())  # a score may be NaN
    result.provenance.pop(CALIBRATION_KEY, None)
    if view.calibration is not None:
        result.provenance[CALIBRATION_KEY] = view.calibration.model_dump(mode="json")
    center = view.center
    if center is not None:
        explained = center.explained
        result.provenance["pattern_center"] = {
            "mean": [round(float(v), 5) for v in center.centers.reshape(-1, 3).mean(0)],
            "source": center.source,
            "explained": None if np.isnan(explained) else round(explained, 4),
        }


def spread(count: int, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` indices, evenly spread over ``count``."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.intp))


def _center(stored: Mapping[str, Any], geometry: Geometry | None) -> ScanCenter:
    shift = None if stored["shift"] is None else np.array(stored["shift"], np.float64)
    explained = stored["explained"]
    score = float("nan") if explained is None else float(explained)
    if stored["value"] is not None:
        return ScanCenter(np.array(stored["value"], np.float64), stored["source"], score, shift)
    if geometry is None or not geometry.is_per_pixel or shift is None:
        raise ValueError("it has a center per pixel, the scan has none")
    every = geometry.pattern_center.reshape(-1, 3) + shift
    return ScanCenter(every, stored["source"], score, shift)


def _pack(mask: NDArray[np.bool_]) -> dict[str, Any]:
    bits = zlib.compress(np.packbits(mask).tobytes(), 9)
    return {"shape": list(mask.shape), "bits": base64.b64encode(bits).decode("ascii")}


def _unpack(stored: Mapping[str, Any]) -> NDArray[np.bool_]:
    rows, columns = (int(n) for n in stored["shape"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(stored["bits"])), np.uint8)
    return np.unpackbits(bits, count=rows * columns).reshape(rows, columns).astype(bool)
