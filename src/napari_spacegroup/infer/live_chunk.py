"""Neighbouring pixels of a growing map, and what became of their patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .pixel_status import PixelStatus

if TYPE_CHECKING:
    from ..imaging import ProfileAxis


@dataclass(eq=False)
class Chunk:
    """Neighbouring pixels that go through the network together.

    Parameters
    ----------
    start
        Row-major index of the first pixel.
    patterns
        Shape ``(n, detector_y, detector_x)``; 0 where none has come.
    status
        Shape ``(n,)``: OK, CONSTANT or NOT_FINITE for a pattern that is held, MISSING or
        UNREADABLE for one that was given up, else PENDING.
    is_shown
        Shape ``(n,)``: which of them the map shows.
    checksums
        CRC-32 of each pattern, shape ``(n,)``.
    came
        When the oldest pattern came that is not shown yet [s].
    is_sampled
        Whether patterns were left out to keep up.
    axis
        Of a profile that has one of its own; else None.
    """

    start: int
    patterns: NDArray[Any]
    status: NDArray[np.uint8]
    is_shown: NDArray[np.bool_]
    checksums: NDArray[np.uint32]
    came: float = float("inf")
    is_sampled: bool = False
    axis: ProfileAxis | None = None

    @classmethod
    def empty(cls, start: int, length: int, like: NDArray[Any] | None) -> Chunk:
        """Return a chunk without patterns, with room for some like these if they are known."""
        shape = (0, 0) if like is None else like.shape[1:]
        return cls(
            start,
            np.zeros((length, *shape), np.uint8 if like is None else like.dtype),
            np.full(length, PixelStatus.PENDING, np.uint8),
            np.zeros(length, bool),
            np.zeros(length, np.uint32),
        )

    @property
    def is_whole(self) -> bool:
        """Return whether every pixel has its pattern."""
        return bool((self.status != PixelStatus.PENDING).all()) and not self.has_gaps

    @property
    def is_settled(self) -> bool:
        """Return whether every pixel has its pattern or was given up."""
        return bool((self.status != PixelStatus.PENDING).all())

    @property
    def has_gaps(self) -> bool:
        """Return whether a pixel was given up."""
        return bool(np.isin(self.status, (PixelStatus.MISSING, PixelStatus.UNREADABLE)).any())

    @property
    def is_done(self) -> bool:
        """Return whether nothing is held that the map does not show."""
        return bool((self.is_shown | (self.status == PixelStatus.PENDING)).all())


@dataclass
class LiveCounts:
    """What became of the patterns.

    Parameters
    ----------
    read
        Patterns that came.
    classified
        Pixels that the map shows.
    final
        Pixels whose chunk is done for good.
    left_out
        Patterns that were left out to keep up, and are not done yet.
    verified
        Patterns that came again and are what the unfinished map says.
    seconds
        Time spent on classifying whole chunks [s].
    """

    read: int = 0
    classified: int = 0
    final: int = 0
    left_out: int = 0
    verified: int = 0
    seconds: float = 0.0
