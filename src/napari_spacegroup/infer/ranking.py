"""Which class leads at each pixel of a map, by how much, and which one is second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """First and second class of every pixel at one level; 0 where there is none.

    Parameters
    ----------
    best, second
        Labels, shape ``(n_pixel,)``, int16. Of equal probabilities the lower label leads.
    confidence
        Probability of the best, shape ``(n_pixel,)``, float32.
    """

    best: NDArray[np.int16]
    second: NDArray[np.int16]
    confidence: NDArray[np.float32]

    @classmethod
    def empty(cls, n_pixel: int) -> Ranking:
        """Return a ranking in which every pixel is unknown."""
        return cls(
            np.zeros(n_pixel, np.int16), np.zeros(n_pixel, np.int16), np.zeros(n_pixel, np.float32)
        )

    def update(
        self,
        indices: NDArray[np.integer],
        probabilities: NDArray[np.float32],
        aggregate: tuple[tuple[int, ...], NDArray[np.float32]],
    ) -> None:
        """Rank some pixels anew.

        Parameters
        ----------
        indices
            Which pixels, shape ``(n,)``.
        probabilities
            Over space groups, shape ``(n, class)``; an all-zero row has no class.
        aggregate
            Labels of the level and the matrix that sums up to it.
        """
        labels = np.array(aggregate[0], np.int16)
        sums = probabilities @ aggregate[1]
        rows = np.arange(len(sums))
        first = sums.argmax(axis=1)
        confidence = sums[rows, first]
        sums[rows, first] = -1.0
        second = sums.argmax(axis=1)
        has_second = sums[rows, second] > 0
        self.best[indices] = np.where(confidence > 0, labels[first], 0)
        self.confidence[indices] = confidence
        self.second[indices] = np.where(has_second, labels[second], 0)
