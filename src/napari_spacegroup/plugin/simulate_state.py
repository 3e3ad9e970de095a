"""What the dock *Simulate* shows, as an evented model without Qt, napari and torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import is_
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from ..config.ebsd_view import EbsdViewSpec
from ..jobs import JobState
from .job_state import DockState
from .state import Choice

if TYPE_CHECKING:
    from ..crystal.phase import Phase

TECHNIQUES = (Choice("ebsd", "EBSD", "Kikuchi pattern on a tilted sample"),)
METHODS = (
    Choice("kinematic", "Kinematic: seconds", "Bands without multiple scattering"),
    Choice("dynamical", "Dynamical: minutes", "Bloch waves; closer to measured patterns"),
)
HINT = (
    "Choose a phase of the library, or open a CIF file. Its pattern follows the sliders, and "
    "stands beside the one under the cursor."
)


@dataclass
class SimulateState(DockState):
    """Everything that the dock *Simulate* shows.

    Attributes
    ----------
    phase, reference
        The crystal, or None, and where its numbers are from.
    techniques, technique
        What is simulated.
    methods, method, voltage
        How the master pattern is made, and at which beam energy [kV].
    view
        Screen and orientation.
    drawn
        The pattern, shape ``view.shape``, or None.
    drawn_of
        Which master pattern it is drawn from, in words.
    is_stale
        Whether phase, method or voltage have changed since.
    measured, measured_name
        The pattern under the cursor or the pinned one, and which that is.
    match
        Normalised correlation of both, or None.
    why_no_match
        Why there is none; empty if there is one.
    has_scan_geometry
        Whether the scan knows its own geometry.
    job, done, total, message, is_alert
        State of the job, its progress, and one line about it.
    is_searching
        Whether the orientation is being looked for.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor(
        equality_operators={"phase": is_, "drawn": is_, "measured": is_}
    )

    phase: Phase | None = None
    reference: str = ""
    techniques: tuple[Choice, ...] = TECHNIQUES
    technique: str = "ebsd"
    methods: tuple[Choice, ...] = METHODS
    method: str = "kinematic"
    voltage: float = 20.0
    view: EbsdViewSpec = field(default_factory=EbsdViewSpec)
    drawn: NDArray[np.float32] | None = None
    drawn_of: str = ""
    is_stale: bool = False
    measured: NDArray[np.generic] | None = None
    measured_name: str = ""
    match: float | None = None
    why_no_match: str = ""
    has_scan_geometry: bool = False
    job: JobState = JobState.IDLE
    done: int = 0
    total: int = 0
    message: str = ""
    is_alert: bool = False
    is_searching: bool = False

    @property
    def why_not_simulate(self) -> str:
        """Why the main button is disabled; empty if it is not."""
        if self.is_busy:
            return "A master pattern is being made: wait for it or cancel it."
        if self.phase is None:
            return "Choose a phase first."
        if self.drawn is not None and not self.is_stale:
            return "The pattern is up to date."
        return ""

    @property
    def why_not_send(self) -> str:
        """Why the pattern can't become a layer; empty if it can."""
        if self.drawn is None:
            return "There is no pattern yet."
        return (
            "The pattern is not that of the choices above: simulate first." if self.is_stale else ""
        )

    @property
    def why_not_search(self) -> str:
        """Why the orientation can't be looked for; empty if it can."""
        if self.is_searching:
            return "The orientation is being looked for."
        if self.drawn is None:
            return "There is no pattern yet."
        if self.measured is None:
            return "Point at a pixel of a scan, or click to pin one."
        return self.why_no_match
