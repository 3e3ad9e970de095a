"""The range that spot patterns are drawn from: the yardsticks of evaluation, and training.

Both draw with the same code (``simulate.spot_patterns``), and differ in numbers alone.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from ..errors import SpecError
from .base import Range, Spec, quantity


class SpotRangeSpec(Spec):
    """Crystal orientation, beam, camera and picture of spot patterns."""

    pattern_shape: tuple[int, int] = quantity((256, 256), "pixel", "Rows and columns of a pattern.")
    zone_share: float = quantity(
        0.0, "1", "Share of patterns along one of the 16 lowest zone axes; the others are uniform "
        "on SO(3).", ge=0, le=1,
    )  # fmt: skip
    mistilt: float = quantity(
        1.0, "degree", "Standard deviation of the tilt off a zone axis, about each of two axes.",
        ge=0, le=30,
    )  # fmt: skip
    voltage: Range = quantity((80.0, 300.0), "kV", "Beam energy.")
    relrod: Range = quantity(
        (0.005, 0.02), "1/Å", "Standard deviation of the Gaussian relrod, about 0.4 over the "
        "thickness.",
    )  # fmt: skip
    precession: Range = quantity((0.0, 1.0), "degree", "Angle of the precession.")
    rim: Range = quantity((0.8, 1.2), "1/Å", "Reciprocal length of half the pattern's height.")
    spot_radius: Range = quantity((1.0, 2.2), "pixel", "Deviation of a Gaussian spot.")
    disk_share: float = quantity(0.1, "1", "Share of patterns with disks.", ge=0, le=1)
    off_center: float = quantity(0.06, "1", "Largest shift along each axis over the side.", ge=0,
                                 le=0.2)  # fmt: skip
    ellipticity: float = quantity(0.01, "1", "Largest long over short axis, less 1.", ge=0, le=0.2)
    barrel: float = quantity(
        0.005, "1", "Largest change of the distance at half the height, of either sign.", ge=0,
        le=0.1,
    )  # fmt: skip
    dynamical: float = quantity(
        0.5, "1", "Largest departure from kinematic intensities: 1 takes them to the power 0.4 and "
        "varies each by half; thin crystals alone.", ge=0, le=1,
    )  # fmt: skip
    thick_share: float = quantity(
        0.0, "1", "Share of patterns of thick crystals: Bloch waves, the beam standing still, "
        "where the atoms are known, else two beams. The others are kinematic.", ge=0, le=1,
    )  # fmt: skip
    thickness: Range = quantity(
        (100.0, 1000.0), "Å", "Of thick crystals; its logarithm is uniform."
    )
    absorption: Range = quantity(
        (0.0, 0.1), "1", "Imaginary over real part of the potential of thick crystals."
    )
    thick_beams: int = quantity(
        160, "1", "Most beams of a thick crystal that Bloch waves are solved for; the others have "
        "their two-beam intensity.", ge=2, le=4000,
    )  # fmt: skip
    direct_beam: float = quantity(30.0, "1", "Largest height over the strongest spot.", ge=0)
    beam_stop_share: float = quantity(0.2, "1", "Share with a beam stop.", ge=0, le=1)
    background: float = quantity(0.3, "1", "Largest background at the center over the spots.",
                                 ge=0)  # fmt: skip
    halo: float = quantity(0.2, "1", "Largest share of electrons scattered by a little.", ge=0,
                           le=1)  # fmt: skip
    contrast: float = quantity(0.5, "1", "Largest departure of the exponent from 1.", ge=0, lt=1)
    noise: float = quantity(0.03, "1", "Largest deviation of the noise over the spots' height.",
                            ge=0)  # fmt: skip
    saturation_share: float = quantity(0.3, "1", "Share with a clipped top.", ge=0, le=1)
    blooming: float = quantity(0.0, "1", "Largest charge that runs along a column.", ge=0)
    bad_pixels: float = quantity(0.0, "1", "Largest share of bad pixels.", ge=0, le=0.1)
    screen_share: float = quantity(0.0, "1", "Share with missing corners.", ge=0, le=1)
    negative_share: float = quantity(0.2, "1", "Share of negatives.", ge=0, le=1)

    @model_validator(mode="after")
    def _check_physics(self) -> Self:
        if not (self.voltage[0] >= 20 and self.voltage[1] <= 1500):
            raise ValueError(f"voltage is {self.voltage}; transmission needs 20 to 1500 kV")
        for name in ("relrod", "rim", "spot_radius", "thickness"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.precession[0] < 0 or self.precession[1] > 5:
            raise ValueError(f"precession is {self.precession}; it lies from 0 to 5 degrees")
        if self.absorption[0] < 0 or self.absorption[1] > 1:
            raise ValueError(f"absorption is {self.absorption}; it lies from 0 to 1")
        return self


_CLEAN = SpotRangeSpec(
    ellipticity=0.0, barrel=0.0, dynamical=0.0, beam_stop_share=0.0, background=0.0, halo=0.0,
    contrast=0.0, noise=0.0, saturation_share=0.0, negative_share=0.0, disk_share=0.0,
)  # fmt: skip
_SAD = {
    "clean": _CLEAN,
    "standard": SpotRangeSpec(),
    "hard": SpotRangeSpec(
        noise=0.08, background=1.0, halo=0.4, beam_stop_share=0.4, ellipticity=0.03, barrel=0.02,
        dynamical=1.0, saturation_share=0.6, blooming=0.2, bad_pixels=0.001, screen_share=0.3,
        contrast=0.7,
    ),
}  # fmt: skip


def sad_condition(name: str) -> SpotRangeSpec:
    """Return the SAD condition of that name.

    Raises
    ------
    SpecError
        If there is no condition of that name.
    """
    if name not in _SAD:
        raise SpecError(f"no condition {name!r}; choose one of {', '.join(_SAD)}")
    return _SAD[name]
