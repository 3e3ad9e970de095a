"""What a job tells while it runs.

The same few frozen values go to a script's loop, to the command line and to the window,
so no skin of the package needs a channel of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    done, total
        In the job's own unit (patterns, steps); ``total`` is 0 where nobody knows it.
    message
        What is being done, for a person.
    """

    done: int
    total: int
    message: str = ""

    @property
    def fraction(self) -> float:
        """Return the finished share, 0 to 1; 0 where the total is not known."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Partial:
    """A finished piece of a map.

    Parameters
    ----------
    start
        Row-major index of the first pixel of the piece.
    probabilities
        Shape ``(n, class)``, float32.
    status
        Shape ``(n,)``, uint8: the values of :class:`napari_spacegroup.infer.PixelStatus`.
    """

    start: int
    probabilities: NDArray[np.float32]
    status: NDArray[np.uint8]


@dataclass(frozen=True)
class Log:
    """A sentence for the person who watches the job."""

    message: str


@dataclass(frozen=True, eq=False)
class Done:
    """The end of a job, with what it has.

    Parameters
    ----------
    result
        What the job was for.
    is_cancelled
        True where the job was stopped early and ``result`` is what was finished by then.
    """

    result: Any
    is_cancelled: bool = False


@dataclass(frozen=True, eq=False)
class Failed:
    """The end of a job that could not go on.

    Parameters
    ----------
    error
        What went wrong.
    traceback
        The formatted traceback, for a bug report.
    """

    error: BaseException
    traceback: str = ""


Event: TypeAlias = Progress | Partial | Log | Done | Failed
