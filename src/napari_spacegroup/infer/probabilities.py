"""Probabilities whose sums are exact, whatever the order of addition.

A map is summed up a hierarchy of symmetry levels, merged from chunks in any order, saved
and read again. All of that stays identical bit for bit because each probability is a
multiple of 2⁻²⁴: such numbers, and all their sums up to 1, are exact in float32. The
price, an absolute rounding of 3e-8, is far below any calibration error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRAIN = 2.0**-24
"""The unit that every stored probability is a multiple of."""

SUM_TOLERANCE = 1e-2
"""How far from 1 the sum of a network's probabilities may be: half precision gives 1e-3."""


def exact_probabilities(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return probabilities that are multiples of 2⁻²⁴ and sum to exactly 1.

    Each row is divided by its sum and rounded; what rounding left over goes to the
    largest entry. Doing it twice changes nothing.

    Parameters
    ----------
    values
        Shape ``(n, class)``, not negative, each row with a positive sum.

    Returns
    -------
    probabilities
        Shape ``(n, class)``, float32.
    """
    wide = values.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    grains = np.rint(wide / GRAIN).astype(np.int64)
    left = round(1 / GRAIN) - grains.sum(axis=1)
    grains[np.arange(len(grains)), grains.argmax(axis=1)] += left
    return (grains * GRAIN).astype(np.float32)


def normalised_entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the entropy along the last axis, as a share of its largest value.

    ``-Σ p log₂p / log₂n`` with entropy in bits and n classes: 0 where one class has it
    all, 1 where all are alike. A single class leaves no doubt: 0.

    Parameters
    ----------
    probabilities
        Shape ``(..., class)``, sum 1.

    Returns
    -------
    entropy
        Shape ``(...)``, float32, 0 to 1.

    References
    ----------
    Shannon (1948), Bell Syst. Tech. J. 27, 379.
    """
    n_class = probabilities.shape[-1]
    if n_class < 2:
        return np.zeros(probabilities.shape[:-1], np.float32)
    wide = probabilities.astype(np.float64)
    bits = -(wide * np.log2(np.where(wide > 0, wide, 1.0))).sum(axis=-1)
    result: NDArray[np.float32] = np.clip(bits / np.log2(n_class), 0.0, 1.0).astype(np.float32)
    return result
