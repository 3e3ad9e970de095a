"""EBSD scans in flat binary files: NORDIF, EDAX up1 / up2, Oxford ebsp.

kikuchipy reads the headers; patterns are read by seek and read. A file that ends early
gives a scan with patterns that are not present.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from .convert import usable_background, valid_step
from .geometry import geometry_from_detector
from .options import ReadOptions, warnings_to_log
from .scan import PatternScan
from .source import ArraySource, scan_shape_of
from .storage import RawFileArray

logger = logging.getLogger(__name__)


def read_nordif(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from NORDIF's ``Pattern.dat``, with its setting file and background.

    Raises
    ------
    ScanError
        If neither a setting file nor both sizes are given.
    """
    setting = options.setting_file or path.with_name("Setting.txt")
    if options.setting_file is not None and not setting.is_file():
        raise ScanError(f"There is no setting file {setting}; need NORDIF's Setting.txt.")
    has_setting = setting.is_file()
    if not has_setting and (options.scan_size is None or options.pattern_size is None):
        raise ScanError(
            f"{path} is raw data, and there is no {setting.name} beside it; need that file, or "
            "both sizes: read(path, scan_size=(scan_y, scan_x), pattern_size=(detector_y, "
            "detector_x))."
        )
    from kikuchipy.io.plugins.nordif import file_reader

    with warnings_to_log(path):
        header = file_reader(
            str(path),
            scan_size=None if options.scan_size is None else tuple(options.scan_size)[::-1],
            pattern_size=(None if options.pattern_size is None else options.pattern_size[::-1]),
            setting_file=str(setting),
            lazy=True,
        )[0]
        header.pop("data")
    scan_y, scan_x, height, width = (int(axis["size"]) for axis in header["axes"])
    array = RawFileArray(path, scan_y * scan_x, (height, width), np.dtype(np.uint8))
    grid = (scan_y, scan_x)
    sem = header["metadata"].get("Acquisition_instrument", {}).get("SEM", {})
    step, unit = None, ""
    if has_setting:
        step, unit = valid_step([axis["scale"] for axis in header["axes"][:2]], "um", grid)
    detector = header.get("detector")
    voltage = sem.get("beam_energy")
    metadata = {"reader": "kikuchipy (nordif)", "voltage": voltage}
    if detector is not None:
        metadata["sample_tilt"] = float(detector.sample_tilt)
        metadata["detector_tilt"] = float(detector.tilt)
    return PatternScan.from_source(
        ArraySource(array, grid, stored=array.stored),
        name=path.stem if path.stem.lower() != "pattern" else path.parent.name or path.stem,
        technique="ebsd",
        step=step,
        step_unit=unit,
        static_background=usable_background(header.get("static_background"), (height, width)),
        geometry=(None if detector is None else geometry_from_detector(detector, grid, voltage)),
        path=path,
        metadata=metadata,
        present=_present(array, grid, path),
    )


def read_edax_binary(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from EDAX's ``.up1`` (8 bit) or ``.up2`` (16 bit)."""
    from kikuchipy.io.plugins.edax_binary._api import EDAXBinaryFileReader

    with path.open("rb") as file, warnings_to_log(path):
        reader = EDAXBinaryFileReader(file)
        header = reader.read_header()
    count = int(header["n_patterns"])
    size = options.scan_size
    if size is None and header["ny"] > 1:
        size = (header["ny"], header["nx"])
    if header["is_hex"]:
        logger.warning("%s is a hexagonal grid; its patterns are shown as one line", path)
        size = None
    grid = scan_shape_of(count, size, str(path))
    array = RawFileArray(
        path, count, (header["sy"], header["sx"]), np.dtype(reader.dtype), header["pattern_offset"]
    )
    # Version 1 has no steps; kikuchipy fills in 1.
    steps = [None, None] if reader.version == 1 else [float(header["dy"]), float(header["dx"])]
    step, unit = valid_step(steps, "um", grid)
    return PatternScan.from_source(
        ArraySource(array, grid, stored=array.stored),
        name=path.stem,
        technique="ebsd",
        step=step,
        step_unit=unit,
        path=path,
        metadata={"reader": "kikuchipy (edax binary)", "hexagonal": bool(header["is_hex"])},
        present=_present(array, grid, path),
    )


def read_oxford_binary(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from Oxford's uncompressed ``.ebsp``."""
    from kikuchipy.io.plugins.oxford_binary._api import OxfordBinaryFileReader

    with path.open("rb") as file, warnings_to_log(path):
        reader = OxfordBinaryFileReader(file)
    shape = tuple(int(n) for n in reader.navigation_shape)
    count = int(reader.n_patterns_present)
    size = options.scan_size or (shape if len(shape) == 2 else None)
    grid = scan_shape_of(count, size, str(path))
    array = RawFileArray(
        path,
        count,
        (int(reader.signal_shape[0]), int(reader.signal_shape[1])),
        np.dtype(reader.dtype),
        int(reader.first_pattern_position),
        int(reader.pattern_header_size),
        int(reader.pattern_footer_size),
    )
    order = None
    if reader.all_patterns_present:
        order = np.asarray(reader.pattern_order, dtype=np.int64)
        if np.array_equal(order, np.arange(count)):
            order = None
    steps = [None, *reader.step_sizes] if len(reader.step_sizes) == 1 else [*reader.step_sizes]
    step, unit = (None, "") if reader.scan_unit == "px" else valid_step(steps, "um", grid)
    return PatternScan.from_source(
        ArraySource(array, grid, order=order, stored=array.stored),
        name=path.stem,
        technique="ebsd",
        step=step,
        step_unit=unit,
        path=path,
        metadata={"reader": "kikuchipy (oxford binary)", "version": int(reader.version)},
        present=_present(array, grid, path, order),
    )


def _present(
    array: RawFileArray,
    grid: tuple[int, int],
    path: Path,
    order: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_] | None:
    """Return which scan pixels the file reaches, or None for all."""
    stored, count = array.stored, grid[0] * grid[1]
    if stored >= count:
        return None
    if stored == 0:
        raise ScanError(
            f"{path} holds {path.stat().st_size} bytes, less than one pattern; need {count} "
            f"patterns of {array.record.itemsize} bytes. Check the sizes and that the copy is "
            "complete."
        )
    logger.warning("%s ends after %d of %d patterns", path, stored, count)
    flat = np.arange(count) if order is None else order
    present: NDArray[np.bool_] = (flat < stored).reshape(grid)
    return present
