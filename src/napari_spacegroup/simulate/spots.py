"""Which spots a crystal shows, and how strong: kinematic diffraction in torch.

Needs torch and numpy alone, and works on many patterns at a time on the device that trains.
diffsims' ``SimulationGenerator`` is the reference; positions and intensities agree with it
(``tests/physics/test_spots.py``). The frame is that of diffsims: z points to the electron
source, x to the right and y up as seen from there; see ``docs/conventions.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .projector import rotation_matrices
from .reflections import Reflections

ShapeFactor = Literal["lorentzian", "linear", "sinc", "sin2c", "atanc", "gaussian", "two_beam"]

PLANCK = 6.62607015e-34
ELECTRON_MASS = 9.1093837015e-31
CHARGE = 1.602176634e-19
LIGHT = 2.99792458e8
REST_ENERGY = 510.99895
"""Of the electron [keV] (CODATA 2018, as the constants above, in SI units)."""

MINIMA = 5
"""The zero of ``sinc`` and ``sin2c`` that lies at the width, as in diffsims."""


def electron_wavelength(voltage: float | Tensor) -> Tensor:
    """Return the relativistic wavelength of electrons [Å].

    Parameters
    ----------
    voltage
        Accelerating voltage [kV].

    References
    ----------
    Williams & Carter (2009), eq. 1.6.

    Examples
    --------
    >>> round(float(electron_wavelength(200.0)), 6)
    0.025079
    """
    energy = torch.as_tensor(voltage, dtype=torch.float64) * 1e3 * CHARGE
    momentum = 2 * ELECTRON_MASS * energy * (1 + energy / (2 * ELECTRON_MASS * LIGHT**2))
    # In double precision: the squares of SI units leave the range of single precision.
    return PLANCK / torch.sqrt(momentum) * 1e10


@dataclass(frozen=True)
class Beam:
    """The electron beam and the thickness, one row per pattern.

    Parameters
    ----------
    voltage
        Shape ``(n,)`` [kV].
    width
        Half width of the relrods, about one over the thickness, shape ``(n,)`` [1/Å].
    precession
        Angle of the precession, shape ``(n,)`` [degrees]; 0 for none.
    cutoff
        Largest excitation error that still gives a spot, shape ``(n,)`` [1/Å].
    shape_factor
        How the intensity falls off the Ewald sphere. ``two_beam`` takes the thickness as
        ``1 / width`` and the extinction distance of each reflection.
    is_approximate
        Precessed Lorentzians in closed form, as diffsims does by default, or averaged over
        the azimuth of the beam, as the other shapes are.
    """

    voltage: Tensor
    width: Tensor
    precession: Tensor
    cutoff: Tensor
    shape_factor: ShapeFactor = "lorentzian"
    is_approximate: bool = True

    @classmethod
    def fixed(
        cls,
        count: int,
        *,
        voltage: float = 200.0,
        width: float = 0.01,
        precession: float = 0.0,
        cutoff: float | None = None,
        shape_factor: ShapeFactor = "lorentzian",
        is_approximate: bool = True,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Beam:
        """Return one beam repeated ``count`` times; the cutoff is the width where None."""

        def column(value: float) -> Tensor:
            return torch.full((count,), value, device=device, dtype=dtype)

        return cls(
            column(voltage), column(width), column(precession),
            column(width if cutoff is None else cutoff), shape_factor, is_approximate,
        )  # fmt: skip


@dataclass(frozen=True)
class Spots:
    """Spots of many patterns in one list.

    Parameters
    ----------
    pattern
        Which pattern each spot belongs to, ascending, shape ``(m,)``.
    position
        x and y of the reciprocal vector, shape ``(m, 2)`` [1/Å].
    excitation
        Excitation error, shape ``(m,)`` [1/Å]: positive outside the sphere, as diffsims has it and
        opposite to textbooks.
    intensity
        Shape ``(m,)``: ``|F|²`` [Å²] times the shape factor; for ``two_beam`` the share of the
        beam.
    reflection
        Row of each spot in the list of reflections, shape ``(m,)``.
    count
        Number of patterns.
    """

    pattern: Tensor
    position: Tensor
    excitation: Tensor
    intensity: Tensor
    reflection: Tensor
    count: int


@dataclass(frozen=True)
class ReflectionBatch:
    """Reflections of several patterns in one list, ready for the device.

    Parameters
    ----------
    pattern
        Which pattern each belongs to, shape ``(m,)``.
    g
        In the crystal frame, shape ``(m, 3)`` [1/Å].
    factor
        ``|F|``, shape ``(m,)`` [Å].
    volume
        Of the cell, shape ``(n,)`` [Å³].
    """

    pattern: Tensor
    g: Tensor
    factor: Tensor
    volume: Tensor

    @classmethod
    def of(
        cls,
        crystals: Sequence[Reflections],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> ReflectionBatch:
        """Return the reflections of one crystal per pattern."""
        counts = torch.tensor([len(c) for c in crystals])
        return cls(
            torch.arange(len(crystals)).repeat_interleave(counts).to(device),
            torch.as_tensor(np.concatenate([c.g for c in crystals])).to(device, dtype),
            torch.as_tensor(np.concatenate([c.factor for c in crystals])).to(device, dtype),
            torch.tensor([c.volume for c in crystals]).to(device, dtype),
        )


def excite(reflections: ReflectionBatch, orientations: Tensor, beam: Beam) -> Spots:
    """Return the spots that crystals show.

    Parameters
    ----------
    reflections
        One crystal per pattern.
    orientations
        Detector-to-crystal rotations as orix quaternions, scalar first, shape ``(n, 4)``:
        diffsims' ``rotation``.
    beam
        One row per pattern.

    Returns
    -------
    spots
        Without the direct beam.
    """
    owner = reflections.pattern
    radius = 1 / electron_wavelength(beam.voltage).to(reflections.g)
    matrices = rotation_matrices(orientations.to(reflections.g))
    lab = torch.einsum("mi,mij->mj", reflections.g, matrices[owner])
    flat = lab[:, 0] ** 2 + lab[:, 1] ** 2
    sphere = radius[owner]
    # r - sqrt(r² - q²), written so that single precision keeps it.
    height = flat / (sphere + torch.sqrt((sphere**2 - flat).clamp_min(0)))
    error = height - lab[:, 2]
    tilt = torch.deg2rad(beam.precession)
    kept = error.abs() < beam.cutoff[owner]
    if bool((tilt > 0).any()):
        kept = torch.where(
            tilt[owner] > 0, _is_crossed(flat, lab[:, 2], sphere, tilt, beam.cutoff, owner), kept
        )
    rows = kept.nonzero()[:, 0]
    owner, error, flat = owner[rows], error[rows], flat[rows]
    factor = reflections.factor[rows]
    if beam.shape_factor == "two_beam":
        extinction = extinction_distance(
            factor, flat, reflections.volume[owner], beam.voltage[owner]
        )
        shape = _precessed(
            error, flat.sqrt(), tilt[owner],
            lambda s: two_beam_intensity(s, extinction, 1 / beam.width[owner]),
        )  # fmt: skip
    else:
        shape = factor**2 * shape_factor(
            error, flat.sqrt(), beam.width[owner], tilt[owner], beam.shape_factor,
            is_approximate=beam.is_approximate,
        )  # fmt: skip
    return Spots(owner, lab[rows, :2], error, shape, rows, len(orientations))


def _is_crossed(
    flat: Tensor, height: Tensor, sphere: Tensor, tilt: Tensor, cutoff: Tensor, owner: Tensor
) -> Tensor:
    """Return whether the precessing sphere meets each relrod, as diffsims decides it."""
    across = flat.sqrt()
    top = sphere * torch.cos(tilt)[owner]
    aside = sphere * torch.sin(tilt)[owner]

    def surface(distance: Tensor) -> Tensor:
        # P cos(t) - sqrt(P² - d²) without cancellation of two large numbers.
        root = torch.sqrt((sphere**2 - distance**2).clamp_min(0))
        return (distance**2 - aside**2) / (top + root)

    limit = cutoff[owner]
    return (height - limit <= surface(across + aside)) & (height + limit >= surface(across - aside))


def shape_factor(
    error: Tensor,
    distance: Tensor,
    width: Tensor,
    tilt: Tensor,
    model: ShapeFactor = "lorentzian",
    *,
    is_approximate: bool = True,
) -> Tensor:
    """Return how much of its intensity a reflection has off the Ewald sphere.

    Parameters
    ----------
    error
        Excitation error, shape ``(m,)`` [1/Å].
    distance
        Of the spot from the direct beam, shape ``(m,)`` [1/Å].
    width
        Of the relrod, shape ``(m,)`` [1/Å].
    tilt
        Precession angle, shape ``(m,)`` [radians].
    model
        The functions of diffsims of the same names, and ``gaussian`` with the width as its
        standard deviation.
    is_approximate
        See :class:`Beam`.

    References
    ----------
    Palatinus et al. (2019), Acta Cryst. B 75, 512, eqs. 6, 8 and 10.
    """
    if model == "lorentzian" and is_approximate and bool((tilt > 0).any()):
        still = 1 / (1 + (math.pi * error / width) ** 2)
        sigma = math.pi / width
        u = sigma**2 * (distance**2 * tilt**2 - error**2) + 1
        z = torch.sqrt(u**2 + 4 * sigma**2 * error**2)
        # u + z cancels where the error is the larger: (z² - u²) / (z - u) instead.
        total = torch.where(u > 0, u + z, 4 * sigma**2 * error**2 / (z - u).clamp_min(1e-30))
        moving = sigma / math.pi * torch.sqrt(2 * total / z**2)
        return torch.where(tilt > 0, moving, still)
    return _precessed(error, distance, tilt, lambda s: _still(s, width, model))


def _still(error: Tensor, width: Tensor, model: str) -> Tensor:
    if model == "lorentzian":
        return 1 / (1 + (math.pi * error / width) ** 2)
    if model == "linear":
        return (1 - error.abs() / width).clamp_min(0)
    if model == "gaussian":
        return torch.exp(-0.5 * (error / width) ** 2)
    scaled = MINIMA * error / width
    if model == "atanc":
        angle = math.pi * scaled
        safe = torch.where(angle == 0, torch.ones_like(angle), angle)
        return torch.where(angle == 0, torch.ones_like(angle), torch.atan(safe) / safe)
    sinc = torch.sinc(scaled).abs()
    return sinc**2 if model == "sin2c" else sinc


AZIMUTHS = 256
"""Directions of the precessing beam that an average takes: the trapezium rule converges
exponentially on a circle where the function is smooth."""


def _precessed(error: Tensor, distance: Tensor, tilt: Tensor, function: object) -> Tensor:
    assert callable(function)
    still: Tensor = function(error)
    if not bool((tilt > 0).any()):
        return still
    total = torch.zeros_like(error)
    for step in range(AZIMUTHS):
        total = total + function(
            error + distance * tilt * math.cos(2 * math.pi * (step + 0.5) / AZIMUTHS)
        )
    return torch.where(tilt > 0, total / AZIMUTHS, still)


def extinction_distance(factor: Tensor, flat: Tensor, volume: Tensor, voltage: Tensor) -> Tensor:
    """Return the two-beam extinction distances [Å].

    Parameters
    ----------
    factor
        ``|F|`` for electrons at rest [Å]; their mass in motion is counted here.
    flat
        Square of the spot's distance [1/Å²].
    volume
        Of the cell [Å³].
    voltage
        [kV].

    References
    ----------
    Williams & Carter (2009), eq. 13.4.
    """
    wavelength = electron_wavelength(voltage).to(factor)
    cosine = torch.sqrt((1 - (wavelength / 2) ** 2 * flat).clamp_min(0))
    mass = 1 + voltage / REST_ENERGY
    return math.pi * volume * cosine / (wavelength * mass * factor.clamp_min(1e-12))


def two_beam_intensity(error: Tensor, extinction: Tensor, thickness: Tensor) -> Tensor:
    """Return the share of the beam that one reflection takes in a crystal of even thickness.

    References
    ----------
    Williams & Carter (2009), eq. 13.48.
    """
    effective = torch.sqrt(error**2 + 1 / extinction**2)
    return (torch.sin(math.pi * thickness * effective) / (extinction * effective)) ** 2
