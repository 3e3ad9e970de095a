"""Opening a scan: which reader a path needs, and errors that say what to do.

The readers of other packages raise whatever their parsers meet; here it becomes one
:class:`~napari_spacegroup.errors.ScanError` with the path, the reason and the way out.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ScanError
from .options import ReadOptions

if TYPE_CHECKING:
    from ..config import CalibrationSpec
    from .scan import PatternScan, Technique

READER_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    NotImplementedError,
    AssertionError,
    MemoryError,
    UnboundLocalError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What parsers of other packages raise on files that they don't understand."""

HDF5_SUFFIXES = (".h5", ".hdf5", ".h5ebsd", ".h5oina", ".edaxh5", ".hdf")

PROFILE_SUFFIXES = (
    ".xy", ".xye", ".xys", ".csv", ".txt", ".gsa", ".gss", ".gsas", ".fxye", ".xrdml", ".cif",
)  # fmt: skip
"""Endings of files that hold powder profiles; ``.dat`` does where it is text."""

FILE_SUFFIXES = (
    *HDF5_SUFFIXES,
    ".up1",
    ".up2",
    ".ebsp",
    ".dat",
    ".hspy",
    ".zspy",
    ".blo",
    ".mib",
    ".tvips",
    ".dm3",
    ".dm4",
    ".tif",
    ".tiff",
    ".png",
    ".bmp",
    ".jpg",
    ".jpeg",
    ".npy",
    ".npz",
    ".zarr",
    *PROFILE_SUFFIXES,
)
"""Endings of the files that a file dialog should offer."""


def read(
    path: str | Path,
    *,
    scan: str | int | None = None,
    scan_size: Sequence[int] | None = None,
    pattern_size: Sequence[int] | None = None,
    setting_file: str | Path | None = None,
    dataset: str | None = None,
    processed: bool = True,
    name: str | None = None,
    technique: Technique | None = None,
    step: tuple[float, float] | None = None,
    step_unit: str | None = None,
    mask: NDArray[np.bool_] | str | None = "auto",
    wavelength: float | None = None,
    radiation: Literal["xray", "neutron"] | None = None,
    axis: Literal["two_theta", "q", "d", "tof"] | None = None,
    difc: float | None = None,
    calibration: CalibrationSpec | Mapping[str, Any] | None = None,
) -> PatternScan:
    """Open a scan lazily, with what the file knows about step, detector and background.

    Reads kikuchipy, EDAX, Bruker and Oxford HDF5, EDAX up1 and up2, Oxford ebsp, NORDIF
    dat, EMsoft patterns, hspy, zspy, blo, mib, tvips, dm3 and dm4, tif, folders of
    images, npy, npz and zarr; and powder profiles from columns of text (xy, xye, csv, dat),
    xrdml, GSAS, the powder blocks of CIF, and HDF5 or zarr where an axis stands beside them
    (:mod:`.profile_maps`). All sizes are in array order, y first.

    Parameters
    ----------
    path
        File or folder.
    scan
        Name or index of the scan in a file with several; the first if None.
    scan_size
        (scan_y, scan_x), where the file only holds a stack of patterns.
    pattern_size
        (detector_y, detector_x) of raw data without a setting file.
    setting_file
        NORDIF setting file; ``Setting.txt`` beside the patterns if None.
    dataset
        Array of an npz archive, a zarr group, or an HDF5 file of no known vendor.
    processed
        Whether to take Oxford's processed patterns where a file has both.
    name, technique, step, step_unit
        Override what the file says.
    mask
        Shape ``(detector_y, detector_x)``, True inside the screen; ``"auto"`` looks for
        a round screen in the static background and 24 patterns; None for none.
    wavelength
        Of powder profiles [Å], the mean of a doublet; overrides what the file says.
    radiation
        What was scattered, where a file of profiles does not say it.
    axis
        What its first column is; angles 2θ in degrees, or a time of flight beyond 180.
    difc
        Time of flight of 1 Å [µs], for the first column of such a file.
    calibration
        Of spot and ring patterns: fields of :class:`~napari_spacegroup.config.CalibrationSpec`
        (`center`, `camera_constant`, `ellipse`) that go before what the file says.

    Returns
    -------
    scan
        Nothing but headers and the patterns for the mask have been read.

    Raises
    ------
    ScanError
        If there is nothing at the path, or it can't be read as a scan.
    MissingPartError
        If the format needs a package that is not installed.
    SpecError
        If a value of the calibration makes no sense.

    Examples
    --------
    >>> scan = read("map.h5", scan="Scan 2")  # doctest: +SKIP
    >>> raw = read("Pattern.dat", scan_size=(50, 80), pattern_size=(60, 96))  # doctest: +SKIP
    """
    target = Path(path)
    options = ReadOptions(
        scan=scan,
        scan_size=_pair(scan_size, "scan_size"),
        pattern_size=_pair(pattern_size, "pattern_size"),
        setting_file=None if setting_file is None else Path(setting_file),
        dataset=dataset,
        processed=processed,
        wavelength=wavelength,
        radiation=radiation,
        axis=axis,
        difc=difc,
    )
    reader = _reader_for(target)
    try:
        found = reader(target, options)
    except (ScanError, MissingPartError):
        raise
    except ImportError as error:
        raise MissingPartError(
            f"Reading {target} needs a package that can't be imported: {error}. Install it."
        ) from error
    except READER_ERRORS as error:
        reason = str(error).strip() or type(error).__name__
        raise ScanError(
            f"{target} can't be read as a scan ({type(error).__name__}: {reason}); need a whole, "
            f"unchanged {target.suffix or 'scan'} file. Check that the copy is complete and that "
            "the program that wrote it opens it."
        ) from error
    overrides: dict[str, Any] = {"name": name, "technique": technique, "step": step}
    overrides["step_unit"] = step_unit
    found = replace(found, **{key: v for key, v in overrides.items() if v is not None})
    if calibration is not None:
        changes = calibration if isinstance(calibration, Mapping) else calibration.given()
        found = found.with_calibration(**changes)
    if isinstance(mask, str):
        if mask != "auto":
            raise ScanError(f"mask is {mask!r}; need 'auto', a boolean array or None.")
        mask = found.detect_mask()
    return found if mask is None else replace(found, mask=np.asarray(mask, dtype=bool))


def _pair(size: Sequence[int] | None, label: str) -> tuple[int, int] | None:
    if size is None:
        return None
    if len(size) != 2 or min(size) < 1:
        raise ScanError(f"{label} is {size!r}; need two positive integers, y first.")
    return (int(size[0]), int(size[1]))


def _reader_for(path: Path) -> Callable[[Path, ReadOptions], PatternScan]:
    """Return the reader that a path needs."""
    if not path.exists():
        raise ScanError(f"There is nothing at {path}; need a scan's file or folder.")
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_directory
    if path.stat().st_size == 0:
        raise ScanError(f"{path} is empty (0 bytes); need a saved scan. Copy it again.")
    if suffix in HDF5_SUFFIXES:
        return _read_hdf5
    profile = _profile_reader(path)
    if profile is not None:
        return profile
    if suffix in (".up1", ".up2", ".ebsp", ".dat"):
        from . import binary

        return {
            ".up1": binary.read_edax_binary,
            ".up2": binary.read_edax_binary,
            ".ebsp": binary.read_oxford_binary,
            ".dat": binary.read_nordif,
        }[suffix]
    if suffix in (".npy", ".npz"):
        from . import arrays

        return arrays.read_npy if suffix == ".npy" else arrays.read_npz
    if suffix in (".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg"):
        from . import images

        return images.read_tiff if suffix in (".tif", ".tiff") else images.read_image_file
    from .rosetta import read_rosetta

    return read_rosetta


def _profile_reader(path: Path) -> Callable[[Path, ReadOptions], PatternScan] | None:
    """Return the reader of a file of powder profiles, None for another file."""
    suffix = path.suffix.lower()
    if suffix not in PROFILE_SUFFIXES and suffix != ".dat":
        return None
    from . import profiles

    if suffix == ".dat":
        return profiles.read_text_profile if profiles.is_text_profile(path) else None
    if suffix in profiles.GSAS_SUFFIXES:
        return profiles.read_gsas
    named = {".xrdml": profiles.read_xrdml, ".cif": profiles.read_powder_cif}
    return named.get(suffix, profiles.read_text_profile)


def _read_directory(path: Path, options: ReadOptions) -> PatternScan:
    from . import images

    suffix = path.suffix.lower()
    if suffix == ".zarr" or (path / ".zarray").exists() or (path / "zarr.json").exists():
        from .arrays import read_zarr

        if suffix != ".zspy":
            return read_zarr(path, options)
    if suffix == ".zspy":
        from .rosetta import read_rosetta

        return read_rosetta(path, options)
    nordif = path / "Pattern.dat"
    if nordif.is_file():
        from .binary import read_nordif

        return read_nordif(nordif, options)
    return images.read_folder(path, options)


def _read_hdf5(path: Path, options: ReadOptions) -> PatternScan:
    import h5py

    from . import vendor
    from .arrays import read_general_hdf5

    try:
        with h5py.File(path, "r") as file:
            manufacturer = vendor.manufacturer_of(file)
            masters = any(group in file for group in vendor.MASTER_GROUPS)
            hyperspy = "Experiments" in file and "file_format" in file.attrs
    except OSError as error:
        kind = "not an HDF5 file" if not h5py.is_hdf5(path) else "a damaged HDF5 file"
        raise ScanError(
            f"{path} is {kind}: {error}; need a complete HDF5 file. If it was copied, copy it "
            "again; if another program is still writing it, wait until it is closed."
        ) from error
    if options.dataset is not None:
        return read_general_hdf5(path, manufacturer, options)
    if manufacturer in vendor.PATTERN_NAMES:
        return vendor.read_vendor_hdf5(path, manufacturer, options)
    if manufacturer == "emsoft" or masters:
        return vendor.read_emsoft(path, options)
    if hyperspy:
        from .rosetta import read_rosetta

        return read_rosetta(path, options)
    return read_general_hdf5(path, manufacturer, options)
