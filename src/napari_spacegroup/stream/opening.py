"""Which source a path needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ScanError
from ..patterns.options import ReadOptions
from ..patterns.read import HDF5_SUFFIXES, PROFILE_SUFFIXES
from .slots import SlotSource

if TYPE_CHECKING:
    from .profile_folder import ProfileFolderSource

LIVE_SUFFIXES = (".up1", ".up2", ".dat", ".ebsp", *HDF5_SUFFIXES, ".zarr")
"""Endings of the files that can be followed; any other path is a folder of images or profiles."""

_ZARR = (".zarray", ".zgroup", "zarr.json")


def open_source(
    path: str | Path,
    *,
    technique: str = "",
    told: ReadOptions | None = None,
    **options: Any,
) -> SlotSource | ProfileFolderSource:
    """Return the source that follows a path, which need not exist yet.

    Parameters
    ----------
    path
        A file that ends in one of `LIVE_SUFFIXES`, a zarr folder, NORDIF's folder, or a
        folder for images or profiles (a path without a known ending).
    technique
        What comes: a folder is one of profiles for ``"powder"``, else one of images.
    told
        Of powder profiles: wavelength, radiation, axis and `difc`, where their files do not
        say them.
    **options
        As for the source: ``order``, ``scan_shape``, ``settle_seconds``,
        ``withholds_repeats``; ``dataset`` and ``ignores_locks`` (HDF5), ``dataset``
        (zarr), ``pattern_size`` (NORDIF), ``origin`` (folder) and ``numbers_are_arrivals``
        (folder of images).

    Raises
    ------
    ScanError
        If files of that kind can't be followed.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if technique == "powder" and suffix in PROFILE_SUFFIXES and not target.is_dir():
        raise ScanError(
            f"{target} is a single profile, which can't be followed; follow the folder that fills "
            "with such files, or classify it when it is finished."
        )
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

        return Hdf5Source(target, told=told, **options)
    if suffix == ".zarr" or any((target / name).is_file() for name in _ZARR):
        from .zarr_store import ZarrSource

        return ZarrSource(target, told=told, **options)
    if target.is_file():
        raise ScanError(
            f"{target} can't be followed while it grows; need one of {', '.join(LIVE_SUFFIXES)}, "
            "or a folder of images or profiles. Open it with read when it is finished."
        )
    if technique == "powder":
        from .profile_folder import ProfileFolderSource

        return ProfileFolderSource(target, told=told, **options)
    from .folder import FolderSource

    return FolderSource(target, **options)
