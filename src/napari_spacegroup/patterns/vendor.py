"""EBSD scans in vendors' HDF5 files: kikuchipy, EDAX, Bruker, Oxford and EMsoft.

kikuchipy reads every header; the patterns themselves are read here by runs, because its
lazy array has one task per stored chunk, which for a million patterns is a graph larger
than memory. An interrupted scan shows as patterns that are not present, where a dense
array would hold silent zeros.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ScanError
from .convert import usable_background, valid_step
from .geometry import geometry_from_detector
from .options import ReadOptions, warnings_to_log
from .scan import PatternScan
from .source import ArraySource, scan_shape_of
from .storage import Hdf5Array

logger = logging.getLogger(__name__)

PATTERN_NAMES = {
    "kikuchipy": ("patterns",),
    "edax": ("Pattern",),
    "bruker nano": ("RawPatterns",),
    "oxford instruments": ("Processed Patterns", "Unprocessed Patterns"),
}
"""Dataset of the patterns below ``<scan>/EBSD/Data`` for each manufacturer."""

EMSOFT_PATTERNS = "EMData/EBSD/EBSDPatterns"

CENTER_NAMES = (
    "PCX",
    "PCY",
    "DD",
    "Pattern Center X",
    "Pattern Center Y",
    "Detector Distance",
)
"""Pattern centers of every pixel, Bruker's and Oxford's names."""

MASTER_GROUPS = ("EMData/EBSDmaster", "EMData/TKDmaster", "EMData/ECPmaster")


def manufacturer_of(file: h5py.File) -> str:
    """Return the manufacturer that an HDF5 file names, in lower case, or ""."""
    for key in file:
        if key.strip().lower() == "manufacturer" and isinstance(file[key], h5py.Dataset):
            value = np.asarray(file[key][()]).ravel()
            if value.size:
                text = value[0]
                text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
                return text.strip().lower()
    return "emsoft" if EMSOFT_PATTERNS in file else ""


def read_vendor_hdf5(path: Path, manufacturer: str, options: ReadOptions) -> PatternScan:
    """Return a scan from an h5ebsd file of a vendor that kikuchipy knows.

    Parameters
    ----------
    path
        The file.
    manufacturer
        A key of `PATTERN_NAMES`.
    options
        ``scan`` picks one of several, ``processed`` one of Oxford's two datasets.

    Returns
    -------
    scan
        Lazy.

    Raises
    ------
    ScanError
        If the file has no patterns or not the wished scan.
    """
    with h5py.File(path, "r") as file:
        groups = _scan_groups(file, PATTERN_NAMES[manufacturer])
        if not groups:
            raise ScanError(
                f"{path} is a {manufacturer} file without patterns (no dataset "
                f"{' or '.join(PATTERN_NAMES[manufacturer])}); need a file saved with patterns. "
                "Export the scan again and tick 'save patterns'."
            )
        group = _pick(list(groups), options.scan, path)
        dataset_name = groups[group]
        if manufacturer == "oxford instruments":
            wished = PATTERN_NAMES[manufacturer][0 if options.processed else 1]
            if wished in file[f"{group}/EBSD/Data"]:
                dataset_name = wished
        dataset = file[f"{group}/EBSD/Data/{dataset_name}"]
        if len(dataset.shape) != 3 or 0 in dataset.shape:
            raise ScanError(
                f"{path} holds patterns of shape {dataset.shape}; need (n, detector_y, "
                "detector_x) with at least one pattern. Check that the scan was saved."
            )
        written = _written(dataset)
    with warnings_to_log(path):
        header, shape, order = _header(path, manufacturer, group, dataset_name)
    grid = (int(shape[0]), int(shape[1]))
    array = Hdf5Array(path, f"{group}/EBSD/Data/{dataset_name}")
    if tuple(array.shape[1:]) != tuple(int(n) for n in shape[2:]):
        raise ScanError(
            f"{path} says that its patterns are {tuple(shape[2:])}, but holds "
            f"{tuple(array.shape[1:])}; need a consistent file. Export the scan again."
        )
    flat = np.arange(grid[0] * grid[1]) if order is None else order
    present = (flat < len(written)) & written[np.minimum(flat, len(written) - 1)]
    if not present.any():
        raise ScanError(
            f"{path} has room for {len(flat)} patterns, but none was written; need at least "
            "one. Was the scan stopped before it began?"
        )
    if not present.all():
        logger.warning("%s holds %d of %d patterns", path, int(present.sum()), present.size)
    source = ArraySource(array, grid, order=order, stored=len(written))
    detector = header["detector"]
    if manufacturer == "bruker nano" and "Sample Tilt" not in header["original_metadata"]:
        logger.info("%s names no sample tilt; 70 degrees are assumed", path)
        detector.sample_tilt = 70.0
    if order is not None and np.asarray(detector.pc).size == 3 * len(order):
        # kikuchipy puts a region's patterns in map order, but not their centers.
        detector.pc = np.asarray(detector.pc).reshape(-1, 3)[order].reshape(*grid, 3)
    metadata = _flatten(header, manufacturer, list(groups), group)
    background = header.get("static_background")
    if dataset_name == "Processed Patterns":
        background = None  # it has been taken off these patterns already
    steps = {axis["name"]: axis["scale"] for axis in header["axes"]}
    step, unit = valid_step([steps.get("y"), steps.get("x")], "um", grid)
    return PatternScan.from_source(
        source,
        name=path.stem if len(groups) == 1 else f"{path.stem} {group}",
        technique="ebsd",
        step=step,
        step_unit=unit,
        static_background=usable_background(background, source.shape[2:]),
        geometry=geometry_from_detector(detector, grid, metadata["voltage"]),
        path=path,
        metadata=metadata,
        present=None if present.all() else present.reshape(grid),
    )


def read_emsoft(path: Path, options: ReadOptions) -> PatternScan:
    """Return simulated patterns from EMsoft's EMEBSD program.

    Raises
    ------
    ScanError
        If the file is another of EMsoft's.
    """
    with h5py.File(path, "r") as file:
        if EMSOFT_PATTERNS not in file:
            what = "a master pattern" if any(g in file for g in MASTER_GROUPS) else "no patterns"
            raise ScanError(
                f"{path} is an EMsoft file with {what}; need the patterns of EMEBSD. A master "
                "pattern belongs to simulate, not to read."
            )
    from kikuchipy.io.plugins.emsoft_ebsd import file_reader

    with warnings_to_log(path):
        header = file_reader(str(path), lazy=True)[0]
        header.pop("data")
    array = Hdf5Array(path, EMSOFT_PATTERNS)
    grid = scan_shape_of(array.shape[0], options.scan_size, str(path))
    metadata = _flatten(header, "emsoft", [], "")
    return PatternScan.from_source(
        ArraySource(array, grid),
        name=path.stem,
        technique="ebsd",
        geometry=geometry_from_detector(header["detector"], grid, metadata["voltage"]),
        path=path,
        metadata=metadata,
    )


def _scan_groups(file: h5py.File, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for key in file:
        data = file[key].get("EBSD/Data") if isinstance(file[key], h5py.Group) else None
        present = [name for name in names if data is not None and name in data]
        if present:
            found[key] = present[0]
    return found


def _pick(names: list[str], wished: str | int | None, path: Path) -> str:
    if wished is None:
        if len(names) > 1:
            logger.info("%s holds the scans %s; the first is read", path, names)
        return names[0]
    if isinstance(wished, int) and -len(names) <= wished < len(names):
        return names[wished]
    if str(wished) in names:
        return str(wished)
    raise ScanError(
        f"{path} holds the scans {names}, not {wished!r}; need one of these names, or an index "
        f"below {len(names)}."
    )


def _written(dataset: h5py.Dataset) -> NDArray[np.bool_]:
    """Return which patterns of a dataset were ever written.

    Chunks that an interrupted program did not reach read as zeros; only the file's
    chunk table knows.
    """
    count = dataset.shape[0]
    if dataset.chunks is None:
        external = dataset.id.get_create_plist().get_external_count() > 0
        return np.full(count, external or dataset.is_virtual or dataset.id.get_storage_size() > 0)
    expected = int(
        np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)])
    )
    if dataset.id.get_num_chunks() == expected:
        return np.ones(count, dtype=bool)
    rows = dataset.chunks[0]
    per_row = expected // -(-count // rows)
    seen = np.zeros(-(-count // rows), dtype=int)

    def note(chunk: Any) -> None:
        seen[chunk.chunk_offset[0] // rows] += 1

    dataset.id.chunk_iter(note)
    written: NDArray[np.bool_] = np.repeat(seen == per_row, rows)[:count]
    return written


def _header(
    path: Path, manufacturer: str, group: str, dataset_name: str
) -> tuple[dict[str, Any], tuple[int, ...], NDArray[np.int64] | None]:
    """Return kikuchipy's reading of a scan group without its patterns."""
    reader_class, arguments = _reader_class(manufacturer, dataset_name)
    found: list[Any] = []

    light = _without_map(reader_class.scan2dict)

    class HeaderReader(reader_class):  # type: ignore[misc, valid-type]
        """kikuchipy's reader with the patterns left on disk."""

        def get_data(
            self,
            group: Any,  # noqa: ARG002 - the signature is kikuchipy's
            data_shape: tuple[int, ...],
            lazy: bool = False,  # noqa: ARG002
            indices: NDArray[np.int64] | None = None,
        ) -> NDArray[np.uint8]:
            """Note the shape and order of the patterns."""
            found.extend([tuple(data_shape), indices])
            return np.zeros(1, dtype=np.uint8)

    reader = HeaderReader(str(path), mode="r", **arguments)
    try:
        header: dict[str, Any] = light(reader, reader.file[group], lazy=True)
    except (OSError, ValueError) as error:
        raise ScanError(
            f"{path} is laid out in a way that can't be read: {error}; need a rectangular scan on "
            "a square grid with a complete header. Crop or export it so in the vendor's program."
        ) from error
    finally:
        reader.file.close()
    shape, indices = found
    order = None if indices is None else np.asarray(indices, dtype=np.int64).ravel()
    return header, shape, order


class _NoMap:
    """Stands in for the crystal map that kikuchipy makes beside the patterns."""

    @staticmethod
    def empty(*_: Any, **__: Any) -> None:
        """Return no map."""


def _without_map(scan2dict: Any) -> Callable[..., dict[str, Any]]:
    """Return kikuchipy's header parser without its crystal map and per-pixel results.

    Those are for indexing, which is not done here, and cost more memory than streaming
    the patterns: opening 3.3 million patterns took 850 MB, and takes 580 MB so. The copy
    shares the parser's code and leaves kikuchipy as it is for everyone else.
    """
    read_group = scan2dict.__globals__["_hdf5group2dict"]

    def read_little(group: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if group.name.endswith("/crystal_map"):
            return {}
        if group.name.endswith("/EBSD/Data"):
            return {name: group[name][()] for name in CENTER_NAMES if name in group}
        found: dict[str, Any] = read_group(group, *args, **kwargs)
        return found

    names = {
        **scan2dict.__globals__,
        "CrystalMap": _NoMap,
        "dict2crystalmap": _NoMap.empty,
        "_hdf5group2dict": read_little,
    }
    return FunctionType(
        scan2dict.__code__,
        names,
        scan2dict.__name__,
        scan2dict.__defaults__,
        scan2dict.__closure__,
    )


def _reader_class(manufacturer: str, dataset_name: str) -> tuple[Any, dict[str, Any]]:
    try:
        if manufacturer == "kikuchipy":
            from kikuchipy.io.plugins.kikuchipy_h5ebsd._api import KikuchipyH5EBSDReader

            return KikuchipyH5EBSDReader, {}
        if manufacturer == "edax":
            from kikuchipy.io.plugins.edax_h5ebsd._api import EDAXH5EBSDReader

            return EDAXH5EBSDReader, {}
        if manufacturer == "bruker nano":
            from kikuchipy.io.plugins.bruker_h5ebsd._api import BrukerH5EBSDReader

            return BrukerH5EBSDReader, {}
        from kikuchipy.io.plugins.oxford_h5ebsd._api import OxfordH5EBSDReader
    except ImportError as error:
        raise MissingPartError(
            f"Reading {manufacturer} files needs kikuchipy, which can't be imported: {error}. "
            "Run: pip install kikuchipy"
        ) from error
    return OxfordH5EBSDReader, {"processed": dataset_name == "Processed Patterns"}


def _flatten(
    header: dict[str, Any], manufacturer: str, scans: list[str], group: str
) -> dict[str, Any]:
    sem = header.get("metadata", {}).get("Acquisition_instrument", {}).get("SEM", {})
    energy = sem.get("beam_energy")
    energy = None if energy is None else float(np.asarray(energy).ravel()[0])
    detector = header.get("detector")
    metadata: dict[str, Any] = {
        "reader": f"kikuchipy ({manufacturer})",
        "voltage": energy if energy is not None and energy > 0 else None,
        "scan_names": tuple(scans),
        "scan_name": group,
    }
    if detector is not None:
        metadata["sample_tilt"] = float(detector.sample_tilt)
        metadata["detector_tilt"] = float(detector.tilt)
    return metadata
