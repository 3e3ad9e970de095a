"""Between the cursor of a viewer and its pattern state: one pattern, and what it may be.

Runs on the main thread and holds no widget. Patterns are read and prepared on the aide's
thread; a quick cursor makes stale answers, never a queue.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .describe import hover_line, name_of, percent, rank, read_pixel, summed
from .hover import scan_pixel
from .layers import VIEW_KEY, MapView, is_raw_stack, map_of, scan_of, why_not_scan
from .model_state import kind_of_model, kind_of_scan, why_not
from .regions import is_photograph, patterns_of_layer
from .state import EMPTY_HINT, Bar, MapState, PatternState, PatternView, Reasons, TickRow

if TYPE_CHECKING:
    import napari.layers
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from ..infer import SpaceGroupMap
    from ..patterns import PatternScan
    from .aide import Aide, Answer
    from .present import MapPresenter
    from .provider import ModelProvider

QUESTION = "pattern"
INDEXING = "Looking for the cells that explain the lines; it takes some ten seconds."
NO_PIXEL_HINT = "Point at a pixel of the scan; click to pin it."


class PatternController:
    """Follow the cursor of one viewer, or stay at a pinned pixel.

    Parameters
    ----------
    viewer
        Kept weakly.
    state
        What the dock shows.
    map_state
        Which model and level count.
    presenter
        Which map is shown.
    provider, aide
        Models, and the thread that answers; its owner calls :meth:`receive`.
    """

    def __init__(
        self,
        viewer: Viewer,
        state: PatternState,
        map_state: MapState,
        presenter: MapPresenter,
        provider: ModelProvider,
        aide: Aide,
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self.state = state
        self._map_state = map_state
        self._presenter = presenter
        self._provider = provider
        self._aide = aide
        self._shown: tuple[weakref.ref[napari.layers.Layer], tuple[int, int]] | None = None
        self.is_following = False
        viewer.cursor.events.position.connect(self._on_cursor)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_active)
        state.events.pinned.connect(self._on_pinned)
        state.events.asks_why.connect(self.refresh)
        for name in ("level", "threshold", "model", "job", "map_name"):
            getattr(map_state.events, name).connect(self.refresh)
        map_state.events.layers.connect(self._on_layers)
        self._on_layers()

    def start(self) -> None:
        """Follow the cursor and clicks, because a dock shows the patterns."""
        viewer = self._viewer()
        if viewer is not None and not self.is_following:
            self.is_following = True
            viewer.mouse_drag_callbacks.append(self._on_press)
            self._on_layers()
            self._on_active()
            self.refresh()

    def stop(self) -> None:
        """Follow nothing any more."""
        viewer = self._viewer()
        if viewer is not None and self._on_press in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_press)
        self.is_following = False
        self._aide.forget(QUESTION)

    def current_scan(self) -> tuple[napari.layers.Layer, PatternScan] | None:
        """Return the layer whose patterns count and its scan, or None."""
        layer = self._source_layer()
        return None if layer is None else (layer, scan_of(layer))

    def current(self) -> tuple[napari.layers.Layer, PatternScan, tuple[int, int]] | None:
        """Return layer, scan and pixel of the pattern that is shown, or None."""
        layer = None if self._shown is None else self._shown[0]()
        if self._shown is None or layer is None or self.state.view is None:
            return None
        return layer, patterns_of_layer(layer), self._shown[1]

    def layer_of_patterns(self) -> napari.layers.Layer | None:
        """Return the layer whose patterns are shown: a photograph, or that of a scan."""
        viewer = self._viewer()
        active = None if viewer is None else viewer.layers.selection.active
        return active if is_photograph(active) else self._source_layer()

    def look_at(self, scan_y: int, scan_x: int) -> None:
        """Show one pixel of the current scan; an outside one changes nothing."""
        layer = self._source_layer()
        if layer is not None:
            self._ask(layer, (scan_y, scan_x))

    def refresh(self, *_: Any) -> None:
        """Ask again for the pixel that is shown: the level, model or map has changed."""
        if self._shown is not None and self.is_following:
            layer = self._shown[0]()
            if layer is not None:
                self._ask(layer, self._shown[1])

    def receive(self, answer: Answer) -> None:
        """Take a pattern that came through the bridge."""
        if not self._aide.is_latest(answer):
            return
        if answer.error is not None:
            self.state.message = f"This pattern can't be shown: {answer.error}"
        elif isinstance(answer.value, PatternView):
            self.state.message = ""
            self.state.view = answer.value

    def _on_layers(self, *_: Any) -> None:
        if self.state.view is None:
            has_scan = any(not choice.problem for choice in self._map_state.layers)
            self.state.message = NO_PIXEL_HINT if has_scan else EMPTY_HINT
            self._on_active()

    def _on_removed(self, event: Any) -> None:
        if self._shown is not None and self._shown[0]() in (event.value, None):
            self._aide.forget(QUESTION)
            self._shown = None
            self.state.pinned = None
            self.state.view = None
            self._on_layers()

    def _on_cursor(self, *_: Any) -> None:
        viewer = self._viewer()
        if viewer is None or not self.is_following:
            return
        self._map_state.hover = self._hover(viewer)
        if self.state.pinned is None:
            found = self._under(viewer.cursor.position)
            if found is not None:
                self._ask(*found)

    def _hover(self, viewer: Viewer) -> str:
        layer, result = self._presenter.layer, self._presenter.result
        if layer is None or result is None:
            return ""
        pixel = scan_pixel(layer, viewer.cursor.position)
        if pixel is None:
            return ""
        return hover_line(result, *pixel, self._map_state.level, self._map_state.threshold)

    def _on_press(self, viewer: Viewer, event: Any) -> Iterator[None]:
        """Pin the pixel of a click, as opposed to a drag; a second click frees it."""
        start = np.asarray(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if event.button != 1 or np.abs(np.asarray(event.pos) - start).max() > 3:
            return
        active = viewer.layers.selection.active
        if active is not None and active.mode not in ("pan_zoom", "pick"):
            return
        found = self._under(event.position)
        if found is not None:
            layer, pixel = found
            is_same = self.state.pinned == pixel
            self._shown = (weakref.ref(layer), pixel)
            self.state.pinned = None if is_same else pixel

    def _on_pinned(self, pinned: tuple[int, int] | None) -> None:
        if pinned is not None:
            self.look_at(*pinned)

    def _source_layer(self) -> napari.layers.Layer | None:
        """Return the layer whose patterns count: that of the active map or scan, or the chosen."""
        viewer = self._viewer()
        if viewer is None:
            return None
        active = viewer.layers.selection.active
        names = [self._map_state.layer]
        if active is not None:
            view = active.metadata.get(VIEW_KEY)
            names.insert(0, view.source if isinstance(view, MapView) else active.name)
        for name in names:
            layer = self._presenter.layer_named(name)
            if layer is None or layer._type_string != "image" or map_of(layer) is not None:
                continue
            if not why_not_scan(layer):
                return layer
        return None

    def _single(self) -> napari.layers.Layer | None:
        """Return the layer of the only pattern there is to see: a photograph, one profile."""
        layer = self.layer_of_patterns()
        if layer is None or is_photograph(layer):
            return layer
        return layer if patterns_of_layer(layer).n_patterns == 1 else None

    def _on_active(self, *_: Any) -> None:
        single = self._single() if self.is_following else None
        if single is not None:
            self.state.pinned = None  # was a pixel of another layer
            self._ask(single, (0, 0))

    def _under(self, position: Any) -> tuple[napari.layers.Layer, tuple[int, int]] | None:
        single = self._single()
        if single is not None:
            return single, (0, 0)
        layer = self._source_layer()
        if layer is None:
            return None
        frame = layer
        if is_raw_stack(layer) and not layer.visible:
            shown = self._presenter.layer
            frame = shown if shown is not None else layer
        pixel = scan_pixel(frame, position)
        return None if pixel is None else (layer, pixel)

    def _ask(self, layer: napari.layers.Layer, pixel: tuple[int, int]) -> None:
        self._shown = (weakref.ref(layer), pixel)
        scan = patterns_of_layer(layer)
        result = self._presenter.result
        view = self._presenter.layer.metadata[VIEW_KEY] if self._presenter.layer else None
        if result is not None and (
            result.scan_shape != scan.scan_shape or not _is_map_of(view, layer)
        ):
            result = None
        state, provider = self._map_state, self._provider
        model, level, threshold = state.model, state.level, state.threshold
        asks_why = self.state.asks_why
        if asks_why and scan.axis is not None:
            self.state.message = INDEXING

        def question() -> PatternView:
            return make_view(
                scan, pixel, provider, model, result, level, threshold, asks_why=asks_why
            )

        self._aide.ask(QUESTION, question)


def _is_map_of(view: MapView | None, layer: napari.layers.Layer) -> bool:
    return view is not None and view.source in (layer.name, f"{layer.name}, navigation")


def make_view(
    scan: PatternScan,
    pixel: tuple[int, int],
    provider: ModelProvider,
    model_name: str,
    result: SpaceGroupMap | None,
    level: str,
    threshold: float,
    *,
    asks_why: bool = False,
) -> PatternView:
    """Return what there is to see of one pattern; may be slow.

    Parameters
    ----------
    result
        The scan's map: its stored probabilities count where it has the pixel; elsewhere the
        model is asked.
    asks_why
        Whether to find out where the network looked, which takes longer.
    """
    from ..infer import PixelStatus, pattern_status

    scan_y, scan_x = pixel
    measured = scan.pattern(scan_y, scan_x)
    status = PixelStatus(int(pattern_status(measured[None], scan.mask)[0]))
    network: NDArray[np.float32] | None = None
    reasons: Reasons | None = None
    ticks: tuple[TickRow, ...] = ()
    bars: tuple[Bar, ...] = ()
    verdict = ""
    name = Path(model_name).name
    missing = status.reason or ("" if model_name else "No model is chosen")
    can_calibrate = scan.axis is None and scan.technique == "sad"
    remark = ""
    model = None
    if model_name and status is PixelStatus.OK:
        model = provider.load(model_name, "inspect")
        wanted = kind_of_model(getattr(model, "card", None))
        missing = verdict = why_not(name, wanted, kind_of_scan(scan))
        if missing:
            model = None
    if model is not None:
        reads_spots = getattr(model, "reads_spots", False)
        can_calibrate |= reads_spots and scan.axis is None
        if result is not None and reads_spots and _is_stale(result, scan):
            result, remark = None, " (map of another calibration)"
    if result is not None:
        reading = read_pixel(result, scan_y, scan_x, level, threshold)
        bars = reading.bars
        verdict = f"Unknown: {reading.reason}" if not reading.label else ""
    if model is not None:
        network = provider.network_view(model, measured, scan)
        if asks_why and scan.axis is None:
            reasons = provider.reasons(model, measured, scan)
        elif asks_why:
            ticks, joint = provider.ticks(model, measured, scan)
            if not bars:
                bars = rank(*summed(joint.astype(np.float32), tuple(model.classes), level), level)
        if not bars:
            found = provider.predict(model, measured, scan)
            bars = rank(*summed(found, tuple(model.classes), level), level)
            is_known = bars[0].probability >= threshold
            verdict = "" if is_known else f"Unknown: below the threshold of {percent(threshold)}"
    elif status is not PixelStatus.OK:
        verdict, bars = f"Unknown: {status.reason}", ()
    if not verdict and bars:
        verdict = f"{name_of(bars[0], level)}, confidence {percent(bars[0].probability)}"
    verdict += remark if verdict else ""
    geometry = scan.geometry
    if geometry is not None:
        geometry = replace(geometry, pattern_center=geometry.at(scan_y, scan_x))
    return PatternView(
        scan.name, scan_y, scan_x, measured, network, missing, bars, verdict, reasons,
        scan.mask, geometry, scan.static_background, ticks, can_calibrate,
        scan.n_patterns == 1, scan.axis, name,
    )  # fmt: skip


def _is_stale(result: SpaceGroupMap, scan: PatternScan) -> bool:
    """Return whether a map of spot patterns was made by another calibration than the scan's."""
    from ..infer.view import calibration_of_map

    return calibration_of_map(result) != scan.calibration
