"""``evaluate``: how often a model is right, on crystals or scans of known symmetry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..crystal.phase import Phase
from ..errors import ModelError, PhaseError, ScanError, SpecError
from ..jobs import CancelToken, Done, Event
from ..models import Model, load_model
from .answers import Answers, score
from .evaluate_ebsd import classify_set, evaluation_spec, simulate_set, simulated_ebsd
from .evaluate_powder import simulated_powder
from .evaluate_sad import simulated_sad
from .provenance import provenance

if TYPE_CHECKING:
    from ..simulate.detector import Condition

OnEvent = Callable[[Event], None]

SIMULATED = {"ebsd": simulated_ebsd, "powder": simulated_powder, "sad": simulated_sad}
"""By technique, what simulates patterns of phases and asks the model about them.

Each takes model, phases, condition, patterns of each phase, seed, batch size, workers,
cancel token and event callback, and returns the answers and what the report says of how
the patterns were made.
"""


def _ignore(event: Event) -> None:
    del event


def evaluate(
    model: Model | str | Path,
    *,
    phases: str | Path | Sequence[Phase] | None = None,
    scan: Any = None,
    truth: int | None = None,
    condition: Condition = "standard",
    patterns_per_phase: int = 200,
    thick_share: float = 0.0,
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
        A folder of CIF files, or phases: patterns of each are simulated and classified; for
        EBSD dynamical ones, at 15, 20 and 25 kV, for SAD kinematic ones (see ``thick_share``).
    scan, truth
        Measured patterns of one phase and its space group; instead of ``phases``.
    condition
        ``clean``, ``standard`` or ``hard``; see ``docs/conventions.md``.
    patterns_per_phase
        Simulated patterns of each phase.
    thick_share
        Share of spot patterns of crystals 100 to 1000 Å thick, by Bloch waves; SAD alone.
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
        If neither or both of phases and scan are given, or thick crystals where no spot
        patterns are simulated.
    PhaseError
        If the folder holds no CIF, or one can't be used.
    ModelError
        If there is no such model, or nothing simulates patterns of its technique.
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
        technique = loaded.card.technique
        if technique not in SIMULATED:
            raise ModelError(
                f"no simulated patterns for {technique} yet; give a scan and its truth instead"
            )
        simulated = SIMULATED[technique]
        if thick_share > 0:
            if technique != "sad":
                raise SpecError(
                    f"thick_share is {thick_share} for {technique}; it belongs to spot patterns"
                )
            simulated = partial(simulated_sad, thick_share=thick_share)
        answers, how = simulated(
            loaded, crystals, condition, patterns_per_phase, seed, batch_size, workers, cancel,
            tell,
        )  # fmt: skip
        made |= {"kind": "simulated", "condition": condition,
                 "patterns_per_phase": patterns_per_phase, **how}  # fmt: skip
    else:
        if truth is None or not 1 <= truth <= 230:
            raise SpecError(f"a scan needs truth, a space-group number 1 to 230; got {truth}")
        answers = _measured(loaded, scan, truth, device, batch_size, cancel, tell)
        made |= {"kind": "measured"}
    report = score(answers, loaded.card)
    report["made"] = made | provenance()
    return report


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
