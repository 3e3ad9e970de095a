"""What napari's status bar and tooltip say over a map: symbol, number, confidence, runner-up.

napari asks the layer. The two answers are replaced on the layer object itself, so that the
layer stays an ordinary Labels layer which other plugins, saving and duplicating understand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .describe import hover_line
from .layers import VIEW_KEY, MapView, map_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari.layers

_MARK = "_napari_spacegroup_hover"


def scan_pixel(layer: napari.layers.Layer, position: Sequence[float]) -> tuple[int, int] | None:
    """Return the scan pixel ``(scan_y, scan_x)`` under a world position, or None outside.

    In a stack of patterns that another plugin opened, the sliders choose the pixel.
    """
    if len(position) < layer.ndim:
        return None
    data = np.asarray(layer.world_to_data(np.asarray(position, dtype=float)))
    shape = layer.data.shape
    if layer.ndim == 3:
        data, shape = np.array([0.0, data[0]]), (1, shape[0])
    if not np.all(np.isfinite(data[:2])):
        return None
    row, column = (int(v) for v in np.floor(data[:2] + 0.5))
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        return row, column
    return None


def line_under(layer: napari.layers.Layer, position: Sequence[float]) -> str:
    """Return what a map layer says at a world position; empty outside and on other layers."""
    result, view = map_of(layer), layer.metadata.get(VIEW_KEY)
    pixel = scan_pixel(layer, position)
    if result is None or not isinstance(view, MapView) or pixel is None:
        return ""
    return hover_line(result, *pixel, view.level, view.threshold)


def attach_hover(layer: napari.layers.Layer) -> None:
    """Let a map layer answer with what :func:`line_under` says; calling twice is harmless."""
    if getattr(layer, _MARK, False):
        return
    plain_status, plain_tooltip = layer.get_status, layer._get_tooltip_text

    def get_status(position: Any = None, **keywords: Any) -> dict[str, str]:
        status: dict[str, str] = plain_status(position, **keywords)
        at_world = position is not None and keywords.get("world", False)
        line = line_under(layer, position) if at_world else ""
        if line:
            row, column = scan_pixel(layer, position) or (0, 0)
            status["value"] = line
            status["coordinates"] = f"[{row} {column}]: {line}"
        return status

    def get_tooltip_text(position: Any, **keywords: Any) -> str:
        line = line_under(layer, position)
        return line.replace("; ", "\n") if line else str(plain_tooltip(position, **keywords))

    layer.get_status = get_status
    layer._get_tooltip_text = get_tooltip_text
    setattr(layer, _MARK, True)
