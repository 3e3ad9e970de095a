"""Holding back what is whole and yet no pattern of its pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .judge import are_random, are_repeats
from .source import Withheld, WithheldReason


class Sifter:
    """Tells patterns from frames that were given twice and from random bytes.

    Parameters
    ----------
    withholds_repeats
        Whether a pattern that equals the one before it is withheld.
    """

    def __init__(self, withholds_repeats: bool = True) -> None:
        self.withholds_repeats = withholds_repeats
        self._before: NDArray[Any] | None = None

    def sift(
        self, pixels: NDArray[np.int64], patterns: NDArray[Any]
    ) -> tuple[NDArray[np.bool_], list[Withheld]]:
        """Return which patterns to deliver, and what is wrong with the others.

        Parameters
        ----------
        pixels
            Row-major pixel of each, -1 for none, shape ``(n,)``.
        patterns
            Shape ``(n, detector_y, detector_x)``, in the order in which they were taken.

        Returns
        -------
        keep
            Shape ``(n,)``.
        withheld
            One entry per pattern that is not kept.
        """
        withheld = []
        outside = pixels < 0
        repeats = np.zeros(len(pixels), dtype=bool)
        if self.withholds_repeats:
            repeats = are_repeats(patterns, self._before)
        random = are_random(patterns)
        if len(patterns):
            self._before = np.array(patterns[-1])
        for i in np.flatnonzero(outside | repeats | random).tolist():
            pixel = int(pixels[i])
            if outside[i]:
                reason = WithheldReason.DAMAGED
                words = "a pattern beyond the end of the scan; its size or order is not what it was"
            elif repeats[i]:
                reason = WithheldReason.REPEATED
                words = f"pixel {pixel} holds the pattern before it once more; it stays empty"
            else:
                reason = WithheldReason.RANDOM
                words = f"pixel {pixel} holds random bytes instead of a pattern; it stays empty"
            withheld.append(Withheld(pixel, reason, words))
        keep: NDArray[np.bool_] = ~(outside | repeats | random)
        return keep, withheld


def skipped(pixels: NDArray[np.int64]) -> list[Withheld]:
    """Return what to say about pixels that the writer passed."""
    words = "the pattern of pixel {} was skipped; it stays empty unless it comes late"
    return [Withheld(p, WithheldReason.SKIPPED, words.format(p)) for p in pixels.tolist()]


def damaged(pixels: NDArray[np.int64], reason: str) -> list[Withheld]:
    """Return what to say about pixels whose patterns can't be read."""
    return [
        Withheld(p, WithheldReason.DAMAGED, f"pixel {p}: {reason}; it stays empty")
        for p in pixels.tolist()
    ]
