"""File > Open: a scan opens as its navigation image, with the lazy stack behind it.

A saved map opens as the layers that the dock made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .layers import LayerData

SUFFIXES = (
    ".h5",
    ".hdf5",
    ".h5ebsd",
    ".h5oina",
    ".ebsp",
    ".up1",
    ".up2",
    ".dat",
    ".hspy",
    ".zspy",
    ".blo",
    ".mib",
    ".tvips",
    ".dm3",
    ".dm4",
    ".xy",
    ".xye",
    ".xys",
    ".xrdml",
    ".gsa",
    ".gss",
    ".fxye",
)

Paths = str | Sequence[str]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader of a scan or a saved map; None for what is neither.

    Parameters
    ----------
    path
        One path; several ones are opened one by one by napari.
    """
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        path = path[0]
    if Path(path).suffix.lower() not in SUFFIXES:
        return None
    return read_layers


def read_layers(path: Paths) -> list[LayerData]:
    """Return the layers of a scan or a saved map.

    Raises
    ------
    ScanError
        If the file holds no patterns that can be read; it says what was found.
    """
    first = Path(path if isinstance(path, str) else path[0])
    from ..infer.map_file import is_map_file
    from ..patterns import read
    from .layers import navigation_layer
    from .overview import overview

    if first.is_file() and is_map_file(first):
        return map_layers(first)
    scan = read(first)
    return [navigation_layer(scan, overview(scan))]


def map_layers(path: Path) -> list[LayerData]:
    """Return the map layer and the confidence layer of a saved map."""
    from ..infer.map_file import load_map
    from .layers import LayerFrame, MapView, confidence_layer, map_layer

    result = load_map(path)
    name = f"{result.scan_name or path.stem}: {result.model_name}"
    view = MapView(level=result.finest_level, source=result.scan_name)
    frame = LayerFrame.of_map(result)
    confidence = result.confidence(view.level)
    hidden = replace(view, kind="confidence")
    return [
        confidence_layer(result, hidden, frame, confidence, f"{name}, confidence"),
        map_layer(result, view, frame, result.labels(view.level), name),
    ]
