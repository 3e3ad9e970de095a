"""What a master pattern is asked to be: one spec per simulator, told apart by ``method``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .base import Spec, quantity


class KinematicSpec(Spec):
    """A kinematic master pattern: every lattice plane draws its band, weighted by |F|."""

    method: Literal["kinematic"] = Field("kinematic", description="No multiple scattering.")
    voltage: float = quantity(20.0, "kV", "Beam energy.", ge=5, le=40)
    d_min: float = quantity(0.7, "Å", "Smallest lattice spacing of a reflection.", ge=0.3, le=3)
    half_size: int = quantity(
        150, "pixel", "The Lambert grid is 2 * half_size + 1 on a side.", ge=5, le=1000
    )
    scaling: Literal["linear", "square"] = Field(
        "linear", description="Whether a band is as bright as |F| or |F|²."
    )
    minimum_factor: float = quantity(
        0.02, "strongest |F|", "Bands weaker than this share are left out.", ge=0, lt=1
    )
    scattering: Literal["xtables", "lobato"] = Field(
        "lobato", description="Table of atomic scattering factors in diffsims."
    )


class DynamicalSpec(Spec):
    """A dynamical master pattern: Bloch waves, Monte Carlo exit depths and energies.

    The defaults are the converged ones of ``docs/convergence.md``, for small cells; for a
    large cell raise ``d_min`` and set ``max_strong``.
    """

    method: Literal["dynamical"] = Field("dynamical", description="Multiple scattering.")
    voltage: float = quantity(20.0, "kV", "Beam energy.", ge=5, le=40)
    d_min: float = quantity(0.35, "Å", "Smallest lattice spacing of a reflection.", ge=0.25, le=3)
    half_size: int = quantity(
        200, "pixel", "The Lambert grid is 2 * half_size + 1 on a side.", ge=5, le=1000
    )
    cutoffs: tuple[float, float, float] | None = quantity(
        None,
        "1",
        "Bethe thresholds (strong, weak, ignored); none lets max_strong choose. "
        "EMsoft's own are 4, 8, 50.",
    )
    max_strong: float | None = quantity(
        None,
        "1",
        "Coarsen the Bethe thresholds until a direction has at most so many strong beams "
        "on average; none keeps the finest.",
        ge=10,
    )
    energy_range: float = quantity(
        5.0, "keV", "Electrons that lost more than this are left out.", gt=0, le=20
    )
    energy_bins: int = quantity(
        5, "1", "Number of exit energies the range is divided into.", ge=1, le=50
    )
    weighting: Literal["emsoft", "yield"] = Field(
        "emsoft",
        description="How energies are summed. A bin's pattern already counts its electrons "
        "(yield); EMsoft multiplies by the exit energy histogram once more.",
    )
    sample_tilt: float = quantity(
        70.0, "degree", "Sample tilt in the Monte Carlo run, from horizontal.", ge=0, lt=90
    )
    electrons: int = quantity(
        100_000, "1", "Number of Monte Carlo electrons.", ge=1000, le=10_000_000
    )
    seed: int = quantity(0, "1", "Seed of the Monte Carlo run.", ge=0)
    precision: Literal["single", "double"] = Field(
        "single", description="Working precision; single is right to about 1e-4."
    )

    @model_validator(mode="after")
    def _check_physics(self) -> Self:
        if self.cutoffs is not None:
            strong, weak, ignored = self.cutoffs
            if not 0 < strong < weak <= ignored:
                raise ValueError(
                    f"cutoffs are {self.cutoffs}; they must rise: 0 < strong < weak <= ignored"
                )
            if self.max_strong is not None:
                raise ValueError("give either cutoffs or max_strong, not both")
        if self.energy_range >= self.voltage:
            raise ValueError(
                f"energy_range is {self.energy_range} keV at a voltage of {self.voltage} kV; "
                "electrons can't lose more than they have"
            )
        return self


MasterSpec = Annotated[KinematicSpec | DynamicalSpec, Field(discriminator="method")]
"""Either spec, told apart by ``method``."""
