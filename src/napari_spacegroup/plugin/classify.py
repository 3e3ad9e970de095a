"""Between the choices of a viewer's map state and the job that classifies.

Runs on the main thread and holds no widget. Choices change the state, the state starts a
job, the job comes back through the bridge, and :class:`~.present.MapPresenter` shows it.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import CancelledError, SpaceGroupError
from ..jobs import CancelToken, JobState
from ..jobs.events import Done, Failed, Log, Partial, Progress
from .describe import scan_line, shape_line
from .hover import attach_hover
from .layers import SCAN_KEY, VIEW_KEY, is_raw_stack, map_of, scan_of, warm_up, why_not_scan
from .model_state import PICTURES, kind_of_scan
from .present import MapPresenter
from .running import JobController, JobEvent
from .state import Choice, MapState

if TYPE_CHECKING:
    import napari.layers
    from napari.viewer import Viewer

    from ..infer import SpaceGroupMap
    from .bridge import Bridge
    from .provider import ModelProvider


@dataclass(frozen=True, eq=False)
class Prepared:
    """The model is loaded: the map can be laid out.

    Attributes
    ----------
    empty
        Every pixel pending.
    navigation
        Shape of the scan, where the source shows patterns instead of scan pixels.
    """

    empty: SpaceGroupMap
    navigation: Any = None


class ClassifyController(JobController):
    """Classify the layers of one viewer.

    Parameters
    ----------
    viewer
        Kept weakly.
    state
        What the dock shows.
    provider
        Models and devices.
    bridge
        The way back from the job's thread; its owner calls :meth:`receive`.
    """

    state: MapState

    def __init__(
        self, viewer: Viewer, state: MapState, provider: ModelProvider, bridge: Bridge
    ) -> None:
        super().__init__(state, bridge)
        self._viewer = weakref.ref(viewer)
        self.presenter = MapPresenter(viewer, state)
        self._provider = provider
        self._source: weakref.ref[napari.layers.Layer] | None = None
        self._started = 0.0
        self._remarks: list[str] = []
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_active)
        for layer in viewer.layers:
            self._adopt(layer)
        self._list_layers()
        self._on_active()

    @property
    def source(self) -> napari.layers.Layer | None:
        """The layer that the latest job reads, or None."""
        return self._source() if self._source is not None else None

    def _on_inserted(self, event: Any) -> None:
        self._adopt(event.value)
        self._list_layers()

    def _adopt(self, layer: napari.layers.Layer) -> None:
        layer.events.name.connect(self._list_layers)
        if self.presenter.is_map(layer):
            attach_hover(layer)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        layer.events.name.disconnect(self._list_layers)
        if layer in (self.presenter.layer, self.source):
            self.cancel()
        if layer is self.presenter.layer:
            viewer = self._viewer()
            others = [] if viewer is None else [m for m in viewer.layers if MapPresenter.is_map(m)]
            self.presenter.show(others[-1] if others else None)
        self._list_layers()

    def _list_layers(self, *_: Any) -> None:
        viewer, state = self._viewer(), self.state
        if viewer is None:
            return
        choices = tuple(c for layer in reversed(viewer.layers) if (c := _choice(layer)) is not None)
        known = {choice.key for choice in choices}
        chosen = self.layer_chosen_before
        state.layers = choices
        if state.layer not in known:
            usable = [choice.key for choice in choices if not choice.problem]
            renamed = chosen.name if chosen is not None and chosen.name in known else ""
            state.layer = renamed or (usable[0] if usable else "")
        if self.presenter.layer is not None:
            state.map_name = self.presenter.layer.name

    @property
    def layer_chosen_before(self) -> napari.layers.Layer | None:
        """The source of the latest job, under whatever name it goes now."""
        viewer, source = self._viewer(), self.source
        return source if viewer is not None and source in viewer.layers else None

    def _on_active(self, *_: Any) -> None:
        viewer = self._viewer()
        active = viewer.layers.selection.active if viewer is not None else None
        if active is None or self.state.is_busy:
            return
        if self.presenter.is_map(active):
            source = active.metadata[VIEW_KEY].source
            if active is not self.presenter.layer:
                self.presenter.show(active)
            self._choose(source)
        else:
            self._choose(active.name)

    def _choose(self, name: str) -> None:
        """Choose a layer if it can be classified."""
        if any(choice.key == name and not choice.problem for choice in self.state.layers):
            self.state.layer = name

    def classify(self) -> None:
        """Classify the chosen layer with the chosen model.

        What is wrong with the choices, or goes wrong later, appears in the state's message.
        """
        state, provider = self.state, self._provider
        layer = self.presenter.layer_named(state.layer)
        if state.why_not_classify or layer is None:
            state.say(state.why_not_classify)
            return
        try:
            scan = scan_of(layer)
        except SpaceGroupError as error:
            self._finish(JobState.FAILED, str(error))
            return
        self._source = weakref.ref(layer)
        name, batch_size, device = state.model, state.batch_size, state.device
        level = state.level
        wants_navigation = is_raw_stack(layer)

        def job(cancel: CancelToken) -> Iterator[Any]:
            yield Progress(0, scan.n_patterns, f"Loading the model {name}")
            model = provider.load(name, "classify")
            if cancel.is_cancelled:
                raise CancelledError("cancelled before the first pattern")
            navigation = scan.navigation_image() if wants_navigation else None
            warm_up(tuple(model.classes), level)
            yield Prepared(provider.empty_map(scan, model), navigation)
            yield from provider.events(
                scan, model, batch_size=batch_size, device=device, cancel=cancel
            )

        self._started = time.monotonic()
        self._remarks = []
        state.done, state.total = 0, scan.n_patterns
        state.say(f"Loading the model {name}")
        self.run(job, "classify")

    def cancel(self) -> None:
        """Ask the job to stop; what is computed stays."""
        if self._runner is not None and self.state.is_busy:
            self.state.job = JobState.FINISHING
            self.state.say("Cancelling")
            self._runner.cancel()

    def on_abandoned(self) -> None:
        """Show how far it came."""
        self._finish(JobState.CANCELLED, self._so_far())

    def receive(self, values: list[JobEvent]) -> None:
        """Take what came through the bridge, and repaint once."""
        is_dirty = False
        for event in self.latest(values):
            if isinstance(event, Prepared):
                self._lay_out(event)
            elif isinstance(event, Partial):
                self.presenter.merge(event)
                is_dirty = True
            elif isinstance(event, Progress):
                self.state.done, self.state.total = event.done, event.total
                if event.message and self.state.job is not JobState.FINISHING:
                    self.state.say(_progress(event))
            elif isinstance(event, Log):
                self._remarks.append(event.message)
            elif isinstance(event, Done):
                if event.result is not None and self.presenter.layer is not None:
                    self.presenter.replace(event.result)
                is_dirty = False
            elif isinstance(event, Failed):
                self.state.say(str(event.error) or type(event.error).__name__, is_alert=True)
            elif isinstance(event, JobState):
                self._on_job_state(event)
        if is_dirty:
            self.presenter.repaint()

    def _lay_out(self, prepared: Prepared) -> None:
        source = self.layer_chosen_before
        if source is not None and prepared.navigation is not None:
            source = self.presenter.open_navigation(source, prepared.navigation)
        if source is None:
            self.cancel()
        else:
            self.presenter.lay_out(prepared.empty, source)
            self.state.say("Classifying")

    def _on_job_state(self, new: JobState) -> None:
        if new is JobState.RUNNING and self.state.job is JobState.PREPARING:
            self.state.job = new
        elif new is JobState.COMPLETED:
            seconds = time.monotonic() - self._started
            count = "1 pattern" if self.state.total == 1 else f"{self.state.total} patterns"
            facts = [f"{count} in {seconds:.1f} s", *self._remarks]
            self._finish(new, ". ".join(facts))
        elif new is JobState.CANCELLED:
            self._finish(new, self._so_far())
        elif new is JobState.FAILED:
            self._finish(new, self.state.message)

    def _so_far(self) -> str:
        return f"Cancelled after {self.state.done} of {self.state.total} patterns"

    def _finish(self, job: JobState, message: str) -> None:
        self.presenter.update_legend()
        self.state.say(message, is_alert=job is JobState.FAILED)
        self.state.job = job


def _progress(event: Progress) -> str:
    so_far = f": {event.done} of {event.total} patterns" if event.done else ""
    return event.message + so_far


def _choice(layer: napari.layers.Layer) -> Choice | None:
    """Return the entry of a layer; None for one that nobody would take for a scan."""
    if layer._type_string != "image" or map_of(layer) is not None:
        return None
    problem = why_not_scan(layer)
    if problem and layer.ndim < 3:
        return None
    scan = layer.metadata.get(SCAN_KEY)
    detail = shape_line(layer.data.shape) if scan is None else scan_line(scan)
    kind = PICTURES if scan is None else kind_of_scan(scan)
    return Choice(layer.name, layer.name, "" if problem else detail, problem, kind)
