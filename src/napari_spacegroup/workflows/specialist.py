"""A specialist model in one go: from a few phases to a trained, checked model.

Three stages of one job: simulate master patterns (kept in the cache, so that a phase is
simulated once), train on them, and hold the answers against the truth. The dock *Train*
runs it in the worker process.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..config import TrainSpec
from ..config.master import DynamicalSpec, KinematicSpec
from ..crystal.phase import Phase
from ..errors import PhaseError
from ..infer.whole_file import whole_file
from ..jobs import CancelToken, Done, Event, Log, Priority, Progress, Task
from ..learn import MasterSet, TrainStep, Validation, condition_batch
from ..learn.train import CHECKPOINT_NAME
from ..models import Model, load_model
from ..simulate import MasterCache, MasterFailed, simulate_many
from .evaluate_ebsd import picture_contract
from .simulate_phases import as_master_set
from .train_model import training_events

log = logging.getLogger(__name__)

MASTERS_NAME = "masters.npz"
"""Where the simulated master patterns of a model lie, in its folder."""

PATTERNS_PER_STRUCTURE = 48
"""Of the confusion matrix."""

REPORT_EVERY = 5
"""Steps between two points of the curves."""


class Stage(enum.Enum):
    """What a specialist's job is at."""

    SIMULATE = "simulate"
    TRAIN = "train"
    CHECK = "check"


@dataclass(frozen=True)
class StageBegun:
    """A stage begins."""

    stage: Stage


@dataclass(frozen=True, eq=False)
class Confusion:
    """Answers against the truth, patterns of the standard condition.

    Parameters
    ----------
    classes
        Space groups, in the order of both axes.
    counts
        Patterns of each true class (row) that were given each class (column).
    is_held_out
        Whether the structures were kept out of training; else they are those trained on,
        at new orientations.
    """

    classes: tuple[int, ...]
    counts: NDArray[np.int64]
    is_held_out: bool

    @property
    def accuracy(self) -> float:
        """Return the share of right answers, mean over the classes that occur."""
        totals = self.counts.sum(axis=1)
        present = totals > 0
        return float((self.counts.diagonal()[present] / totals[present]).mean())


@dataclass(frozen=True, eq=False)
class SpecialistRequest:
    """What a specialist is made from.

    Parameters
    ----------
    out
        Folder of the model.
    spec
        How to train; its ``masters`` are used where there are no phases.
    phases
        To simulate; none takes the stored master patterns of ``spec``.
    master
        How to simulate.
    """

    out: Path
    spec: TrainSpec
    phases: tuple[Phase, ...] = ()
    master: KinematicSpec | DynamicalSpec = field(default_factory=KinematicSpec)


SpecialistEvent = Event | TrainStep | Validation | StageBegun | Confusion


def specialist_task(request: SpecialistRequest, *, resume: bool = False) -> Task:
    """Return the making of a specialist as a job for any executor."""
    return Task(
        specialist_events,
        (request,),
        {"resume": resume},
        name="specialist",
        priority=Priority.TRAIN,
        again={"resume": True},
    )


def can_resume(folder: Path) -> bool:
    """Return whether training was begun in a folder and can go on."""
    return (folder / CHECKPOINT_NAME).is_file()


def specialist_events(
    request: SpecialistRequest, *, cancel: CancelToken, resume: bool = False
) -> Iterator[SpecialistEvent]:
    """Simulate, train and check, and tell what happens.

    Parameters
    ----------
    request
        What to make.
    cancel
        Ends the stage after its present batch; a model trained so far is kept.
    resume
        Go on from the checkpoint in the folder.

    Yields
    ------
    event
        :class:`StageBegun`, then what the stage tells; a :class:`Confusion` at the end, and
        ``Done`` with the folder, or with None where there is no model yet.

    Raises
    ------
    PhaseError
        If a phase can't be simulated.
    ModelError
        If training refuses the phases, or the checkpoint is of another network.
    """
    spec, out = request.spec, request.out
    out.mkdir(parents=True, exist_ok=True)
    if request.phases:
        stored = out / MASTERS_NAME
        yield StageBegun(Stage.SIMULATE)
        if not (resume and stored.is_file()):
            yield from _simulate(request, stored, cancel)
        if cancel.is_cancelled:
            yield Done(None, is_cancelled=True)
            return
        spec = spec.replace(masters=(stored,))
    yield StageBegun(Stage.TRAIN)
    is_cancelled = False
    events = training_events(spec, out, resume=resume, cancel=cancel, report_every=REPORT_EVERY)
    for event in events:
        if isinstance(event, Done):
            is_cancelled = event.is_cancelled
        else:
            yield event
    yield StageBegun(Stage.CHECK)
    yield confusion(load_model(out), MasterSet.load(spec.masters))
    yield Done(out, is_cancelled=is_cancelled)


def confusion(model: Model, masters: MasterSet, *, seed: int = 3) -> Confusion:
    """Return how a model answers to simulated patterns of known structures.

    Parameters
    ----------
    model
        Trained on ``masters``; its card says which of them were held out.
    masters
        Where the patterns are drawn from.
    seed
        Of orientations, geometries and noise.
    """
    held = {(r["name"], r["space_group"]) for r in model.card.training.get("held_out", ())}
    known = [i for i, r in enumerate(masters.records) if r.space_group in model.classes]
    kept_out = [
        i for i in known if (masters.records[i].name, masters.records[i].space_group) in held
    ]
    chosen = masters.subset(kept_out or known)
    generator = torch.Generator().manual_seed(seed)
    indices = torch.arange(len(chosen)).repeat_interleave(PATTERNS_PER_STRUCTURE)
    counts = np.zeros((len(model.classes), len(model.classes)), np.int64)
    for part in indices.split(256):
        batch = condition_batch(chosen, part, "standard", picture_contract(model), generator)
        found = model.probabilities(
            batch.inputs.to(model.device), batch.geometry.pattern_center.to(model.device)
        )
        answers = found.argmax(-1).cpu().tolist()
        for index, answer in zip(part.tolist(), answers, strict=True):
            counts[model.classes.index(int(chosen.space_groups[index])), answer] += 1
    return Confusion(model.classes, counts, bool(kept_out))


def _simulate(
    request: SpecialistRequest, stored: Path, cancel: CancelToken
) -> Iterator[SpecialistEvent]:
    results: list[Any] = []
    device = "cpu" if request.spec.device == "auto" else request.spec.device
    events = simulate_many(
        request.phases,
        request.master,
        scheduler="synchronous",
        device=device,
        cache=MasterCache(),
        cancel=cancel,
    )
    for event in events:
        if isinstance(event, MasterFailed):
            raise PhaseError(
                f"{event.phase_name} could not be simulated: {event.error}; leave it out or "
                "mend its CIF"
            )
        if isinstance(event, Progress):
            yield event
        elif isinstance(event, Done):
            results = list(event.result)
    if cancel.is_cancelled:
        return
    with whole_file(stored) as file:
        as_master_set(results, request.master.voltage).save(file)
    yield Log(f"{len(results)} master patterns simulated")
