"""Random spot patterns of stored crystals: what training and evaluation see.

Needs torch, numpy and pydantic alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import SpotRangeSpec
from .atoms import CrystalAtoms
from .projector import random_quaternions
from .reflections import Reflections
from .spot_images import SpotAppearance, SpotCamera, draw_spots
from .spots import Beam, ReflectionBatch, Spots, excite
from .thick_spots import thick_spots

Scatter = Callable[[Tensor, Beam], Spots]
"""Orientations, shape ``(n, 4)``, and one row of a beam for each give spots."""

AXES = 16
"""Zone axes that ``zone_share`` draws from, the lowest ones."""


def draw_patterns(
    crystals: Sequence[Reflections],
    asked: SpotRangeSpec,
    generator: torch.Generator,
    *,
    orientations: Tensor | None = None,
    scatter: Scatter | None = None,
    atoms: Sequence[CrystalAtoms | None] = (),
) -> Tensor:
    """Return pictures of spot patterns, one of each crystal.

    Parameters
    ----------
    crystals
        One per pattern.
    asked
        The range of everything else.
    generator
        Of all that is random; its device is that of the patterns.
    orientations
        Instead of random ones: quaternions that turn the frame of the picture into the crystal
        frame, shape ``(n, 4)``.
    scatter
        Instead of the intensities that ``asked`` wishes: what :mod:`.thick_spots` returns.
        ``asked.dynamical`` and ``asked.thick_share`` are not looked at then.
    atoms
        One per crystal, for Bloch waves of thick ones; empty where none are known.

    Returns
    -------
    patterns
        Shape ``(n, rows, columns)``, float32.
    """
    count, device = len(crystals), generator.device

    def uniform(bounds: tuple[float, float]) -> Tensor:
        low, high = bounds
        return low + (high - low) * torch.rand(count, generator=generator, device=device)

    def share(value: float) -> Tensor:
        return torch.rand(count, generator=generator, device=device) < value

    if orientations is None:
        orientations = random_quaternions(count, generator)
        if asked.zone_share > 0:
            along = zone_quaternions(
                count, asked.mistilt, generator, [zone_axes(crystal) for crystal in crystals]
            )
            orientations = torch.where(share(asked.zone_share)[:, None], along, orientations)
    relrod = uniform(asked.relrod)
    beam = Beam(uniform(asked.voltage), relrod, uniform(asked.precession), 2.5 * relrod, "gaussian")
    orientations = orientations.to(device)
    is_thin = torch.ones(count, dtype=torch.bool, device=device)
    if scatter is not None:
        spots = scatter(orientations, beam)
    elif asked.thick_share > 0:
        is_thin = ~share(asked.thick_share)
        depth = torch.exp(uniform((math.log(asked.thickness[0]), math.log(asked.thickness[1]))))
        absorption = uniform(asked.absorption)
        thin, thick = is_thin.nonzero()[:, 0], (~is_thin).nonzero()[:, 0]
        parts = []
        if len(thin):
            part = ReflectionBatch.of([crystals[i] for i in thin.tolist()], device=device)
            parts.append((thin, excite(part, orientations[thin], _rows(beam, thin))))
        if len(thick):
            known = atoms or [None] * count
            parts.append((thick, thick_spots(
                [crystals[i] for i in thick.tolist()], [known[i] for i in thick.tolist()],
                orientations[thick], beam.voltage[thick], depth[thick], absorption[thick],
                max_beams=asked.thick_beams,
            )))  # fmt: skip
        spots = _joined(parts, count)
    else:
        spots = excite(ReflectionBatch.of(crystals, device=device), orientations, beam)
    rows, columns = asked.pattern_shape
    shift = asked.off_center * (2 * torch.rand(count, 2, generator=generator, device=device) - 1)
    camera = SpotCamera(
        (rows, columns), 0.5 + shift, 0.5 * rows / uniform(asked.rim),
        uniform(asked.spot_radius), share(asked.disk_share),
        uniform((0.0, asked.ellipticity)), uniform((0.0, math.pi)),
        uniform((-asked.barrel, asked.barrel)),
    )  # fmt: skip
    camera = SpotCamera(
        camera.shape, camera.center, camera.camera_constant,
        torch.where(camera.is_disk, 1.3 * camera.spot_radius, camera.spot_radius), camera.is_disk,
        camera.ellipticity, camera.ellipse_angle, camera.barrel,
    )  # fmt: skip
    strength = spots.intensity
    if scatter is None and asked.dynamical > 0 and len(strength):
        amount = asked.dynamical * torch.rand(count, generator=generator, device=device)
        amount = (amount * is_thin)[spots.pattern]
        top = torch.zeros(count, device=device).scatter_reduce_(0, spots.pattern, strength, "amax")
        relative = strength / top[spots.pattern].clamp_min(1e-20)
        spread = torch.randn(len(strength), generator=generator, device=device)
        strength = relative.clamp_min(0) ** (1 - 0.6 * amount) * torch.exp(0.5 * amount * spread)
    images = draw_spots(spots, camera, strength)
    return appearance_of(asked).apply(images, camera, generator)


def _rows(beam: Beam, rows: Tensor) -> Beam:
    """Return the beams of some patterns."""
    return replace(beam, voltage=beam.voltage[rows], width=beam.width[rows],
                   precession=beam.precession[rows], cutoff=beam.cutoff[rows])  # fmt: skip


def _joined(parts: Sequence[tuple[Tensor, Spots]], count: int) -> Spots:
    """Return the spots of parts of the patterns, whose numbers stand beside them."""
    owner = torch.cat([numbers[spots.pattern] for numbers, spots in parts])
    order = owner.argsort(stable=True)
    position, excitation, intensity, reflection = (
        torch.cat([getattr(spots, name) for _, spots in parts])[order]
        for name in ("position", "excitation", "intensity", "reflection")
    )
    return Spots(owner[order], position, excitation, intensity, reflection, count)


def appearance_of(asked: SpotRangeSpec) -> SpotAppearance:
    """Return the strengths of everything between the crystal and the picture."""
    return SpotAppearance(**{name: getattr(asked, name) for name in SpotAppearance.model_fields})


@cache
def _axes() -> Tensor:
    """Return the unit vectors of the lowest cubic directions ``u <= v <= w``."""
    reach = range(6)
    found = [
        axis for axis in itertools.product(reach, repeat=3)
        if axis[0] <= axis[1] <= axis[2] and math.gcd(*axis) == 1
    ]  # fmt: skip
    found.sort(key=lambda axis: (sum(x * x for x in axis), axis))
    axes = torch.tensor(found[:AXES], dtype=torch.float32)
    unit: Tensor = axes / axes.norm(dim=1, keepdim=True)
    return unit


def zone_axes(crystal: Reflections) -> Tensor | None:
    """Return the directions of the shortest lattice vectors of a crystal that is not cubic.

    Returns
    -------
    axes
        Unit vectors in the Cartesian crystal frame, one of each pair of opposite ones, shape
        ``(2 * AXES, 3)``; None for a cubic cell, whose axes :func:`zone_quaternions` knows.
    """
    reciprocal = np.linalg.lstsq(crystal.hkl.astype(float), crystal.g, rcond=None)[0]
    metric = reciprocal @ reciprocal.T
    if np.allclose(metric, metric[0, 0] * np.eye(3), atol=1e-4 * metric[0, 0]):
        return None
    vectors = _lattice_steps() @ np.linalg.inv(reciprocal).T
    length = np.linalg.norm(vectors, axis=1)
    shortest = np.argsort(length, kind="stable")[: 2 * AXES]
    return torch.tensor(vectors[shortest] / length[shortest, None], dtype=torch.float32)


@cache
def _lattice_steps() -> NDArray[np.float64]:
    """Return small indices without a common factor, one of each pair of opposite ones."""
    found = [
        step for step in itertools.product(range(-4, 5), repeat=3)
        if step > (0, 0, 0) and math.gcd(*step) == 1
    ]  # fmt: skip
    return np.array(found, np.float64)


def zone_quaternions(
    count: int,
    mistilt: float,
    generator: torch.Generator,
    axes: Sequence[Tensor | None] = (),
) -> Tensor:
    """Return orientations near zone axes, turned at random about the beam, shape ``(n, 4)``.

    Parameters
    ----------
    count
        How many.
    mistilt
        Deviation of the tilt about two axes across the beam [degrees].
    generator
        Source of random numbers.
    axes
        Of each crystal, as :func:`zone_axes` gives them; empty for cubic crystals alone.
    """
    device = generator.device
    number = torch.randint(AXES, (count,), generator=generator, device=device)
    axis = _axes().to(device)[number]
    # All equivalents of m-3 and their mirror images turn up: crystals of m-3 tell them apart.
    order = torch.rand(count, 3, generator=generator, device=device).argsort(dim=1)
    sign = torch.where(torch.rand(count, 3, generator=generator, device=device) < 0.5, -1.0, 1.0)
    axis = axis.gather(1, order) * sign
    for row, own in enumerate(axes):
        if own is not None:
            chosen = int(number[row]) * len(own) // AXES + int(order[row, 0] > order[row, 1])
            axis[row] = own[chosen].to(device) * sign[row, 0]
    # The shortest rotation that takes the beam to the axis, after a turn about the beam.
    half = axis + torch.tensor([0.0, 0.0, 1.0 + 1e-6], device=device)
    half = half / half.norm(dim=1, keepdim=True)
    zeros = torch.zeros_like(half[:, 2])
    align = torch.stack([half[:, 2], -half[:, 1], half[:, 0], zeros], dim=1)
    turn = math.pi * torch.rand(count, generator=generator, device=device)
    about = torch.stack([torch.cos(turn), zeros, zeros, torch.sin(turn)], dim=1)
    tilt = math.radians(mistilt) * torch.randn(count, 2, generator=generator, device=device) / 2
    lean = torch.cat([torch.ones_like(tilt[:, :1]), tilt, zeros[:, None]], dim=1)
    lean = lean / lean.norm(dim=1, keepdim=True)
    return multiply(multiply(align, about), lean)


def multiply(first: Tensor, second: Tensor) -> Tensor:
    """Return the quaternions of the rotations ``first`` after ``second``, shape ``(n, 4)``."""
    a, b, c, d = first.unbind(-1)
    e, f, g, h = second.unbind(-1)
    return torch.stack(
        [
            a * e - b * f - c * g - d * h, a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f, a * h + b * g - c * f + d * e,
        ],
        dim=-1,
    )  # fmt: skip
