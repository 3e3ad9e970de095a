"""How long a live scan waits for a chunk to become whole before it shows a part of it.

What is shown before its chunk is whole is classified again with it, so it costs twice.
"""

from __future__ import annotations

SHOW_AFTER = 0.1
"""How long new patterns may wait for their chunk to become whole before they are shown [s]."""

WHOLE_SOON = 0.3
"""A chunk that will be whole within this time [s], at the rate of late, is classified once."""

PATIENCE = 3
"""So many times longer a chunk is waited for where more patterns are there, or time is short."""

BUSY = 0.4
"""Share of the time that goes into whole chunks from which on time is short."""


def patience(rate: float, load: float, *, more: bool) -> tuple[float, int]:
    """Return how long to wait for a chunk [s], and how many patterns it may lack for it.

    Parameters
    ----------
    rate
        Patterns read per second.
    load
        Share of the time that goes into classifying whole chunks.
    more
        Whether the next patterns are there already.
    """
    seconds = WHOLE_SOON * (PATIENCE if more or load > BUSY else 1)
    return seconds, int(seconds * rate)
