"""What ``classify`` is asked, beside the scan."""

from __future__ import annotations

from pydantic import Field

from .base import Device, Spec, quantity


class ClassifySpec(Spec):
    """What ``classify`` is asked."""

    model: str = Field(min_length=1, description="Bundled name, or a model directory.")
    batch_size: int = quantity(256, "pattern", "Patterns in one pass.", ge=1, le=65_536)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")
