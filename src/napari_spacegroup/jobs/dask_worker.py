"""The worker's side of a job on dask: run it, send its events, notice a cancel.

Events go through a bounded ``distributed.Queue`` on the scheduler, many in one message, so
that neither a quick job floods the scheduler nor a slow listener fills its memory, and so
that what was sent outlives the worker. Two threads stand beside the job: one sends, one
listens for the cancel.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import WorkerLostError
from .cancel import CancelToken
from .events import Event, Failed
from .executor import CAPACITY, perform
from .task import Task
from .turns import TURNS, PoliteToken

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05
"""How long events gather before they are sent."""

LISTEN_SECONDS = 0.25
"""How long one look for a cancel lasts, after which comes one for a pause; a cancel ends it at
once."""

MESSAGES = 16
"""Messages that may wait on the scheduler before the job is held."""

MESSAGE_BYTES = 4 * 2**20
"""Where a message is closed although more events wait."""


@dataclass(frozen=True, eq=False)
class Begun:
    """A job starts on a worker.

    Parameters
    ----------
    is_again
        Whether it was started before, by a worker that died.
    """

    is_again: bool


def stop_name(channel: str) -> str:
    """Return the name of the event that cancels a job."""
    return f"{channel}-stop"


def pause_name(channel: str) -> str:
    """Return the name of the event that is up while a job is paused."""
    return f"{channel}-pause"


def begun_name(channel: str) -> str:
    """Return the name of the event that says that a job was started before."""
    return f"{channel}-begun"


def pack(value: Any) -> bytes:
    """Return a value as bytes for a worker.

    dask packs what it is given too, but a worker that can't unpack that (a module that it
    lacks) breaks down, and the job waits for ever.
    """
    import cloudpickle  # type: ignore[import-untyped]

    packed: bytes = cloudpickle.dumps(value)
    return packed


def unpack(packed: bytes) -> Any:
    """Return the value that :func:`pack` packed."""
    import cloudpickle

    return cloudpickle.loads(packed)


def run_on_worker(packed: bytes, name: str, channel: str) -> None:
    """Run a job in a dask task and send its events; raises nothing.

    Parameters
    ----------
    packed
        The :class:`~.task.Task`.
    name
        Of the job.
    channel
        Name of the queue that the client reads.
    """
    from distributed import Event as Flag
    from distributed import get_client, get_worker, secede

    worker, client = get_worker(), get_client()
    task = _unpack_task(packed, name)
    begun = Flag(begun_name(channel), client=client)
    is_again = begun.is_set()
    begun.set()
    # A thread of the pool is no place for hours of work: let the pool have another one.
    key = worker.get_current_task()
    secede()
    token = PoliteToken(TURNS, task.priority) if task.uses_device else CancelToken()
    outbox = Outbox(client, channel)
    over = threading.Event()
    listener = threading.Thread(
        target=_listen, args=(worker, client, key, channel, token, over), daemon=True,
        name="nsg-cancel",
    )  # fmt: skip
    listener.start()
    try:
        outbox.send(Begun(is_again))
        if is_again and task.again is None:
            outbox.send(
                Failed(
                    WorkerLostError(
                        f"the worker that ran {task.name!r} died, and this job can't go on from "
                        "where it was; look at the memory of the worker, then start it again"
                    )
                )
            )
            return
        for event in perform(task, token, is_again=is_again):
            if not outbox.send(event, before_waiting=token.rest):
                token.cancel()
    finally:
        if isinstance(token, PoliteToken):
            token.leave()
        over.set()
        outbox.close()
        try:
            stopped = Flag(stop_name(channel), client=client)
            stopped.set()
            listener.join(4 * LISTEN_SECONDS)
            paused = Flag(pause_name(channel), client=client)
            for flag in (stopped, begun, paused):  # the scheduler forgets flags that are down
                flag.clear()
        except OSError as error:
            _log.warning("the scheduler is gone: %s", error)


def _unpack_task(packed: bytes, name: str) -> Task:
    try:
        task: Task = unpack(packed)
    except Exception as error:  # noqa: BLE001  unpickling runs anybody's code
        return Task(_cannot_start, (f"{type(error).__name__}: {error}",), name=name)
    return task


def _cannot_start(why: str, *, cancel: CancelToken) -> Iterator[Event]:
    del cancel
    yield Failed(
        WorkerLostError(
            f"the worker can't start the job ({why}); it needs the same versions of this package "
            "and of Python as here"
        )
    )


def run_piece(packed: bytes, *shared: Any) -> Any:
    """Return ``function(*shared, *piece)`` of a packed ``(function, piece)``."""
    function, piece = unpack(packed)
    return function(*shared, *piece)


class Outbox:
    """Sends events from a thread of its own, many in a message, in order.

    Parameters
    ----------
    client
        The worker's client.
    channel
        Name of the queue.
    """

    def __init__(self, client: Any, channel: str) -> None:
        from distributed import Queue

        self._queue = Queue(channel, client=client, maxsize=MESSAGES)
        self._changed = threading.Condition()
        self._events: list[bytes] = []
        self._is_closing = False
        self._is_lost = False
        self._thread = threading.Thread(target=self._run, name="nsg-outbox", daemon=True)
        self._thread.start()

    def send(self, event: Event | Begun, before_waiting: Callable[[], None] | None = None) -> bool:
        """Queue an event, waiting while too many wait; return False if nobody listens."""
        packed = _pack_event(event)
        with self._changed:
            if len(self._events) >= CAPACITY and before_waiting is not None:
                before_waiting()
            self._changed.wait_for(lambda: len(self._events) < CAPACITY or self._is_lost)
            if self._is_lost:
                return False
            self._events.append(packed)
            self._changed.notify_all()
        return True

    def close(self, timeout: float = 60.0) -> None:
        """Send what waits and end the thread, within ``timeout`` [s]."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        self._queue.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._is_closing)
                if not self._events:
                    return
            if not self._is_closing:
                time.sleep(FLUSH_SECONDS)
            with self._changed:
                count, size = 0, 0
                while count < len(self._events) and (count == 0 or size < MESSAGE_BYTES):
                    size += len(self._events[count])
                    count += 1
                message, self._events = self._events[:count], self._events[count:]
                self._changed.notify_all()
            try:
                self._queue.put(message)
            except Exception as error:  # noqa: BLE001  whatever it is, nobody listens any more
                _log.warning("events can't be sent any more: %s", error)
                with self._changed:
                    self._is_lost = True
                    self._events.clear()
                    self._changed.notify_all()
                return


def _pack_event(event: Event | Begun) -> bytes:
    try:
        packed = pack(event)
    except Exception as error:
        if not isinstance(event, Failed):
            raise
        _log.warning("an error can't be sent as it is: %s", error)
        words = f"{type(event.error).__name__}: {event.error}"
        packed = pack(Failed(RuntimeError(words), event.traceback))
    return packed


def _listen(
    worker: Any,
    client: Any,
    key: str,
    channel: str,
    token: CancelToken,
    over: threading.Event,
) -> None:
    """Pass on a pause, and a cancel, also if nobody wants the result or no scheduler is left."""
    from distributed import Event as Flag

    stop = Flag(stop_name(channel), client=client)
    pause = Flag(pause_name(channel), client=client)
    while not over.is_set():
        try:
            if stop.wait(timeout=LISTEN_SECONDS):
                token.cancel()
                return
            (token.pause if pause.is_set() else token.resume)()
            state = worker.state.tasks.get(key)
            if state is None or state.state in ("cancelled", "released"):
                _log.info("nobody waits for %s any more; stopping it", key)
                token.cancel()
                return
        except Exception as error:  # noqa: BLE001  any failure means that the scheduler is gone
            if not over.is_set():
                _log.warning("the scheduler can't be asked any more (%s); stopping", error)
            token.cancel()
            return
