"""From the name of a symmetry level, as a user gives it, to the level."""

from __future__ import annotations

from ..crystal.levels import LEVELS, Level
from ..errors import SpecError


def as_level(level: str) -> Level:
    """Return the level of a name.

    Raises
    ------
    SpecError
        If there is none.
    """
    if level not in LEVELS:
        raise SpecError(f"there is no symmetry level {level!r}; the levels are {', '.join(LEVELS)}")
    return level
