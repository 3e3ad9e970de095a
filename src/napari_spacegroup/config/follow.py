"""What ``follow`` is asked, beside the path."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import quantity
from .classify import ClassifySpec

IfBehind = Literal["catch_up", "sample"]
Radiation = Literal["xray", "neutron"]
AxisColumn = Literal["two_theta", "q", "d", "tof"]


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
    wavelength: float | None = quantity(
        None,
        "Å",
        "Of powder profiles whose files do not say it, the mean of a doublet; none takes the "
        "file's, or copper's for X-rays.",
        gt=0.01,
        lt=100,
    )
    radiation: Radiation | None = Field(
        None, description="What powder profiles were measured with, where the file does not say."
    )
    axis: AxisColumn | None = Field(
        None,
        description="What the first column of powder profiles is; none takes angles 2θ in degrees, "
        "or a time of flight beyond 180.",
    )
    difc: float | None = quantity(
        None, "µs", "Time of flight of 1 Å, for powder profiles over time.", gt=0
    )
    positions: bool = Field(
        False,
        description="Look for the cells of powder profiles too; some ten seconds for each profile.",
    )
