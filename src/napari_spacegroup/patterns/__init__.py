"""Patterns: scans, readers, geometry, preprocessing.

Names are loaded when they are first used: `preprocess` needs torch, the readers need
dask, and importing the room needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazy: the function has its module's name, and whoever imports the module first
# would bind the name to the module. That module is light.
from .read import FILE_SUFFIXES, read

if TYPE_CHECKING:
    from .geometry import Geometry
    from .mask import detect_mask
    from .preprocess import InputContract, prepare
    from .profiles import from_profiles
    from .rings import find_ring_center, ring_profiles
    from .scan import PatternScan
    from .source import PatternSource
    from .virtual import virtual_image

_HOME = {
    "Geometry": "geometry",
    "InputContract": "preprocess",
    "PatternScan": "scan",
    "PatternSource": "source",
    "detect_mask": "mask",
    "find_ring_center": "rings",
    "from_profiles": "profiles",
    "prepare": "preprocess",
    "ring_profiles": "rings",
    "virtual_image": "virtual",
}

__all__ = [
    "FILE_SUFFIXES",
    "Geometry",
    "InputContract",
    "PatternScan",
    "PatternSource",
    "detect_mask",
    "find_ring_center",
    "from_profiles",
    "prepare",
    "read",
    "ring_profiles",
    "virtual_image",
]


def __getattr__(name: str) -> Any:
    """Return a public name from the module that defines it."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
