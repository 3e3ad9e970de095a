"""``evaluate``: how often a model is right, on crystals or scans of known symmetry."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import DynamicalSpec
from ..crystal.levels import LEVELS, aggregate, level_index
from ..crystal.phase import Phase
from ..errors import CancelledError, PhaseError, ScanError, SpecError
from ..jobs import CancelToken, Done, Event, Progress
from ..learn.metrics import balanced_accuracy, coverage_risk, expected_calibration_error
from ..models import Model, ModelCard, load_model
from .provenance import provenance

if TYPE_CHECKING:
    from ..learn.masterset import MasterSet
    from ..simulate.detector import Condition

VOLTAGES = (15.0, 20.0, 25.0)
"""Beam energies [kV] that the simulated patterns of a phase are spread over."""

OnEvent = Callable[[Event], None]


def _ignore(event: Event) -> None:
    del event


@dataclass(frozen=True)
class Answers:
    """What a model said about patterns of known space group.

    Parameters
    ----------
    names
        Which phase or scan each pattern shows.
    truth
        Space group of each, shape ``(n,)``.
    probabilities
        Shape ``(n, class)``.
    """

    names: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def evaluate(
    model: Model | str | Path,
    *,
    phases: str | Path | Sequence[Phase] | None = None,
    scan: Any = None,
    truth: int | None = None,
    condition: Condition = "standard",
    patterns_per_phase: int = 200,
    seed: int = 0,
    device: str | None = None,
    batch_size: int = 256,
    workers: int | None = None,
    cancel: CancelToken | None = None,
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Return how well a model does, as a JSON-able report.

    Parameters
    ----------
    model
        A model, its bundled name, or its folder.
    phases
        A folder of CIF files, or phases: dynamical patterns of each are simulated at 15,
        20 and 25 kV and classified.
    scan, truth
        Measured patterns of one phase and its space group; instead of ``phases``.
    condition
        ``clean``, ``standard`` or ``hard``; see ``docs/conventions.md``.
    patterns_per_phase
        Simulated patterns of each phase.
    seed
        Of orientations, geometry and noise.
    device
        A torch device; none takes a GPU if there is one.
    batch_size
        Patterns in one pass.
    workers
        Phases simulated at the same time; none takes the number of cores.
    cancel
        Looked at between batches and phases.
    on_event
        Called with each ``Progress``.

    Returns
    -------
    report
        ``accuracy`` by level and for the equivalence set, ``per_phase``, ``per_class``,
        ``ece``, ``coverage_risk``, ``balanced_accuracy``, ``unknown_to_model`` (phases whose
        group is no class of the model: errors by definition), and how it was made.

    Raises
    ------
    SpecError
        If neither or both of phases and scan are given.
    PhaseError
        If the folder holds no CIF, or one can't be used.
    ScanError
        If the scan can't be read or has no pattern to classify.
    """
    cancel = CancelToken() if cancel is None else cancel
    tell: OnEvent = on_event or _ignore
    loaded = model if isinstance(model, Model) else load_model(model)
    loaded.to(device or "auto")
    if (phases is None) == (scan is None):
        raise SpecError("evaluate needs either phases or scan; give one of them")
    made: dict[str, Any] = {"model": loaded.name, "sha256": loaded.card.sha256, "seed": seed}
    if phases is not None:
        crystals = _phases(phases)
        answers = _simulated(
            loaded, crystals, condition, patterns_per_phase, seed, batch_size, workers, cancel,
            tell,
        )  # fmt: skip
        made |= {"kind": "simulated", "condition": condition, "voltages_kV": list(VOLTAGES),
                 "patterns_per_phase": patterns_per_phase,
                 "simulator": _simulator_provenance(crystals)}  # fmt: skip
    else:
        if truth is None or not 1 <= truth <= 230:
            raise SpecError(f"a scan needs truth, a space-group number 1 to 230; got {truth}")
        answers = _measured(loaded, scan, truth, device, batch_size, cancel, tell)
        made |= {"kind": "measured"}
    report = score(answers, loaded.card)
    report["made"] = made | provenance()
    return report


def score(answers: Answers, card: ModelCard) -> dict[str, Any]:
    """Return the report on a model's answers.

    Parameters
    ----------
    answers
        What it said.
    card
        Its card, for the classes and the equivalence sets.
    """
    classes = np.array(card.classes)
    truth, probabilities = answers.truth, answers.probabilities
    chosen = classes[probabilities.argmax(1)]
    confidence = probabilities.max(1).astype(np.float64)
    right: dict[str, NDArray[np.bool_]] = {}
    for level in LEVELS:
        indices, matrix = aggregate(card.classes, level)
        answer = np.array(indices)[(probabilities @ matrix).argmax(1)]
        wanted = np.array([level_index(int(g), level) for g in truth])
        right[level] = answer == wanted
    sets = {g: _set_of(g, card) for g in card.classes}
    right["equivalence_set"] = np.array(
        [int(t) in sets[int(c)] for t, c in zip(truth, chosen, strict=True)]
    )
    known = np.isin(truth, classes)
    names = np.array(answers.names)
    per_phase = {}
    for name in dict.fromkeys(answers.names):
        here = names == name
        row: dict[str, Any] = {key: float(hits[here].mean()) for key, hits in right.items()}
        values, counts = np.unique(chosen[here], return_counts=True)
        row |= {
            "n": int(here.sum()),
            "truth": int(truth[here][0]),
            "answers": {str(v): int(c) for v, c in zip(values, counts, strict=True)},
            "mean_confidence": float(confidence[here].mean()),
        }
        per_phase[name] = row
    hits = right["space_group"]
    per_class = {
        str(g): {
            "recall": _mean(hits[truth == g]),
            "precision": _mean(hits[chosen == g]),
            "n": int((truth == g).sum()),
        }
        for g in sorted({*card.classes, *truth.tolist()})
    }
    return {
        "accuracy": {key: float(right[key].mean()) for key in ("equivalence_set", *LEVELS)},
        "mean_set_size": float(np.mean([len(sets[int(c)]) for c in chosen])),
        "balanced_accuracy": balanced_accuracy(truth, hits),
        "ece": expected_calibration_error(confidence, hits),
        "coverage_risk": [{"coverage": c, "risk": r} for c, r in coverage_risk(confidence, hits)],
        "n": len(truth),
        "per_phase": per_phase,
        "per_class": per_class,
        "unknown_to_model": sorted(set(names[~known].tolist())),
    }


def _mean(hits: NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _set_of(group: int, card: ModelCard) -> frozenset[int]:
    members = {group}
    for equivalent in card.equivalence_sets:
        if group in equivalent:
            members.update(equivalent)
    return frozenset(members)


def _phases(given: str | Path | Sequence[Phase]) -> list[Phase]:
    if not isinstance(given, str | Path):
        return list(given)
    folder = Path(given)
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() == ".cif")
    if folder.is_file():
        files = [folder]
    if not files:
        raise PhaseError(f"no CIF file in {folder}; evaluate needs a folder with one CIF per phase")
    phases = [Phase.from_cif(file) for file in files]
    # The file name is how the user knows a phase; two files may hold one formula.
    return [replace(phase, name=file.stem) for phase, file in zip(phases, files, strict=True)]


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


def _simulated(
    model: Model,
    crystals: Sequence[Phase],
    condition: Condition,
    patterns_per_phase: int,
    seed: int,
    batch_size: int,
    workers: int | None,
    cancel: CancelToken,
    tell: OnEvent,
) -> Answers:
    masters = simulate_set(crystals, workers=workers, cancel=cancel, on_event=tell)
    return classify_set(
        model, masters, condition, patterns_per_phase, seed, batch_size, len(VOLTAGES), cancel,
        tell,
    )  # fmt: skip


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
        batch = condition_batch(masters, part, condition, model.card.input, generator)
        centers = batch.geometry.pattern_center.to(model.device)
        found.append(model.probabilities(batch.inputs.to(model.device), centers).cpu().numpy())
        if tell is not None:
            tell(Progress(sum(map(len, found)), len(indices), "classifying"))
    names = tuple(masters.records[int(i)].name for i in indices)
    return Answers(names, masters.space_groups[indices.numpy()], np.concatenate(found))


def _measured(
    model: Model,
    scan: Any,
    truth: int,
    device: str | None,
    batch_size: int,
    cancel: CancelToken,
    tell: OnEvent,
) -> Answers:
    from .classify_scan import as_scan, classify

    def passed(event: Event) -> None:
        if not isinstance(event, Done):
            tell(event)

    source = as_scan(scan)
    result = classify(
        source, model, device=device, batch_size=batch_size, cancel=cancel, on_event=passed
    )
    ok = np.asarray(result.status == 0)
    if not ok.any():
        raise ScanError(f"no pattern of {source.name!r} could be classified")
    probabilities = np.asarray(result.probabilities)[ok]
    count = len(probabilities)
    return Answers((source.name,) * count, np.full(count, truth, dtype=np.int64), probabilities)


__all__ = ["Answers", "classify_set", "evaluate", "evaluation_spec", "score",
           "simulate_set"]  # fmt: skip
