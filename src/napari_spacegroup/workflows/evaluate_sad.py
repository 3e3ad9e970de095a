"""Simulated spot patterns for ``evaluate``: kinematic or of thick crystals, at any orientation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import SpotRangeSpec, sad_condition
from ..crystal.phase import Phase
from ..errors import CancelledError
from ..jobs import CancelToken, Event, Progress
from ..models import Model
from .answers import Answers

if TYPE_CHECKING:
    from ..config import ConditionName
    from ..simulate.atoms import CrystalAtoms
    from ..simulate.reflections import Reflections

G_MAX = 1.3
"""Longest reciprocal vector that is simulated [1/Å]: the corners of the picture see farther,
where little is left of any reflection."""

CHUNK = 64

OnEvent = Callable[[Event], None]


def simulated_sad(
    model: Model,
    crystals: Sequence[Phase],
    condition: ConditionName,
    patterns_per_phase: int,
    seed: int,
    batch_size: int,
    workers: int | None,
    cancel: CancelToken,
    tell: OnEvent,
    *,
    thick_share: float = 0.0,
) -> tuple[Answers, dict[str, Any]]:
    """Return a model's answers to simulated spot patterns of phases, and how they were made."""
    del batch_size, workers  # spot patterns are drawn in chunks of their own, on one core
    from ..simulate.atoms import CrystalAtoms
    from ..simulate.reflections import simulate_reflections

    asked = sad_condition(condition).replace(thick_share=thick_share)
    reflections = [simulate_reflections(phase, G_MAX) for phase in crystals]
    atoms = [CrystalAtoms.from_phase(phase) for phase in crystals] if thick_share > 0 else ()
    answers = classify_reflections(
        model, reflections, asked, patterns_per_phase, seed, atoms=atoms, cancel=cancel, tell=tell
    )
    simulator = "kinematic, Lobato factors, Gaussian relrods"
    if thick_share > 0:
        simulator += f"; {thick_share:.0%} thick crystals by Bloch waves"
    return answers, {"g_max_per_angstrom": G_MAX, "range": asked.model_dump(mode="json"),
                     "simulator": simulator}  # fmt: skip


def classify_reflections(
    model: Model,
    crystals: Sequence[Reflections],
    asked: SpotRangeSpec,
    patterns_per_crystal: int,
    seed: int,
    *,
    atoms: Sequence[CrystalAtoms | None] = (),
    cancel: CancelToken | None = None,
    tell: OnEvent | None = None,
) -> Answers:
    """Return a model's answers to patterns drawn from lists of reflections.

    Parameters
    ----------
    model
        For spot patterns.
    crystals
        Whose patterns, ``patterns_per_crystal`` of each in turn.
    asked
        The range of everything else.
    seed
        Of all random numbers.
    atoms
        One per crystal, for the Bloch waves of thick ones.
    """
    import torch

    from ..simulate.spot_patterns import draw_patterns

    generator = torch.Generator().manual_seed(seed)
    order = np.repeat(np.arange(len(crystals)), patterns_per_crystal)
    found = []
    for start in range(0, len(order), CHUNK):
        if cancel is not None and cancel.is_cancelled:
            raise CancelledError("the evaluation was cancelled while classifying")
        part = order[start : start + CHUNK]
        with torch.no_grad():
            patterns = draw_patterns(
                [crystals[int(i)] for i in part], asked, generator,
                atoms=[atoms[int(i)] for i in part] if atoms else (),
            )  # fmt: skip
        found.append(model.predict(patterns))
        if tell is not None:
            tell(Progress(start + len(part), len(order), "classifying"))
    names = tuple(crystals[int(i)].record.name for i in order)
    truth = np.array([crystals[int(i)].record.space_group for i in order], dtype=np.int64)
    return Answers(names, truth, np.concatenate(found))


__all__ = ["classify_reflections", "simulated_sad"]
