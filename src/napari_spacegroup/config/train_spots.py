"""What ``train`` is asked for spot patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from .base import Spec, quantity
from .spots import SpotRangeSpec
from .train import TRAIN_SPECS, BaseTrainSpec


class SpotNetworkSpec(Spec):
    """The network that reads an indexed list of spots."""

    architecture: Literal["spotnet"] = Field(
        "spotnet", description="Indexes the spots on a cubic lattice, reads what is absent."
    )
    width: int = quantity(384, "1", "Units of each of the two hidden layers.", ge=16, le=4096)
    dropout: float = quantity(0.2, "1", "Share of units dropped in training.", ge=0, le=0.9)


class LatticeNetworkSpec(Spec):
    """The network that reads spots by their place in the plane lattice."""

    architecture: Literal["latticenet"] = Field(
        "latticenet", description="Finds the plane lattice, reads the spots as a set."
    )
    width: int = quantity(64, "1", "Of a token.", ge=16, le=1024)
    depth: int = quantity(3, "1", "Blocks of attention.", ge=1, le=24)
    heads: int = quantity(4, "1", "Of each block.", ge=1, le=32)
    dropout: float = quantity(0.1, "1", "Share of units dropped in training.", ge=0, le=0.9)


class SpotTrainSpec(BaseTrainSpec):
    """What ``train`` is asked for spot patterns (SAD, 4D-STEM)."""

    technique: Literal["sad"] = Field("sad", description="What the patterns are.")
    sets: tuple[Path, ...] = Field(
        min_length=1, description="Stored reflection sets (recipes/sad-cubic/reflections.py)."
    )
    validation: tuple[Path, ...] = Field(
        min_length=1, description="Reflection sets of structures that are held out."
    )
    atoms: tuple[Path, ...] = Field(
        (), description="Atoms of the crystals (recipes/sad-cubic/atoms.py), for the Bloch waves "
        "of thick ones; without them they have two-beam intensities.",
    )  # fmt: skip
    drawn: tuple[Path, ...] = Field(
        (), description="Folders of patterns drawn ahead (recipes/sad-cubic/pool.py)."
    )
    network: SpotNetworkSpec | LatticeNetworkSpec = Field(
        default_factory=SpotNetworkSpec, description="The network; any crystal needs a latticenet.",
        union_mode="left_to_right",
    )  # fmt: skip
    microscope: SpotRangeSpec = Field(
        default_factory=lambda: SpotRangeSpec(zone_share=0.4, blooming=0.1, bad_pixels=0.0005,
                                              screen_share=0.1, ellipticity=0.02),
        description="What patterns are drawn from.",
    )  # fmt: skip
    pool: int = quantity(
        60_000, "pattern", "Patterns that are kept: each is drawn from many times, because drawing "
        "one anew costs far more than a step on it.", ge=64, le=10**7,
    )  # fmt: skip
    fresh_share: float = quantity(
        0.1, "1", "Patterns drawn anew for each that the network sees, once the pool is full.",
        gt=0, le=1,
    )  # fmt: skip
    balanced: float = quantity(
        1.0, "1", "Share of the patterns for which all space groups are drawn equally often; for "
        "the others all crystals are.", ge=0, le=1,
    )  # fmt: skip


TRAIN_SPECS["sad"] = SpotTrainSpec
