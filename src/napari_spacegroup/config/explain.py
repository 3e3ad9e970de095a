"""What ``explain`` is asked, beside the scan."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Device, Spec, quantity

Index = Annotated[int, Field(ge=0)]
ExplainMethod = Literal["integrated_gradients", "hires_cam", "grad_cam", "guided_grad_cam"]


class ExplainSpec(Spec):
    """What ``explain`` is asked."""

    model: str = Field(min_length=1, description="Bundled name, or a model directory.")
    pixel: tuple[Index, Index] = quantity((0, 0), "pixel", "Row and column in the scan.")
    space_group: Annotated[int, Field(ge=1, le=230)] | None = Field(
        None, description="The class that is asked about; none takes the likeliest."
    )
    method: ExplainMethod = Field(
        "integrated_gradients", description="How; docs/explain.md says what each one sees."
    )
    patterns: int = quantity(
        32, "pattern", "Patterns of the mean in crystal directions; 0 leaves it out.",
        ge=0, le=100_000,
    )  # fmt: skip
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")
