"""Live sources: what is new in a scan that is still being written.

Every source answers :meth:`~napari_spacegroup.stream.source.LiveSource.poll` with the
patterns that are new and whole. The simulated microscope that writes such scans, and
misbehaves on request, lives here too. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ebsp import EbspSource
    from .folder import FolderSource
    from .hdf5 import Hdf5Source
    from .memory import MemorySource
    from .microscope import MicroscopeReport, SimulatedMicroscope, WrittenState
    from .opening import open_source
    from .order import ScanOrder
    from .profile_folder import ProfileFolderSource
    from .raw import EdaxSource, NordifSource
    from .replay import ReplaySource
    from .source import Arrival, LiveSource, ScanInfo, SourceState, Withheld, WithheldReason
    from .zarr_store import ZarrSource

_NAMES = {
    "Arrival": "source",
    "EbspSource": "ebsp",
    "EdaxSource": "raw",
    "FolderSource": "folder",
    "Hdf5Source": "hdf5",
    "LiveSource": "source",
    "MemorySource": "memory",
    "MicroscopeReport": "microscope",
    "NordifSource": "raw",
    "ProfileFolderSource": "profile_folder",
    "ReplaySource": "replay",
    "ScanInfo": "source",
    "ScanOrder": "order",
    "SimulatedMicroscope": "microscope",
    "SourceState": "source",
    "Withheld": "source",
    "WithheldReason": "source",
    "WrittenState": "microscope",
    "ZarrSource": "zarr_store",
    "open_source": "opening",
}

__all__ = [
    "Arrival",
    "EbspSource",
    "EdaxSource",
    "FolderSource",
    "Hdf5Source",
    "LiveSource",
    "MemorySource",
    "MicroscopeReport",
    "NordifSource",
    "ProfileFolderSource",
    "ReplaySource",
    "ScanInfo",
    "ScanOrder",
    "SimulatedMicroscope",
    "SourceState",
    "Withheld",
    "WithheldReason",
    "WrittenState",
    "ZarrSource",
    "open_source",
]


def __getattr__(name: str) -> Any:
    """Return a public name from the module that defines it."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
