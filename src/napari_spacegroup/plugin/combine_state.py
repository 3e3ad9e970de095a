"""What the dock *Combine* shows, as an evented model without Qt, napari and torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from ..jobs import JobState
from .job_state import DockState
from .state import Bar, Choice

METHODS = (
    Choice("bayes", "Multiply likelihoods", "Bayes, with what each further pattern adds"),
    Choice("mean", "Average", "The mean of the probabilities, as in the paper on zone axes"),
)
HINT = (
    "Add several patterns of one crystal: other zone axes, other pixels of its grain. Untick one "
    "to see what it adds."
)


@dataclass(frozen=True)
class EvidenceRow:
    """One line of the list: a pattern, or several that came together.

    Attributes
    ----------
    key
        Which one.
    name
        Where it is from.
    count
        Patterns in it that could be read; 0 while they are being read.
    indexed
        How many of them a cubic lattice explains; None where that was not asked.
    is_ticked
        Whether it counts.
    alone
        What it says alone, or None.
    joint
        What all ticked ones say up to here, or None.
    problem
        Why it says nothing; empty if it does.
    """

    key: int
    name: str
    count: int = 0
    indexed: int | None = None
    is_ticked: bool = True
    alone: Bar | None = None
    joint: Bar | None = None
    problem: str = ""


@dataclass(frozen=True)
class AxisRow:
    """A zone axis worth tilting to.

    Attributes
    ----------
    name
        In brackets.
    gain
        Expected information [bit].
    alpha, beta
        Where the holder must stand [degrees]; NaN where that is not known or out of reach.
    angle
        Away from the present direction [degrees]; NaN where that is not known.
    detail
        What it tells apart, and the other way to get there.
    """

    name: str
    gain: float
    alpha: float
    beta: float
    angle: float
    detail: str


@dataclass
class CombineState(DockState):
    """Everything that the dock *Combine* shows.

    Attributes
    ----------
    rows
        Patterns that were added.
    models, model
        Models at hand, and the one that reads the patterns.
    model_note
        That it was chosen by itself, and for what; empty if it was not.
    methods, method
        How their evidence is joined.
    bars, verdict
        At most five candidates, and one line about them.
    has_axes, axes
        Whether zone axes are suggested by this technique, and those that are.
    alpha, beta, axis, reach
        How the holder stands, the direction of its axis in the picture, and how far both
        tilts go [degrees].
    why_not_pattern, why_not_region, why_not_layers
        Why these can't be added; empty if they can.
    is_drawing
        Whether a region can be drawn now and then be added.
    message, is_alert, job
        One line about what goes on.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    rows: tuple[EvidenceRow, ...] = ()
    models: tuple[Choice, ...] = ()
    model: str = ""
    model_note: str = ""
    methods: tuple[Choice, ...] = METHODS
    method: str = "bayes"
    bars: tuple[Bar, ...] = ()
    verdict: str = ""
    has_axes: bool = False
    axes: tuple[AxisRow, ...] = ()
    alpha: float = 0.0
    beta: float = 0.0
    axis: float = 0.0
    reach: float = 30.0
    why_not_pattern: str = ""
    why_not_region: str = ""
    why_not_layers: str = ""
    is_drawing: bool = False
    message: str = ""
    is_alert: bool = False
    job: JobState = JobState.IDLE

    @property
    def is_reading(self) -> bool:
        """Whether patterns are being read."""
        return any(not row.count and not row.problem for row in self.rows)
