"""Which source a path needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ScanError
from ..patterns.read import HDF5_SUFFIXES
from .slots import SlotSource

LIVE_SUFFIXES = (".up1", ".up2", ".dat", ".ebsp", *HDF5_SUFFIXES, ".zarr")
"""Endings of the files that can be followed; any other folder is one of images."""


def open_source(path: str | Path, **options: Any) -> SlotSource:
    """Return the source that follows a path, which need not exist yet.

    Parameters
    ----------
    path
        A file that ends in one of `LIVE_SUFFIXES`, a zarr folder, NORDIF's folder, or a
        folder for images (a path without a known ending).
    **options
        As for the source: ``order``, ``scan_shape``, ``settle_seconds``,
        ``withholds_repeats``; ``dataset`` and ``ignores_locks`` (HDF5), ``dataset``
        (zarr), ``pattern_size`` (NORDIF), ``origin`` and ``numbers_are_arrivals`` (folder).

    Raises
    ------
    ScanError
        If files of that kind can't be followed.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in (".up1", ".up2"):
        from .raw import EdaxSource

        return EdaxSource(target, **options)
    if suffix == ".dat" or (target / "Pattern.dat").is_file():
        from .raw import NordifSource

        return NordifSource(target / "Pattern.dat" if target.is_dir() else target, **options)
    if suffix == ".ebsp":
        from .ebsp import EbspSource

        return EbspSource(target, **options)
    if suffix in HDF5_SUFFIXES:
        from .hdf5 import Hdf5Source

        return Hdf5Source(target, **options)
    if suffix == ".zarr" or (target / ".zarray").is_file() or (target / "zarr.json").is_file():
        from .zarr_store import ZarrSource

        return ZarrSource(target, **options)
    if target.is_file():
        raise ScanError(
            f"{target} can't be followed while it grows; need one of {', '.join(LIVE_SUFFIXES)}, "
            "or a folder of images. Open it with read when it is finished."
        )
    from .folder import FolderSource

    return FolderSource(target, **options)
