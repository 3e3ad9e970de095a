"""What a model said about patterns of known symmetry, and how good that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.levels import LEVELS, aggregate, level_index
from ..learn.metrics import balanced_accuracy, coverage_risk, expected_calibration_error
from ..models import ModelCard


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
    # A class counts as among the five likeliest if fewer than five are likelier.
    index = np.searchsorted(classes, truth).clip(0, len(classes) - 1)
    own = np.where(classes[index] == truth, probabilities[np.arange(len(truth)), index], -1.0)
    top_5 = (own >= 0) & ((probabilities > own[:, None]).sum(1) < 5)
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
        "top_5": float(top_5.mean()),
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
