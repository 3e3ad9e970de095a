"""Patterns in general containers: npy, npz, zarr, and HDF5 files that name no vendor."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ScanError
from .options import ReadOptions
from .profile_maps import ProfileMap, find_profiles, find_profiles_hdf5
from .scan import PatternScan
from .source import check_numeric, source_of
from .storage import Hdf5Array, ProfileRows, RawFileArray

logger = logging.getLogger(__name__)


def read_npy(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from a NumPy array file, read by runs without loading it."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        offset = file.tell()
    check_numeric(dtype, str(path))
    if fortran or len(shape) not in (3, 4) or 0 in shape:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        source = source_of(values, options.scan_size, path.name)
        return PatternScan.from_source(source, name=path.stem, path=path, metadata=_NUMPY)
    count = int(np.prod(shape[:-2]))
    array = RawFileArray(path, count, (shape[-2], shape[-1]), dtype, offset)
    if array.stored < count:
        raise ScanError(
            f"{path} ends after {array.stored} of {count} patterns; need the whole file. Copy "
            "it again."
        )
    size = options.scan_size
    if size is None and len(shape) == 4:
        size = (shape[0], shape[1])
    source = source_of(array, size, path.name)
    return PatternScan.from_source(source, name=path.stem, path=path, metadata=_NUMPY)


_NUMPY = {"reader": "numpy"}


def read_npz(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from a NumPy archive.

    Takes the array `dataset`, else ``patterns``, else the only one of three or four
    dimensions. Positions in an array ``xy_um`` of shape (n, 2), in µm, give grid and
    step.
    """
    with np.load(path, allow_pickle=False) as archive:
        shapes = {name: archive[name].shape for name in archive.files}
        stacks = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
        name = options.dataset
        if name is None and "patterns" in stacks:
            name = "patterns"
        elif name is None and len(stacks) == 1:
            name = stacks[0]
        if name not in shapes:
            raise ScanError(
                f"{path} holds the arrays {shapes}; need to know which are the patterns: "
                "read(path, dataset=NAME)."
            )
        values = archive[name]
        positions = archive["xy_um"] if "xy_um" in shapes else None
    size, step, order = options.scan_size, None, None
    if size is None and values.ndim == 3 and positions is not None:
        found = grid_from_positions(positions)
        if found is not None:
            size, step, order = found
    if order is not None:
        values = values[order]
    return PatternScan.from_source(
        source_of(values, size, path.name),
        name=path.stem,
        path=path,
        step=step,
        step_unit="um" if step else "",
        metadata={"reader": "numpy", "dataset": name},
    )


def read_zarr(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from a zarr array, from the array `dataset` of a group, or its profiles."""
    try:
        zarr: Any = importlib.import_module("zarr")
    except ImportError as error:
        raise MissingPartError(
            f"{path} is a zarr store, and zarr is not installed. Run: pip install zarr"
        ) from error
    opened: Any = zarr.open(str(path), mode="r")
    if not hasattr(opened, "shape"):
        profiles = find_profiles(dict(opened.arrays()), options, str(path))
        if profiles is not None:
            return _profiles(opened[profiles.name], profiles, path, options, "zarr")
        if options.dataset is None or options.dataset not in opened:
            raise ScanError(
                f"{path} is a zarr group of {sorted(opened)}; need one array: "
                "read(path, dataset=NAME)."
            )
        opened = opened[options.dataset]
    return PatternScan.from_source(
        source_of(opened, options.scan_size, path.name),
        name=path.stem,
        path=path,
        metadata={"reader": "zarr"},
    )


def read_general_hdf5(path: Path, manufacturer: str, options: ReadOptions) -> PatternScan:
    """Return a scan from the dataset of an HDF5 file of no known vendor.

    Powder profiles beside their axis are found; see :mod:`.profile_maps`.

    Raises
    ------
    ScanError
        If no dataset is named: a map or a volume must not pass for a scan.
    """
    stacks: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and len(item.shape) in (3, 4):
            stacks[name] = item.shape

    with h5py.File(path, "r") as file:
        profiles = find_profiles_hdf5(file, options, str(path))
        if profiles is not None:
            array = Hdf5Array(path, profiles.name)
            return _profiles(array, profiles, path, options, "hdf5")
        if options.dataset is None:
            file.visititems(note)
            raise ScanError(
                f"{path} is an HDF5 file of {manufacturer or 'no vendor'} that we don't know; need "
                "a file of kikuchipy, EDAX, Bruker, Oxford, EMsoft or hyperspy, or the name of "
                "the patterns: read(path, dataset=NAME). Datasets that could be patterns: "
                f"{stacks or 'none'}."
            )
        if not isinstance(file.get(options.dataset), h5py.Dataset):
            file.visititems(note)
            raise ScanError(
                f"{path} has no dataset {options.dataset!r}; need one of {stacks or 'none'}."
            )
    array = Hdf5Array(path, options.dataset)
    return PatternScan.from_source(
        source_of(array, options.scan_size, path.name),
        name=path.stem,
        path=path,
        metadata={"reader": "hdf5", "dataset": options.dataset},
    )


def _profiles(
    array: Any, found: ProfileMap, path: Path, options: ReadOptions, reader: str
) -> PatternScan:
    """Return the scan of profiles that were found in a container."""
    return PatternScan.from_source(
        source_of(ProfileRows(array), options.scan_size, path.name), name=path.stem, path=path,
        technique="powder", axis=found.axis, metadata={"reader": reader, "dataset": found.name},
    )  # fmt: skip


def grid_from_positions(
    positions: NDArray[Any],
) -> tuple[tuple[int, int], tuple[float, float] | None, NDArray[np.int64]] | None:
    """Return the scan grid that positions fill, or None if they don't fill one.

    Parameters
    ----------
    positions
        Shape ``(n, 2)``, (x, y) of each pattern.

    Returns
    -------
    scan_shape
        (scan_y, scan_x).
    step
        (y, x), in the unit of the positions; None for a single position.
    order
        Shape ``(n,)``: the pattern that belongs to each scan pixel, row by row.
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        return None
    columns, x_index = np.unique(points[:, 0].round(6), return_inverse=True)
    rows, y_index = np.unique(points[:, 1].round(6), return_inverse=True)
    flat = y_index * len(columns) + x_index
    if len(rows) * len(columns) != len(points) or len(np.unique(flat)) != len(points):
        return None
    spacings = [np.diff(axis) for axis in (rows, columns)]
    known = [float(np.median(spacing)) for spacing in spacings if len(spacing)]
    if any(len(s) and not np.allclose(s, np.median(s), rtol=0.05) for s in spacings):
        return None
    step = None
    if known:
        y, x = (float(f"{np.median(s):.6g}") if len(s) else known[0] for s in spacings)
        step = (y, x)
    return (len(rows), len(columns)), step, np.argsort(flat, kind="stable").astype(np.int64)
