"""What the dock *Train* shows, as an evented model without Qt, napari and torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from ..jobs import JobState
from .job_state import DockState
from .state import Choice

if TYPE_CHECKING:
    from ..crystal.phase import Phase
    from ..workflows.specialist import Confusion

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")

SOURCES = (
    Choice("phases", "Phases", "CIF files, or phases that come along"),
    Choice("masters", "Stored master patterns", "A set that simulate wrote (.npz)"),
)
METHODS = (
    Choice("kinematic", "Kinematic: seconds", "Bands without multiple scattering"),
    Choice("dynamical", "Dynamical: minutes", "Bloch waves; closer to measured patterns"),
)
NETWORKS = (
    Choice("bandnet", "Bands: any crystal", "Reads bands in Radon space; suits CPUs"),
    Choice("sectornet", "Sectors: cubic crystals", "Finds the orientation first; cubic only"),
    Choice("resnet18", "ResNet-18", "A plain residual network; wants a GPU"),
)
HINT = (
    "Add the phases that your sample may hold, one CIF each, or take some that come along. "
    "They are simulated, a network learns to tell them apart, and the model can be used at once."
)


@dataclass(frozen=True)
class Point:
    """One point of a curve.

    Parameters
    ----------
    step
        Steps trained.
    loss
        Cross entropy [nat].
    accuracy
        From 0 to 1.
    """

    step: int
    loss: float
    accuracy: float


@dataclass
class TrainState(DockState):
    """Everything that the dock *Train* shows.

    Attributes
    ----------
    sources, source
        Where master patterns come from, and the chosen key.
    phases
        Crystals to tell apart.
    masters
        File of stored master patterns, or None.
    unlabelled
        File of a scan without labels to learn from too, or None.
    methods, method, voltage
        How master patterns are simulated, and at which beam energy [kV].
    networks, network
        Architectures, and the chosen one.
    minutes
        Time to train [min].
    name
        Of the model.
    can_resume
        Whether training of this name was begun and can go on.
    job, stage, message, is_alert
        State of the job, the stage it is at, and one line about it.
    done, total
        Progress in the unit of the stage.
    training, validation
        Curves; validation is on structures that training does not see.
    confusion
        Answers against the truth, or None.
    finished
        Key of the model that was trained last; empty if there is none.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    sources: tuple[Choice, ...] = SOURCES
    source: str = "phases"
    phases: tuple[Phase, ...] = ()
    masters: Path | None = None
    unlabelled: Path | None = None
    methods: tuple[Choice, ...] = METHODS
    method: str = "kinematic"
    voltage: float = 20.0
    networks: tuple[Choice, ...] = NETWORKS
    network: str = "bandnet"
    minutes: float = 10.0
    name: str = "specialist"
    can_resume: bool = False
    job: JobState = JobState.IDLE
    stage: str = ""
    message: str = ""
    is_alert: bool = False
    done: int = 0
    total: int = 0
    training: tuple[Point, ...] = ()
    validation: tuple[Point, ...] = ()
    confusion: Confusion | None = None
    finished: str = ""

    @property
    def why_not_train(self) -> str:
        """Why the main button is disabled; empty if it is not."""
        if self.is_busy:
            return "A model is being made: wait for it, or stop and keep it."
        if not _NAME.match(self.name):
            return "Give the model a name of letters, digits, dots, dashes and underscores."
        if self.source == "masters":
            return "" if self.masters is not None else "Choose a file of master patterns."
        groups = {phase.space_group for phase in self.phases}
        if not self.phases:
            return "Add the phases that your sample may hold."
        if len(groups) < 2:
            return (
                f"All phases have space group {groups.pop()}: there is nothing to tell apart. "
                "Add a phase of another one."
            )
        if self.network == "sectornet" and min(groups) < 195:
            return "Sectors are for cubic crystals: choose another network, or cubic phases."
        return ""

    @property
    def why_not_resume(self) -> str:
        """Why training can't go on from where it was; empty if it can."""
        if not self.can_resume:
            return "There is no unfinished training of this name."
        return self.why_not_train
