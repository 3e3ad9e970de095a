"""Master patterns of many phases at a time, through dask, with progress and cancel.

Every phase is one task in a process of its own with single-threaded torch: the Bloch-wave
solver works on small matrices, on which several processes are quicker than several
threads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..errors import CancelledError, MissingPartError, SpaceGroupError
from ..jobs import CancelToken, Done, Progress
from .cache import MasterCache
from .masters import MasterPattern, simulate_master
from .spec import DynamicalSpec, KinematicSpec

if TYPE_CHECKING:
    from ..crystal.phase import Phase

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often a waiting job looks whether it was cancelled."""


@dataclass(frozen=True, eq=False)
class MasterReady:
    """One master pattern is done.

    Parameters
    ----------
    index
        Which phase of those asked for.
    master
        The pattern.
    is_cached
        Whether it came from the disk.
    """

    index: int
    master: MasterPattern
    is_cached: bool = False


@dataclass(frozen=True, eq=False)
class MasterFailed:
    """One phase could not be simulated; the others go on.

    Parameters
    ----------
    index
        Which phase of those asked for.
    phase_name
        Its name.
    error
        What went wrong.
    """

    index: int
    phase_name: str
    error: Exception


MasterEvent: TypeAlias = Progress | MasterReady | MasterFailed | Done


def simulate_many(
    phases: Sequence[Phase],
    spec: KinematicSpec | DynamicalSpec,
    *,
    client: Any = None,
    scheduler: Literal["processes", "synchronous"] = "processes",
    workers: int | None = None,
    device: str = "cpu",
    cache: MasterCache | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[MasterEvent]:
    """Simulate the master patterns of many phases, in the order in which they get ready.

    Parameters
    ----------
    phases
        The crystals.
    spec
        One for all.
    client
        A ``distributed.Client`` to work on (a cluster); it is left open.
    scheduler
        Without a client: ``processes`` starts dask workers on this machine and ends them
        at the end or on cancel; ``synchronous`` works here, one phase after another. A
        script that uses processes needs ``if __name__ == "__main__":``.
    workers
        Number of processes; the number of cores if not given.
    device
        A torch device, on each worker.
    cache
        Looked up before and filled after, by this process alone.
    cancel
        Looked at ten times a second. Workers started here are ended at once; on a
        client the tasks that have not started are withdrawn.

    Yields
    ------
    event
        :class:`MasterReady` or :class:`MasterFailed` for every phase, each followed by a
        ``Progress`` that counts phases, and a last ``Done`` whose result is the list of
        patterns in the order of ``phases``, with None for what failed or was cancelled.
    """
    cancel = CancelToken() if cancel is None else cancel
    results: list[MasterPattern | None] = [None] * len(phases)
    done = 0
    waiting: list[int] = []
    yield Progress(0, len(phases), "looking for stored master patterns")
    for index, phase in enumerate(phases):
        stored = cache.get(phase, spec) if cache is not None and not cancel.is_cancelled else None
        if stored is None:
            waiting.append(index)
            continue
        results[index] = stored
        done += 1
        yield MasterReady(index, stored, is_cached=True)
        yield Progress(done, len(phases), phase.name)
    if waiting and not cancel.is_cancelled:
        if client is None and scheduler == "synchronous":
            events = _here(phases, waiting, spec, device, cancel)
        else:
            events = _on_workers(phases, waiting, spec, device, cancel, client, workers)
        for event in events:
            done += 1
            if isinstance(event, MasterReady):
                results[event.index] = event.master
                if cache is not None:
                    cache.put(phases[event.index], spec, event.master)
            yield event
            yield Progress(done, len(phases), phases[event.index].name)
    yield Done(results, is_cancelled=cancel.is_cancelled)


def _here(
    phases: Sequence[Phase],
    waiting: list[int],
    spec: KinematicSpec | DynamicalSpec,
    device: str,
    cancel: CancelToken,
) -> Iterator[MasterReady | MasterFailed]:
    def look(done: int, total: int) -> None:
        del done, total
        cancel.raise_if_cancelled()

    for index in waiting:
        if cancel.is_cancelled:
            return
        try:
            master = simulate_master(phases[index], spec, device=device, on_progress=look)
        except CancelledError:
            return
        except MissingPartError:
            raise
        except (SpaceGroupError, ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
            log.warning("%s could not be simulated: %s", phases[index].name, error)
            yield MasterFailed(index, phases[index].name, error)
        else:
            yield MasterReady(index, master)


def _on_workers(
    phases: Sequence[Phase],
    waiting: list[int],
    spec: KinematicSpec | DynamicalSpec,
    device: str,
    cancel: CancelToken,
    client: Any,
    workers: int | None,
) -> Iterator[MasterReady | MasterFailed]:
    with ExitStack() as stack:
        if client is None:
            count = None if workers is None else min(workers, len(waiting))
            client = stack.enter_context(local_client(count))
        finished: Queue[Any] = Queue()
        futures: dict[Any, int] = {}
        for index in waiting:
            future = client.submit(_single_threaded, phases[index], spec, device, pure=False)
            futures[future] = index
            future.add_done_callback(finished.put)
        # Also when the caller drops this generator half way.
        stack.callback(lambda: client.cancel(list(futures), force=True))
        for _ in waiting:
            future = _next(finished, cancel)
            if future is None:
                return
            index = futures[future]
            error = future.exception()
            if error is None:
                yield MasterReady(index, future.result())
            elif isinstance(error, MissingPartError) or not isinstance(error, Exception):
                raise error
            else:
                log.warning("%s could not be simulated: %s", phases[index].name, error)
                yield MasterFailed(index, phases[index].name, error)


@contextmanager
def local_client(workers: int | None = None) -> Iterator[Any]:
    """Give a dask client on processes of this machine, which end with the block.

    Parameters
    ----------
    workers
        Number of single-threaded processes; the number of cores if not given.

    Yields
    ------
    client
        A ``distributed.Client``; nothing listens beyond the loopback address.
    """
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # Without an address dask wants port 8787, which another job may hold.
            dashboard_address="127.0.0.1:0",
            env={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _next(finished: Queue[Any], cancel: CancelToken) -> Any:
    while not cancel.is_cancelled:
        try:
            return finished.get(timeout=POLL_SECONDS)
        except Empty:
            continue
    return None


def _single_threaded(
    phase: Phase, spec: KinematicSpec | DynamicalSpec, device: str
) -> MasterPattern:
    import torch

    torch.set_num_threads(1)
    return simulate_master(phase, spec, device=device)
