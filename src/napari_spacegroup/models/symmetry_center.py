"""Finding the pattern center from the symmetry of the patterns, whatever the crystal.

Away from the right center the angles of a pattern are bent, and turned about its axes it no
longer falls onto itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from .pattern_center import MOST_IMAGES, FoundCenter
from .symmetry_axes import CHANCE, Screen, evidence
from .symmetry_fit import (
    COARSE_ANGLE,
    COARSE_SIDE,
    FINE_ANGLE,
    FINE_SIDE,
    LaueFit,
    fit_laue_classes,
    map_axes,
    refine_fit,
)

GRID_X, GRID_Y, GRID_Z = (0.45, 0.55), (0.14, 0.24, 0.34, 0.44, 0.56), (0.45, 0.53, 0.62, 0.74)
GRID_IMAGES, IMAGES = 2, 6
"""Patterns that the grid of centers is tried with, and the refinement."""
STARTS = 4
STEPS = (0.03, 0.015, 0.008, 0.004)
"""Of the refinement, fractions of the screen."""
MOST_STEPS, LEAST_DISTANCE = 8, 0.2


@torch.no_grad()
def find_symmetry_center(images: Tensor, start: Tensor | None = None) -> FoundCenter:
    """Return the pattern center at which patterns are most symmetric.

    Parameters
    ----------
    images
        Prepared patterns, shape ``(n, 1, side, side)``; at most 24 are used,
        six of them for the search.
    start
        The center that the file states, shape ``(3,)``. It is kept: a crystal of low symmetry
        shows too little to correct it.

    Returns
    -------
    found
        Its score is the mean share of a pattern that its best axis explains, the square of the
        correlation.
    """
    images = images.float().cpu()
    if start is not None:
        center = start.float().cpu()
        scores = shown(images[:MOST_IMAGES], center)
        return FoundCenter(center, float(scores.mean()), float(scores.mean()), scores)
    grid = torch.tensor(list(itertools.product(GRID_X, GRID_Y, GRID_Z)))
    tried = [_laid(images[:GRID_IMAGES], center) for center in grid]
    order = sorted(range(len(grid)), key=lambda k: -tried[k].evidence)
    climbed = [_climbed(images[:GRID_IMAGES], tried[k], STEPS[:2]) for k in order[:STARTS]]
    best = max(climbed, key=lambda place: place.evidence)
    best = _climbed(images[:IMAGES], _laid(images[:IMAGES], best.center), STEPS[1:])
    scores = shown(images[:MOST_IMAGES], best.center)
    return FoundCenter(best.center, float(scores.mean()), scores=scores)


def shown(images: Tensor, center: Tensor) -> Tensor:
    """Return the share of each pattern that its best axis explains, shape ``(n,)``."""
    found = []
    for image in images:
        screen = Screen.of(image[None], center[None], COARSE_ANGLE, COARSE_SIDE)
        found.append(map_axes(screen).best)
    return torch.tensor(found).clamp_min(0) ** 2


@dataclass(frozen=True)
class _Place:
    """A center, a Laue class and its orientation in every pattern, and what speaks for it."""

    center: Tensor
    laue: str
    frames: tuple[Tensor, ...]
    evidence: float


def _laid(images: Tensor, center: Tensor) -> _Place:
    """Return the Laue class that fits all patterns best with a center."""
    fits = [fit_laue_classes(image[None], center[None])[1] for image in images]
    sums = {laue: sum(_plain(fit[laue]) for fit in fits) for laue in fits[0]}
    laue = max(sums, key=lambda name: sums[name])
    return _Place(center, laue, tuple(fit[laue].rotation for fit in fits), sums[laue])


def _plain(fit: LaueFit) -> float:
    """Return what speaks for a fit, by the same measure at every center."""
    return float(evidence(fit.correlation, fit.share).sum())


def _moved(images: Tensor, place: _Place, center: Tensor) -> _Place:
    """Return the same Laue class with another center, its orientations mended."""
    frames, total = [], 0.0
    for image, frame in zip(images, place.frames, strict=True):
        coarse = Screen.of(image[None], center[None], COARSE_ANGLE, COARSE_SIDE)
        fine = Screen.of(image[None], center[None], FINE_ANGLE, FINE_SIDE)
        fit = refine_fit(coarse, fine, place.laue, frame[None], CHANCE, CHANCE)
        frames.append(fit.rotation)
        total += _plain(fit)
    return _Place(center, place.laue, tuple(frames), total)


def _climbed(images: Tensor, place: _Place, steps: tuple[float, ...]) -> _Place:
    """Return the place that no step of the center along an axis betters."""
    for step in steps:
        for _ in range(MOST_STEPS):
            moves = [step * sign * axis for axis in torch.eye(3) for sign in (1, -1)]
            tried = [_moved(images, place, place.center + move) for move in moves]
            best = max(tried, key=lambda other: other.evidence)
            if best.evidence <= place.evidence or float(best.center[2]) < LEAST_DISTANCE:
                break
            place = best
    return place
