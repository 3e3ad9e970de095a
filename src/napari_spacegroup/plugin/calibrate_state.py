"""What calibrating a pattern by hand shows, as an evented model without Qt, napari and torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from .calibration_marks import CalibrationMarks


@dataclass(frozen=True, eq=False)
class SeenSpots:
    """The spots of the pattern that is shown.

    Attributes
    ----------
    places
        Column and row, strongest first, shape ``(n, 2)``.
    is_on_lattice
        Whether the cubic lattice that was found explains each, shape ``(n,)``.
    summary
        What the lattice is, in one line.
    """

    places: NDArray[np.float64]
    is_on_lattice: NDArray[np.bool_]
    summary: str


@dataclass
class CalibrateState:
    """Everything that the dock *Pattern* shows while it calibrates.

    Attributes
    ----------
    is_on
        Whether it does.
    marks
        On the pattern; None while there is none.
    spots
        Of the pattern with these marks; None while they are looked for.
    is_single
        Whether the scan is one pattern, whose center is that of all.
    in_use
        Whether the scan has this calibration already.
    message, is_alert
        One line about what was done, and whether something went wrong.
    is_finding
        Whether the automatic search runs.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    is_on: bool = False
    marks: CalibrationMarks | None = None
    spots: SeenSpots | None = None
    is_single: bool = False
    in_use: bool = False
    message: str = ""
    is_alert: bool = False
    is_finding: bool = False

    def say(self, message: str, *, is_alert: bool = False) -> None:
        """Show a message; an alert stands out."""
        self.is_alert = is_alert and bool(message)
        self.message = message
