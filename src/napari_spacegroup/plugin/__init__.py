"""The napari plugin: docks, reader, samples; the only room that knows napari and Qt.

``napari.yaml`` names what napari calls. Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "LiveDock": "live_dock",
    "MapDock": "map_dock",
    "PatternDock": "pattern_dock",
    "SimulateDock": "simulate_dock",
    "TrainDock": "train_dock",
    "Session": "session",
    "session_of": "session",
    "get_reader": "reader",
    "nickel": "sample",
    "classify_layer": "commands",
    "validate_map_layer": "layers",
    "validate_scan_layer": "layers",
}

__all__ = [
    "LiveDock",
    "MapDock",
    "PatternDock",
    "Session",
    "SimulateDock",
    "TrainDock",
    "classify_layer",
    "get_reader",
    "nickel",
    "session_of",
    "validate_map_layer",
    "validate_scan_layer",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    globals()[name] = value
    return value
