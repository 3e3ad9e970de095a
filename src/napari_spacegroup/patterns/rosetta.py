"""Everything that rosettasciio reads: hspy, zspy, blo, mib, tvips, dm3 / dm4 and others."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ScanError
from .calibrated import FILE_CALIBRATION, calibration_of_axes
from .convert import length_unit, technique_of, valid_step
from .options import ReadOptions, warnings_to_log
from .scan import PatternScan
from .source import DaskSource, check_numeric

logger = logging.getLogger(__name__)

SPOT_FORMATS = (".blo", ".mib", ".tvips")
"""Formats of transmission microscopes' diffraction cameras."""


SIGNATURES = {
    ".blo": (b"IMGBLO",),
    ".mib": (b"MQ1", b"HDR"),
    ".tvips": (b"\x00\x01\x00\x00",),  # length of the header, 256
    ".dm3": (b"\x00\x00\x00\x03",),
    ".dm4": (b"\x00\x00\x00\x04",),
}
"""First bytes. Checked here, because a parser that takes sizes out of noise may not
end: rosettasciio loops over 10¹² chunks of a foreign blo file."""


def plugin_for(suffix: str) -> Any | None:
    """Return rosettasciio's plugin for a file ending (with dot), or None."""
    import rsciio

    matches = [
        plugin
        for plugin in rsciio.IO_PLUGINS
        if suffix.lower().lstrip(".") in plugin["file_extensions"]
    ]
    return matches[0] if matches else None


def read_rosetta(path: Path, options: ReadOptions) -> PatternScan:
    """Return a scan from a file that rosettasciio reads.

    A file of several signals gives the first whose signals are images; the option
    ``scan`` picks another by title or index.

    Raises
    ------
    ScanError
        If no signal has two detector dimensions.
    MissingPartError
        If a package that this format needs is not installed.
    """
    plugin = plugin_for(path.suffix)
    if plugin is None:
        raise ScanError(
            f"{path} has the ending {path.suffix!r}, which we don't know; need a scan of "
            "kikuchipy, EDAX, Bruker, Oxford, NORDIF, EMsoft, hyperspy, a blo, mib, tvips, dm, "
            "tif, npy or npz file, or a folder of images. Convert it with the vendor's program."
        )
    signatures = SIGNATURES.get(path.suffix.lower())
    if signatures is not None:
        with path.open("rb") as file:
            start = file.read(16)
        if not start.startswith(signatures):
            raise ScanError(
                f"{path} does not begin as a {path.suffix} file does ({start[:8]!r}); need a scan "
                "of that format. Was another file renamed?"
            )
    try:
        module = importlib.import_module(plugin["api"])
        with warnings_to_log(path):
            signals = _call(module, path, options)
    except ImportError as error:
        raise MissingPartError(
            f"Reading {path.suffix} files needs a package that is not installed: {error}. "
            "Install it with pip."
        ) from error
    candidates = [signal for signal in signals if _is_stack(signal)]
    if not candidates:
        shapes = [tuple(signal["data"].shape) for signal in signals]
        raise ScanError(
            f"{path} holds no diffraction patterns, but signals of shape {shapes}; need images "
            "on a grid of at most two scan dimensions."
        )
    signal = _pick(candidates, options.scan, path)
    data, axes, upright = _in_scan_order(signal, options, path)
    if data.dtype == np.int8 and path.suffix.lower() in (".dm3", ".dm4"):
        # DigitalMicrograph writes 8-bit camera images with a signed type; a camera
        # counts no negative electrons.
        data = data.view(np.uint8)
    check_numeric(data.dtype, str(path))
    grid = (int(data.shape[0]), int(data.shape[1]))
    scales: list[float | None] = [float(axis.get("scale") or 0.0) for axis in axes]
    step = [None] * (2 - len(scales)) + scales
    if upright:
        step.reverse()
    unit = axes[0].get("units") if axes else ""
    known, canonical = (None, "")
    if length_unit(unit) and options.scan_size is None:
        known, canonical = valid_step(step, unit, grid)
    metadata = signal.get("metadata") or {}
    signal_type = str(metadata.get("Signal", {}).get("signal_type", ""))
    technique = technique_of(signal_type)
    if technique == "unknown" and path.suffix.lower() in SPOT_FORMATS:
        technique = "sad"
    energy = _energy(metadata)
    calibration = calibration_of_axes(_axes(signal)[1])
    return PatternScan.from_source(
        DaskSource(data),
        name=str(metadata.get("General", {}).get("title") or path.stem),
        technique=technique,
        step=known,
        step_unit=canonical,
        path=path,
        metadata={
            "reader": f"rosettasciio ({plugin['name']})",
            "voltage": energy,
            "scan_names": tuple(_title(s, i) for i, s in enumerate(candidates)),
            FILE_CALIBRATION: calibration,
        },
        navigation=_overview(signals, signal, grid),
        calibration=calibration,
    )


def _call(module: Any, path: Path, options: ReadOptions) -> list[dict[str, Any]]:
    size = options.scan_size
    extra: dict[str, Any] = {}
    if path.suffix.lower() == ".mib" and size is not None:
        extra["navigation_shape"] = (size[1], size[0])
    if path.suffix.lower() == ".tvips" and size is not None:
        extra["scan_shape"] = tuple(size)
    try:
        found: list[dict[str, Any]] = module.file_reader(str(path), lazy=True, **extra)
    except NotImplementedError:
        found = module.file_reader(str(path), lazy=False, **extra)
    return found


def _axes(signal: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return scan and detector axes in array order."""
    axes = [dict(axis) for axis in signal["axes"]]
    for position, axis in enumerate(axes):
        axis.setdefault("index_in_array", position)
    axes.sort(key=lambda axis: int(axis["index_in_array"]))
    if not all("navigate" in axis for axis in axes):
        return axes[:-2], axes[-2:]
    return [a for a in axes if a["navigate"]], [a for a in axes if not a["navigate"]]


def _is_stack(signal: dict[str, Any]) -> bool:
    scan_axes, detector_axes = _axes(signal)
    return len(detector_axes) == 2 and len(scan_axes) <= 2


def _title(signal: dict[str, Any], index: int) -> str:
    title = (signal.get("metadata") or {}).get("General", {}).get("title")
    return str(title or index)


def _pick(candidates: list[dict[str, Any]], wished: str | int | None, path: Path) -> dict[str, Any]:
    if wished is None:
        # The largest: overview images stand beside the patterns in many formats.
        return max(candidates, key=lambda signal: signal["data"].size)
    names = [_title(signal, i) for i, signal in enumerate(candidates)]
    if isinstance(wished, int) and -len(names) <= wished < len(names):
        return candidates[wished]
    if str(wished) in names:
        return candidates[names.index(str(wished))]
    raise ScanError(
        f"{path} holds the scans {names}, not {wished!r}; need one of these names, or an index "
        f"below {len(names)}."
    )


def _in_scan_order(
    signal: dict[str, Any], options: ReadOptions, path: Path
) -> tuple[da.Array, list[dict[str, Any]], bool]:
    """Return data as (scan_y, scan_x, y, x), its scan axes, and whether it is a column."""
    scan_axes, detector_axes = _axes(signal)
    data = signal["data"]
    if not isinstance(data, da.Array):
        data = da.from_array(np.asarray(data), chunks="auto")
    wanted = [int(axis["index_in_array"]) for axis in (*scan_axes, *detector_axes)]
    if wanted != list(range(data.ndim)):
        data = data.transpose(wanted)
    upright = len(scan_axes) == 1 and str(scan_axes[0].get("name")) == "y"
    count = int(np.prod(data.shape[:-2]))
    size = options.scan_size
    if size is not None and tuple(data.shape[:-2]) != tuple(size):
        if size[0] * size[1] != count:
            raise ScanError(
                f"{path} holds {count} patterns, scan_size is {tuple(size)}; need (scan_y, "
                f"scan_x) whose product is {count}."
            )
        return data.reshape((*size, *data.shape[-2:])), scan_axes, False
    if len(scan_axes) == 1:
        data = data[:, None] if upright else data[None]
    elif not scan_axes:
        data = data[None, None]
    return data, scan_axes, upright


def _energy(metadata: dict[str, Any]) -> float | None:
    instrument = metadata.get("Acquisition_instrument", {})
    for kind in ("SEM", "TEM"):
        energy = instrument.get(kind, {}).get("beam_energy")
        if isinstance(energy, int | float) and energy > 0:
            return float(energy)
    return None


def _overview(
    signals: list[dict[str, Any]], chosen: dict[str, Any], grid: tuple[int, int]
) -> NDArray[Any] | None:
    """Return the virtual bright-field image that blockfiles keep beside the patterns."""
    for signal in signals:
        data = signal["data"]
        title = str((signal.get("metadata") or {}).get("General", {}).get("title", "")).lower()
        if signal is not chosen and tuple(data.shape) == grid and "bright" in title:
            image: NDArray[Any] = np.asarray(data)
            return image if image.max() > image.min() else None
    return None
