"""Where work runs: here, on a thread, or on dask workers, with the same events and results.

An executor does two things. :meth:`Executor.run` streams the events of one job in order;
:meth:`Executor.spread` runs one function over many pieces and gives the answers in the
order of the pieces, whatever order they arrive in.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeAlias

from ..errors import SpecError
from .cancel import CancelToken
from .events import Done, Event, Failed
from .task import Priority, Task
from .turns import TURNS, PoliteToken, Turns

_log = logging.getLogger(__name__)

SCHEDULER_VARIABLE = "NAPARI_SPACEGROUP_SCHEDULER"
"""Environment variable with the address of a dask scheduler."""

CAPACITY = 64
"""Events that may wait between a job and whoever listens; a faster job waits."""

LOOK_SECONDS = 0.05

Kind: TypeAlias = Literal["inline", "thread", "dask"]


class Executor(Protocol):
    """Something that runs jobs."""

    @property
    def shares_memory(self) -> bool:
        """Return whether jobs see the caller's objects themselves."""
        ...

    def open(self) -> None:
        """Make sure that there is something to run on, before any work is done."""
        ...

    def run(self, task: Task, cancel: CancelToken | None = None) -> Iterator[Event]:
        """Run a job and stream its events.

        The last event is ``Done`` or ``Failed``, unless the job was cancelled before it
        had anything. Closing the iterator cancels the job.
        """
        ...

    def spread(
        self,
        function: Callable[..., Any],
        pieces: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        priority: Priority = Priority.BATCH,
        cancel: CancelToken | None = None,
    ) -> Iterator[Any]:
        """Return ``function(*shared, *piece)`` for each piece, in their order.

        Ends early on cancel. Pieces are drawn as they are needed, a bounded number ahead.
        """
        ...

    def close(self) -> None:
        """End what the executor started; calling twice is harmless."""
        ...


class InlineExecutor:
    """Runs jobs on the caller's thread, between the events it asks for."""

    shares_memory = True

    def open(self) -> None:
        """Do nothing: this process is here."""

    def run(self, task: Task, cancel: CancelToken | None = None) -> Iterator[Event]:
        """Run a job and stream its events; see :class:`Executor`."""
        token = CancelToken() if cancel is None else cancel
        yield from _until_end(task.function(*task.arguments, cancel=token, **task.options))

    def spread(
        self,
        function: Callable[..., Any],
        pieces: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        priority: Priority = Priority.BATCH,  # noqa: ARG002
        cancel: CancelToken | None = None,
    ) -> Iterator[Any]:
        """Run a function over pieces; see :class:`Executor`."""
        for piece in pieces:
            if cancel is not None and cancel.is_cancelled:
                return
            yield function(*shared, *piece)

    def close(self) -> None:
        """Do nothing."""


class ThreadExecutor(InlineExecutor):
    """Runs each job on a thread of its own; jobs take turns at the device.

    Parameters
    ----------
    turns
        The line before the device; this process's own if not given.
    """

    def __init__(self, turns: Turns = TURNS) -> None:
        self._turns = turns

    def run(self, task: Task, cancel: CancelToken | None = None) -> Iterator[Event]:
        """Run a job on a thread and stream its events; see :class:`Executor`."""
        token = PoliteToken(self._turns, task.priority) if task.uses_device else CancelToken()
        asked = CancelToken() if cancel is None else cancel
        forget = asked.on_cancel(token.cancel)
        token.pause_with(asked)
        events: queue.Queue[Event | None] = queue.Queue(CAPACITY)
        closed = threading.Event()
        thread = threading.Thread(
            target=_feed, args=(task, token, events, closed), name=f"nsg-{task.name}", daemon=True
        )
        thread.start()
        try:
            while (event := events.get()) is not None:
                yield event
        finally:
            closed.set()
            forget()
            token.cancel()
            with suppress(queue.Empty):  # room for the job's last word
                while True:
                    events.get_nowait()
            if thread is not threading.current_thread():
                thread.join(10.0)


def _feed(
    task: Task,
    token: CancelToken,
    events: queue.Queue[Event | None],
    closed: threading.Event,
) -> None:
    def put(event: Event | None) -> None:
        while not closed.is_set():
            try:
                events.put(event, block=False)
            except queue.Full:
                # A slow listener must not keep the device from others.
                token.rest()
                closed.wait(LOOK_SECONDS)
            else:
                return

    try:
        for event in perform(task, token):
            put(event)
    finally:
        if isinstance(token, PoliteToken):
            token.leave()
        put(None)


def perform(task: Task, token: CancelToken, *, is_again: bool = False) -> Iterator[Event]:
    """Run a job here, its exceptions turned into a last ``Failed`` event.

    Parameters
    ----------
    task
        The job.
    token
        Its cancel token.
    is_again
        Whether this is another try after a worker died.

    Yields
    ------
    event
        Up to the job's ``Done`` or ``Failed``.
    """
    options = dict(task.options)
    if is_again:
        options.update(task.again or {})
    try:
        yield from _until_end(task.function(*task.arguments, cancel=token, **options))
    except Exception as error:  # noqa: BLE001  the job boundary: logged and reported
        _log.error("the job %r failed", task.name, exc_info=error)
        yield Failed(error, traceback.format_exc())


def _until_end(events: Iterable[Event]) -> Iterator[Event]:
    iterator = iter(events)
    try:
        for event in iterator:
            yield event
            if isinstance(event, Done | Failed):
                return
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def as_executor(
    executor: Executor | Kind | None = None, scheduler: str | None = None
) -> tuple[Executor, bool]:
    """Return the executor that a caller means.

    Parameters
    ----------
    executor
        One, or its kind: ``"inline"``, ``"thread"`` or ``"dask"`` (one local worker).
    scheduler
        Address of a dask scheduler, ``tcp://…`` or ``tls://…``; without both, the one in
        the environment variable ``NAPARI_SPACEGROUP_SCHEDULER``, else inline.

    Returns
    -------
    executor
        Ready to run.
    is_ours
        Whether it was made here, for the caller to close.

    Raises
    ------
    SpecError
        If the kind is unknown, or both an executor and a scheduler are given.
    """
    if executor is not None and scheduler is not None and executor != "dask":
        raise SpecError(
            f"got the executor {executor!r} and the scheduler {scheduler!r}; give one of them"
        )
    if executor is not None and not isinstance(executor, str):
        return executor, False
    if executor == "inline":
        return InlineExecutor(), True
    if executor == "thread":
        return ThreadExecutor(), True
    address = scheduler or os.environ.get(SCHEDULER_VARIABLE) or None
    if executor is None and address is None:
        return InlineExecutor(), True
    if executor not in (None, "dask"):
        raise SpecError(f"no executor {executor!r}; choose inline, thread or dask")
    from .dask_executor import DaskExecutor

    return DaskExecutor(address), True
