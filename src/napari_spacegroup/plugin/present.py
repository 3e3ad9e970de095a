"""The map, confidence and navigation layers of one viewer, in step with the map state.

Runs on the main thread and holds no widget. Everything it shows comes from the
probabilities that a :class:`~napari_spacegroup.infer.SpaceGroupMap` stores: a new level or
threshold starts no inference.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..crystal.levels import LEVELS
from ..errors import SpaceGroupError
from ..infer import SpaceGroupMap
from .describe import LEVEL_TITLES
from .hover import attach_hover
from .layers import (
    MAP_KEY,
    VIEW_KEY,
    LayerFrame,
    MapView,
    confidence_layer,
    level_colormap,
    level_features,
    map_layer,
    map_of,
    navigation_layer,
    scan_of,
    validate_map_layer,
)
from .state import Choice, MapState

if TYPE_CHECKING:
    import napari.layers
    import numpy as np
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from ..jobs.events import Partial

LEGENDS_PER_SECOND = 2
CONFIDENCE_SUFFIX = ", confidence"
NAVIGATION_SUFFIX = ", navigation"


class MapPresenter:
    """Show maps in one viewer; legend, level and threshold refer to :attr:`layer`.

    Parameters
    ----------
    viewer
        Kept weakly.
    state
        What the dock shows.
    """

    def __init__(self, viewer: Viewer, state: MapState) -> None:
        self._viewer = weakref.ref(viewer)
        self.state = state
        self._map: weakref.ref[napari.layers.Layer] | None = None
        self._confidence: weakref.ref[napari.layers.Layer] | None = None
        self.result: SpaceGroupMap | None = None
        self._is_binding = False
        self._legend_at = 0.0
        state.levels = tuple(Choice(key, title) for key, title in LEVEL_TITLES.items())
        state.events.level.connect(self._on_view)
        state.events.threshold.connect(self._on_view)

    @property
    def layer(self) -> napari.layers.Layer | None:
        """The Labels layer of the shown map, or None."""
        return self._map() if self._map is not None else None

    @property
    def confidence(self) -> napari.layers.Layer | None:
        """The layer of the confidence of each pixel, or None."""
        return self._confidence() if self._confidence is not None else None

    def layer_named(self, name: str) -> napari.layers.Layer | None:
        """Return the viewer's layer of that name, or None."""
        viewer = self._viewer()
        return viewer.layers[name] if viewer is not None and name in viewer.layers else None

    @staticmethod
    def is_map(layer: napari.layers.Layer) -> bool:
        """Return whether a layer is a map by the contract of ``docs/layers.md``."""
        view = layer.metadata.get(VIEW_KEY)
        if not isinstance(view, MapView) or view.kind != "labels":
            return False
        return map_of(layer) is not None and not validate_map_layer(layer)

    def lay_out(self, result: SpaceGroupMap, source: napari.layers.Layer) -> None:
        """Show a map that is about to fill in; a map of the same scan and model is reused."""
        self.lay_out_in(result, LayerFrame.of_layer(source), source.name)

    def lay_out_in(self, result: SpaceGroupMap, frame: LayerFrame, source: str) -> None:
        """Show a map that is about to fill in, of a scan that has no layer."""
        viewer = self._viewer()
        if viewer is None:
            return
        if LEVELS.index(self.state.level) < LEVELS.index(result.finest_level):
            self._is_binding = True
            self.state.level = result.finest_level
            self._is_binding = False
        view = MapView("labels", self.state.level, self.state.threshold, source)
        labels = result.labels(view.level, threshold=view.threshold)
        name = f"{source}: {result.model_name}"
        layer = self.layer_named(name)
        if layer is None or not self.is_map(layer):
            layer = _add(viewer, *map_layer(result, view, frame, labels, name))
        else:
            _put(layer, labels, frame)
        values = result.confidence(view.level)
        confidence = self.layer_named(layer.name + CONFIDENCE_SUFFIX)
        if confidence is None:
            its_view = replace(view, kind="confidence")
            its_name = layer.name + CONFIDENCE_SUFFIX
            confidence = _add(viewer, *confidence_layer(result, its_view, frame, values, its_name))
            viewer.layers.move(viewer.layers.index(confidence), viewer.layers.index(layer))
        else:
            _put(confidence, values, frame)
        self._map, self._confidence = weakref.ref(layer), weakref.ref(confidence)
        confidence.events.visible.connect(self._paint_confidence)
        self.replace(result)
        attach_hover(layer)
        viewer.layers.selection.active = layer
        if frame.units != ("pixel", "pixel"):
            show_scale_bar(viewer)
        self.state.map_name = layer.name

    def remove(self) -> None:
        """Take the layers of the shown map out of the viewer."""
        viewer = self._viewer()
        for layer in (self.confidence, self.layer):
            if viewer is not None and layer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)

    def reset_view(self) -> None:
        """Show all of the map."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.reset_view()

    def open_navigation(
        self, stack: napari.layers.Layer, image: NDArray[np.float32]
    ) -> napari.layers.Layer | None:
        """Show a stack that another plugin opened as a scan, and hide the stack.

        A map has the scan's pixels; on top of the stack it would lie in the detector's.
        """
        viewer = self._viewer()
        if viewer is None:
            return None
        name = stack.name + NAVIGATION_SUFFIX
        layer = self.layer_named(name)
        if layer is None:
            data, keywords, kind = navigation_layer(scan_of(stack), image)
            keywords |= {"name": name, **LayerFrame.of_layer(stack).keywords()}
            layer = _add(viewer, data, keywords, kind)
            viewer.reset_view()
        stack.visible = False
        return layer

    def merge(self, partial: Partial) -> None:
        """Take in a piece that arrived; :meth:`repaint` shows it."""
        if self.result is not None:
            self.result.merge(partial.start, partial.probabilities, partial.status)

    def replace(self, result: SpaceGroupMap) -> None:
        """Show another result in the same layers."""
        self.result = result
        for layer in (self.layer, self.confidence):
            if layer is not None:
                layer.metadata = {**layer.metadata, MAP_KEY: result}
        self._on_view()

    def show(self, layer: napari.layers.Layer | None) -> None:
        """Let legend, level and threshold refer to another map layer, or to none."""
        if layer is None:
            self._map = self._confidence = self.result = None
            self.state.map_name, self.state.legend = "", ()
            return
        view: MapView = layer.metadata[VIEW_KEY]
        self._map = weakref.ref(layer)
        confidence = self.layer_named(layer.name + CONFIDENCE_SUFFIX)
        self._confidence = weakref.ref(confidence) if confidence is not None else None
        self.result = map_of(layer)
        self._is_binding = True
        self.state.level, self.state.threshold = view.level, view.threshold
        self._is_binding = False
        self.state.map_name = layer.name
        self.update_legend()

    def repaint(self) -> None:
        """Show what is merged; the legend follows twice a second.

        The confidence is painted when somebody sees it and at the end: a hidden layer makes
        the window draw again too, for its thumbnail.
        """
        layer, result, state = self.layer, self.result, self.state
        if layer is None or result is None:
            return
        labels = result.labels(state.level, threshold=state.threshold)
        is_time = time.monotonic() - self._legend_at > 1 / LEGENDS_PER_SECOND
        if layer.data.shape == labels.shape and layer.data.dtype == labels.dtype:
            # New data would build the colour table and its shader anew.
            layer.data[...] = labels
            layer.refresh(extent=False, highlight=False, thumbnail=is_time)
        else:
            layer.data = labels
        if self.confidence is not None and self.confidence.visible:
            self._paint_confidence()
        if is_time:
            self.update_legend()

    def update_legend(self) -> None:
        """Bring the legend in step with the result."""
        if self.result is not None:
            self.state.legend = tuple(self.result.legend(self.state.level, self.state.threshold))
            self._legend_at = time.monotonic()

    def save(self, path: Path) -> None:
        """Save the shown map; a failure appears in the state's message."""
        if self.result is None or self.state.why_not_save:
            self.state.say(self.state.why_not_save)
            return
        try:
            self.result.save(path)
        except (SpaceGroupError, OSError) as error:
            self.state.say(str(error), is_alert=True)
        else:
            self.state.say(f"Saved {path.name}")

    def _on_view(self, *_: Any) -> None:
        layer, result, state = self.layer, self.result, self.state
        if layer is None or result is None or self._is_binding:
            return
        view = replace(layer.metadata[VIEW_KEY], level=state.level, threshold=state.threshold)
        is_other_level = view.level != layer.metadata[VIEW_KEY].level
        classes = set(result.level_classes(view.level))
        if is_other_level or not classes <= set(layer.colormap.color_dict):
            layer.data = result.labels(view.level, threshold=1.0) * 0
            layer.colormap = level_colormap(result, view.level)
            layer.features = level_features(result, view.level)
        layer.metadata = {**layer.metadata, VIEW_KEY: view}
        if self.confidence is not None:
            kept = self.confidence.metadata
            self.confidence.metadata = {**kept, VIEW_KEY: replace(view, kind="confidence")}
        self._legend_at = 0.0
        self.repaint()
        self._paint_confidence()

    def _paint_confidence(self, *_: Any) -> None:
        if self.confidence is not None and self.result is not None:
            self.confidence.data = self.result.confidence(self.state.level)


def show_scale_bar(viewer: Viewer) -> None:
    """Show the scale bar, wherever this version of napari keeps it."""
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    (viewer if overlays is None else overlays).scale_bar.visible = True


def _add(viewer: Viewer, data: Any, keywords: dict[str, Any], kind: str) -> napari.layers.Layer:
    add = viewer.add_labels if kind == "labels" else viewer.add_image
    return add(data, **keywords)


def _put(layer: napari.layers.Layer, values: NDArray[Any], frame: LayerFrame) -> None:
    """Give a layer other pixels, in another place where the frame is another.

    Cheaper than a new layer, whose controls and shaders the window has to build.
    """
    if layer.data.shape != values.shape:
        layer.data = values
    layer.scale, layer.translate, layer.units = frame.scale, frame.translate, frame.units
