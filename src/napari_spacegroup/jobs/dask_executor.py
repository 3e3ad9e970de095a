"""Jobs on dask workers: one local process that stays warm, or a cluster at an address.

The local scheduler lives in this process and listens on the loopback address alone, as
its worker does; there is no dashboard unless it is asked for. A remote scheduler is
reached as the user's dask configuration says, over TLS where that has it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError as AsyncCancelledError
from typing import Any

from ..errors import SchedulerLostError
from .cancel import CancelToken
from .dask_pieces import ALONE_SECONDS, POLL_SECONDS, Company, Pieces, Watch, why_over
from .dask_worker import MESSAGES, Begun, pack, pause_name, run_on_worker, stop_name
from .events import Done, Event, Failed, Log
from .task import Priority, Task

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0

CANCEL_SECONDS = 60.0
"""How long a cancelled job may take for its last batch before it is left behind."""

THREADS = 4
"""Threads of the local worker: live, classify and train at once; they share one device."""

GPU = "GPU"
"""Name of the dask resource that workers with a GPU announce."""

GPU_SHARE = 0.01
"""Of that resource: it chooses the worker; the turns in it choose the job."""

GIVING_WAY = f"{__package__}.giving_way"
"""What a local worker imports before all else to give way to the window; see there."""

SHORT_SPIN = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
"""How long threads of GNU's and Intel's OpenMP wait busily for each other.

By default milliseconds: beside a window and a microscope's own program, which want the cores
too, the threads of a network then spend most of the time waiting for one that is not running."""


class DaskExecutor:
    """Runs jobs on dask workers.

    Parameters
    ----------
    address
        Of a scheduler, ``tcp://…`` or ``tls://…``; None starts one worker here when the
        first job comes.
    workers
        Number of local processes.
    dashboard
        Whether the local scheduler shows dask's dashboard, on the loopback address.
    preload
        Modules that a local worker imports as soon as it is up, to be warm.
    gives_way
        Whether local workers run at a lower priority than this process and others: for programs
        with a window.

    Raises
    ------
    SchedulerLostError
        On first use, if there is no scheduler at the address.
    """

    shares_memory = False

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int = 1,
        dashboard: bool = False,
        preload: tuple[str, ...] = (),
        gives_way: bool = False,
    ) -> None:
        self.address = address
        self._workers = workers
        self._dashboard = dashboard
        self._preload = preload
        self._gives_way = gives_way
        self._lock = threading.Lock()
        self._cluster: Any = None
        self._client: Any = None

    @property
    def client(self) -> Any:
        """Return the ``distributed.Client``, connected; it starts the worker if need be."""
        with self._lock:
            if self._cluster is not None and not self._cluster.workers:
                # Its only worker died and could not start again: the next job gets another.
                self._cluster.close(timeout=5)
                self._client = self._cluster = None
            if self._client is None or self._client.status in ("closing", "closed"):
                self._connect()
            return self._client

    @property
    def is_warm(self) -> bool:
        """Return whether the worker runs already."""
        return self._client is not None

    def open(self) -> None:
        """Connect now, so that a scheduler that is not there is told before any work."""
        _ = self.client

    def close(self) -> None:
        """Leave the scheduler, and end it and its workers where they were started here."""
        with self._lock:
            client, self._client = self._client, None
            cluster, self._cluster = self._cluster, None
        if client is not None:
            client.close(timeout=5)
        if cluster is not None:
            cluster.close(timeout=10)

    def run(self, task: Task, cancel: CancelToken | None = None) -> Iterator[Event]:
        """Run a job on a worker and stream its events; see :class:`~.executor.Executor`.

        A worker that dies is told as a ``Log`` event where the job goes on by itself. The
        last event is a ``Failed`` with a :class:`WorkerLostError` or a
        :class:`SchedulerLostError` where it does not.
        """
        from distributed import Event as Flag
        from distributed import Queue

        token = CancelToken() if cancel is None else cancel
        client = self.client
        channel = f"nsg-{task.name}-{uuid.uuid4().hex}"
        inbox = Queue(channel, client=client, maxsize=MESSAGES)
        future = client.submit(
            run_on_worker, pack(task), task.name, channel, key=f"{channel}-run", pure=False,
            priority=int(task.priority), resources=self._resources(client, task.uses_device),
        )  # fmt: skip
        is_over = False
        try:
            for event in self._events(client, inbox, channel, future, token):
                is_over = isinstance(event, Done | Failed)
                yield event
                if is_over:
                    return
        finally:
            if client.status == "running":
                if not is_over:
                    Flag(stop_name(channel), client=client).set()
                inbox.close()
                future.release()

    def _events(
        self, client: Any, inbox: Any, channel: str, future: Any, token: CancelToken
    ) -> Iterator[Event]:
        from distributed import Event as Flag
        from distributed.protocol.pickle import loads

        watch, company = Watch(client), Company(client)
        hurry = threading.Event()
        token.on_cancel(hurry.set)
        cancelled_at = 0.0
        pause, was_paused = Flag(pause_name(channel), client=client), False
        while True:
            if token.is_paused != was_paused and watch.is_connected:
                was_paused = not was_paused
                (pause.set if was_paused else pause.clear)()
            if token.is_cancelled and not cancelled_at and watch.is_connected:
                cancelled_at = time.monotonic()
                Flag(stop_name(channel), client=client).set()
            was_over = future.status != "pending"
            packed: list[bytes] = []
            if watch.is_connected:
                try:
                    # Without a timeout: the scheduler would log each one as an error.
                    packed = [piece for message in inbox.get(batch=True) for piece in message]
                except (OSError, RuntimeError, KeyError, AsyncCancelledError) as error:
                    _log.info("the scheduler does not answer: %s", error)
            for piece in packed:
                event = loads(piece)
                if not isinstance(event, Begun):
                    yield event
                elif event.is_again:
                    yield Log("The worker process died; its job was started again")
            if packed:
                continue
            if (lost := watch.problem()) is not None:
                yield Failed(lost)
                return
            if was_over and watch.is_connected:
                yield Failed(why_over(future))
                return
            if watch.is_connected and (alone := company.problem()) is not None:
                yield Failed(alone)
                return
            if cancelled_at and time.monotonic() - cancelled_at > CANCEL_SECONDS:
                return
            if cancelled_at:
                time.sleep(POLL_SECONDS)
            else:
                hurry.wait(POLL_SECONDS)

    def spread(
        self,
        function: Callable[..., Any],
        pieces: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        priority: Priority = Priority.BATCH,
        cancel: CancelToken | None = None,
    ) -> Iterator[Any]:
        """Run a function over pieces; see :class:`~.executor.Executor`.

        A piece whose worker died is done again, and no other unless dask loses it.

        Raises
        ------
        WorkerLostError
            If workers die again and again.
        SchedulerLostError
            If the scheduler goes away.
        """
        client = self.client
        options = {"resources": self._resources(client, True), "priority": int(priority)}
        token = CancelToken() if cancel is None else cancel
        yield from Pieces(client, function, shared, options).run(pieces, token)

    def _connect(self) -> None:
        from distributed import Client

        try:
            if self.address is not None:
                self._client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
                return
            self._cluster = self._cluster or self._start()
            self._client = Client(self._cluster, timeout=CONNECT_SECONDS, set_as_default=False)
        except (TypeError, RuntimeError) as error:  # what dask raises about TLS, or a late worker
            if self.address is None and self._cluster is None and "start" in str(error):
                raise SchedulerLostError(
                    f"the worker process did not start ({error}); where other programs take all "
                    "cores it may need longer than dask waits: try again, or run in this process"
                ) from error
            raise SchedulerLostError(
                f"can't connect to {self.address or 'the local worker'} as dask is configured "
                f"({error}); name the certificates in distributed.comm.tls: docs/executors.md"
            ) from error
        except (OSError, ValueError) as error:
            where = self.address or "this machine"
            raise SchedulerLostError(
                f"no dask scheduler at {where} ({error}); start one, or leave the address out "
                "to work on this machine"
            ) from error
        for module in self._preload:
            self._client.submit(_import, module, pure=False, key=f"nsg-preload-{module}")

    def _start(self) -> Any:
        import dask

        threads = str(max(1, (os.cpu_count() or 1) // self._workers))
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        kept = {name: os.environ.get(name, threads) for name in names}
        kept |= {name: os.environ.get(name, value) for name, value in SHORT_SPIN.items()}
        settings = {
            "distributed.scheduler.worker-ttl": None,
            # Its samples, a hundred a second, are for the dashboard.
            "distributed.worker.profile.enabled": self._dashboard,
            # In place of dask's own, whose MALLOC_TRIM_THRESHOLD_ gives memory back after every
            # tensor and takes it anew for the next one: networks run three times slower.
            "distributed.nanny.pre-spawn-environ": kept,
        }
        polite = [GIVING_WAY] if self._gives_way else []
        with dask.config.set(settings):
            return _patient_cluster()(
                n_workers=self._workers,
                threads_per_worker=THREADS,
                processes=True,
                host="127.0.0.1",
                # Port 0: 8787 may be taken, and the info pages listen somewhere anyway.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": self._dashboard},
                memory_limit=0,
                preload=[*dask.config.get("distributed.worker.preload"), *polite],
                env=kept,
                silence_logs=logging.ERROR,
            )

    def _resources(self, client: Any, uses_device: bool) -> dict[str, float]:
        """Return what makes dask choose a worker with a GPU, where workers announce one."""
        if self.address is None or not uses_device:
            return {}
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        announced = any(GPU in worker.get("resources", {}) for worker in workers)
        return {GPU: GPU_SHARE} if announced else {}


def _patient_cluster() -> Any:
    """Return a local cluster that gives a killed worker time to start again.

    dask's own gives it up for good after 15 s, in which a crowded machine does not import torch,
    and the job of the only worker then waits for ever.
    """
    import dask
    from distributed import LocalCluster

    class PatientCluster(LocalCluster):  # type: ignore[misc]
        def _update_worker_status(self, op: Any, msg: Any) -> None:
            with dask.config.set({"distributed.deploy.lost-worker-timeout": ALONE_SECONDS}):
                super()._update_worker_status(op, msg)

    return PatientCluster


def _import(module: str) -> None:
    from importlib import import_module

    import_module(module)
