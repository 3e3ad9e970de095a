"""Simulated powder profiles for ``evaluate``: kinematic lines under a named condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..crystal.phase import Phase
from ..errors import CancelledError, ModelError
from ..imaging import ProfileContract
from ..jobs import CancelToken, Event, Progress
from ..models import Model
from ..simulate.diffractometer import ProfileRange, draw_profiles
from ..simulate.lines import lines_of_phase
from ..simulate.lineset import LineRecord, LineSet
from ..simulate.profile import DeviceLines
from .answers import Answers

if TYPE_CHECKING:
    from ..simulate.detector import Condition


def simulated_powder(
    model: Model,
    crystals: Sequence[Phase],
    condition: Condition,
    patterns_per_phase: int,
    seed: int,
    batch_size: int,
    workers: int | None,
    cancel: CancelToken,
    tell: Callable[[Event], None],
) -> tuple[Answers, dict[str, Any]]:
    """Return a model's answers to simulated profiles of phases, and how they were made."""
    del workers  # lines take milliseconds a phase
    contract = profile_contract(model)
    q_max = float(contract.edges()[-1])
    found = []
    for number, phase in enumerate(crystals):
        if cancel.is_cancelled:
            raise CancelledError("the evaluation was cancelled while simulating")
        found.append(lines_of_phase(phase, q_max))
        tell(Progress(number + 1, len(crystals), "simulating"))
    lines = LineSet.from_lines(
        found, [p.space_group for p in crystals], [LineRecord(p.name) for p in crystals]
    )
    chosen = np.repeat(np.arange(len(crystals)), patterns_per_phase)
    answers = classify_lines(model, lines, chosen, condition, seed, batch_size, cancel, tell)
    scope = ProfileRange.of(condition, contract.radiation)
    return answers, {"simulator": {"structure_factors": "kinematic, IT92 or Sears 1992",
                                   "range": scope.model_dump(mode="json")}}  # fmt: skip


def classify_lines(
    model: Model,
    lines: LineSet,
    chosen: np.ndarray[Any, Any],
    condition: str,
    seed: int,
    batch_size: int = 256,
    cancel: CancelToken | None = None,
    tell: Callable[[Event], None] | None = None,
) -> Answers:
    """Return a model's answers to profiles drawn from stored lines.

    Parameters
    ----------
    lines
        Crystals with records.
    chosen
        Crystal of each profile.
    condition
        ``clean``, ``standard`` or ``hard``.
    """
    contract = profile_contract(model)
    scope = ProfileRange.of(condition, contract.radiation)
    generator = torch.Generator().manual_seed(seed)
    device = DeviceLines(lines, contract.radiation, torch.device("cpu"))
    found = []
    for part in torch.as_tensor(chosen).split(min(batch_size, 256)):
        if cancel is not None and cancel.is_cancelled:
            raise CancelledError("the evaluation was cancelled while classifying")
        inputs = draw_profiles(device, part, scope, contract, generator)
        found.append(model.probabilities(inputs.to(model.device)).cpu().numpy())
        if tell is not None:
            tell(Progress(sum(map(len, found)), len(chosen), "classifying"))
    names = tuple(
        lines.records[int(i)].name if lines.records else f"crystal {int(i)}" for i in chosen
    )
    return Answers(names, lines.space_groups[chosen], np.concatenate(found))


def profile_contract(model: Model) -> ProfileContract:
    """Return what a model expects of a powder profile.

    Raises
    ------
    ModelError
        If it is for something else.
    """
    if not isinstance(model.card.input, ProfileContract):
        raise ModelError(
            f"the model {model.name!r} is for {model.card.technique}; choose one for powder"
        )
    return model.card.input
