"""What ``simulate`` is asked: phases, a method for the master patterns, what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import Device, Spec, quantity
from .conditions import ConditionName


class KinematicMaster(Spec):
    """A kinematic master pattern: band intensities |F|² without multiple scattering."""

    method: Literal["kinematic"] = Field("kinematic", description="Kinematic, quick.")
    d_min: float = quantity(0.7, "Å", "Smallest lattice spacing of a reflection.", gt=0.1, le=5)
    half_size: int = quantity(
        200, "pixel", "The Lambert grid is 2 half_size + 1 on a side.", ge=10, le=2000
    )
    voltage: float = quantity(20.0, "kV", "Beam energy, one energy bin.", ge=5, le=40)


class DynamicalMaster(Spec):
    """A dynamical master pattern: Bloch waves over Monte Carlo exit depths."""

    method: Literal["dynamical"] = Field("dynamical", description="Bloch waves, exact.")
    d_min: float = quantity(0.5, "Å", "Smallest lattice spacing of a reflection.", gt=0.1, le=5)
    half_size: int = quantity(
        100, "pixel", "The Lambert grid is 2 half_size + 1 on a side.", ge=10, le=2000
    )
    voltage: float = quantity(20.0, "kV", "Beam energy.", ge=5, le=40)
    energy_bins: int = quantity(
        1, "1", "Number of energies of the backscattered electrons.", ge=1, le=64
    )
    energy_min: float = quantity(
        0.7, "beam energy", "Lowest energy bin, as a share of the beam energy.", gt=0, le=1
    )
    max_strong: float | None = quantity(
        None, "1", "Most strong beams in a direction on average; null keeps all.", ge=5
    )
    sample_tilt: float = quantity(70.0, "degree", "Tilt, for the exit depths.", ge=0, lt=90)
    electrons: int = quantity(50_000, "1", "Number of Monte Carlo electrons.", ge=1_000, le=10**9)


MasterSpec = Annotated[KinematicMaster | DynamicalMaster, Field(discriminator="method")]
"""How a master pattern is computed."""


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


class SimulateSpec(Spec):
    """What ``simulate`` is asked."""

    phases: tuple[Path, ...] = Field(min_length=1, description="CIF files, or folders of them.")
    master: MasterSpec = Field(
        default_factory=DynamicalMaster, description="How master patterns are computed."
    )
    output: Annotated[MasterOutput | EbsdOutput, Field(discriminator="kind")] = Field(
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
