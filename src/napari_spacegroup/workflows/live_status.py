"""What a followed scan tells beside its map: how fast, how late, and how much is left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..infer.spacegroup_map import SpaceGroupMap

WINDOW_SECONDS = 2.0
"""Rates are means over this long."""

LATENCIES = 512
"""How many of the latest pieces the latency is taken from."""


@dataclass(frozen=True, eq=False)
class MapBegun:
    """The map has a shape now, or another one; later pieces belong to this one.

    Parameters
    ----------
    result
        A copy of what is known so far, for whoever shows it.
    """

    result: SpaceGroupMap


@dataclass(frozen=True)
class LiveStatus:
    """How a followed scan stands; told four times a second.

    Parameters
    ----------
    state
        The source's: ``"waiting"``, ``"growing"``, ``"idle"``, ``"vanished"``, ...
    message
        A sentence for a person, or "".
    read, shown, final, total
        Patterns read, pixels that the map shows, those whose chunk is done for good, and
        pixels of the scan (0 where nobody knows).
    read_rate, classified_rate
        Per second, over the last two seconds.
    backlog
        Patterns in the file that are not read yet, as far as the source can tell.
    left_out
        Patterns that were left out to keep up, and come later.
    latency, latency_99
        From the file to the map [s], median and 99th percentile of the latest pieces; NaN
        before the first.
    withheld
        Patterns that the source did not trust.
    news
        Of a series of profiles: what was said of each file since the last status.
    """

    state: str
    message: str
    read: int
    shown: int
    final: int
    total: int
    read_rate: float
    classified_rate: float
    backlog: int
    left_out: int
    latency: float
    latency_99: float
    withheld: int
    news: tuple[str, ...] = ()


class Meter:
    """Rates and latencies, of late."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int, int, float]] = deque()
        self._latencies: deque[tuple[float, int]] = deque(maxlen=LATENCIES)

    def count(self, now: float, read: int, classified: int, seconds: float = 0.0) -> None:
        """Take note of totals at a time [s]; ``seconds`` went into whole chunks."""
        self._counts.append((now, read, classified, seconds))
        while len(self._counts) > 2 and now - self._counts[1][0] > WINDOW_SECONDS:
            self._counts.popleft()

    def late(self, seconds: float, count: int) -> None:
        """Take note of how late some patterns were shown."""
        if np.isfinite(seconds) and count:
            self._latencies.append((seconds, count))

    @property
    def rates(self) -> tuple[float, float]:
        """Return patterns read and classified per second."""
        _, read, classified, _ = self._per_second()
        return read, classified

    @property
    def load(self) -> float:
        """Return the share of the time that goes into classifying whole chunks, 0 to 1."""
        return self._per_second()[3]

    def _per_second(self) -> tuple[float, ...]:
        if len(self._counts) < 2:
            return 0.0, 0.0, 0.0, 0.0
        first, last = self._counts[0], self._counts[-1]
        span = max(last[0] - first[0], 1e-3)
        return tuple((b - a) / span for a, b in zip(first, last, strict=True))

    def latency(self, share: float) -> float:
        """Return the latency that a share of the patterns stayed below [s]; NaN without any."""
        if not self._latencies:
            return float("nan")
        pieces = sorted(self._latencies)
        places = np.cumsum([count for _, count in pieces])
        return pieces[int(np.searchsorted(places, share * places[-1]))][0]
