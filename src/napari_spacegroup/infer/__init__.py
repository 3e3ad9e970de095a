"""From patterns and a model to a map of space groups, and all that a map can do.

Names are loaded when they are first used: a map needs h5py, classifying needs dask, a
picture needs matplotlib, and importing the room needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .candidates import Candidate, candidates
    from .centers import CenterFinder, ScanCenter, scan_center
    from .classifier import Classifier, ClassifierCard, classify_events
    from .colors import color, hex_color
    from .figure import draw_map
    from .legend import LegendRow
    from .map_file import load_map, save_map
    from .map_start import empty_map
    from .pixel_status import PixelStatus, pattern_status
    from .report import save_report
    from .spacegroup_map import SpaceGroupMap
    from .symbols import as_mathtext, as_unicode

_NAMES = {
    "Candidate": "candidates",
    "CenterFinder": "centers",
    "Classifier": "classifier",
    "ClassifierCard": "classifier",
    "LegendRow": "legend",
    "PixelStatus": "pixel_status",
    "ScanCenter": "centers",
    "SpaceGroupMap": "spacegroup_map",
    "as_mathtext": "symbols",
    "as_unicode": "symbols",
    "candidates": "candidates",
    "classify_events": "classifier",
    "color": "colors",
    "draw_map": "figure",
    "empty_map": "map_start",
    "hex_color": "colors",
    "load_map": "map_file",
    "pattern_status": "pixel_status",
    "save_map": "map_file",
    "save_report": "report",
    "scan_center": "centers",
}

__all__ = [
    "Candidate",
    "CenterFinder",
    "Classifier",
    "ClassifierCard",
    "LegendRow",
    "PixelStatus",
    "ScanCenter",
    "SpaceGroupMap",
    "as_mathtext",
    "as_unicode",
    "candidates",
    "classify_events",
    "color",
    "draw_map",
    "empty_map",
    "hex_color",
    "load_map",
    "pattern_status",
    "save_map",
    "save_report",
    "scan_center",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
