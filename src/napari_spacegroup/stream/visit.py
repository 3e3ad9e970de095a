"""How a format shows its storage to a source: numbered places, read by runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Visit(Protocol):
    """The storage as it is at one moment, open for reading."""

    @property
    def stored(self) -> int:
        """Return how many places exist, filled or not."""
        ...

    @property
    def identity(self) -> bytes:
        """Return what must not change while a scan grows: a header, or nothing."""
        ...

    @property
    def leftover(self) -> int:
        """Return how many bytes of a next, unfinished pattern are there."""
        ...

    @property
    def fill(self) -> float:
        """Return what a place reads as before it is written."""
        ...

    def read(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Return the patterns in ascending places, shape ``(n, y, x)``.

        A place that was never written reads as the fill value.

        Raises
        ------
        BadPlacesError
            If some of them can't be read and the others can.
        """
        ...


class BadPlacesError(Exception):
    """Some places can't be read: they are withheld, the others are fine.

    Parameters
    ----------
    slots
        Places, shape ``(n,)``.
    message
        What is wrong with them, for a person.
    """

    def __init__(self, slots: NDArray[np.int64], message: str) -> None:
        super().__init__(message)
        self.slots = slots


class BrokenPlaces:
    """Tells what is being written from what is broken for good.

    Parameters
    ----------
    settle_seconds
        How long something unreadable must stay the same to be given up.
    clock
        Returns seconds.
    """

    def __init__(self, settle_seconds: float, clock: Callable[[], float]) -> None:
        self._settle = settle_seconds
        self._clock = clock
        self._seen: dict[Hashable, tuple[Hashable, float]] = {}

    def is_hopeless(self, key: Hashable, signature: Hashable) -> bool:
        """Return whether this unreadable thing looked the same long enough.

        Parameters
        ----------
        key
            Which chunk, record or file.
        signature
            What changes while it is being written: its size and time.
        """
        now = self._clock()
        known, since = self._seen.get(key, (None, now))
        if known != signature:
            self._seen[key] = (signature, now)
            return False
        return now - since >= self._settle


def runs(slots: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Give the runs of neighbours in ascending places.

    Yields
    ------
    at
        Position of the run's first place in ``slots``.
    start, stop
        The places.
    """
    breaks = np.flatnonzero(np.diff(slots) != 1) + 1
    at = 0
    for part in np.split(slots, breaks):
        if len(part):
            yield at, int(part[0]), int(part[-1]) + 1
        at += len(part)


def signature_of(path: Path) -> tuple[int, int]:
    """Return what changes while a file is being written: its size [bytes] and its time [ns]."""
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)
