"""Finding the pattern center from the patterns themselves, crystal and orientation unknown.

Where a file does not say where its pattern center is, or says it in another convention,
the center at which cubic templates explain the patterns best is the right one: a wrong
center bends the angles between zone axes, and no orientation mends that.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .indexing import CubicIndexer, Screen

GRID_X = (0.42, 0.5, 0.58)
GRID_Y = (0.1, 0.19, 0.28, 0.37, 0.46, 0.55, 0.64)
GRID_Z = (0.42, 0.5, 0.58, 0.66, 0.76, 0.88)
MOST_IMAGES, GRID_IMAGES = 24, 6
MOST_STARTS, START_GROUP = 48, 6
"""Places of the grid to start from: at most, and before looking whether one is good."""
TRUSTED_SCORE, SURE_SCORE = 0.2, 0.27
"""Mean explained share from which a center counts as good, and ends the search; wrong
orientations reach 0.1, and 0.2 where the center adapts to a single pattern."""


@dataclass(frozen=True)
class FoundCenter:
    """A pattern center and how well it explains the patterns.

    Parameters
    ----------
    center
        Of the central square of the patterns, Bruker's convention, shape ``(3,)``.
    score
        Mean share of the patterns' intensity that is explained there, 0 to 1.
    start_score
        The same at the center that the search started from; NaN without one.
    scores
        The share of each pattern, shape ``(n,)``.
    """

    center: Tensor
    score: float
    start_score: float = float("nan")
    scores: Tensor | None = None


def square_centers(pattern_center: NDArray[Any], shape: tuple[int, int]) -> Tensor:
    """Return pattern centers of the central square that a network sees.

    Parameters
    ----------
    pattern_center
        Bruker's convention, fractions of the detector, shape ``(3,)`` or ``(n, 3)``.
    shape
        Rows and columns of the detector.

    Returns
    -------
    centers
        Fractions of the square, shape ``(1, 3)`` or ``(n, 3)``.
    """
    rows, columns = shape
    edge = min(rows, columns)
    center = np.asarray(pattern_center, dtype=np.float64).reshape(-1, 3)
    x = (center[:, 0] * columns - (columns - edge) // 2) / edge
    y = (center[:, 1] * rows - (rows - edge) // 2) / edge
    return torch.from_numpy(np.stack([x, y, center[:, 2] * rows / edge], -1).astype(np.float32))


def detector_center(center: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return a center of the central square in fractions of the detector, shape ``(3,)``."""
    rows, columns = shape
    edge = min(rows, columns)
    x, y, z = center.unbind(-1)
    return torch.stack(
        [
            (x * edge + (columns - edge) // 2) / columns,
            (y * edge + (rows - edge) // 2) / rows,
            z * edge / rows,
        ]
    )


@torch.no_grad()
def find_pattern_center(
    indexer: CubicIndexer, images: Tensor, start: Tensor | None = None
) -> FoundCenter:
    """Return the pattern center that patterns share.

    Parameters
    ----------
    indexer
        The orientation search.
    images
        Prepared patterns, shape ``(n, 1, side, side)``; at most 24 are used.
    start
        The center that the file states, shape ``(3,)``. It is refined; only if it
        explains the patterns badly is another one searched for.
    """
    images = images[:MOST_IMAGES]
    start_score = float("nan")
    found: list[FoundCenter] = []
    if start is not None:
        start = start.to(images)
        start_score = float(indexer.index(images, start.expand(len(images), 3))[1].mean())
        found.append(_refined(indexer, images, start, 6))
        if found[0].score >= TRUSTED_SCORE:
            return replace(found[0], start_score=start_score)
    best = _searched(indexer, images[:GRID_IMAGES])
    if best.score < TRUSTED_SCORE and len(images) > GRID_IMAGES:
        # Six patterns may all be poor ones: look at others.
        other = _searched(indexer, images[GRID_IMAGES : 3 * GRID_IMAGES])
        best = max(best, other, key=lambda t: t.score)
    found.append(_refined(indexer, images, best.center, 4))
    # What the file states counts as right unless another center is clearly better.
    chosen = found[-1] if start is None or found[-1].score > 1.3 * found[0].score else found[0]
    return replace(chosen, start_score=start_score)


def _searched(indexer: CubicIndexer, images: Tensor) -> FoundCenter:
    """Try a grid of centers and refine the best of them, until one is good."""
    grid = images.new_tensor(list(itertools.product(GRID_X, GRID_Y, GRID_Z)))
    scores = torch.stack(
        [indexer.search(images, center.expand(len(images), 3), 1)[1].mean() for center in grid]
    )
    best: FoundCenter | None = None
    for place in scores.topk(MOST_STARTS).indices.split(START_GROUP):
        tried = [_refined(indexer, images, grid[k], 5) for k in place]
        best = max([*tried, *([best] if best else [])], key=lambda t: t.score)
        if best.score >= SURE_SCORE:
            break
    return best or _refined(indexer, images, grid[0], 5)


def _refined(indexer: CubicIndexer, images: Tensor, center: Tensor, steps: int) -> FoundCenter:
    """Refine a center and all orientations together, by Gauss-Newton steps."""
    rotations, scores = indexer.index(images, center.expand(len(images), 3))
    best = FoundCenter(center, float(scores.mean()), scores=scores)
    for _ in range(steps):
        center, rotations = _step(indexer, images, center, rotations, scores)
        screen = Screen.of(images, center.expand(len(images), 3), 30)
        scores = indexer.score(screen, rotations[:, None], len(indexer.templates))[:, 0]
        if float(scores.mean()) > best.score:
            best = FoundCenter(center, float(scores.mean()), scores=scores)
    return best


def _step(
    indexer: CubicIndexer, images: Tensor, center: Tensor, rotations: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
    def screen_at(place: Tensor) -> Screen:
        return Screen.of(images, place.expand(len(images), 3), 30)

    screen = screen_at(center)
    sheets, rest, turn_slope = indexer.linearise(screen, rotations[:, None])
    change = 0.004
    slopes = []
    for axis in range(3):
        shift = torch.zeros_like(center)
        shift[axis] = change
        ahead = indexer.draw(sheets, screen_at(center + shift), rotations)
        behind = indexer.draw(sheets, screen_at(center - shift), rotations)
        slopes.append((ahead - behind) / (2 * change))
    slope = torch.stack(slopes, -1) * screen.inside[..., None]
    weight = scores.clamp_min(0.01)[:, None, None]
    turn_slope, rest = turn_slope[:, 0], rest[:, 0, :, None]
    damping = 1e-3 * torch.eye(3, device=center.device)
    square = turn_slope.mT @ turn_slope
    square = square + damping * square.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    mixed = turn_slope.mT @ slope
    # Each orientation is eliminated: what is left are three equations for the center.
    solved = torch.linalg.solve(square, torch.cat([mixed, turn_slope.mT @ rest], -1))
    curve = (weight * (slope.mT @ slope - mixed.mT @ solved[..., :3])).sum(0)
    push = (weight * (slope.mT @ rest - mixed.mT @ solved[..., 3:])).sum(0)
    curve = curve + 5 * damping * curve.diagonal().sum()
    step = torch.linalg.solve(curve, push)[:, 0].clamp(-0.03, 0.03)
    moved = center + step
    moved = torch.stack([moved[0], moved[1], moved[2].clamp_min(0.2)])
    turn = solved[..., 3] - solved[..., :3] @ (moved - center)
    return moved, indexer.turned(rotations, turn)
