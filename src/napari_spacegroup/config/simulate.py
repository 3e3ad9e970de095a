"""What ``simulate`` is asked: phases, a method for the master patterns, what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .base import Device, Range, Spec, quantity
from .conditions import ConditionName
from .master import DynamicalSpec, MasterSpec


class MasterOutput(Spec):
    """Write the master patterns."""

    kind: Literal["master"] = Field("master", description="Master patterns.")


class EbsdOutput(Spec):
    """Write EBSD patterns at random orientations, with their labels."""

    kind: Literal["ebsd"] = Field("ebsd", description="EBSD patterns.")
    patterns_per_phase: int = quantity(100, "1", "Patterns of each phase.", ge=1, le=10**7)
    condition: ConditionName = Field(
        "standard", description="Geometry and noise, as evaluate defines them."
    )


class KinematicIntensities(Spec):
    """Spot intensities of very thin crystals, with the condition's random departure from them."""

    kind: Literal["kinematic"] = Field("kinematic", description="Kinematic, ``|F|²``.")


class TwoBeamIntensities(Spec):
    """Spot intensities with each spot and the direct beam alone."""

    kind: Literal["two_beam"] = Field("two_beam", description="Two beams at a time.")
    thickness: Range = quantity((100.0, 800.0), "Å", "Of the crystal; uniform in between.")

    @model_validator(mode="after")
    def _check_thickness(self) -> Self:
        _refuse_no_crystal(self.thickness)
        return self


class BlochIntensities(Spec):
    """Spot intensities with all beams at once: spots that symmetry forbids can appear."""

    kind: Literal["bloch"] = Field("bloch", description="Bloch waves, the beam not precessing.")
    thickness: Range = quantity((100.0, 800.0), "Å", "Of the crystal; uniform in between.")
    absorption: float = quantity(
        0.0, "1", "Imaginary over real part of the potential; 0.05 to 0.1 is a usual guess.",
        ge=0, le=1,
    )  # fmt: skip
    max_beams: int = quantity(
        600, "1", "Most beams of one pattern, the nearest to the Ewald sphere; the time grows "
        "with their cube.", ge=2, le=4000,
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_thickness(self) -> Self:
        _refuse_no_crystal(self.thickness)
        return self


def _refuse_no_crystal(thickness: tuple[float, float]) -> None:
    if thickness[0] <= 0:
        raise ValueError(f"thickness is {thickness} Å; it must be above 0")


SpotIntensities = Annotated[
    KinematicIntensities | TwoBeamIntensities | BlochIntensities, Field(discriminator="kind")
]
"""How strong the spots of a pattern are."""


class SadOutput(Spec):
    """Write spot patterns with their labels."""

    kind: Literal["sad"] = Field("sad", description="Spot patterns.")
    patterns_per_phase: int = quantity(100, "1", "Patterns of each phase.", ge=1, le=10**6)
    condition: ConditionName = Field(
        "standard", description="Beam, camera and noise, as evaluate defines them."
    )
    zone_share: float = quantity(
        0.0, "1", "Share of patterns along a low zone axis of a cubic crystal; the others are at "
        "any orientation.", ge=0, le=1,
    )  # fmt: skip
    intensities: SpotIntensities = Field(
        default_factory=KinematicIntensities, description="How strong the spots are."
    )


class SimulateSpec(Spec):
    """What ``simulate`` is asked."""

    phases: tuple[Path, ...] = Field(min_length=1, description="CIF files, or folders of them.")
    master: MasterSpec = Field(
        default_factory=DynamicalSpec, description="How master patterns are computed."
    )
    output: Annotated[MasterOutput | EbsdOutput | SadOutput, Field(discriminator="kind")] = Field(
        default_factory=MasterOutput, description="What is written."
    )
    seed: int = quantity(0, "1", "Seed of all random numbers.", ge=0, lt=2**32)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")
    workers: int = quantity(1, "1", "Phases computed at the same time.", ge=1, le=1024)

    @model_validator(mode="after")
    def _check_output_fits_voltage(self) -> SimulateSpec:
        if isinstance(self.output, EbsdOutput) and not 15 <= self.master.voltage <= 25:
            raise ValueError(
                f"the condition {self.output.condition!r} is defined from 15 to 25 kV, "
                f"master.voltage is {self.master.voltage}"
            )
        return self
