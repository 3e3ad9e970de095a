"""Running a job: one state machine, on the caller's thread or on one of its own.

The window never sees an exception of a job, only a :class:`~.events.Failed` event; a
script sees the exception itself.
"""

from __future__ import annotations

import enum
import itertools
import logging
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeAlias

from ..errors import CancelledError
from .cancel import CancelToken
from .events import Done, Event, Failed

_log = logging.getLogger(__name__)

Job: TypeAlias = Callable[[CancelToken], Iterable[Event]]
"""Makes the events of one run; it looks at the token between batches."""

SECONDS_AFTER_CANCEL = 30.0
"""How long a job may still send events after a cancel before it is closed by force. Those of a
worker process that were under way come first."""

_numbers = itertools.count(1)


class JobState(enum.Enum):
    """Where a job is. It ends completed, cancelled or failed."""

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHING = "finishing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Return whether the job is over."""
        return self in (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED)


_ENDS = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED})
_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.IDLE: frozenset({JobState.PREPARING, JobState.CANCELLED}),
    JobState.PREPARING: frozenset({JobState.RUNNING, JobState.FINISHING}) | _ENDS,
    JobState.RUNNING: frozenset({JobState.PAUSED, JobState.FINISHING}) | _ENDS,
    JobState.PAUSED: frozenset({JobState.RUNNING, JobState.FINISHING}) | _ENDS,
    JobState.FINISHING: _ENDS,
    JobState.COMPLETED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(),
}


def run_inline(events: Iterable[Event], on_event: Callable[[Event], None] | None = None) -> Any:
    """Run a job on this thread and return its result.

    Parameters
    ----------
    events
        What a job yields.
    on_event
        Called with every event, the last one included.

    Returns
    -------
    result
        Of the job's :class:`~.events.Done` event.

    Raises
    ------
    CancelledError
        If the job ended without a result.
    BaseException
        What a :class:`~.events.Failed` event carries, or what the job itself raises.
    """
    iterator = iter(events)
    try:
        for event in iterator:
            if on_event is not None:
                on_event(event)
            if isinstance(event, Done):
                return event.result
            if isinstance(event, Failed):
                raise event.error
    finally:
        _close(iterator)
    raise CancelledError("the job ended before it had a result; start it again")


class ThreadRunner:
    """One run of one job on a thread of its own.

    The callbacks come on that thread: a window hands them over to its main thread. Make a
    new runner for a new run; :attr:`generation` tells answers of an older one apart.

    Parameters
    ----------
    job
        Called on the thread with the run's cancel token.
    on_event
        Called with every event.
    on_state
        Called with every new state.
    name
        Of the thread.
    """

    def __init__(
        self,
        job: Job,
        *,
        on_event: Callable[[Event], None] | None = None,
        on_state: Callable[[JobState], None] | None = None,
        name: str = "job",
    ) -> None:
        self.cancel_token = CancelToken()
        self.generation = next(_numbers)
        self._job = job
        self._on_event = on_event
        self._on_state = on_state
        self._changed = threading.Condition(threading.RLock())
        self._state = JobState.IDLE
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"nsg-{name}-{self.generation}", daemon=True
        )
        self.cancel_token.on_cancel(self._wake)

    @property
    def state(self) -> JobState:
        """Return where the job is."""
        with self._changed:
            return self._state

    @property
    def result(self) -> Any:
        """Return the result; None until there is one."""
        return self._result

    @property
    def error(self) -> BaseException | None:
        """Return what went wrong; None if nothing did."""
        return self._error

    def start(self) -> ThreadRunner:
        """Start the run and return the runner.

        Raises
        ------
        RuntimeError
            If it was started or cancelled before.
        """
        with self._changed:
            if self._state is not JobState.IDLE:
                raise RuntimeError(
                    f"this run is {self._state.value}; make a new ThreadRunner for another run"
                )
            self._go(JobState.PREPARING)
        self._thread.start()
        return self

    def pause(self) -> bool:
        """Hold the job after its current event; return whether it was running."""
        return self._swap(JobState.RUNNING, JobState.PAUSED)

    def resume(self) -> bool:
        """Let a paused job go on; return whether it was paused."""
        return self._swap(JobState.PAUSED, JobState.RUNNING)

    def cancel(self) -> None:
        """Ask the job to stop; what it has computed stays in :attr:`result`."""
        self.cancel_token.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the run; return whether it came within ``timeout`` [s]."""
        with self._changed:
            over = self._changed.wait_for(lambda: self._state.is_final, timeout)
        if over and self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return over

    def _run(self) -> None:
        iterator: Iterator[Event] = iter(())
        end = JobState.FAILED
        try:
            iterator = iter(self._job(self.cancel_token))
            end = self._drain(iterator)
        except CancelledError:
            end = JobState.CANCELLED
        except Exception as error:  # noqa: BLE001  the job boundary: logged and reported
            _log.error("a job failed", exc_info=error)
            self._error = error
            self._report_failure(Failed(error, traceback.format_exc()))
        finally:
            try:
                _close(iterator)
            finally:
                self._go(end)

    def _drain(self, iterator: Iterator[Event]) -> JobState:
        deadline = float("inf")
        for event in iterator:
            self._swap(JobState.PREPARING, JobState.RUNNING)
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Done):
                self._result = event.result
                self._go(JobState.FINISHING)
            if self._on_event is not None:
                self._on_event(event)
            if isinstance(event, Done):
                return JobState.CANCELLED if event.is_cancelled else JobState.COMPLETED
            if self.cancel_token.is_cancelled:
                deadline = min(deadline, time.monotonic() + SECONDS_AFTER_CANCEL)
                if time.monotonic() >= deadline:
                    _log.warning("a cancelled job went on for long; it was closed by force")
                    break
            self._hold()
        if not self.cancel_token.is_cancelled:
            _log.warning("a job ended without a result and without being cancelled")
        return JobState.CANCELLED

    def _hold(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._state is not JobState.PAUSED or self.cancel_token.is_cancelled
            )

    def _report_failure(self, event: Failed) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001  the job boundary: a broken listener hides no end
            _log.exception("the listener of a failed job failed too")

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
            if self._state is JobState.IDLE:
                self._go(JobState.CANCELLED)
                return
        self._swap(JobState.RUNNING, JobState.FINISHING)
        self._swap(JobState.PAUSED, JobState.FINISHING)

    def _swap(self, old: JobState, new: JobState) -> bool:
        with self._changed:
            if self._state is not old:
                return False
            self._go(new)
            return True

    def _go(self, new: JobState) -> None:
        with self._changed:
            if self._state is new:
                return
            if new not in _NEXT[self._state]:
                raise RuntimeError(f"a job can't go from {self._state.value} to {new.value}")
            self._state = new
            self._changed.notify_all()  # they wake when the lock is free: after the callback
            if self._on_state is not None:
                self._on_state(new)


def _close(iterator: Iterator[Event]) -> None:
    if isinstance(iterator, Generator):
        iterator.close()
