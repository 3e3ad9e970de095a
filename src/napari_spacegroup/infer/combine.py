"""Joint evidence of several patterns of one crystal.

Two rules. The *mean* of probabilities is the one of the paper on zone axes (RSC Adv. 2021, 11,
38307): one pattern that names four groups and one that names a single group give it 62.5 %. It
never becomes sure. *Bayes* multiplies what each pattern says over the prior; it is as good as the
probabilities are calibrated, and patterns of one crystal are less than independent: what misleads
in one misleads in the next. So n patterns count as ``1 + (n - 1) r`` independent ones, with an
independence ``r`` from 0 to 1; a single pattern always counts as itself. Patterns of one *view*,
such as the pixels of a grain, show the same orientation again and again: their mean counts as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.combine import CombineMethod
from ..crystal.levels import Level, aggregate, level_names
from ..errors import ResultError


@dataclass(frozen=True, eq=False)
class CombinedEvidence:
    """What several patterns of one crystal say together.

    Parameters
    ----------
    classes
        Space groups, in the order of the probabilities.
    names
        One per pattern.
    each
        Of the patterns alone, shape ``(pattern, class)``.
    steps
        After the first pattern, the first two, and so on, shape ``(pattern, class)``.
    prior
        Before any pattern, shape ``(class,)``.
    method
        How they were joined.
    """

    classes: tuple[int, ...]
    names: tuple[str, ...]
    each: NDArray[np.float64]
    steps: NDArray[np.float64]
    prior: NDArray[np.float64]
    method: CombineMethod

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Return the joint probabilities, shape ``(class,)``, sum 1."""
        last: NDArray[np.float64] = self.steps[-1]
        return last

    def ranked(self, level: Level = "space_group") -> list[tuple[str, float]]:
        """Return the classes of a level with their probabilities, the likeliest first."""
        reached, matrix = aggregate(self.classes, level)
        sums = self.probabilities @ matrix
        names = level_names(level)
        pairs = [(names[index - 1], float(p)) for index, p in zip(reached, sums, strict=True)]
        return sorted(pairs, key=lambda pair: -pair[1])

    def shift(self) -> NDArray[np.float64]:
        """Return by how much each pattern moved each class, log₂ of the ratio, ``(n, class)``."""
        before = np.concatenate([self.prior[None], self.steps[:-1]])
        tiny = np.finfo(np.float64).tiny
        moved: NDArray[np.float64] = np.log2(
            np.maximum(self.steps, tiny) / np.maximum(before, tiny)
        )
        return moved


def combine_probabilities(
    probabilities: NDArray[np.floating],
    classes: Sequence[int],
    *,
    method: CombineMethod = "bayes",
    prior: NDArray[np.floating] | None = None,
    independence: float = 1.0,
    error_share: float = 0.01,
    names: Sequence[str] | None = None,
    views: Sequence[int] | None = None,
) -> CombinedEvidence:
    """Return the joint evidence of patterns of one crystal.

    Parameters
    ----------
    probabilities
        What the model says of each, calibrated, shape ``(pattern, class)``.
    classes
        Space groups.
    method
        ``"bayes"`` or ``"mean"``.
    prior
        That the model was trained with, shape ``(class,)``; even where None, as the training
        of this package is.
    independence
        What each further pattern adds, from 0 (the geometric mean) to 1 (independent); bayes
        alone.
    error_share
        Chance that an answer says nothing; bayes alone.
    names
        One per pattern.
    views
        A number per pattern; those with the same one show the same orientation. None where each
        is a view of its own.

    Raises
    ------
    ResultError
        If there is no pattern, or the shapes do not fit.

    Examples
    --------
    The paper's example: magnesium oxide's 225, [001] alone and with [103].

    >>> both = combine_probabilities(
    ...     np.array([[0.25, 0.25, 0.25, 0.25], [0, 1.0, 0, 0]]), (221, 225, 227, 229),
    ...     method="mean")
    >>> both.steps[0].tolist(), both.probabilities.tolist()
    ([0.25, 0.25, 0.25, 0.25], [0.125, 0.625, 0.125, 0.125])
    """
    each = np.asarray(probabilities, dtype=np.float64)
    if each.ndim != 2 or not len(each) or each.shape[1] != len(classes):
        raise ResultError(
            f"combine got probabilities of shape {each.shape} for {len(classes)} classes; need "
            "one row per pattern and at least one pattern"
        )
    even = np.full(len(classes), 1 / len(classes))
    before = even if prior is None else np.asarray(prior, dtype=np.float64)
    before = before / before.sum()
    shown = np.arange(len(each)) if views is None else np.asarray(views)
    if shown.shape != (len(each),):
        raise ResultError(f"combine got {len(shown)} views for {len(each)} patterns; need one each")
    if method == "mean":
        total, count = _by_view(each, shown)
        steps = total / count[:, None]
    else:
        sure = (1 - error_share) * each + error_share * before
        gain, count = _by_view(np.log(sure / np.maximum(before, 1e-300)), shown)
        weight = (1 + (count - 1) * independence) / count
        total = np.log(np.maximum(before, 1e-300)) + weight[:, None] * gain
        steps = np.exp(total - total.max(axis=1, keepdims=True))
    steps = steps / steps.sum(axis=1, keepdims=True)
    titles = tuple(names) if names is not None else tuple(f"pattern {i}" for i in range(len(each)))
    return CombinedEvidence(tuple(classes), titles, each, steps, before, method)


def _by_view(
    values: NDArray[np.float64], views: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return after each pattern the sum of the views' means, and how many views there are."""
    sums: dict[int, NDArray[np.float64]] = {}
    seen: dict[int, int] = {}
    total = np.zeros(values.shape[1])
    totals, counts = [], []
    for row, view in zip(values, views.tolist(), strict=True):
        before = sums.get(view)
        seen[view] = seen.get(view, 0) + 1
        sums[view] = row if before is None else before + (row - before) / seen[view]
        total = total + sums[view] - (0.0 if before is None else before)
        totals.append(total)
        counts.append(len(seen))
    return np.stack(totals), np.array(counts)


def fit_independence(
    groups: Sequence[NDArray[np.floating]], labels: Sequence[int], error_share: float = 0.01
) -> float:
    """Return the independence that fits crystals of known group best.

    Parameters
    ----------
    groups
        Probabilities of the patterns of each crystal, shapes ``(pattern, class)``.
    labels
        Index of the class of each crystal.
    error_share
        As in :func:`combine_probabilities`.
    """
    best, least = 1.0, np.inf
    for value in np.linspace(0.0, 1.0, 41):
        loss = 0.0
        for probabilities, label in zip(groups, labels, strict=True):
            joint = combine_probabilities(
                probabilities, range(probabilities.shape[1]), independence=float(value),
                error_share=error_share,
            ).probabilities  # fmt: skip
            loss -= float(np.log(max(joint[label], 1e-12)))
        if loss < least:
            best, least = float(value), loss
    return best
