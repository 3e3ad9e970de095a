"""What ``train`` is asked: what to train on, a network, a schedule.

Each technique has a variant of its own, told apart by ``technique``; what they share
stands in :class:`BaseTrainSpec`. :func:`read_train_spec` reads a file to the right one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..errors import SpecError
from .base import Device, Range, Spec, quantity, read_mapping
from .unlabelled import UnlabelledSpec

AppearanceEffect = Literal[
    "noise", "blur", "spectrum", "asymmetry", "excess_deficiency", "gain_field", "offset_field",
    "background", "screen_share", "bad_pixels", "saturation_share",
]  # fmt: skip


class NetworkSpec(Spec):
    """The residual network and its input."""

    architecture: Literal[
        "sectornet",
        "bandnet",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "xception",
    ] = Field(
        "bandnet",
        description="Which network. sectornet finds the orientation first and is for cubic "
        "crystals; bandnet reads bands in Radon space; both suit CPUs.",
    )
    width: int = quantity(32, "channel", "Channels of the first stage.", ge=4, le=256)
    bands: int = quantity(
        38, "1", "sectornet: largest h² + k² + l² of the planes whose band profiles are read; "
        "0 reads the picture alone.", ge=0, le=100,
    )  # fmt: skip
    blind: float = quantity(
        0.25, "1", "sectornet: share of training patterns with the picture hidden.", ge=0, le=0.9
    )
    dropout: float = quantity(0.3, "1", "sectornet: share of features dropped.", ge=0, le=0.9)
    is_fine: bool = Field(
        default=False,
        description="sectornet: band profiles from a grid of twice the resolution.",
    )
    resolution: float = quantity(
        0.0, "degree", "sectornet: blur of patterns, so that those of a far screen show no finer "
        "lines than master patterns hold; random up to twice as much while training.", ge=0, le=5,
    )  # fmt: skip
    input_size: int = quantity(
        60, "pixel", "Patterns are resized to a square of this side.", ge=16, le=512
    )


class MicroscopeSpec(Spec):
    """The range of geometries and energies that training patterns are drawn from."""

    pattern_center_x: Range = quantity(
        (0.35, 0.65), "detector width", "Pattern center from the left, Bruker convention."
    )
    pattern_center_y: Range = quantity(
        (0.1, 0.6), "detector height", "Pattern center from the top, Bruker convention."
    )
    pattern_center_z: Range = quantity(
        (0.4, 0.9), "detector height", "Sample-to-screen distance, Bruker convention."
    )
    sample_tilt: Range = quantity((68.0, 72.0), "degree", "Tilt of the sample to the beam.")
    detector_tilt: Range = quantity((-5.0, 15.0), "degree", "Tilt of the detector.")
    voltage: Range = quantity((10.0, 30.0), "kV", "Beam energy.")

    @model_validator(mode="after")
    def _check_physics(self) -> MicroscopeSpec:
        if self.pattern_center_z[0] <= 0:
            raise ValueError("pattern_center_z is a distance and must be above 0")
        if not (self.voltage[0] >= 5 and self.voltage[1] <= 40):
            raise ValueError(f"voltage is {self.voltage}; the simulators cover 5 to 40 kV")
        if not (self.sample_tilt[0] >= 0 and self.sample_tilt[1] < 90):
            raise ValueError(f"sample_tilt is {self.sample_tilt}; it lies from 0 to below 90 deg")
        return self


class IndexingSpec(Spec):
    """How wrong orientations are while training; for ``sectornet`` alone.

    Training takes the true orientation, which costs nothing, with errors such as the
    search makes.
    """

    orientation_error: float = quantity(
        0.4, "degree", "Standard deviation of the orientation about each axis.", ge=0, le=10
    )
    pattern_center_error: float = quantity(
        0.012, "detector height", "Standard deviation of the pattern center.", ge=0, le=0.2
    )
    wrong_share: float = quantity(
        0.03, "1", "Share of patterns with a random orientation.", ge=0, le=1
    )


class ScheduleSpec(Spec):
    """Steps, batches and the optimiser."""

    steps: int = quantity(20_000, "1", "Optimiser steps.", ge=1, le=10**8)
    batch_size: int = quantity(128, "pattern", "Patterns in a step.", ge=2, le=65_536)
    learning_rate: float = quantity(1e-3, "1", "Highest learning rate.", gt=0, le=1)
    weight_decay: float = quantity(0.05, "1", "Decoupled weight decay of AdamW.", ge=0, le=1)
    warmup: float = quantity(0.03, "1", "Share of the steps with a rising rate.", ge=0, le=0.5)
    plane_weight: float = quantity(
        2.0, "1", "Weight of the second task: for EBSD the crystal plane of each line, for "
        "powder the coarser levels.", ge=0, le=100,
    )  # fmt: skip
    label_smoothing: float = quantity(0.05, "1", "Share given to all classes.", ge=0, lt=0.5)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Arithmetic of the network; auto is mixed precision on a GPU."
    )
    evaluate_every: int = quantity(
        1_000, "step", "Steps between validations and checkpoints.", ge=1, le=10**8
    )
    seconds: float | None = quantity(
        None, "s", "Stop in good order after so much time; null for none.", gt=0
    )


class BaseTrainSpec(Spec):
    """What ``train`` is asked whatever the technique."""

    technique: str = Field(description="What the patterns are.")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        "model", description="Name on the model card."
    )
    start: str | None = Field(
        None,
        description="Model to start from, by name or folder: the same network and input.",
    )
    classes: tuple[Annotated[int, Field(ge=1, le=230)], ...] | None = Field(
        None, description="Space groups that the network tells apart; null takes those present."
    )
    schedule: ScheduleSpec = Field(default_factory=ScheduleSpec, description="The schedule.")
    unlabelled: UnlabelledSpec | None = Field(
        None, description="Scans without labels to learn from too; null for none."
    )
    validation_share: float = quantity(
        0.125, "1", "Share of the structures kept for validation.", gt=0, lt=0.9
    )
    seed: int = quantity(0, "1", "Seed of all random numbers.", ge=0, lt=2**32)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        if self.classes is not None:
            if len(set(self.classes)) != len(self.classes):
                raise ValueError(f"classes {self.classes} names a space group twice")
            if len(self.classes) < 2:
                raise ValueError("classes needs at least two space groups to tell apart")
        return self


class TrainSpec(BaseTrainSpec):
    """What ``train`` is asked for EBSD."""

    technique: Literal["ebsd"] = Field("ebsd", description="What the patterns are.")
    masters: tuple[Path, ...] = Field(
        min_length=1, description="Stored master patterns, files or folders of them."
    )
    validation: tuple[Path, ...] = Field(
        (), description="Held-out master patterns; empty draws them from masters."
    )
    network: NetworkSpec = Field(default_factory=NetworkSpec, description="The network.")
    microscope: MicroscopeSpec = Field(
        default_factory=MicroscopeSpec, description="Geometries and energies."
    )
    indexing: IndexingSpec = Field(
        default_factory=IndexingSpec, description="Errors of the orientation in training."
    )
    appearance: float = quantity(
        1.0, "1", "Strength of the randomised screen response; 0 is bare simulation.", ge=0, le=3
    )
    without: tuple[AppearanceEffect, ...] = Field(
        (), description="Effects of the screen that are switched off, for an ablation."
    )
    mixed: float = quantity(
        0.0, "1", "Share of patterns that are of two structures of one space group, the second "
        "up to half as strong: bands as strong as in neither, absences of both.", ge=0, le=1,
    )  # fmt: skip
    split_by: Literal["structure", "prototype"] = Field(
        "prototype", description="What never stands on both sides of the split."
    )


TRAIN_SPECS: dict[str, type[BaseTrainSpec]] = {"ebsd": TrainSpec}
"""The spec of each technique that can be trained."""


def read_train_spec(path: str | Path) -> BaseTrainSpec:
    """Return the training spec in a YAML file, the variant that its ``technique`` names.

    Without ``technique`` it is one for EBSD; relative paths start at the file's folder.

    Raises
    ------
    SpecError
        If the file can't be read, names no known technique, or holds a wrong spec.
    """
    path = Path(path)
    values = read_mapping(path, "training spec", ["technique"])
    technique = values.get("technique", "ebsd")
    if technique not in TRAIN_SPECS:
        raise SpecError(
            f"{path}: technique is {technique!r}; choose one of {', '.join(TRAIN_SPECS)}"
        )
    return TRAIN_SPECS[technique].from_mapping(values, str(path)).anchored(path.parent)
