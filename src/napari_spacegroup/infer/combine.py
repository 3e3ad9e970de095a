"""Joint evidence of several patterns of one crystal.

Two rules. The *mean* of probabilities is the one of the paper on zone axes (RSC Adv. 2021, 11,
38307): one pattern that names four groups and one that names a single group give it 62.5 %. It
never becomes sure. *Bayes* multiplies what each pattern says over the prior; it is as good as the
probabilities are calibrated, and patterns of one crystal are less than independent: what misleads
in one misleads in the next. So n patterns count as ``1 + (n - 1) r`` independent ones, with an
independence ``r`` from 0 to 1; a single pattern always counts as itself.
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
    if method == "mean":
        steps = np.cumsum(each, axis=0) / np.arange(1, len(each) + 1)[:, None]
    else:
        sure = (1 - error_share) * each + error_share * before
        gain = np.cumsum(np.log(sure / np.maximum(before, 1e-300)), axis=0)
        count = np.arange(1, len(each) + 1)[:, None]
        weight = (1 + (count - 1) * independence) / count
        total = np.log(np.maximum(before, 1e-300)) + weight * gain
        steps = np.exp(total - total.max(axis=1, keepdims=True))
    steps = steps / steps.sum(axis=1, keepdims=True)
    titles = tuple(names) if names is not None else tuple(f"pattern {i}" for i in range(len(each)))
    return CombinedEvidence(tuple(classes), titles, each, steps, before, method)


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
