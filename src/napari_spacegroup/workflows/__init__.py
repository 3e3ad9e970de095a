"""The verbs: each takes a scan, phases or a spec, and gives a result.

The command line, the docks and scripts call the same functions. Names are loaded when
they are first used, so that a verb needs its own parts alone. A module never has the name
of a verb: importing it would put the module in the place of the function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..infer import load_map
    from .classify_scan import classify, map_report
    from .combine_patterns import combine
    from .demo_scan import demo, demo_scan_path
    from .evaluate_model import evaluate
    from .explain_patterns import explain, explain_many
    from .follow_scan import follow, follow_events
    from .simulate_phases import simulate
    from .train_model import train

_NAMES = {
    "classify": "classify_scan",
    "combine": "combine_patterns",
    "demo": "demo_scan",
    "demo_scan_path": "demo_scan",
    "evaluate": "evaluate_model",
    "explain": "explain_patterns",
    "explain_many": "explain_patterns",
    "follow": "follow_scan",
    "follow_events": "follow_scan",
    "load_map": "classify_scan",
    "map_report": "classify_scan",
    "simulate": "simulate_phases",
    "train": "train_model",
}

__all__ = ["classify", "combine", "demo", "demo_scan_path", "evaluate", "explain", "explain_many",
           "follow", "follow_events", "load_map", "map_report", "simulate", "train"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
