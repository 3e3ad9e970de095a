"""One EBSD pattern: where the screen stands and how the crystal lies."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from .base import Spec, quantity

LARGEST = 1024
"""Rows or columns of the largest screen that is drawn."""


class EbsdViewSpec(Spec):
    """How one pattern is drawn from a master pattern; frames as in ``docs/conventions.md``."""

    shape: tuple[int, int] = quantity((120, 120), "pixel", "Rows and columns of the screen.")
    pattern_center_x: float = quantity(
        0.5, "detector width", "Pattern center from the left edge, Bruker convention.", ge=-1, le=2
    )
    pattern_center_y: float = quantity(
        0.25, "detector height", "Pattern center from the top edge, Bruker convention.", ge=-1, le=2
    )
    pattern_center_z: float = quantity(
        0.6, "detector height", "Distance of the screen from the sample.", ge=0.1, le=5
    )
    sample_tilt: float = quantity(
        70.0, "degree", "Tilt of the sample, from horizontal.", ge=-90, le=90
    )
    detector_tilt: float = quantity(0.0, "degree", "Tilt of the camera.", ge=-90, le=90)
    azimuthal: float = quantity(0.0, "degree", "Azimuth of the camera.", ge=-90, le=90)
    phi1: float = quantity(
        30.0, "degree", "First Euler angle, about the sample normal.", ge=0, le=360
    )
    capital_phi: float = quantity(
        40.0, "degree", "Second Euler angle, about the x axis as it then stands.", ge=0, le=180
    )
    phi2: float = quantity(
        20.0, "degree", "Third Euler angle, about the crystal's z axis (c*).", ge=0, le=360
    )

    @property
    def euler(self) -> tuple[float, float, float]:
        """Return the Bunge Euler angles [degrees], from sample to crystal."""
        return self.phi1, self.capital_phi, self.phi2

    @property
    def pattern_center(self) -> tuple[float, float, float]:
        """Return the pattern center (x, y, z), Bruker's convention."""
        return self.pattern_center_x, self.pattern_center_y, self.pattern_center_z

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if not all(8 <= side <= LARGEST for side in self.shape):
            raise ValueError(f"shape is {self.shape}; need 8 to {LARGEST} rows and columns")
        return self
