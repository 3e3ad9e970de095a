"""How well anybody could tell two crystals apart: the bound that no network can pass.

An observer who knows both patterns exactly, the noise, and how uncertain orientation,
geometry and screen are, decides with the likelihood ratio. Where the uncertainties are small
enough for the pattern to change linearly with them, both hypotheses are Gaussians of one
covariance, and the observer's distance and error have a closed form (the prewhitening
observer: Barrett & Myers, Foundations of Image Science, 2004, ch. 13). Needs torch alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..imaging.filters import gaussian_blur
from ..simulate.detector import standardise
from ..simulate.projector import DetectorGeometry, project

STEP = 1e-3
"""Of the finite differences, in rad and in detector heights."""

SCALES = (1.0, 2.0, 4.0)
"""Blurs [pixels of 60] between which the strength of structure is uncertain."""


@dataclass(frozen=True)
class Uncertainty:
    """What the observer does not know, as standard deviations; 0 is known exactly.

    Parameters
    ----------
    noise
        White noise of each pixel over the pattern's own standard deviation.
    orientation
        About each axis [degree].
    pattern_center
        Of each coordinate [detector heights].
    background
        Of each term of a smooth background up to second order, over the pattern's own.
    spectrum
        Relative strength of structure between the blurs of :data:`SCALES`: beam energy,
        focus, Debye-Waller factors.
    asymmetry
        Share of the pattern's magnitude: bands brighter or darker than their flanks.
    """

    noise: float = 1.0
    orientation: float = 0.4
    pattern_center: float = 0.012
    background: float = 1.0
    spectrum: float = 0.2
    asymmetry: float = 0.2


def separations(
    one: Tensor,
    other: Tensor,
    geometry: DetectorGeometry,
    rotations: Tensor,
    uncertainty: Uncertainty,
) -> Tensor:
    """Return the distance d' of the ideal observer between two crystals, for each pattern.

    Parameters
    ----------
    one, other
        Master patterns in the square Lambert projection, shape ``(hemisphere, m, m)``.
    geometry
        One row per pattern.
    rotations
        Sample-to-crystal rotations, quaternions, shape ``(n, 4)``.
    uncertainty
        What is not known; its noise must be above 0.

    Returns
    -------
    d_prime
        Shape ``(n,)``. The share of wrong decisions between the two is :func:`error_of`.

    Raises
    ------
    ValueError
        If there is no noise: then any two patterns that differ are told apart.
    """
    if uncertainty.noise <= 0:
        raise ValueError(f"the noise is {uncertainty.noise:g}; need a value above 0")
    first, second = (_seen(m, geometry, rotations) for m in (one, other))
    difference = (first - second).flatten(1)
    energy = (difference**2).sum(1)
    modes = list(_modes(one, first, geometry, rotations, uncertainty))
    if modes:
        matrix = torch.stack([mode.flatten(1) for mode in modes], dim=2)
        overlap = (matrix.mT @ difference[:, :, None])[:, :, 0]
        inner = matrix.mT @ matrix
        inner = inner + uncertainty.noise**2 * torch.eye(len(modes), device=inner.device)
        energy = energy - (overlap * torch.linalg.solve(inner, overlap)).sum(1)
    return energy.clamp_min(0).sqrt() / uncertainty.noise


def error_of(d_prime: Tensor) -> Tensor:
    """Return the share of wrong decisions between two equally likely crystals, 0 to 0.5."""
    return 0.5 * torch.erfc(d_prime / 8**0.5)


def _seen(master: Tensor, geometry: DetectorGeometry, rotations: Tensor) -> Tensor:
    return standardise(project(master[None], geometry, rotations))


def _modes(
    master: Tensor,
    pattern: Tensor,
    geometry: DetectorGeometry,
    rotations: Tensor,
    uncertainty: Uncertainty,
) -> Iterator[Tensor]:
    """Give how the pattern changes by one standard deviation of each thing unknown."""
    rows, columns = geometry.shape
    if uncertainty.orientation:
        size = float(torch.deg2rad(torch.tensor(uncertainty.orientation)))
        for axis in range(3):
            half = torch.zeros(4, dtype=rotations.dtype, device=rotations.device)
            half[0], half[1 + axis] = 1.0, STEP / 2
            turned = _product(rotations, half / half.norm())
            yield (_seen(master, geometry, turned) - pattern) * (size / STEP)
    if uncertainty.pattern_center:
        for axis in range(3):
            center = geometry.pattern_center.clone()
            center[:, axis] += STEP
            moved = replace(geometry, pattern_center=center)
            change = _seen(master, moved, rotations) - pattern
            yield change * (uncertainty.pattern_center / STEP)
    if uncertainty.background:
        x = torch.linspace(-1, 1, columns, device=pattern.device)[None, None, :]
        y = torch.linspace(-1, 1, rows, device=pattern.device)[None, :, None]
        ones = torch.ones_like(pattern)
        for term in (ones, x * ones, y * ones, x * x * ones, x * y * ones, y * y * ones):
            yield uncertainty.background * term
    if uncertainty.spectrum:
        blurred = [pattern, *(gaussian_blur(pattern, s * rows / 60) for s in SCALES)]
        for fine, coarse in zip(blurred, [*blurred[1:], torch.zeros_like(pattern)], strict=True):
            yield uncertainty.spectrum * (fine - coarse)
    if uncertainty.asymmetry:
        yield uncertainty.asymmetry * standardise(pattern.abs())


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Return the Hamilton product of quaternions ``(n, 4)`` with one ``(4,)``."""
    a, b, c, d = left.unbind(-1)
    e, f, g, h = right.unbind(-1)
    return torch.stack(
        [
            a * e - b * f - c * g - d * h, a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f, a * h + b * g - c * f + d * e,
        ],
        dim=-1,
    )  # fmt: skip
