"""What a layer, a signal or a bare array says about itself.

Duck-typed, so that neither napari nor hyperspy is imported here: their objects only
arrive where they are loaded already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from .calibrated import FILE_CALIBRATION, calibration_of_axes
from .geometry import geometry_from_detector

UNITS = {
    "µm": "um",
    "μm": "um",
    "um": "um",
    "micrometer": "um",
    "micrometre": "um",
    "micron": "um",
    "microns": "um",
    "nm": "nm",
    "nanometer": "nm",
    "nanometre": "nm",
    "mm": "mm",
    "millimeter": "mm",
    "å": "angstrom",
    "a": "angstrom",
    "angstrom": "angstrom",
    "m": "m",
}
"""Spellings of lengths; anything else (pixel, undefined, a time) is no length."""

LAYER_KEY = "napari_spacegroup_scan"
"""Key of a layer's metadata under which the plugin keeps the scan behind the layer."""


CALIBRATION_KEY = "napari_spacegroup_calibration"
"""Key of a layer's metadata for the calibration of patterns that have no scan behind them."""


def array_and_fields(thing: Any) -> tuple[Any, dict[str, Any]]:
    """Return the array in a layer, signal or array, and the scan fields it knows.

    Raises
    ------
    ScanError
        If it is none of them.
    """
    if hasattr(thing, "axes_manager") and hasattr(thing, "data"):
        return _from_signal(thing)
    if hasattr(thing, "shape") and hasattr(thing, "dtype") and hasattr(thing, "__getitem__"):
        return thing, {}
    if all(hasattr(thing, known) for known in ("data", "name", "scale", "metadata")):
        return _from_layer(thing)
    if isinstance(thing, list | tuple) and thing:
        try:
            return np.stack([np.asarray(pattern) for pattern in thing]), {}
        except ValueError as error:
            raise ScanError(
                f"A list of {len(thing)} patterns can't be stacked: {error}; need patterns of "
                "one shape."
            ) from error
    raise ScanError(
        f"Got {type(thing).__name__}; need patterns: an array of shape (y, x), (n, y, x) or "
        "(scan_y, scan_x, y, x), a napari Image layer, or a hyperspy signal. To open a file, "
        "use read."
    )


def length_unit(text: Any) -> str:
    """Return the canonical spelling of a length unit, or "" if it is none."""
    return UNITS.get(str(text).strip().lower(), "")


def valid_step(
    step: Sequence[float | None], unit: Any, scan_shape: tuple[int, int]
) -> tuple[tuple[float, float] | None, str]:
    """Return a usable (y, x) step and its unit; None where the source has none.

    A line scan or a single pattern leaves the step across it open: it gets the other.
    """
    # Seven digits: a single-precision file says 0.10000000149 for 0.1.
    numbers = [
        float(f"{abs(value):.7g}") if value and math.isfinite(value) else None for value in step
    ]
    known = [n for n, size in zip(numbers, scan_shape, strict=True) if n is not None and size > 1]
    if not known:
        return None, ""
    y = numbers[0] if numbers[0] is not None and scan_shape[0] > 1 else known[0]
    x = numbers[1] if numbers[1] is not None and scan_shape[1] > 1 else known[0]
    return (y, x), length_unit(unit)


def _from_layer(layer: Any) -> tuple[Any, dict[str, Any]]:
    scan = layer.metadata.get(LAYER_KEY)
    if scan is not None:
        return scan, {}
    data = layer.data
    if getattr(layer, "multiscale", False):
        data = data[0]
    if getattr(layer, "rgb", False) or not hasattr(data, "shape"):
        raise ScanError(
            f"The layer {layer.name!r} is a colour image or no image; need grey patterns of shape "
            "(n, y, x) or (scan_y, scan_x, y, x). Choose another layer."
        )
    fields: dict[str, Any] = {"name": str(layer.name)}
    if CALIBRATION_KEY in layer.metadata:
        fields["calibration"] = layer.metadata[CALIBRATION_KEY]
    dimensions = len(data.shape)
    scale = [float(value) for value in layer.scale][-dimensions:]
    units = [str(unit) for unit in (getattr(layer, "units", None) or [""] * dimensions)]
    if dimensions == 4:
        step: list[float | None] = [scale[0], scale[1]]
        grid, unit = (int(data.shape[0]), int(data.shape[1])), units[0]
    elif dimensions == 3:
        step, grid, unit = [None, scale[0]], (1, int(data.shape[0])), units[0]
    else:
        return data, fields
    if length_unit(unit):  # a scale in pixels says nothing
        fields["step"], fields["step_unit"] = valid_step(step, unit, grid)
    return data, fields


def _from_signal(signal: Any) -> tuple[Any, dict[str, Any]]:
    manager = signal.axes_manager
    if manager.signal_dimension != 2 or manager.navigation_dimension > 2:
        raise ScanError(
            f"The signal has {manager.navigation_dimension} navigation and "
            f"{manager.signal_dimension} signal dimensions; need two of the detector and at most "
            "two of the scan. Transpose it first."
        )
    axes = sorted(manager.navigation_axes, key=lambda axis: axis.index_in_array)
    detector_axes = sorted(manager.signal_axes, key=lambda axis: axis.index_in_array)
    data = signal.data
    wanted = [axis.index_in_array for axis in (*axes, *detector_axes)]
    if wanted != sorted(wanted):
        data = data.transpose(wanted)
    # A line along y is a column; any other line is a row.
    upright = len(axes) == 1 and str(axes[0].name) == "y"
    if len(axes) == 1:
        data = data[:, None] if upright else data[None]
    elif not axes:
        data = data[None, None]
    grid = (int(data.shape[0]), int(data.shape[1]))
    scales: list[float | None] = [float(axis.scale) for axis in axes]
    unit = axes[0].units if axes else ""
    step = [None] * (2 - len(scales)) + scales
    if upright:
        step.reverse()
    title = str(signal.metadata.get_item("General.title", default="") or "signal")
    signal_type = str(signal.metadata.get_item("Signal.signal_type", default=""))
    fields: dict[str, Any] = {"name": title, "technique": technique_of(signal_type)}
    if length_unit(unit):
        fields["step"], fields["step_unit"] = valid_step(step, unit, grid)
    energy = signal.metadata.get_item("Acquisition_instrument.SEM.beam_energy", default=None)
    detector = getattr(signal, "detector", None)
    if detector is not None and hasattr(detector, "pc"):
        fields["geometry"] = geometry_from_detector(
            detector, grid, None if energy is None else float(energy)
        )
    background = usable_background(
        getattr(signal, "static_background", None), (int(data.shape[2]), int(data.shape[3]))
    )
    if background is not None:
        fields["static_background"] = background
    calibration = calibration_of_axes(
        {"scale": float(axis.scale), "units": axis.units} for axis in detector_axes
    )
    if calibration is not None:
        fields |= {"calibration": calibration, "metadata": {FILE_CALIBRATION: calibration}}
    return data, fields


def technique_of(signal_type: str) -> str:
    """Return the technique of a hyperspy signal type."""
    lowered = signal_type.lower()
    if "ebsd" in lowered:
        return "ebsd"
    return "sad" if "diffraction" in lowered else "unknown"


def usable_background(image: Any, pattern_shape: tuple[int, int]) -> NDArray[Any] | None:
    """Return a static background, or None if it does not fit or says nothing.

    Colour images are averaged; constant or non-finite ones are dropped.
    """
    if image is None:
        return None
    background = np.asarray(image)
    if background.ndim == 3 and background.shape[2] in (3, 4):
        background = background[..., :3].mean(axis=2)
    background = np.squeeze(background) if background.ndim > 2 else background
    if background.shape != pattern_shape or background.dtype.kind not in "uif":
        return None
    if not np.isfinite(background).all() or background.min() == background.max():
        return None
    return background
