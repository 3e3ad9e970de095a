"""Between the choices of the dock *Live* and the job that follows a scan.

Runs on the main thread and holds no widget. The map goes to the same layers, legend and
level as one that is classified: :class:`~.present.MapPresenter` shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..infer import SpaceGroupMap
from ..jobs import CancelToken, JobState
from ..jobs.events import Done, Failed, Log, Partial, Progress
from ..workflows.live_status import LiveStatus, MapBegun
from .layers import LayerFrame, warm_up
from .live_state import format_of
from .model_state import why_not
from .running import JobController, JobEvent

if TYPE_CHECKING:
    from .bridge import Bridge
    from .live_state import LiveState
    from .present import MapPresenter
    from .provider import ModelProvider
    from .state import MapState


@dataclass(frozen=True, eq=False)
class MapExpected:
    """A map will come; its layers are made while there is time.

    Attributes
    ----------
    result
        A map of one pixel with the classes of the model.
    """

    result: SpaceGroupMap


_WAITING = "Waiting for the first patterns of {name}"


class LiveController(JobController):
    """Follow one scan at a time in a viewer.

    Parameters
    ----------
    state
        What the dock shows.
    map_state
        Which model and device, and what is shown of the map.
    presenter
        Shows the map.
    provider
        Models, and the job itself.
    bridge
        The way back from the job's thread; its owner calls :meth:`receive`.
    """

    CAN_WAIT = (Progress, LiveStatus)
    state: LiveState

    def __init__(
        self,
        state: LiveState,
        map_state: MapState,
        presenter: MapPresenter,
        provider: ModelProvider,
        bridge: Bridge,
    ) -> None:
        super().__init__(state, bridge)
        self.map_state = map_state
        self.presenter = presenter
        self._provider = provider
        self._remarks: list[str] = []
        self._is_empty = False
        """Whether the layers hold no map yet."""

    @property
    def why_not_start(self) -> str:
        """Why the scan can't be followed; empty if it can."""
        problem = self.state.why_not_start
        if problem:
            return problem
        if self.map_state.is_busy:
            return "A classification is running: wait for it or cancel it."
        for name, missing in (("model", "Choose a model."), ("device", "Choose a device.")):
            chosen = self.map_state.chosen(name)
            if chosen is None:
                return missing
            if chosen.problem:
                return chosen.problem
        model = self.map_state.chosen("model")
        found = format_of(self.state.path).kind
        return "" if model is None else why_not(model.label, model.kind, found)

    def start(self) -> None:
        """Follow the chosen path; what goes wrong appears in the state's message."""
        state, provider = self.state, self._provider
        problem = self.why_not_start
        if problem:
            state.say(problem)
            return
        path, name, device = Path(state.path), self.map_state.model, self.map_state.device
        level = self.map_state.level
        options: dict[str, Any] = {
            "out": state.output,
            "until_idle": state.until_idle or None,
            "if_behind": state.if_behind,
            "scan_shape": state.scan_shape,
            "device": device,
            **state.told,
        }

        def job(cancel: CancelToken) -> Iterator[Any]:
            yield Progress(0, 0, f"Loading the model {name}")
            model = provider.load(name, "classify")
            warm_up(tuple(model.classes), level)
            yield MapExpected(
                SpaceGroupMap.empty((1, 1), model.classes, model_name=model.card.name)
            )
            yield from provider.follow(path, model, cancel=cancel, **options)

        self._remarks = []
        state.status, state.latest = None, ""
        state.say(f"Loading the model {name}")
        self.map_state.is_live = True
        self.run(job, "follow")

    def pause(self) -> None:
        """Read nothing for a while; the file goes on growing and nothing is lost."""
        if self._runner is not None and self.state.job is JobState.RUNNING:
            self._runner.cancel_token.pause()
            self.state.job = JobState.PAUSED
            self.state.say("Paused: the scan goes on, the map catches up when you resume")

    def resume(self) -> None:
        """Go on after a pause."""
        if self._runner is not None and self.state.job is JobState.PAUSED:
            self._runner.cancel_token.resume()
            self.state.job = JobState.RUNNING
            self.state.say("")

    def stop(self) -> None:
        """End with what is there; the map is saved."""
        if self._runner is not None and self.state.is_busy:
            self.state.job = JobState.FINISHING
            self.state.say("Stopping and saving")
            self._runner.cancel()

    def on_abandoned(self) -> None:
        """Show that nobody follows any more."""
        self._finish(JobState.CANCELLED, "Stopped when the dock was closed")

    def receive(self, values: list[JobEvent]) -> None:
        """Take what came through the bridge, and repaint once."""
        is_dirty = False
        for event in self.latest(values):
            if isinstance(event, MapExpected):
                self._expect(event)
            elif isinstance(event, MapBegun):
                self._lay_out(event)
            elif isinstance(event, Partial):
                self.presenter.merge(event)
                is_dirty = True
            elif isinstance(event, LiveStatus):
                self._show(event)
            elif isinstance(event, Log):
                self._remarks.append(event.message)
                if self.state.job is not JobState.FINISHING:
                    self.state.say(event.message)
            elif isinstance(event, Done):
                if self.presenter.layer is not None:
                    self.presenter.replace(event.result)
                is_dirty = False
            elif isinstance(event, Failed):
                self.state.say(str(event.error) or type(event.error).__name__, is_alert=True)
            elif isinstance(event, JobState):
                self._on_job_state(event)
        if is_dirty:
            self.presenter.repaint()

    def _lay_out(self, event: MapBegun) -> None:
        self._lay_out_in(event.result)
        self._is_empty = False
        self.presenter.reset_view()
        self.state.say("")

    def _expect(self, event: MapExpected) -> None:
        name = f"{self._source}: {event.result.model_name}"
        if self.presenter.layer_named(name) is None:
            self._lay_out_in(event.result)
            self._is_empty = True

    def _lay_out_in(self, result: SpaceGroupMap) -> None:
        before = self.presenter.layer
        self.presenter.lay_out_in(result, LayerFrame.of_map(result), self._source)
        if before is not None and before is not self.presenter.layer:
            before.visible = False  # an older map would shine through pixels still to come

    @property
    def _source(self) -> str:
        return Path(self.state.path).name

    def _show(self, status: LiveStatus) -> None:
        before = self.state.status
        if status.news:
            self.state.latest = status.news[-1]
        self.state.status = status
        if self.state.job in (JobState.PAUSED, JobState.FINISHING):
            return
        if status.read == 0:
            self.state.say(_WAITING.format(name=Path(self.state.path).name))
        elif status.message and (before is None or status.message != before.message):
            self.state.say(status.message)

    def _on_job_state(self, new: JobState) -> None:
        state = self.state
        if new is JobState.RUNNING and state.job is JobState.PREPARING:
            state.job = new
        elif new in (JobState.COMPLETED, JobState.CANCELLED):
            how = "The scan is over" if new is JobState.COMPLETED else "Stopped"
            saved = state.output.name
            has_map = self._runner is not None and self._runner.result is not None
            if has_map:
                facts = [f"{how}. The map is saved as {saved}", *self._remarks[-3:]]
            else:
                facts = ["Stopped before the first pattern came"]
            self._finish(new, ". ".join(facts))
        elif new is JobState.FAILED:
            self._finish(new, state.message)

    def _finish(self, job: JobState, message: str) -> None:
        self.map_state.is_live = False
        if self._is_empty:
            self.presenter.remove()
            self._is_empty = False
        self.presenter.update_legend()
        self.state.say(message, is_alert=job is JobState.FAILED)
        self.state.job = job
