"""From patterns and a model to a map of space groups, and all that a map can do.

Names are loaded when they are first used: a map needs h5py, classifying needs dask, a
picture needs matplotlib, and importing the room needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calibration_search import FoundCalibration, find_calibration
    from .candidate import Candidate, candidates
    from .centers import CenterFinder, ScanCenter, scan_center
    from .classifier import Classifier, ClassifierCard, classify_events
    from .colors import color, hex_color
    from .combine import CombinedEvidence, combine_probabilities, fit_independence
    from .figure import draw_map
    from .legend import LegendRow
    from .map_file import load_map, save_map
    from .map_start import empty_map
    from .measure import PatternMeasurement, measure_pattern
    from .pixel_status import PixelStatus, pattern_status
    from .report import save_report
    from .spacegroup_map import SpaceGroupMap
    from .symbols import as_mathtext, as_unicode
    from .tilt import TiltSuggestion, holder_angles, holder_rotation, suggest_axes
    from .view import calibration_of_map

_NAMES = {
    "Candidate": "candidate",
    "CenterFinder": "centers",
    "Classifier": "classifier",
    "ClassifierCard": "classifier",
    "CombinedEvidence": "combine",
    "FoundCalibration": "calibration_search",
    "LegendRow": "legend",
    "PatternMeasurement": "measure",
    "PixelStatus": "pixel_status",
    "ScanCenter": "centers",
    "SpaceGroupMap": "spacegroup_map",
    "TiltSuggestion": "tilt",
    "as_mathtext": "symbols",
    "as_unicode": "symbols",
    "calibration_of_map": "view",
    "candidates": "candidate",
    "classify_events": "classifier",
    "color": "colors",
    "combine_probabilities": "combine",
    "draw_map": "figure",
    "empty_map": "map_start",
    "find_calibration": "calibration_search",
    "fit_independence": "combine",
    "hex_color": "colors",
    "holder_angles": "tilt",
    "holder_rotation": "tilt",
    "index_profile": "powder_cell",
    "joint_probabilities": "powder_joint",
    "load_map": "map_file",
    "measure_pattern": "measure",
    "pattern_status": "pixel_status",
    "save_map": "map_file",
    "save_report": "report",
    "scan_center": "centers",
    "suggest_axes": "tilt",
}

__all__ = [
    "Candidate",
    "CenterFinder",
    "Classifier",
    "ClassifierCard",
    "CombinedEvidence",
    "FoundCalibration",
    "LegendRow",
    "PatternMeasurement",
    "PixelStatus",
    "ScanCenter",
    "SpaceGroupMap",
    "TiltSuggestion",
    "as_mathtext",
    "as_unicode",
    "calibration_of_map",
    "candidates",
    "classify_events",
    "color",
    "combine_probabilities",
    "draw_map",
    "empty_map",
    "find_calibration",
    "fit_independence",
    "hex_color",
    "holder_angles",
    "holder_rotation",
    "index_profile",
    "joint_probabilities",
    "load_map",
    "measure_pattern",
    "pattern_status",
    "save_map",
    "save_report",
    "scan_center",
    "suggest_axes",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
