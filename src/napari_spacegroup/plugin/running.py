"""One job at a time on a thread of its own, its events brought to the main thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..jobs import JobState, Progress, ThreadRunner
from ..jobs.runner import Job

if TYPE_CHECKING:
    from .bridge import Bridge


@dataclass(frozen=True, eq=False)
class JobEvent:
    """What happened in a run, on its way through the bridge.

    Attributes
    ----------
    generation
        Of the run.
    event
        What the job yielded, or a new :class:`~napari_spacegroup.jobs.JobState`.
    """

    generation: int
    event: Any


class JobController:
    """Starts jobs and tells what comes of the latest one from what older ones still send.

    Parameters
    ----------
    state
        What the dock shows; has ``is_busy``.
    bridge
        The way back from the job's thread.
    """

    CAN_WAIT: tuple[type, ...] = (Progress,)
    """Events that are drawn with others, not on their own."""

    def __init__(self, state: Any, bridge: Bridge) -> None:
        self.state = state
        self._bridge = bridge
        self._runner: ThreadRunner | None = None

    @property
    def runner(self) -> ThreadRunner | None:
        """The run of the latest job, or None."""
        return self._runner

    def plain(self, event: Any) -> Any:
        """Return an event as the window takes it; runs on the job's thread."""
        return event

    def run(self, job: Job, name: str) -> ThreadRunner:
        """Start a job in place of the one before."""
        bridge = self._bridge

        def post(event: Any, *, may_wait: bool = True) -> None:
            is_pressing = not isinstance(event, self.CAN_WAIT)
            bridge.post(
                JobEvent(runner.generation, event), may_wait=may_wait, is_pressing=is_pressing
            )

        runner = ThreadRunner(
            job,
            on_event=lambda event: post(self.plain(event)),
            on_state=lambda new: post(new, may_wait=False),
            name=name,
        )
        self._runner = runner
        self.state.job = JobState.PREPARING
        return runner.start()

    def latest(self, values: list[JobEvent]) -> Iterator[Any]:
        """Give the events of the latest run."""
        for value in values:
            if self._runner is not None and value.generation == self._runner.generation:
                yield value.event

    def abandon(self, timeout: float = 0.0) -> None:
        """Stop, and wait up to ``timeout`` [s]; nothing of the job arrives any more."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        runner.cancel()
        self._bridge.drop()
        if self.state.is_busy:
            self.on_abandoned()
        if timeout > 0:
            runner.wait(timeout)

    def on_abandoned(self) -> None:
        """Show that the job was left behind."""
        self.state.job = JobState.CANCELLED
