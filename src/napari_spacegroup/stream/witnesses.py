"""Patterns that were delivered, remembered to notice when they change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .judge import checksum, fill_tail
from .source import SourceError, SourceState
from .visit import BadPlacesError, Visit

MOST = 8
"""How many are remembered: the first, the last, and some between."""


class Witnesses:
    """Checksums of some delivered patterns, by their place.

    A camera never gives the same pattern twice, so that a few checksums tell a scan from
    any other, whatever the file's name, number, size and time say: a copy that is
    synchronised again and again is the same scan, a file that was begun anew is not.
    """

    def __init__(self) -> None:
        self._marks: dict[int, int] = {}

    def remember(self, slots: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Keep the last of these patterns, and the very first.

        Parameters
        ----------
        slots
            Shape ``(n,)``, n at least 1.
        patterns
            Shape ``(n, detector_y, detector_x)``.
        """
        if len(self._marks) >= MOST:
            kept = sorted(self._marks)
            self._marks = {slot: self._marks[slot] for slot in [kept[0], *kept[2::2]]}
        top = int(np.argmax(slots))
        for i in {0, top} if not self._marks else {top}:
            self._marks[int(slots[i])] = checksum(patterns[i])

    def check(self, visit: Visit, path: str, stays: str) -> None:
        """Make sure that nothing changed.

        Parameters
        ----------
        visit
            The storage as it is now.
        path, stays
            For the sentence: which file, and what remains of what was read.

        Raises
        ------
        SourceError
            REPLACED where a pattern is another one, DAMAGED where it is gone.
        """
        if not self._marks:
            return
        slots = np.array(sorted(self._marks), dtype=np.int64)
        lost = slots[slots >= visit.stored]
        if len(lost):
            raise SourceError(
                SourceState.DAMAGED,
                f"{path} shrank to {visit.stored} patterns, {lost[-1] + 1} had been read. {stays}. "
                "Was the scan restarted?",
            )
        try:
            patterns = visit.read(slots)
        except BadPlacesError as error:
            raise SourceError(
                SourceState.DAMAGED, f"{path} can't be read where it could before: {error}. {stays}"
            ) from error
        for slot, pattern in zip(slots.tolist(), patterns, strict=True):
            if checksum(pattern) == self._marks[slot]:
                continue
            if fill_tail(pattern, visit.fill) == pattern.size:
                raise SourceError(
                    SourceState.DAMAGED,
                    f"pattern {slot} of {path} had been read and is empty now. {stays}. Was the "
                    "scan restarted?",
                )
            raise SourceError(
                SourceState.REPLACED,
                f"pattern {slot} of {path} is another one than before: the scan was restarted, or "
                f"the file replaced or overwritten. {stays}; follow it anew to get the new scan.",
            )
