"""Between the choices of the dock *Train* and the job that makes a model.

Runs on the main thread and holds no widget. The job itself runs in the worker process;
a thread of this one only hands its events over, so that training never holds the window.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import TrainSpec
from ..config.master import DynamicalSpec, KinematicSpec
from ..errors import SpaceGroupError
from ..jobs import CancelToken, Executor, JobState
from ..jobs.events import Done, Event, Failed, Log, Progress
from .bridge import Bridge
from .running import JobController, JobEvent
from .train_state import Point, TrainState

if TYPE_CHECKING:
    from ..crystal.phase import Phase
    from ..workflows.specialist import Confusion

_log = logging.getLogger(__name__)

MANY_STEPS = 10**7
"""Time ends training, not the number of steps."""

EVALUATE_EVERY = 50


@dataclass(frozen=True)
class Measured:
    """One point of a curve.

    Parameters
    ----------
    is_held_out
        Whether it is of structures that training does not see.
    point
        The point.
    seconds
        Time trained [s]; 0 where it is not told.
    """

    is_held_out: bool
    point: Point
    seconds: float = 0.0


@dataclass(frozen=True)
class Entered:
    """A stage begins; its name."""

    stage: str


@dataclass(frozen=True, eq=False)
class Checked:
    """The model was held against the truth."""

    confusion: Confusion


class TrainController(JobController):
    """Make specialist models for one viewer.

    Parameters
    ----------
    state
        What the dock shows.
    executor
        Gives the executor that jobs run on, on the job's own thread.
    folder
        Where models are put, each in a folder of its name.
    on_model
        Called on the main thread with the folder of each new model.
    """

    state: TrainState

    def __init__(
        self,
        state: TrainState,
        executor: Callable[[], Executor],
        folder: Path,
        on_model: Callable[[Path], None],
    ) -> None:
        super().__init__(state, Bridge(self._deliver))
        self.folder = folder
        self._executor = executor
        self._on_model = weakref.WeakMethod(on_model)
        state.events.name.connect(self.look_for_checkpoint)
        self.look_for_checkpoint()

    @property
    def out(self) -> Path:
        """The folder of the model that is named at present."""
        return self.folder / (self.state.name or "unnamed")

    def look_for_checkpoint(self, *_: Any) -> None:
        """Find out whether training of this name can go on."""
        self.state.can_resume = (self.out / "checkpoint.safetensors").is_file()

    def add_files(self, paths: Iterable[Path]) -> None:
        """Add the phases of CIF files, and of all CIF files in folders."""
        from ..crystal.phase import Phase

        found: list[Phase] = []
        for path in paths:
            files = sorted(path.glob("*.cif")) if path.is_dir() else [path]
            if not files:
                self.state.say(f"No CIF file in {path.name}", is_alert=True)
            for file in files:
                try:
                    found.append(Phase.from_cif(file))
                except (SpaceGroupError, OSError) as error:
                    self.state.say(f"{file.name}: {error}", is_alert=True)
                    return
        self.add(found)

    def add(self, phases: Sequence[Phase]) -> None:
        """Add phases; one whose name is there already is replaced."""
        names = {phase.name for phase in phases}
        kept = [phase for phase in self.state.phases if phase.name not in names]
        self.state.phases = (*kept, *phases)
        if phases:
            self.state.say("")

    def remove(self, names: Iterable[str]) -> None:
        """Take phases out again."""
        gone = set(names)
        self.state.phases = tuple(p for p in self.state.phases if p.name not in gone)

    def train(self, *, resume: bool = False) -> None:
        """Start making a model."""
        why = self.state.why_not_resume if resume else self.state.why_not_train
        if why:
            self.state.say(why, is_alert=True)
            return
        state = self.state
        try:
            spec, master = self._specs()
        except SpaceGroupError as error:
            state.say(str(error), is_alert=True)
            return
        if not resume:
            state.training, state.validation = (), ()
        state.confusion, state.finished, state.stage = None, "", ""
        state.done, state.total = 0, 0
        state.say("Starting the worker process")
        phases = state.phases if state.source == "phases" else ()
        out = self.out

        def job(cancel: CancelToken) -> Iterable[Event]:
            # Here, on the job's thread: this imports torch.
            from ..workflows.specialist import SpecialistRequest, specialist_task

            request = SpecialistRequest(out, spec, phases, master)
            return self._executor().run(specialist_task(request, resume=resume), cancel)

        self.run(job, "train")

    def plain(self, event: Any) -> Any:
        """Return an event without torch; runs on the job's thread."""
        return _plain(event)

    def stop(self) -> None:
        """Stop after the present batch and keep what is learnt."""
        if self._runner is not None and self.state.is_busy:
            self.state.job = JobState.FINISHING
            self.state.say("Stopping; what is learnt is saved")
            self._runner.cancel()

    def close(self, timeout: float = 0.0) -> None:
        """End everything."""
        self.abandon(timeout)
        self._bridge.close()

    def _specs(self) -> tuple[TrainSpec, KinematicSpec | DynamicalSpec]:
        state = self.state
        spec = TrainSpec.from_mapping(
            {
                "masters": [state.masters or self.out / "masters.npz"],
                "name": state.name,
                "network": {"architecture": state.network},
                "unlabelled": None if state.unlabelled is None else {"scans": [state.unlabelled]},
                "microscope": {"voltage": (max(5.0, state.voltage - 5), state.voltage + 5)},
                "schedule": {
                    "steps": MANY_STEPS,
                    "seconds": 60 * state.minutes,
                    "batch_size": 64,
                    "evaluate_every": EVALUATE_EVERY,
                },
            },
            "the choices of the dock",
        )
        is_kinematic = state.method == "kinematic"
        master = (KinematicSpec if is_kinematic else DynamicalSpec)(voltage=state.voltage)
        return spec, master

    def _deliver(self, values: list[JobEvent]) -> None:
        state = self.state
        training, validation = list(state.training), list(state.validation)
        for event in self.latest(values):
            if isinstance(event, Measured):
                (validation if event.is_held_out else training).append(event.point)
                if event.seconds:
                    state.done, state.total = round(event.seconds), round(60 * state.minutes)
            elif isinstance(event, Entered):
                state.stage = event.stage
                state.done, state.total = 0, 0
                if state.job is not JobState.FINISHING:
                    state.say("")
            elif isinstance(event, Checked):
                state.confusion = event.confusion
            elif isinstance(event, Progress):
                state.done, state.total = event.done, event.total
                state.say(event.message)
            elif isinstance(event, Log):
                state.say(event.message)
            elif isinstance(event, Failed):
                state.say(str(event.error) or type(event.error).__name__, is_alert=True)
            elif isinstance(event, Done):
                self._on_done(event)
            elif isinstance(event, JobState):
                self._on_job_state(event)
        if len(training) != len(state.training):
            state.training = tuple(_in_order(training))
        if len(validation) != len(state.validation):
            state.validation = tuple(_in_order(validation))

    def _on_done(self, event: Done) -> None:
        if event.result is None:
            self.state.say("Stopped before there was a model")
            return
        folder = Path(event.result)
        self.state.finished = os.fspath(folder)
        words = "Stopped and kept" if event.is_cancelled else "Done"
        self.state.say(f"{words}: the model {folder.name!r} can be used now")
        on_model = self._on_model()
        if on_model is not None:
            on_model(folder)

    def _on_job_state(self, new: JobState) -> None:
        if new is JobState.RUNNING and self.state.job is JobState.PREPARING:
            self.state.job = new
        elif new.is_final:
            if new is JobState.CANCELLED and not self.state.finished:
                self.state.say("Stopped before there was a model")
            self.state.job = new
            self.state.stage = ""
            self.look_for_checkpoint()


def _plain(event: Any) -> Any:
    """Return an event as the window takes it, without torch; runs on the job's thread."""
    from ..learn import TrainStep, Validation
    from ..workflows.specialist import Confusion, StageBegun

    if isinstance(event, TrainStep):
        return Measured(False, Point(event.step, event.loss, event.accuracy), event.seconds)
    if isinstance(event, Validation):
        return Measured(True, Point(event.step, event.loss, event.accuracy))
    if isinstance(event, StageBegun):
        return Entered(event.stage.value)
    if isinstance(event, Confusion):
        return Checked(event)
    return event


def _in_order(points: list[Point]) -> list[Point]:
    """Return points by step; one that was done again after a worker died replaces the first."""
    return [point for _, point in sorted({p.step: p for p in points}.items())]
