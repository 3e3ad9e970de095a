"""What ``train`` is asked for powder profiles: sets of lines, a grid, a network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from .base import Spec, quantity
from .train import TRAIN_SPECS, BaseTrainSpec


class ProfileNetworkSpec(Spec):
    """The network for profiles."""

    architecture: Literal["profilenet", "park_cnn", "lolla_resnet18"] = Field(
        "profilenet",
        description="Which network: ours, or those of Park et al. (2017) and Lolla et al. (2022).",
    )
    widths: tuple[int, ...] = quantity(
        (16, 32, 64, 128), "channel", "profilenet: channels of the stages.", min_length=1
    )
    stem: int = quantity(4, "point", "profilenet: stride of the first layer.", ge=1, le=32)
    layers: int = quantity(2, "1", "profilenet: transformer blocks.", ge=0, le=24)
    dropout: float = quantity(0.1, "1", "Share of features dropped.", ge=0, le=0.9)
    width: int = quantity(
        64, "channel", "lolla_resnet18: channels of the first stage, 64 in the paper.", ge=4, le=512
    )


class GridSpec(Spec):
    """The points of the input, and how a profile is brought there."""

    grid: Literal["log_q", "two_theta"] = Field(
        "log_q", description="What is equally spaced: ln q, or the angle 2θ."
    )
    start: float = quantity(0.4, "1/Å or degree", "First point.", gt=0, lt=180)
    stop: float = quantity(6.2, "1/Å or degree", "Last point.", gt=0, lt=180)
    points: int = quantity(2048, "1", "Number of points.", ge=64, le=65_536)
    wavelength: float = quantity(
        1.54184, "Å", "To which angles are converted, for a grid of angles.", gt=0.1, lt=10
    )
    background: int = quantity(
        81, "point", "Width of the filter that takes the background away; 0 keeps it.", ge=0
    )
    power: float = quantity(0.5, "1", "Exponent that lifts weak peaks.", gt=0, le=1)


class PowderTrainSpec(BaseTrainSpec):
    """What ``train`` is asked for powder profiles."""

    technique: Literal["powder"] = Field("powder", description="What the patterns are.")
    radiation: Literal["xray", "neutron"] = Field("xray", description="What is scattered.")
    lines: tuple[Path, ...] = Field(
        min_length=1, description="Stored sets of powder lines, files or folders of them."
    )
    validation: tuple[Path, ...] = Field(
        (), description="Held-out sets of lines; empty draws them from lines."
    )
    grid: GridSpec = Field(default_factory=GridSpec, description="The input.")
    network: ProfileNetworkSpec = Field(
        default_factory=ProfileNetworkSpec, description="The network."
    )
    conditions: Literal["training", "standard", "clean", "park"] = Field(
        "training",
        description="Samples and diffractometers that are drawn: the wide range of training, "
        "a condition of evaluation, or those of Park et al. (2017).",
    )
    redraw: bool = Field(
        True,
        description="Whether profiles are drawn anew each time; else each crystal's is drawn "
        "once and kept, as the papers did.",
    )

    @model_validator(mode="after")
    def _check_grid(self) -> PowderTrainSpec:
        if self.grid.stop <= self.grid.start:
            raise ValueError(f"grid goes from {self.grid.start} to {self.grid.stop}; need a rise")
        return self


TRAIN_SPECS["powder"] = PowderTrainSpec
