"""Spots of thick crystals for random patterns: the choices beside kinematic ones.

:func:`two_beam_scatter` and :func:`bloch_scatter` return what
:func:`~.spot_patterns.draw_patterns` takes as ``scatter``, for many patterns of one crystal; the
generator draws the thickness of each. :func:`thick_spots` serves many crystals. Needs torch, numpy
and pydantic alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .atoms import CrystalAtoms, simulate_thick
from .bloch import MAX_BEAMS, CrystalPotential, simulate_beams
from .projector import rotation_matrices
from .reflections import Reflections
from .spots import Beam, ReflectionBatch, Spots, excite

if TYPE_CHECKING:
    from .spot_patterns import Scatter

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


def thick_spots(
    crystals: Sequence[Reflections],
    atoms: Sequence[CrystalAtoms | None],
    orientations: Tensor,
    voltage: Tensor,
    thickness: Tensor,
    absorption: Tensor,
    *,
    max_beams: int,
) -> Spots:
    """Return the spots of thick crystals, one crystal and orientation per pattern.

    Parameters
    ----------
    crystals, atoms
        One per pattern; where there are no atoms, two beams count and the absorption doesn't.
    orientations
        As :func:`~.spots.excite` takes them, shape ``(n, 4)``.
    voltage, thickness, absorption
        Shape ``(n,)`` [kV], [Å] and imaginary over real part of the potential.
    max_beams
        As :func:`~.atoms.simulate_thick` takes it.

    Returns
    -------
    spots
        Intensities are shares of the incident beam; ``reflection`` counts within each pattern.
    """
    device = orientations.device
    matrices = rotation_matrices(orientations.double())
    owners, places, errors, strengths, rows = [], [], [], [], []
    for number, (crystal, content) in enumerate(zip(crystals, atoms, strict=True)):
        if content is None:
            beam = Beam.fixed(
                1, voltage=float(voltage[number]), width=1 / float(thickness[number]),
                cutoff=CUTOFF, shape_factor="two_beam", device=device,
            )  # fmt: skip
            batch = ReflectionBatch.of([crystal], device=device)
            one = excite(batch, orientations[number : number + 1], beam)
            place, error, strength = one.position, one.excitation, one.intensity
        else:
            found = simulate_thick(
                content, matrices[number], voltage=float(voltage[number]),
                thickness=float(thickness[number]), absorption=float(absorption[number]),
                max_beams=max_beams,
            )  # fmt: skip
            place, error, strength = found.position, found.excitation, found.intensity
        owners.append(torch.full((len(strength),), number))
        places.append(place.to(device))
        errors.append(error.to(device))
        strengths.append(strength.to(device))
        rows.append(torch.arange(len(strength)))
    return Spots(
        torch.cat(owners).to(device), torch.cat(places), torch.cat(errors), torch.cat(strengths),
        torch.cat(rows).to(device), len(crystals),
    )  # fmt: skip


def _draw(bounds: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)
