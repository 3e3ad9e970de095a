"""What ``classify`` is asked, beside the scan."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from .base import Device, Spec, quantity

PatternCenter = tuple[float, float, float]


class ClassifySpec(Spec):
    """What ``classify`` is asked."""

    model: str = Field(min_length=1, description="Bundled name, or a model directory.")
    batch_size: int = quantity(256, "pattern", "Patterns in one pass.", ge=1, le=65_536)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")
    pattern_center: PatternCenter | None = quantity(
        None,
        "detector",
        "Pattern center x, y (from the top), z, Bruker convention, taken as it is for every "
        "pixel; none takes the file's, checked and refined, or finds one.",
    )
    like: Path | None = Field(
        None,
        description="A saved map of the same scan whose screen and pattern center are taken, so "
        "that both maps are equal.",
    )

    @model_validator(mode="after")
    def _check_center(self) -> Self:
        if self.pattern_center is not None and not self.pattern_center[2] > 0:
            raise ValueError(f"the z of pattern_center is {self.pattern_center[2]}; need above 0")
        if self.pattern_center is not None and self.like is not None:
            raise ValueError("pattern_center and like both say where the center is; give one")
        return self
