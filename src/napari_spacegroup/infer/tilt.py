"""Which zone axis to tilt to next, and how the holder gets there.

Along each zone axis a group's absences give its pattern a class
(:mod:`napari_spacegroup.crystal.zone_patterns`). The axis whose classes split the remaining
candidates best, by the expected gain in bits, is the one to look at. The geometry is that of a
double-tilt holder; ``docs/conventions.md`` draws its axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..config.combine import HolderSpec
from ..crystal.orientations import proper_rotations
from ..crystal.zone_patterns import EffectiveGroup, low_index_axes, zone_pattern

Axis = tuple[int, int, int]


ALONG = 1.5
"""A zone axis that is nearer to the beam [degrees] has been seen."""


@dataclass(frozen=True)
class TiltSuggestion:
    """A zone axis worth looking at.

    Parameters
    ----------
    axis
        Indices of the equivalent that is nearest.
    family
        The same as the lowest of its family.
    gain
        Expected information about the space group [bit].
    alpha, beta
        Where the holder must stand [degrees]; NaN where the orientation is unknown.
    angle
        Between the present beam direction and the axis in the crystal [degrees].
    other
        Alpha and beta should the orientation be the one turned by 180 degrees about the beam,
        which a pattern exactly along a zone axis leaves open; None where that is out of reach.
    splits
        Groups that this axis tells apart: the candidates, class by class.
    """

    axis: Axis
    family: Axis
    gain: float
    alpha: float
    beta: float
    angle: float
    other: tuple[float, float] | None
    splits: tuple[tuple[int, ...], ...]

    @property
    def is_reachable(self) -> bool:
        """Return whether the holder gets there."""
        return bool(np.isfinite(self.alpha))


def holder_rotation(alpha: float, beta: float) -> NDArray[np.float64]:
    """Return what the holder does to a specimen mounted at zero: beta first, then alpha.

    Parameters
    ----------
    alpha, beta
        [degrees], about x and y of the holder, right-handed.
    """
    a, b = np.radians([alpha, beta])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return np.asarray(about_x @ about_y)


def holder_angles(
    direction: NDArray[np.float64], rotation: NDArray[np.float64], holder: HolderSpec
) -> tuple[float, float]:
    """Return the tilts that bring a crystal direction along the beam.

    Parameters
    ----------
    direction
        Cartesian, in the crystal frame, shape ``(3,)``.
    rotation
        Turns the crystal frame into that of the picture as the holder now stands (x right,
        y up, z to the source), shape ``(3, 3)``.
    holder
        Where it stands, and how its axis lies in the picture.

    Returns
    -------
    alpha, beta
        [degrees], from -90 to 90 and from -180 to 180; reach is not looked at.
    """
    mounted = _mounted(rotation, holder) @ (direction / np.linalg.norm(direction))
    alpha = np.degrees(np.arcsin(np.clip(mounted[1], -1, 1)))
    beta = np.degrees(np.arctan2(-mounted[0], mounted[2]))
    return float(alpha), float(beta)


def _mounted(rotation: NDArray[np.float64], holder: HolderSpec) -> NDArray[np.float64]:
    """Return crystal to specimen stage at zero tilt."""
    angle = np.radians(holder.axis)
    picture_to_holder = np.array(
        [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    present = holder_rotation(holder.alpha, holder.beta)
    return np.asarray(present.T @ picture_to_holder @ rotation)


def suggest_axes(
    classes: Sequence[int],
    probabilities: NDArray[np.floating],
    *,
    rotation: NDArray[np.float64] | None = None,
    holder: HolderSpec | None = None,
    axes: int = 16,
    seen: Sequence[Axis] = (),
) -> list[TiltSuggestion]:
    """Return zone axes by how well they separate the candidates of a cubic crystal.

    Parameters
    ----------
    classes, probabilities
        Present candidates and how likely each is; groups that are not cubic are left out.
    rotation
        Crystal frame to picture, shape ``(3, 3)``; None if it is not known.
    holder
        The specimen holder; None takes one at zero tilt that reaches 30 degrees.
    axes
        How many low-index families are considered.
    seen
        Axes that were looked at already.

    Returns
    -------
    suggestions
        Those within reach first, by falling gain, equal ones by rising angle. Axes that tell
        nothing apart are left out.
    """
    holder = HolderSpec() if holder is None else holder
    known = {tuple(sorted(abs(x) for x in axis)) for axis in seen}
    cubic = [(int(g), float(p)) for g, p in zip(classes, probabilities, strict=True)
             if int(g) >= 195 and p > 1e-4]  # fmt: skip
    total = sum(p for _, p in cubic)
    found = []
    for family in low_index_axes(axes):
        if family in known or total <= 0:
            continue
        parts: dict[object, list[tuple[int, float]]] = {}
        for group, p in cubic:
            parts.setdefault(_class_of(group, family), []).append((group, p / total))
        shares = np.array([sum(p for _, p in part) for part in parts.values()])
        gain = float(-(shares * np.log2(np.maximum(shares, 1e-300))).sum())
        if gain < 1e-3:
            continue
        order = np.argsort(-shares)
        splits = tuple(tuple(g for g, _ in list(parts.values())[i]) for i in order)
        found.append(_reached(family, gain, splits, rotation, holder))
    return sorted(
        found, key=lambda s: (not s.is_reachable and rotation is not None, -round(s.gain, 3),
                              s.angle if np.isfinite(s.angle) else 0.0))  # fmt: skip


@lru_cache(maxsize=4096)
def _class_of(group: int, axis: Axis) -> object:
    return zone_pattern(EffectiveGroup(group), axis).key


def equivalents(family: Axis) -> list[Axis]:
    """Return all directions of a cubic family; both senses, because a pattern has no sense."""
    found = set()
    for order in itertools.permutations(family):
        for signs in itertools.product((1, -1), repeat=3):
            found.add((signs[0] * order[0], signs[1] * order[1], signs[2] * order[2]))
    return sorted(found)


def _reached(
    family: Axis,
    gain: float,
    splits: tuple[tuple[int, ...], ...],
    rotation: NDArray[np.float64] | None,
    holder: HolderSpec,
) -> TiltSuggestion:
    nan = float("nan")
    if rotation is None:
        return TiltSuggestion(family, family, gain, nan, nan, nan, None, splits)
    turned = np.diag([-1.0, -1.0, 1.0]) @ rotation
    beam = rotation[2]
    best: TiltSuggestion | None = None
    nearest = 180.0
    for axis in equivalents(family):
        unit = np.array(axis, float) / np.linalg.norm(axis)
        angle = float(np.degrees(np.arccos(np.clip(beam @ unit, -1, 1))))
        nearest = min(nearest, angle)
        reach = _within(holder_angles(unit, rotation, holder), holder)
        if reach is None or (best is not None and angle >= best.angle):
            continue
        other = _within(holder_angles(unit, turned, holder), holder)
        best = TiltSuggestion(axis, family, gain, *reach, angle, other, splits)
    if best is not None:
        return best
    return TiltSuggestion(family, family, gain, nan, nan, nearest, None, splits)


def _within(angles: tuple[float, float], holder: HolderSpec) -> tuple[float, float] | None:
    alpha, beta = angles
    fits = (
        holder.alpha_range[0] <= alpha <= holder.alpha_range[1]
        and holder.beta_range[0] <= beta <= holder.beta_range[1]
    )
    return angles if fits else None


def axes_along(
    rotations: Sequence[NDArray[np.float64]], axes: int = 16, within: float = ALONG
) -> list[Axis]:
    """Return the low-index families that lie along the beam.

    Parameters
    ----------
    rotations
        Crystal frame to picture, each shape ``(3, 3)``.
    axes
        How many families are looked at.
    within
        Angle to the beam [degrees].
    """
    if not len(rotations):
        return []
    beams = np.sort(np.abs(np.reshape(rotations, (-1, 3, 3))[:, 2]), axis=1)
    units = {family: np.sort(np.abs(family)) for family in low_index_axes(axes)}
    least = np.cos(np.radians(within))
    return [family for family, unit in units.items()
            if (beams @ unit).max() >= least * np.linalg.norm(unit)]  # fmt: skip


def cubic_misorientation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the smallest angle between two crystal-to-picture rotations [degrees]."""
    return float(cubic_misorientations([first], second)[0])


def cubic_misorientations(
    many: Sequence[NDArray[np.float64]], one: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the smallest angles of crystal-to-picture rotations to one [degrees], ``(n,)``."""
    stacked = np.reshape(many, (-1, 3, 3))
    traces = np.einsum("nij,kjl,il->nk", stacked, proper_rotations(225), one)
    largest = traces.max(axis=1) if len(stacked) else np.empty(0)
    angles: NDArray[np.float64] = np.degrees(np.arccos(np.clip((largest - 1) / 2, -1, 1)))
    return angles
