"""``train``: a spec, and what it names to train on, give a model directory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..config import BaseTrainSpec, read_train_spec
from ..errors import CancelledError, ModelError
from ..jobs import CancelToken, Done, Event, Executor, Failed, Log, Priority, Progress, Task
from ..jobs.executor import Kind, as_executor
from ..learn import (
    TrainDone,
    TrainEvent,
    TrainStep,
    UnlabelledScan,
    Validation,
    train_events,
)
from ..learn.train import CHECKPOINT_NAME
from ..models import Model, load_model
from ..patterns import PatternScan, read

log = logging.getLogger(__name__)


def train(
    spec: BaseTrainSpec | str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    executor: Executor | Kind | None = None,
    scheduler: str | None = None,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """Train a network and return it as a model, saved in ``out``.

    Parameters
    ----------
    spec
        A spec of any technique, or the YAML file of one.
    out
        Folder for the model and its checkpoints.
    resume
        Go on from the checkpoint in ``out``, if there is one.
    executor, scheduler
        Where it runs; see :func:`napari_spacegroup.jobs.as_executor`. ``out`` and the files
        of the spec lie where the worker sees them under the same paths. A worker that dies
        is replaced, and training goes on from its last checkpoint.
    cancel
        Ends training after the present batch and keeps what is learnt.
    on_event
        Called with ``Progress`` and ``Log`` events.

    Raises
    ------
    SpecError
        If the YAML is no valid spec.
    ModelError
        If a class has no structure, or the checkpoint is of another network.
    """
    if not isinstance(spec, BaseTrainSpec):
        spec = read_train_spec(spec)
    chosen, is_ours = as_executor(executor, scheduler)
    out = Path(out).absolute()
    try:
        task = training_task(spec, out, resume=resume, gives_model=chosen.shares_memory)
        for event in chosen.run(task, cancel):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Done):
                model: Model = event.result if chosen.shares_memory else load_model(out)
                return model
            _tell(event, on_event)
    finally:
        if is_ours:
            chosen.close()
    raise CancelledError("training ended before there was a model; start it again")


def training_task(
    spec: BaseTrainSpec, out: Path, *, resume: bool = False, gives_model: bool = False
) -> Task:
    """Return training as a job that any executor can run, and run again from a checkpoint."""
    return Task(
        training_events,
        (spec, out),
        {"resume": resume, "gives_model": gives_model},
        name="train",
        priority=Priority.TRAIN,
        again={"resume": True},
    )


def training_events(
    spec: BaseTrainSpec,
    out: Path,
    *,
    cancel: CancelToken,
    resume: bool,
    gives_model: bool = False,
    report_every: int = 50,
) -> Iterator[Any]:
    """Train, and tell what happens.

    Parameters
    ----------
    spec, out, resume, cancel
        As for :func:`~napari_spacegroup.learn.train_events`. Without ``resume`` an older
        checkpoint is set aside, so that a worker that dies early does not go on from it.
    gives_model
        Whether ``Done`` holds the model, or None: it lies in ``out`` anyway.
    report_every
        Steps between two :class:`~napari_spacegroup.learn.TrainStep` events.

    Yields
    ------
    event
        :class:`~napari_spacegroup.learn.TrainStep` and
        :class:`~napari_spacegroup.learn.Validation`, and a ``Done``.
    """
    checkpoint = out / CHECKPOINT_NAME
    if not resume and checkpoint.exists():
        checkpoint.replace(checkpoint.with_stem("checkpoint.before"))
    _use_all_threads()
    unlabelled = unlabelled_scans(spec)
    for event in train_events(
        spec, out, resume=resume, cancel=cancel, unlabelled=unlabelled, report_every=report_every
    ):
        if isinstance(event, TrainDone):
            yield Done(event.model if gives_model else None, is_cancelled=event.is_cancelled)
        else:
            yield event


def unlabelled_scans(spec: BaseTrainSpec) -> list[UnlabelledScan]:
    """Return what the scans hold that training takes along without labels.

    Raises
    ------
    ScanError
        If one can't be read.
    ModelError
        If one is of another technique.
    """
    asked = spec.unlabelled
    if asked is None:
        return []
    found = []
    for path in asked.scans:
        scan = read(path, wavelength=asked.wavelength)
        if scan.technique not in ("unknown", spec.technique):
            raise ModelError(
                f"{path} holds {scan.technique} patterns and the model is for {spec.technique}; "
                "choose a scan of the same technique"
            )
        center = None if scan.geometry is None else scan.geometry.pattern_center
        found.append(
            UnlabelledScan(
                _patterns(scan, asked.most),
                scan.static_background,
                scan.detect_mask() if scan.mask is None else scan.mask,
                scan.axis,
                None if center is None else center.reshape(-1, 3).mean(0),
                str(path),
            )
        )
    return found


def _patterns(scan: PatternScan, most: int) -> NDArray[Any]:
    """Return all patterns of a scan, or as many as asked for, spread over it."""
    if scan.n_patterns > most or scan.present is not None:
        return scan.sample(min(most, scan.n_patterns))
    return np.concatenate([part for _, part in scan.batches(1024)])


def _use_all_threads() -> None:
    """Undo what a simulation may have left behind in this worker: torch on one thread."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdigit() and torch.get_num_threads() < int(allowed):
        torch.set_num_threads(int(allowed))


def _tell(event: TrainEvent | Event, on_event: Callable[[Event], None] | None) -> None:
    told: Event
    if isinstance(event, TrainStep):
        words = f"loss {event.loss:.3f}, accuracy {event.accuracy:.3f}"
        log.info("step %d: %s, plane %.3f", event.step, words, event.plane_loss)
        told = Progress(event.step, event.steps, words)
    elif isinstance(event, Validation):
        words = f"step {event.step}: held-out structures {event.accuracy:.1%}"
        log.info("%s", words)
        told = Log(words)
    elif isinstance(event, Log | Progress):
        told = event
    else:
        return
    if on_event is not None:
        on_event(told)
