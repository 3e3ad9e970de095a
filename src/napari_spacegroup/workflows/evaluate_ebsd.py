"""Simulated EBSD patterns for ``evaluate``: dynamical, at three voltages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import DynamicalSpec
from ..crystal.phase import Phase
from ..errors import CancelledError, ModelError, PhaseError
from ..imaging import InputContract
from ..jobs import CancelToken, Event, Progress
from ..models import Model
from .answers import Answers

if TYPE_CHECKING:
    from ..learn.masterset import MasterSet
    from ..simulate.detector import Condition

VOLTAGES = (15.0, 20.0, 25.0)
"""Beam energies [kV] that the simulated patterns of a phase are spread over."""

OnEvent = Callable[[Event], None]


def picture_contract(model: Model) -> InputContract:
    """Return what a model expects of an EBSD pattern.

    Raises
    ------
    ModelError
        If it is for something else.
    """
    if not isinstance(model.card.input, InputContract):
        raise ModelError(
            f"the model {model.name!r} is for {model.card.technique}; choose one for ebsd"
        )
    return model.card.input


def evaluation_spec(phase: Phase, voltage: float) -> DynamicalSpec:
    """Return how finely a phase is simulated for 60 x 60 pixels.

    The larger the cell, the denser its reflections and the coarser the smallest spacing
    that still matters at this resolution; ``docs/convergence.md`` has the measurements.
    """
    edge = phase.volume ** (1 / 3)
    if edge < 5:
        fineness = {"d_min": 0.5, "half_size": 72, "max_strong": 60.0}
    elif edge < 7:
        fineness = {"d_min": 0.55, "half_size": 72, "max_strong": 60.0}
    elif edge < 9.2:
        fineness = {"d_min": 0.65, "half_size": 66, "max_strong": 60.0}
    else:
        fineness = {"d_min": 0.8, "half_size": 60, "max_strong": 60.0}
    return DynamicalSpec.from_mapping(
        {"voltage": voltage, "energy_bins": 1, "electrons": 20_000, **fineness}
    )


def _simulator_provenance(crystals: Sequence[Phase]) -> dict[str, Any]:
    specs = [evaluation_spec(p, 20.0).model_dump(mode="json") for p in crystals]
    unique = {str(s["d_min"]): s for s in specs}
    return {"specs_at_20_kV": list(unique.values())}


def simulate_set(
    crystals: Sequence[Phase],
    *,
    workers: int | None = None,
    cancel: CancelToken | None = None,
    on_event: OnEvent | None = None,
) -> MasterSet:
    """Return master patterns of phases at the voltages of an evaluation, phase by phase.

    Raises
    ------
    PhaseError
        If a phase can't be simulated.
    CancelledError
        If cancelled before the end.
    """
    from ..learn.masterset import MasterRecord, MasterSet
    from ..simulate import MasterCache, MasterFailed, MasterReady, simulate_many
    from ..simulate.many import local_client

    cancel = CancelToken() if cancel is None else cancel
    cache = MasterCache()
    arrays: dict[tuple[int, float], NDArray[np.float32]] = {}
    groups: dict[str, list[int]] = {}
    for index, phase in enumerate(crystals):
        groups.setdefault(evaluation_spec(phase, 20.0).model_dump_json(), []).append(index)
    total = len(crystals) * len(VOLTAGES)
    with ExitStack() as stack:
        client = None
        # Starting processes costs more than a few small phases do.
        if workers != 1 and total > 3 * len(VOLTAGES):
            client = stack.enter_context(local_client(workers))
        for members, voltage in itertools.product(groups.values(), VOLTAGES):
            spec = evaluation_spec(crystals[members[0]], voltage)
            chosen = [crystals[i] for i in members]
            for event in simulate_many(
                chosen, spec, client=client, scheduler="synchronous", cache=cache, cancel=cancel
            ):
                if isinstance(event, MasterFailed):
                    raise PhaseError(
                        f"{event.phase_name} could not be simulated: {event.error}; "
                        "take its CIF out of the folder or mend it"
                    ) from event.error
                if isinstance(event, MasterReady):
                    arrays[members[event.index], voltage] = event.master.weighted()
                    if on_event is not None:
                        on_event(Progress(len(arrays), total, f"simulating {spec.voltage:g} kV"))
            if cancel.is_cancelled:
                raise CancelledError("the evaluation was cancelled while simulating")
    order = [(i, v) for i in range(len(crystals)) for v in VOLTAGES]
    records = [
        MasterRecord(crystals[i].name, crystals[i].space_group, energy=v, voltage=v)
        for i, v in order
    ]
    return MasterSet.from_arrays([arrays[key] for key in order], records)


def simulated_ebsd(
    model: Model,
    crystals: Sequence[Phase],
    condition: Condition,
    patterns_per_phase: int,
    seed: int,
    batch_size: int,
    workers: int | None,
    cancel: CancelToken,
    tell: OnEvent,
) -> tuple[Answers, dict[str, Any]]:
    """Return a model's answers to simulated EBSD patterns of phases, and how they were made."""
    masters = simulate_set(crystals, workers=workers, cancel=cancel, on_event=tell)
    answers = classify_set(
        model, masters, condition, patterns_per_phase, seed, batch_size, len(VOLTAGES), cancel,
        tell,
    )  # fmt: skip
    return answers, {"voltages_kV": list(VOLTAGES), "simulator": _simulator_provenance(crystals)}


def classify_set(
    model: Model,
    masters: MasterSet,
    condition: Condition,
    patterns_per_phase: int,
    seed: int,
    batch_size: int = 256,
    per_phase: int = 1,
    cancel: CancelToken | None = None,
    tell: OnEvent | None = None,
) -> Answers:
    """Return a model's answers to patterns drawn from master patterns.

    Parameters
    ----------
    masters
        ``per_phase`` consecutive patterns belong to one phase, which shares its patterns
        out among them.
    """
    import torch

    from ..learn.batches import condition_batch

    generator = torch.Generator().manual_seed(seed)
    counts = [
        patterns_per_phase // per_phase + (k < patterns_per_phase % per_phase)
        for k in range(per_phase)
    ]
    repeats = torch.tensor(counts * (len(masters) // per_phase))
    indices = torch.arange(len(masters)).repeat_interleave(repeats)
    found = []
    for part in indices.split(batch_size):
        if cancel is not None and cancel.is_cancelled:
            raise CancelledError("the evaluation was cancelled while classifying")
        batch = condition_batch(masters, part, condition, picture_contract(model), generator)
        centers = batch.geometry.pattern_center.to(model.device)
        found.append(model.probabilities(batch.inputs.to(model.device), centers).cpu().numpy())
        if tell is not None:
            tell(Progress(sum(map(len, found)), len(indices), "classifying"))
    names = tuple(masters.records[int(i)].name for i in indices)
    return Answers(names, masters.space_groups[indices.numpy()], np.concatenate(found))
