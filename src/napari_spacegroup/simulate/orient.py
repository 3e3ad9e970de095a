"""The orientation at which a master pattern matches one measured pattern best.

A plain search for one pattern at a time, so that the dock *Simulate* can be set beside a
measured pattern by a click: all orientations coarsely, then the best ones ever more finely.
Whole maps are indexed elsewhere. Needs torch and numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config.ebsd_view import EbsdViewSpec
from ..crystal.orientations import proper_rotations, random_orientations, rotation_matrices
from .projector import project
from .single import (
    bunge_angles,
    comparable,
    comparable_batch,
    geometry_of,
    has_same_aspect,
    one_thread,
)

COARSE_ROWS, FINE_ROWS = 30, 60
BATCH = 512
DENSITY, FEWEST, MOST = 240_000, 12_000, 60_000
"""Orientations tried over all rotations, shared by the symmetry, and its limits: neighbours
are 3 degrees apart for a cubic crystal and 5 for one without rotations."""

KEPT = 12
APART = 8.0
"""Candidates and how far from each other they are at least [degrees], so that the true one
stands beside its pseudo-symmetric likes, such as twins."""

STEPS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.12)
"""Spread of the trials of each round of refinement [degrees]."""

TRIALS = 40


@dataclass(frozen=True)
class FoundOrientation:
    """Where the search ended.

    Parameters
    ----------
    euler
        Bunge angles [degrees], from sample to crystal.
    match
        Normalised correlation there, at :data:`FINE_ROWS` rows.
    """

    euler: tuple[float, float, float]
    match: float


def find_orientation(
    master: NDArray[np.float32],
    space_group: int,
    view: EbsdViewSpec,
    measured: NDArray[np.generic],
    mask: NDArray[np.bool_] | None = None,
    *,
    seed: int = 0,
) -> FoundOrientation:
    """Return the orientation that matches a pattern best.

    Parameters
    ----------
    master
        Square Lambert projection, shape ``(hemisphere, n, n)``.
    space_group
        Of the crystal: its rotations need not all be tried.
    view
        The screen; its own orientation does not count.
    measured
        The pattern, of the same aspect ratio.
    mask
        True inside its screen, or None.
    seed
        Of the trials.

    Raises
    ------
    ValueError
        If the aspect ratios differ.
    """
    if not has_same_aspect(view.shape, measured.shape):
        raise ValueError(
            f"the simulated screen is {view.shape}, the measured one {measured.shape}; need the "
            "same ratio of rows to columns"
        )
    generator = np.random.default_rng(seed)
    sheets = torch.as_tensor(master, dtype=torch.float32)[None]
    rotations = proper_rotations(space_group)
    count = min(MOST, max(FEWEST, DENSITY // len(rotations)))
    quaternions = random_orientations(count, generator)
    coarse, fine = (
        _Target(sheets, view, measured, mask, rows) for rows in (COARSE_ROWS, FINE_ROWS)
    )
    with torch.no_grad(), one_thread():
        best = _candidates(quaternions, coarse.scores(quaternions), rotations)
        for index, spread in enumerate(STEPS):
            target = coarse if index < 2 else fine
            trials = np.concatenate([best[:, None], _around(best, spread, generator)], axis=1)
            scores = target.scores(trials.reshape(-1, 4)).reshape(trials.shape[:2])
            leaders = np.argsort(-scores.max(axis=1))[
                : KEPT if index < 1 else 6 if index < 3 else 2
            ]
            best = trials[leaders, scores[leaders].argmax(axis=1)]
        match = float(fine.scores(best[:1])[0])
    return FoundOrientation(bunge_angles(tuple(float(x) for x in best[0])), match)


class _Target:
    """A measured pattern at one size, and the drawing of trials at that size."""

    def __init__(
        self,
        sheets: Tensor,
        view: EbsdViewSpec,
        measured: NDArray[np.generic],
        mask: NDArray[np.bool_] | None,
        rows: int,
    ) -> None:
        rows = min(rows, measured.shape[0])
        self.shape = rows, max(8, round(rows * measured.shape[1] / measured.shape[0]))
        self._sheets, self._view = sheets, view.replace(shape=self.shape)
        wanted = comparable(measured, self.shape, mask).flatten()
        self._inside = wanted != 0
        self._wanted = _unit(wanted[self._inside][None])[0]

    def scores(self, quaternions: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the correlation of each trial."""
        found = [
            self._batch(torch.from_numpy(part).to(torch.float32))
            for part in np.array_split(quaternions, -(-len(quaternions) // BATCH))
        ]
        scores: NDArray[np.float32] = torch.cat(found).numpy()
        return scores

    def _batch(self, rotations: Tensor) -> Tensor:
        drawn = project(self._sheets, geometry_of(self._view, len(rotations)), rotations)
        flat = comparable_batch(drawn, self.shape).flatten(1)
        return _unit(flat[:, self._inside]) @ self._wanted


def _unit(values: Tensor) -> Tensor:
    centered = values - values.mean(dim=1, keepdim=True)
    unit: Tensor = centered / (centered.norm(dim=1, keepdim=True) + 1e-12)
    return unit


def _candidates(
    quaternions: NDArray[np.float64],
    scores: NDArray[np.float32],
    rotations: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the best orientations, no two of them near each other up to symmetry."""
    order = np.argsort(-scores, kind="stable")[:2000]
    # Quaternions hold sample to crystal, so symmetry acts from the left.
    matrices = np.swapaxes(rotation_matrices(quaternions[order]), -1, -2)
    least = 1 + 2 * np.cos(np.radians(APART))
    kept: list[int] = []
    for index, matrix in enumerate(matrices):
        if kept:
            turned = rotations[:, None] @ matrices[kept].swapaxes(-1, -2)
            if np.einsum("skij,ij->sk", turned, matrix.T).max() > least:
                continue
        kept.append(index)
        if len(kept) == KEPT:
            break
    return quaternions[order[kept]]


def _around(
    quaternions: NDArray[np.float64], spread: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return ``(n, TRIALS, 4)`` orientations about ``spread`` [degrees] from given ones."""
    half = generator.normal(0.0, np.radians(spread) / 2, (len(quaternions), TRIALS, 3))
    small = np.concatenate([np.ones((*half.shape[:2], 1)), half], axis=-1)
    a, b = small, quaternions[:, None]
    w = a[..., 0] * b[..., 0] - (a[..., 1:] * b[..., 1:]).sum(-1)
    vector = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + np.cross(a[..., 1:], b[..., 1:])
    turned = np.concatenate([w[..., None], vector], axis=-1)
    result: NDArray[np.float64] = turned / np.linalg.norm(turned, axis=-1, keepdims=True)
    return result
