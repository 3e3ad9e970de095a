"""What every file of benchmarks shares: one row of the table, and how a time is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

SEED = 0
REPEATS = 3
"""Timed repeats; the median counts."""


@dataclass(frozen=True)
class Row:
    """One ratio.

    Parameters
    ----------
    name
        What is compared.
    ratio
        First over second; none where it was not measured.
    target
        What the project asks for, as text.
    detail
        The two figures behind it, and how the answers were checked.
    """

    name: str
    ratio: float | None
    target: str
    detail: str


def median_seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median time of a call, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
