"""What ``follow`` is asked, beside the path."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import quantity
from .classify import ClassifySpec

IfBehind = Literal["catch_up", "sample"]


class FollowSpec(ClassifySpec):
    """What ``follow`` is asked: all that ``classify`` is, and how to go with the microscope."""

    until_idle: float | None = quantity(
        None,
        "s",
        "End when nothing new came for this long; none goes on until the scan is complete or "
        "somebody stops it.",
        gt=0,
        le=1e6,
    )
    if_behind: IfBehind = Field(
        "catch_up",
        description="What to do when patterns come faster than they are classified. catch_up: "
        "all in their order, later. sample: some of the newest, and the rest when the scan is "
        "over.",
    )
    scan_shape: tuple[int, int] | None = quantity(
        None, "pixel", "Rows and columns of the scan, where the file does not say."
    )
    scan_order: Literal["raster", "snake", "hexagonal", "any"] = Field(
        "raster", description="How the beam moves over the sample."
    )
