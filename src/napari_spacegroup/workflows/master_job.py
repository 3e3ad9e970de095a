"""One master pattern as a job for any executor: from the cache, or simulated with progress."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from ..config.master import DynamicalSpec, KinematicSpec
from ..crystal.phase import Phase
from ..errors import CancelledError
from ..jobs import CancelToken, Done, Event, Failed, Priority, Progress, Task
from ..simulate import MasterCache, MasterPattern

LOOK_SECONDS = 0.05


def master_task(phase: Phase, spec: KinematicSpec | DynamicalSpec, *, device: str = "cpu") -> Task:
    """Return the simulation of one master pattern as a job for any executor."""
    return Task(
        master_events, (phase, spec), {"device": device}, name="master", priority=Priority.BATCH
    )


def master_events(
    phase: Phase,
    spec: KinematicSpec | DynamicalSpec,
    *,
    cancel: CancelToken,
    device: str = "cpu",
) -> Iterator[Event]:
    """Simulate a master pattern and tell how far it is.

    Parameters
    ----------
    phase
        The crystal.
    spec
        How to simulate.
    cancel
        Ends the job at once; the energy under way is finished unheard.
    device
        A torch device, for the dynamical simulator.

    Yields
    ------
    event
        ``Progress`` in energies, then ``Done`` with the
        :class:`~napari_spacegroup.simulate.MasterPattern` (None if cancelled), or ``Failed``.
    """
    yield Progress(0, 0, "Looking for a stored master pattern")
    cache = MasterCache()
    master = cache.get(phase, spec)
    if master is not None:
        yield Done(master)
        return
    bins = spec.energy_bins if isinstance(spec, DynamicalSpec) else 1
    yield Progress(0, bins, f"Simulating {phase.name}")
    answers: queue.Queue[tuple[int, int] | MasterPattern | Exception] = queue.Queue()

    def on_progress(done: int, total: int) -> None:
        if cancel.is_cancelled:
            raise CancelledError("the simulation was cancelled")
        answers.put((done, total))

    def work() -> None:
        try:
            answers.put(cache.fetch(phase, spec, device=device, on_progress=on_progress))
        except Exception as error:  # noqa: BLE001 - job boundary: reported, never lost
            answers.put(error)

    threading.Thread(target=work, name="master-simulation", daemon=True).start()
    while True:
        if cancel.is_cancelled:
            yield Done(None, is_cancelled=True)
            return
        try:
            answer = answers.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        if isinstance(answer, tuple):
            done, total = answer
            yield Progress(done, total, f"Simulating {phase.name}")
        elif isinstance(answer, CancelledError):
            yield Done(None, is_cancelled=True)
            return
        elif isinstance(answer, Exception):
            yield Failed(answer)
            return
        else:
            yield Done(answer)
            return
