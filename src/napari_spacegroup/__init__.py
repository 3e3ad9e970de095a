"""Crystal symmetry of every pixel of a diffraction map, without being told the phases.

The names below are loaded when they are first used, so that importing the package is
quick and works where torch, Qt or kikuchipy are missing. The rooms (``crystal``,
``patterns``, ``simulate``, ``models``, ...) are reached the same way.

``simulate`` is the room; the verb of that name is :func:`napari_spacegroup.workflows.simulate`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._version import __version__

_NAMES = {
    "CalibrationSpec": "config",
    "CancelToken": "jobs",
    "CancelledError": "errors",
    "ClassifySpec": "config",
    "CombineSpec": "config",
    "EvaluateSpec": "config",
    "ExplainSpec": "config",
    "FollowSpec": "config",
    "MissingPartError": "errors",
    "ModelError": "errors",
    "PatternScan": "patterns",
    "Phase": "crystal",
    "PhaseError": "errors",
    "ResultError": "errors",
    "ScanError": "errors",
    "SimulateSpec": "config",
    "SpaceGroupError": "errors",
    "SpaceGroupMap": "infer",
    "SpecError": "errors",
    "TrainSpec": "config",
    "check_model": "models",
    "classify": "workflows",
    "combine": "workflows",
    "demo": "workflows",
    "evaluate": "workflows",
    "explain": "workflows",
    "follow": "workflows",
    "list_models": "models",
    "load_map": "infer",
    "load_model": "models",
    "read": "patterns",
    "train": "workflows",
}

_ROOMS = (
    "config",
    "crystal",
    "errors",
    "infer",
    "jobs",
    "learn",
    "models",
    "patterns",
    "simulate",
    "stream",
    "workflows",
)

__all__ = ["__version__", *_NAMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _ROOMS:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
