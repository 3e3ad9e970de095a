"""What the simulated microscope is asked: a sample, a camera, a file, and how to fail."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from ..errors import SpecError
from .base import Device, Spec, quantity
from .master import MasterSpec

ScanFormat = Literal["up1", "up2", "nordif", "ebsp", "hdf5", "zarr", "tif", "png", "bmp"]
FaultKind = Literal["pause", "stop", "truncate", "repeat", "skip", "restart", "delete", "garbage"]


class FaultSpec(Spec):
    """One thing that goes wrong, before the pattern of a given number is written."""

    kind: FaultKind = Field(
        description="pause: wait; stop: end for good; truncate: write half of the pattern and "
        "end; repeat: write the pattern before again; skip: leave it out; restart: begin the "
        "scan anew in the same file; delete: remove the file and end; garbage: write random "
        "bytes."
    )
    at: int = quantity(..., "1", "Number of the pattern, from 0.", ge=0)
    count: int = quantity(1, "1", "How many patterns to repeat, skip or spoil.", ge=1)
    seconds: float = quantity(1.0, "s", "How long to pause.", ge=0, le=86_400)

    @model_validator(mode="after")
    def _check_repeat(self) -> Self:
        if self.kind == "repeat" and self.at == 0:
            raise ValueError("there is no pattern before number 0 to repeat; give at of 1 or more")
        return self

    @classmethod
    def from_text(cls, text: str) -> FaultSpec:
        """Return the fault that ``KIND:AT`` or ``KIND:AT:VALUE`` describes.

        Parameters
        ----------
        text
            VALUE is the number of seconds for a pause, else the number of patterns.

        Raises
        ------
        SpecError
            If it has another form.
        """
        parts = text.split(":")
        if len(parts) not in (2, 3) or parts[0] not in get_args(FaultKind):
            raise SpecError(
                f"{text!r} is no fault; need KIND:AT or KIND:AT:VALUE, KIND one of "
                f"{', '.join(get_args(FaultKind))}, such as skip:500:3 or pause:1000:2.5"
            )
        values = {"kind": parts[0], "at": parts[1]}
        if len(parts) == 3:
            values["seconds" if parts[0] == "pause" else "count"] = parts[2]
        return cls.from_mapping(values, f"the fault {text!r}")


class SimulatedMicroscopeSpec(Spec):
    """What the simulated microscope is asked."""

    phases: tuple[Path, ...] = Field(min_length=1, description="CIF files, or folders of them.")
    format: ScanFormat = Field("up2", description="Layout of what is written.")
    scan_shape: tuple[int, int] = quantity((40, 50), "pixel", "Rows and columns of the scan.")
    pattern_shape: tuple[int, int] = quantity((60, 60), "pixel", "Rows and columns of a pattern.")
    grains: int = quantity(24, "1", "Crystals in the field of view.", ge=1, le=100_000)
    step: float = quantity(0.5, "µm", "Distance of neighbouring scan pixels.", gt=0, le=1000)
    scan_order: Literal["raster", "snake"] = Field(
        "raster", description="Whether every row is scanned from the left, or every second one."
    )
    pattern_center: tuple[float, float, float] = quantity(
        (0.5, 0.25, 0.6), "detector", "Pattern center x, y (from the top), z, Bruker convention."
    )
    sample_tilt: float = quantity(70.0, "degree", "Tilt of the sample to the beam.", ge=0, lt=90)
    noise: float = quantity(
        1.0, "pattern", "Standard deviation of Gaussian noise, in that of the pattern.", ge=0
    )
    background: float = quantity(
        2.0, "pattern", "Height of the smooth background, in deviations of the pattern.", ge=0
    )
    blur: float = quantity(0.5, "pixel", "Standard deviation of a Gaussian blur.", ge=0, le=20)
    master: MasterSpec | None = Field(
        None,
        description="How master patterns are computed; none takes quick dynamical ones if "
        "de-ebsd is installed, else kinematic ones.",
    )
    rate: float = quantity(5000.0, "1/s", "Patterns written per second.", gt=0, le=1e6)
    faults: tuple[FaultSpec, ...] = Field((), description="What goes wrong, and when.")
    swmr: bool = Field(
        True, description="HDF5: keep the file open and write with SWMR, or open it each time."
    )
    seed: int = quantity(0, "1", "Seed of all random numbers.", ge=0, lt=2**32)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")

    @property
    def n_patterns(self) -> int:
        """Return the number of scan pixels."""
        return self.scan_shape[0] * self.scan_shape[1]

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        for name in ("scan_shape", "pattern_shape"):
            least = 1 if name == "scan_shape" else 8
            if min(getattr(self, name)) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; need at least {least} each")
        if self.pattern_center[2] <= 0:
            raise ValueError(
                f"pattern_center is {self.pattern_center}; the screen distance z must be above 0"
            )
        if self.format == "ebsp" and self.pattern_shape[0] * self.pattern_shape[1] < 1600:
            raise ValueError(
                "an ebsp file needs patterns of at least 1600 pixels, or other programs can't tell "
                f"where its table ends; pattern_shape is {self.pattern_shape}"
            )
        late = [fault.at for fault in self.faults if fault.at >= self.n_patterns]
        if late:
            raise ValueError(
                f"faults at {late} come after the last of {self.n_patterns} patterns; give numbers "
                "below that"
            )
        return self
