"""Scores that tell the truth about a classifier, in numpy and torch alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that makes probabilities true on held-out structures.

    Parameters
    ----------
    logits
        Shape ``(n, class)``.
    labels
        Index of the true class, shape ``(n,)``.

    References
    ----------
    Guo et al. (2017), arXiv:1706.04599.
    """
    candidates = torch.logspace(-0.7, 0.9, 161)
    losses = [functional.cross_entropy(logits / t, labels).item() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def expected_calibration_error(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = 15
) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins.

    Parameters
    ----------
    confidence
        Probability of the chosen class, shape ``(n,)``.
    is_right
        Whether it was the true one, shape ``(n,)``.
    bins
        Number of bins over 0 to 1.

    References
    ----------
    Naeini et al. (2015), AAAI, 2901-2907.
    """
    index = np.clip((confidence * bins).astype(int), 0, bins - 1)
    error = 0.0
    for k in range(bins):
        here = index == k
        if here.any():
            error += here.mean() * abs(confidence[here].mean() - is_right[here].mean())
    return float(error)


def coverage_risk(
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    coverages: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
) -> tuple[tuple[float, float], ...]:
    """Return the error rate of the most confident share of the patterns.

    Returns
    -------
    curve
        Pairs (coverage, risk).
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~is_right[order])
    points = []
    for coverage in coverages:
        count = max(1, round(coverage * len(order)))
        points.append((coverage, float(wrong[count - 1] / count)))
    return tuple(points)


def balanced_accuracy(truth: NDArray[np.int64], is_right: NDArray[np.bool_]) -> float:
    """Return the accuracy averaged over the true classes."""
    return float(np.mean([is_right[truth == k].mean() for k in np.unique(truth)]))
