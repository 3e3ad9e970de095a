"""Spots of thick crystals for random patterns: the two choices beside kinematic ones.

Each function returns what :func:`~.spot_patterns.draw_patterns` takes as ``scatter``; the generator
draws the thickness of each pattern. Needs torch, numpy and pydantic alone.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .bloch import MAX_BEAMS, CrystalPotential, simulate_beams
from .reflections import Reflections
from .spot_patterns import Scatter
from .spots import Beam, ReflectionBatch, Spots, excite

CUTOFF = 0.05
"""Largest excitation error of a two-beam spot [1/Å]."""


def two_beam_scatter(
    crystal: Reflections, thickness: tuple[float, float], generator: torch.Generator
) -> Scatter:
    """Return a function from orientations to two-beam spots.

    Parameters
    ----------
    crystal
        Of all patterns.
    thickness
        Range that the thickness is drawn from [Å].
    generator
        Of the thickness.
    """

    def scatter(orientations: Tensor, beam: Beam) -> Spots:
        count = len(orientations)
        depth = _draw(thickness, count, generator).to(beam.width)
        ours = replace(
            beam, width=1 / depth, cutoff=torch.full_like(depth, CUTOFF), shape_factor="two_beam"
        )
        batch = ReflectionBatch.of([crystal] * count, device=orientations.device)
        return excite(batch, orientations, ours)

    return scatter


def bloch_scatter(
    potential: CrystalPotential,
    thickness: tuple[float, float],
    generator: torch.Generator,
    *,
    absorption: float = 0.0,
    max_beams: int = MAX_BEAMS,
) -> Scatter:
    """Return a function from orientations to spots by Bloch waves.

    The beam's voltage counts, its precession does not: the beam stands still.

    Parameters
    ----------
    potential
        Of the crystal of all patterns.
    thickness
        Range that the thickness is drawn from [Å].
    generator
        Of the thickness.
    absorption, max_beams
        As :func:`~.bloch.simulate_beams` takes them.
    """

    def scatter(orientations: Tensor, beam: Beam) -> Spots:
        depth = _draw(thickness, len(orientations), generator)
        beams = simulate_beams(
            potential, orientations, voltage=beam.voltage, thickness=depth[:, None],
            absorption=absorption, max_beams=max_beams,
        )  # fmt: skip
        spots = beams.spots()
        return replace(
            spots, position=spots.position.to(beam.width),
            excitation=spots.excitation.to(beam.width), intensity=spots.intensity.to(beam.width),
        )  # fmt: skip

    return scatter


def _draw(bounds: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)
