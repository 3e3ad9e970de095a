"""What ``simulate`` is asked: phases, a method for the master patterns, what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import Device, Spec, quantity
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


class SadOutput(Spec):
    """Write spot patterns, kinematic, with their labels."""

    kind: Literal["sad"] = Field("sad", description="Spot patterns.")
    patterns_per_phase: int = quantity(100, "1", "Patterns of each phase.", ge=1, le=10**6)
    condition: ConditionName = Field(
        "standard", description="Beam, camera and noise, as evaluate defines them."
    )
    zone_share: float = quantity(
        0.0, "1", "Share of patterns along a low zone axis of a cubic crystal; the others are at "
        "any orientation.", ge=0, le=1,
    )  # fmt: skip


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
