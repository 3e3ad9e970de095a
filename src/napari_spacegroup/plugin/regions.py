"""A region of a scan that the user draws, and what selected layers hold."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..patterns import PatternScan
from ..patterns.convert import CALIBRATION_KEY
from ..patterns.images import grey
from .layers import MAP_KEY, SCAN_KEY, LayerFrame, scan_of, why_not_scan

if TYPE_CHECKING:
    import napari.layers
    from napari.viewer import Viewer
    from numpy.typing import NDArray

REGION_NAME = "Region of one crystal"


def region_layer(viewer: Viewer) -> napari.layers.Shapes | None:
    """Return the Shapes layer that counts: the selected one, or the one that was made for it."""
    from napari.layers import Shapes

    active = viewer.layers.selection.active
    if isinstance(active, Shapes):
        return active
    found = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    named = [layer for layer in found if layer.name.startswith(REGION_NAME)]
    return named[-1] if named else None


def start_region(viewer: Viewer, frame: LayerFrame) -> napari.layers.Shapes:
    """Return a Shapes layer to draw a region in, selected and ready for a polygon."""
    layer = region_layer(viewer)
    if layer is None:
        keywords = frame.keywords()
        layer = viewer.add_shapes(
            name=REGION_NAME, ndim=2, edge_color="white", face_color="#ffffff30",
            edge_width=0.12, **keywords,
        )  # fmt: skip
    viewer.layers.selection.active = layer
    layer.mode = "add_polygon_lasso"
    return layer


def region_mask(
    layer: napari.layers.Shapes, frame: LayerFrame, scan_shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which pixels of a scan lie in any shape of a layer, shape ``scan_shape``.

    Parameters
    ----------
    layer
        Shapes in any frame of the same world.
    frame
        Of the scan.
    """
    from napari.layers import Shapes

    if not len(layer.data):
        return np.zeros(scan_shape, bool)
    scale, translate = np.array(frame.scale), np.array(frame.translate)
    moved = []
    for shape in layer.data:
        world = np.array([layer.data_to_world(point)[-2:] for point in shape])
        moved.append((world - translate) / scale)
    in_pixels = Shapes(moved, shape_type=list(layer.shape_type))
    masks = in_pixels.to_masks(mask_shape=scan_shape)
    return np.asarray(np.logical_or.reduce(np.asarray(masks, bool), axis=0), bool)


def why_not_patterns(layer: napari.layers.Layer) -> str:
    """Return why a layer holds no pattern or patterns; empty if it does."""
    if layer._type_string != "image" or MAP_KEY in layer.metadata:
        return f"“{layer.name}” is no image of a pattern."
    if layer.ndim == 2 and not getattr(layer, "multiscale", False):
        small = min(layer.data.shape[:2]) < 8
        return f"“{layer.name}” is too small for a pattern." if small else ""
    return why_not_scan(layer)


def patterns_of_layer(layer: napari.layers.Layer) -> PatternScan:
    """Return the patterns of a layer: a scan, a stack, or one photograph in grey or colour.

    Raises
    ------
    ScanError
        If it holds none; :func:`why_not_patterns` says the same in advance.
    """
    if layer.ndim == 2 and SCAN_KEY not in layer.metadata:
        calibration = layer.metadata.get(CALIBRATION_KEY)
        return PatternScan.from_array(
            grey(np.asarray(layer.data)), name=layer.name, calibration=calibration
        )
    return scan_of(layer)


def is_photograph(layer: napari.layers.Layer | None) -> bool:
    """Return whether a layer is one picture that may be a pattern, with no scan behind it."""
    if layer is None or layer.ndim != 2 or SCAN_KEY in layer.metadata:
        return False
    return not why_not_patterns(layer)


def patterns_behind(layer: napari.layers.Layer, scan: PatternScan) -> Callable[[], PatternScan]:
    """Return what gives a layer's patterns as they are calibrated by then.

    Parameters
    ----------
    layer
        Kept weakly; when it is gone, ``scan`` is what it had.
    scan
        Its patterns now.
    """
    alive = weakref.ref(layer)

    def give() -> PatternScan:
        found = alive()
        return scan if found is None else patterns_of_layer(found)

    return give
