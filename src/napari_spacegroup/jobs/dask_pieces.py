"""One function over many pieces on dask workers, in order, whatever becomes of the workers."""

from __future__ import annotations

import logging
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

from ..errors import SchedulerLostError, WorkerLostError
from .cancel import CancelToken
from .dask_worker import pack, run_piece, unpack

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
"""How long an executor waits between two looks."""

GRACE_SECONDS = 3.0
"""How long a scheduler may be out of reach before the job is given up."""

LOOK_SECONDS = 1.0
"""How often the workers are counted while a piece is waited for."""

STALL_SECONDS = 8.0
"""How long dask has to do a piece again by itself after a worker died."""

ALONE_SECONDS = 120.0
"""How long a job waits for a worker when the last one died."""

TRIES = 5
"""How often a piece is handed over."""


class Watch:
    """Tells a hiccup of the connection from a scheduler that is gone.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._since: float | None = None
        self._identity = client.scheduler.addr if client.scheduler is not None else ""

    @property
    def is_connected(self) -> bool:
        """Return whether the scheduler can be talked to."""
        return bool(self._client.status == "running")

    def problem(self) -> SchedulerLostError | None:
        """Return what to raise, or None while all is well or may become so."""
        if self.is_connected:
            self._since = None
            return None
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since < GRACE_SECONDS and self._client.status != "closed":
            return None
        return SchedulerLostError(
            f"the dask scheduler at {self._identity} went away; what had arrived is kept: start "
            "the scheduler and its workers again, then the job (training: with resume)"
        )


class Company:
    """Tells a job whose last worker died, and never came back, that it waits in vain.

    A job that waits for its first worker may wait as long as a cluster's queue is.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._looked = 0.0
        self._seen: float | None = None

    def problem(self) -> WorkerLostError | None:
        """Return what to raise, or None; the workers are counted once a second."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        try:
            is_there = bool(workers_of(self._client))
        except OSError:  # the scheduler is out of reach, which a Watch judges
            return None
        if is_there:
            self._seen = now
        if self._seen is None or now - self._seen < ALONE_SECONDS:
            return None
        return died_alone()


def workers_of(client: Any) -> set[str]:
    """Return the addresses of the workers that the scheduler knows."""
    return set(client.scheduler_info(n_workers=-1)["workers"])


def died_alone() -> WorkerLostError:
    """Return the error of a job without workers."""
    return WorkerLostError(
        f"the last worker died and none came back within {ALONE_SECONDS:g} s; what had "
        "arrived is kept: start a worker, then the job again"
    )


@dataclass
class _Piece:
    """A piece and its tries; the first that has an answer counts."""

    number: int
    packed: bytes
    futures: list[Any] = field(default_factory=list)
    since: float = 0.0
    changed: threading.Event = field(default_factory=threading.Event)

    @property
    def is_pending(self) -> bool:
        return any(future.status == "pending" for future in self.futures)


class Pieces:
    """Hands pieces to dask workers and gives their answers in order.

    dask does the pieces of a dead worker again. Where it loses one (its scheduler took the
    key for cancelled, or waits for a worker that no longer knows of it), the piece is
    handed over once more under a new key, with the shared values, which may have died too.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    function
        Called with the shared values, then those of the piece.
    shared
        Sent to the workers once.
    options
        For every ``client.submit``: resources, priority.
    """

    def __init__(
        self,
        client: Any,
        function: Callable[..., Any],
        shared: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        self._client = client
        self._function = function
        self._shared = [pack(value) for value in shared]
        self._options = options | {"pure": False}
        self._group = f"nsg-{uuid.uuid4().hex}"
        self._held: list[Any] = []
        self._all_held: list[Any] = []
        self._rounds = 0
        self._watch = Watch(client)
        self._workers = workers_of(self._client)
        self._lost_at: float | None = None
        self._alone_since: float | None = None
        self._ahead: deque[_Piece] = deque()

    def run(self, pieces: Iterable[tuple[Any, ...]], token: CancelToken) -> Iterator[Any]:
        """Yield the answers in order; end early on cancel.

        Raises
        ------
        WorkerLostError
            If workers die again and again.
        SchedulerLostError
            If the scheduler goes away.
        """
        limit = sum(self._client.nthreads().values()) + 2
        iterator = enumerate(pieces)
        try:
            self._hold()
            while not token.is_cancelled:
                while len(self._ahead) < limit and (item := next(iterator, None)) is not None:
                    number, values = item
                    piece = _Piece(number, pack((self._function, values)))
                    self._ahead.append(piece)
                    self._hand_over(piece)
                if not self._ahead or not self._wait(self._ahead[0], token):
                    return
                finished = (f for f in self._ahead[0].futures if f.status == "finished")
                if (future := next(finished, None)) is None:
                    continue  # its worker died in this moment
                try:
                    answer = future.result(timeout=STALL_SECONDS)
                except (OSError, CancelledError) as error:  # on its way here: it is waited for
                    _log.info("an answer was lost on its way: %s", error)
                    time.sleep(POLL_SECONDS)
                    continue
                self._ahead.popleft()
                yield answer
        finally:
            if self._client.status == "running":
                tries = [future for piece in self._ahead for future in piece.futures]
                self._client.cancel([*tries, *self._all_held], force=True)

    def _wait(self, piece: _Piece, token: CancelToken) -> bool:
        """Wait for a piece; return False on cancel."""
        looked = time.monotonic()
        # One look at each status: it may change between two.
        while "finished" not in (statuses := {future.status for future in piece.futures}):
            if token.is_cancelled:
                return False
            if (lost := self._watch.problem()) is not None:
                raise lost
            if self._watch.is_connected:
                if "pending" not in statuses:
                    self._again_or_raise(piece)
                elif time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    self._look_after_workers()
            piece.changed.wait(POLL_SECONDS)
        return True

    def _again_or_raise(self, piece: _Piece) -> None:
        error = why_over(piece.futures[-1])
        if not isinstance(error, SchedulerLostError) or len(piece.futures) >= TRIES:
            raise error
        self._hold()
        self._hand_over(piece)

    def _look_after_workers(self) -> None:
        present = workers_of(self._client)
        now = time.monotonic()
        if not self._workers <= present:
            self._lost_at = now
        self._workers = present
        if present:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since > ALONE_SECONDS:
            raise died_alone()
        if self._lost_at is None or now - self._lost_at < STALL_SECONDS or not present:
            return
        stalled = [p for p in self._ahead if p.since <= self._lost_at and p.is_pending]
        self._lost_at = None
        if stalled:
            _log.info("a worker died and %d pieces wait still: again", len(stalled))
            self._hold()
        for piece in stalled:
            if len(piece.futures) < TRIES:
                self._hand_over(piece)

    def _hold(self) -> None:
        # Results of tasks, not scattered data: those would be lost with a worker.
        self._rounds += 1
        self._held = [
            self._submit(unpack, value, key=f"{self._group}-shared-{i}-{self._rounds}")
            for i, value in enumerate(self._shared)
        ]
        self._all_held += self._held

    def _hand_over(self, piece: _Piece) -> None:
        key = f"{self._group}-{piece.number}-{len(piece.futures)}"
        future = self._submit(run_piece, piece.packed, *self._held, key=key)
        piece.futures.append(future)
        piece.since = time.monotonic()
        piece.changed.clear()
        future.add_done_callback(lambda _: piece.changed.set())

    def _submit(self, function: Callable[..., Any], *arguments: Any, key: str) -> Any:
        with warnings.catch_warnings():
            # Patterns travel with their piece: that is what makes a lost one easy to do again.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._client.submit(function, *arguments, key=key, **self._options)


def why_over(future: Any) -> BaseException:
    """Return the error of a dask task that ended without its last event."""
    from distributed import KilledWorker

    if future.status in ("cancelled", "lost"):
        return SchedulerLostError(
            "the scheduler forgot this job, probably because it was started again; what had "
            "arrived is kept: start the job again"
        )
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return WorkerLostError(
            "the worker process died again and again during this job; its memory may be too "
            "small: use smaller batches, then start the job again"
        )
    if isinstance(error, BaseException):
        return error
    return WorkerLostError("the job ended on its worker without a result; start it again")
