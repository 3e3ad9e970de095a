"""What ``evaluate`` is asked: a model, and either phases or a scan of known phase."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from .base import Device, Spec, quantity
from .conditions import ConditionName


class EvaluateSpec(Spec):
    """What ``evaluate`` is asked."""

    model: str = Field(min_length=1, description="Bundled name, or a model directory.")
    phases: Path | None = Field(None, description="Folder of CIF files to simulate and classify.")
    scan: Path | None = Field(None, description="Measured patterns of one known phase.")
    truth: int | None = quantity(None, "1", "Space group of the measured phase.", ge=1, le=230)
    condition: ConditionName = Field("standard", description="Geometry and noise of simulations.")
    patterns_per_phase: int = quantity(
        200, "1", "Simulated patterns of each phase.", ge=1, le=10**6
    )
    thick_share: float = quantity(
        0.0, "1", "Spot patterns: share of thick crystals, by Bloch waves.", ge=0, le=1
    )
    batch_size: int = quantity(256, "pattern", "Patterns in one pass.", ge=1, le=65_536)
    seed: int = quantity(0, "1", "Seed of all random numbers.", ge=0, lt=2**32)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")

    @model_validator(mode="after")
    def _check_one_source(self) -> EvaluateSpec:
        if (self.phases is None) == (self.scan is None):
            raise ValueError("give either phases or scan; simulated and measured never mix")
        if self.scan is not None and self.truth is None:
            raise ValueError("a scan needs truth, the space-group number of its phase")
        if self.phases is not None and self.truth is not None:
            raise ValueError("truth belongs to a scan; the CIF files name their own space group")
        if self.scan is not None and self.thick_share > 0:
            raise ValueError("thick_share belongs to phases; a scan is as thick as it is")
        return self
