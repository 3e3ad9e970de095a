"""What every live source tells: which patterns are new, and what became of the rest.

A scan that grows, a folder that fills and an acquisition script look the same to whoever
follows them: a :class:`LiveSource` is asked again and again, and answers with the
patterns that are new *and whole*. What can't be trusted (cut, repeated, overwritten) is
withheld and named, so that a pixel is right or empty, never wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..patterns.geometry import Geometry

if TYPE_CHECKING:
    from ..imaging import ProfileAxis


class SourceState(Enum):
    """How a live source stands after a poll."""

    WAITING = "waiting"
    """Nothing has arrived yet: no file, or no whole header."""
    GROWING = "growing"
    """The poll brought something."""
    IDLE = "idle"
    """Nothing new: a pause, or the end of a scan whose size nobody knows."""
    ENDED = "ended"
    """Every pattern of the scan was delivered or passed over; no more will come."""
    VANISHED = "vanished"
    """The file is gone or can't be reached; polling goes on, it may come back."""
    REPLACED = "replaced"
    """Another scan stands in its place; nothing more is delivered until ``restart``."""
    DAMAGED = "damaged"
    """The file can't be read as what it was; polling goes on, it may be mended."""


class WithheldReason(Enum):
    """Why a pixel got no pattern."""

    SKIPPED = "skipped"
    """The writer went on without it. It is delivered if it comes late."""
    REPEATED = "repeated"
    """Byte for byte the pattern before it: a frame that the camera gave twice."""
    DAMAGED = "damaged"
    """Its record or image can't be read."""
    RANDOM = "random"
    """Bytes without any image in them."""
    UNREADABLE = "unreadable"
    """Its file is whole, as far as one can tell, and holds no powder profile."""


@dataclass(frozen=True)
class Withheld:
    """A pattern that is not delivered.

    Parameters
    ----------
    index
        Row-major index of its pixel; -1 where it belongs to none.
    reason
        Why.
    message
        The same for a person.
    name
        Of its file, where it has one of its own.
    """

    index: int
    reason: WithheldReason
    message: str
    name: str = ""


@dataclass(frozen=True, eq=False)
class ScanInfo:
    """What a source knows about the scan; it may know more at a later poll.

    Parameters
    ----------
    pattern_shape
        (detector_y, detector_x).
    dtype
        Type of one detector pixel, native byte order.
    scan_shape
        (scan_y, scan_x), or None as long as it is unknown: indices then count along
        one line.
    n_patterns
        Patterns in the finished scan, or None where nobody knows. Less than
        ``scan_y * scan_x`` on a hexagonal grid.
    technique
        As in :class:`~napari_spacegroup.patterns.PatternScan`.
    step, step_unit
        (y, x) distance of the pixels, or None.
    static_background
        Shape ``(detector_y, detector_x)``, or None.
    geometry
        Detector geometry, or None.
    is_hexagonal
        Whether every second row is shifted by half a step and one pixel shorter.
    axis
        What the columns of powder profiles stand for; None for pictures.
    is_series
        Whether each profile has a file and an axis of its own; `axis` and `pattern_shape`
        are those of the first one then, and each arrival brings its axis.
    """

    pattern_shape: tuple[int, int]
    dtype: np.dtype[Any]
    scan_shape: tuple[int, int] | None = None
    n_patterns: int | None = None
    technique: str = "unknown"
    step: tuple[float, float] | None = None
    step_unit: str = ""
    static_background: NDArray[Any] | None = None
    geometry: Geometry | None = None
    is_hexagonal: bool = False
    axis: ProfileAxis | None = None
    is_series: bool = False


@dataclass(frozen=True, eq=False)
class Arrival:
    """The answer to one poll.

    Parameters
    ----------
    indices
        Row-major scan pixels, shape ``(n,)``, int64; no pixel comes twice, except in a
        series, where a file that changed after it had come is delivered again.
    patterns
        Shape ``(n, detector_y, detector_x)``, as stored.
    state
        How the source stands.
    message
        A sentence for a person, or "" where there is nothing to say.
    withheld
        What was found in this poll and is not delivered.
    backlog
        Patterns that lie there unread, as far as the source can tell.
    axis, names
        Of a series: what the columns of these profiles stand for, and their files.
    is_unsettled
        Whether something lies there of which one will know soon whether it is whole.
    """

    indices: NDArray[np.int64]
    patterns: NDArray[Any]
    state: SourceState
    message: str = ""
    withheld: tuple[Withheld, ...] = field(default=())
    backlog: int = 0
    axis: ProfileAxis | None = None
    names: tuple[str, ...] = ()
    is_unsettled: bool = False

    @property
    def count(self) -> int:
        """Return the number of new patterns."""
        return len(self.indices)


@runtime_checkable
class LiveSource(Protocol):
    """Patterns that come while they are asked for."""

    @property
    def info(self) -> ScanInfo | None:
        """Return what is known about the scan; None before a whole header came."""
        ...

    def open(self) -> None:
        """Begin; asking a source that is open again does nothing."""
        ...

    def poll(self, max_patterns: int | None = None) -> Arrival:
        """Return what is new and whole since the last poll; never waits for more.

        Parameters
        ----------
        max_patterns
            Most patterns to return; by default as many as 64 MiB hold. The rest stays
            where it is and comes with the next poll.

        Raises
        ------
        ScanError
            If the source was closed.
        """
        ...

    def close(self) -> None:
        """Let go of everything; closing twice does nothing."""
        ...


class SourceError(Exception):
    """Why a poll brings nothing: travels from a reader of bytes to the answer.

    Parameters
    ----------
    state
        What the source says about itself.
    message
        The sentence for a person.
    """

    def __init__(self, state: SourceState, message: str) -> None:
        super().__init__(message)
        self.state = state


def no_patterns(info: ScanInfo | None) -> NDArray[Any]:
    """Return an empty stack of the scan's pattern shape and type."""
    if info is None:
        return np.empty((0, 0, 0), dtype=np.uint8)
    return np.empty((0, *info.pattern_shape), dtype=info.dtype)


def nothing(
    info: ScanInfo | None,
    state: SourceState,
    message: str = "",
    withheld: tuple[Withheld, ...] = (),
) -> Arrival:
    """Return an arrival without patterns."""
    return Arrival(np.empty(0, np.int64), no_patterns(info), state, message, withheld)


def closed_error(name: str) -> ScanError:
    """Return the error for polling a closed source."""
    return ScanError(f"The source {name} is closed; need an open one. Make a new source.")
