"""Which places of a growing scan are settled, and how."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ledger:
    """One entry per place: delivered, settled otherwise, passed over, or open.

    Grows with the storage; a few bytes per pattern.
    """

    def __init__(self) -> None:
        self._done = np.zeros(0, dtype=bool)
        self._gap = np.zeros(0, dtype=bool)
        self._sound = np.zeros(0, dtype=bool)
        self._late = 0
        self.low = 0
        """All places below this one are settled or passed over."""
        self.delivered = 0
        """Number of delivered patterns."""
        self.top = -1
        """The furthest place that held a pattern."""

    @property
    def has_gaps(self) -> bool:
        """Return whether places were passed over."""
        return bool(self._gap.any())

    def grow(self, stored: int) -> None:
        """Make room for that many places."""
        more = np.zeros(max(0, stored - len(self._done)), dtype=bool)
        if len(more):
            self._done = np.concatenate([self._done, more])
            self._gap = np.concatenate([self._gap, more])
            self._sound = np.concatenate([self._sound, more])

    def open_slots(self, stored: int) -> NDArray[np.int64]:
        """Return the places below ``stored`` that are neither settled nor passed over."""
        is_open = ~(self._done | self._gap)[self.low : stored]
        return np.flatnonzero(is_open).astype(np.int64) + self.low

    def late_slots(self, stored: int, count: int) -> NDArray[np.int64]:
        """Return some of the places that were passed over, others each time."""
        gaps = np.flatnonzero(self._gap[:stored]).astype(np.int64)
        start = self._late if self._late < len(gaps) else 0
        self._late = start + count
        return gaps[start : start + count]

    def pass_over(self, slots: NDArray[np.int64]) -> None:
        """Note empty places that the writer has passed."""
        self._gap[slots] = True
        self._advance()

    def settle(self, slots: NDArray[np.int64], keep: NDArray[np.bool_]) -> None:
        """Note places that are done with, and which of them were delivered.

        Parameters
        ----------
        slots, keep
            Each shape ``(n,)``.
        """
        self._done[slots] = True
        self._gap[slots] = False
        self._sound[slots[keep]] = True
        self.delivered += int(keep.sum())
        self.top = max(self.top, int(slots.max(initial=-1)))
        self._advance()

    def missing(self, total: int | None) -> NDArray[np.int64]:
        """Return the places without a delivered pattern, of the total or up to the top."""
        count = self.top + 1 if total is None else total
        sound = self._sound[:count]
        missing = np.flatnonzero(~np.pad(sound, (0, max(0, count - len(sound)))))
        return missing.astype(np.int64)

    def _advance(self) -> None:
        settled = (self._done | self._gap)[self.low :]
        self.low += int(len(settled) if settled.all() else np.argmin(settled))
