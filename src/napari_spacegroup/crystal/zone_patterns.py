"""What the spot pattern of a zone axis looks like: classes of patterns that can't be told apart.

A pattern is first of all a plane lattice of spots. Its class is made as in the paper on the
five ResNets (RSC Adv. 2021, 11, 38307): the shape of the lattice that the visible spots
generate gives the category (A square, B rectangle, C hexagon, D parallelogram, centred
rectangles too), the angles in it the number after the letter, and which nodes are absent the
number after the hyphen. Everything is computed from symmetry operators. Which orbits carry
the atoms can extinguish more than the operators do; :func:`effective_groups` finds that out.
The names of classes are given in :mod:`.zone_classes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import gcd

import gemmi
import numpy as np
from numpy.typing import NDArray

from .phase import AtomSite, Phase
from .symmetry import orbit, standard_setting
from .synthetic import is_of_its_group
from .wyckoff import wyckoff_positions

NODES = 4
"""Nodes up to this far along both axes of the plane lattice decide on a class."""

INDEX_LIMIT = 24
"""Largest Miller index that is asked whether it is extinguished."""

ANGLE_STEP = 0.05
"""Angles that differ by less are the same [degrees]."""


@dataclass(frozen=True)
class EffectiveGroup:
    """A space group, and the orbits of it that scatter.

    Parameters
    ----------
    space_group
        Number.
    orbits
        Numbers, in the order of :func:`~.wyckoff.wyckoff_positions`, of the Wyckoff positions
        that carry all atoms and leave out the same reflections, beyond what the group does;
        empty where the atoms lie on positions that extinguish nothing more.
    """

    space_group: int
    orbits: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.orbits:
            return f"{self.space_group}"
        words = []
        for number in self.orbits:
            position = wyckoff_positions(self.space_group)[number]
            place = ",".join(str(Fraction(float(x)).limit_denominator(48)) for x in position.offset)
            free = "" if position.dimension == 0 else f", {position.dimension} free"
            words.append(f"{position.multiplicity} at {place}{free}")
        return f"{self.space_group} ({'; '.join(words)})"


@dataclass(frozen=True)
class PlaneLattice:
    """The lattice that the visible spots of a zone generate.

    Parameters
    ----------
    category
        ``A`` square, ``B`` rectangle, ``C`` hexagon, ``D`` parallelogram.
    angles
        [degrees]. A and C: none. B: between diagonal and long side. D: at the origin, between
        the two shortest vectors, and at the end of the shorter one.
    chirality
        D: 1 if the turn from the shorter to the longer vector is counterclockwise, -1 if
        clockwise, 0 if the lattice is its own mirror image. Others: 0.
    basis
        Miller indices of the shorter and the longer vector, shape ``(2, 3)``.
    """

    category: str
    angles: tuple[float, ...]
    chirality: int
    basis: tuple[tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True)
class ZonePattern:
    """The appearance of a zone-axis pattern.

    Parameters
    ----------
    lattice
        Of the visible spots.
    absent
        Whether each node is dark, both indices from -NODES to NODES, row by row, in the
        orientation among those equal for the eye that comes first.
    """

    lattice: PlaneLattice
    absent: tuple[bool, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """Return what two patterns that look alike share."""
        angles = tuple(round(angle / ANGLE_STEP) for angle in self.lattice.angles)
        return (self.lattice.category, angles, self.lattice.chirality, self.absent)


def low_index_axes(count: int) -> tuple[tuple[int, int, int], ...]:
    """Return the first directions ``u <= v <= w`` of a cubic crystal, one of each family.

    Examples
    --------
    >>> low_index_axes(5)
    ((0, 0, 1), (0, 1, 1), (1, 1, 1), (0, 1, 2), (1, 1, 2))
    """
    reach = range(12)
    found = [
        (u, v, w) for u, v, w in itertools.product(reach, reach, reach)
        if u <= v <= w and gcd(gcd(u, v), w) == 1
    ]  # fmt: skip
    found.sort(key=lambda axis: (sum(x * x for x in axis), axis))
    return tuple(found[:count])


@cache
def _nodes(dimension: int) -> NDArray[np.int64]:
    return np.array(list(itertools.product(range(-12, 13), repeat=dimension)))


def zone_basis(axis: Sequence[int]) -> NDArray[np.int64]:
    """Return two Miller indices that generate all of a zone, shape ``(2, 3)``.

    Parameters
    ----------
    axis
        Zone axis, coprime.
    """
    u, v, w = (int(x) for x in axis)
    return _zone_basis(u, v, w).copy()


@cache
def _zone_basis(u: int, v: int, w: int) -> NDArray[np.int64]:
    if gcd(gcd(u, v), w) != 1:
        raise ValueError(f"zone axis {(u, v, w)} has a common divisor; divide by it")
    box = _nodes(3)
    zone = box[(box @ np.array([u, v, w]) == 0) & (box != 0).any(axis=1)]
    order = np.argsort((zone**2).sum(axis=1), kind="stable")
    zone = zone[order]
    first = zone[0]
    crossed = np.cross(first, zone)
    primitive = np.abs(crossed).sum(axis=1) == np.abs([u, v, w]).sum()
    second = zone[np.flatnonzero(primitive)[0]]
    if np.cross(first, second) @ np.array([u, v, w]) < 0:
        second = -second
    return np.stack([first, second]).astype(np.int64)


@cache
def _operations(space_group: int) -> gemmi.GroupOps:
    return standard_setting(space_group).operations()


@cache
def _orbit(space_group: int, number: int) -> NDArray[np.float64]:
    """Return the points of a Wyckoff position, free ones at odd places, shape ``(n, 3)``."""
    position = wyckoff_positions(space_group)[number]
    point = position.point(np.array([0.1379, 0.2217, 0.3571]))
    return np.asarray(orbit(_operations(space_group), point, 10.0 * np.eye(3)), np.float64)


def visible(group: EffectiveGroup, hkl: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which reflections a group and its scattering orbits leave.

    Parameters
    ----------
    group
        With orbits, a reflection shows where any of them scatters.
    hkl
        Shape ``(n, 3)``.
    """
    shown = ~_operations(group.space_group).systematic_absences(hkl.astype(np.int32))
    if not group.orbits:
        return np.asarray(shown)
    lit = np.zeros(len(hkl), bool)
    for number in group.orbits:
        points = _orbit(group.space_group, number)
        factor = np.abs(np.exp(2j * np.pi * (hkl @ points.T)).sum(axis=1))
        lit |= factor > 1e-6 * len(points)
    return np.asarray(shown & lit)


def zone_pattern(
    group: EffectiveGroup, axis: Sequence[int], metric: NDArray[np.float64] | None = None
) -> ZonePattern:
    """Return the appearance of a zone-axis pattern.

    Parameters
    ----------
    group
        What extinguishes reflections.
    axis
        Zone axis, coprime, towards the source.
    metric
        Reciprocal axes as rows, shape ``(3, 3)``; cubic where None.
    """
    reciprocal = np.eye(3) if metric is None else metric
    basis = zone_basis(axis)
    nodes = _nodes(2)
    hkl = nodes @ basis
    inside = (np.abs(hkl).max(axis=1) <= INDEX_LIMIT) & (nodes != 0).any(axis=1)
    hkl = hkl[inside]
    generators = _reduced(_generated(nodes[inside][visible(group, hkl)]) @ basis, reciprocal)
    lattice = _plane_lattice(generators, reciprocal, np.asarray(axis))
    generators = np.array(lattice.basis)
    steps = np.array(list(itertools.product(range(-NODES, NODES + 1), repeat=2)))
    images = []
    for turned in _lattice_symmetries(generators, reciprocal, is_chiral=lattice.chirality != 0):
        # 000 is the direct beam, which always shows.
        dark = ~visible(group, steps @ turned) & (steps != 0).any(axis=1)
        images.append(tuple(bool(x) for x in dark))
    return ZonePattern(lattice, min(images))


def _generated(nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a basis of the plane lattice that nodes generate (Hermite normal form)."""
    rows = [[int(a), int(b)] for a, b in nodes]
    top = [0, 0]
    bottom = 0
    for row in rows:
        current = row
        while current[0]:
            factor = top[0] // current[0]
            top, current = current, [top[0] - factor * current[0], top[1] - factor * current[1]]
        bottom = gcd(bottom, abs(current[1]))
    return np.array([[top[0], top[1] % bottom if bottom else top[1]], [0, bottom]])


def _reduced(basis: NDArray[np.int64], reciprocal: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the shortest basis (Gauss), the angle between 60 and 90 degrees."""
    first, second = basis.astype(np.int64)
    gram = reciprocal @ reciprocal.T

    def dot(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
        return float(a @ gram @ b)

    while True:
        if dot(second, second) < dot(first, first) - 1e-9:
            first, second = second, first
        step = round(dot(first, second) / dot(first, first))
        if (
            step == 0
            or dot(second - step * first, second - step * first) > dot(second, second) - 1e-9
        ):
            break
        second = second - step * first
    if dot(first, second) < -1e-9:
        second = -second
    return np.stack([first, second])


def _plane_lattice(
    generators: NDArray[np.int64], reciprocal: NDArray[np.float64], axis: NDArray[np.int64]
) -> PlaneLattice:
    one, two = generators @ reciprocal
    a, b = float(np.linalg.norm(one)), float(np.linalg.norm(two))
    gamma = float(np.degrees(np.arccos(np.clip(one @ two / (a * b), -1, 1))))
    alike, right = abs(a - b) < 1e-6 * b, abs(gamma - 90) < 1e-4
    # Counterclockwise as seen from the source, towards which the axis points.
    direct = np.linalg.inv(reciprocal).T
    turn = float(np.cross(one, two) @ (axis @ direct))
    first, second = (tuple(int(x) for x in row) for row in generators)
    basis = ((first[0], first[1], first[2]), (second[0], second[1], second[2]))
    if right:
        if alike:
            return PlaneLattice("A", (), 0, basis)
        return PlaneLattice("B", (float(np.degrees(np.arctan2(a, b))),), 0, basis)
    if alike and abs(gamma - 60) < 1e-4:
        return PlaneLattice("C", (), 0, basis)
    closing = two - one
    at_end = float(np.degrees(np.arccos(np.clip(
        -(one @ closing) / (a * float(np.linalg.norm(closing))), -1, 1))))  # fmt: skip
    is_mirrored = alike or abs(float(np.linalg.norm(closing)) - b) < 1e-6 * b
    chirality = 0 if is_mirrored else (1 if turn > 0 else -1)
    return PlaneLattice("D", (gamma, at_end), chirality, basis)


def _lattice_symmetries(
    generators: NDArray[np.int64], reciprocal: NDArray[np.float64], *, is_chiral: bool
) -> list[NDArray[np.int64]]:
    """Return the bases that look like this one, by rotation, or by reflection where that is none.

    The reflections of a lattice that is its own mirror image turn a pattern into another
    that only its chirality tells apart, which the class of such lattices leaves out.
    """
    gram = generators @ reciprocal @ reciprocal.T @ generators.T
    found = []
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=2)))
    for one, two in itertools.product(steps, steps):
        change = np.stack([one, two])
        determinant = round(float(np.linalg.det(change)))
        if abs(determinant) != 1 or (is_chiral and determinant < 0):
            continue
        if np.allclose(change @ gram @ change.T, gram, rtol=1e-6):
            found.append(change @ generators)
    return found


def effective_groups(space_group: int) -> tuple[EffectiveGroup, ...]:
    """Return the ways in which a group can look, by which of its orbits scatter.

    A crystal whose atoms all lie on special positions may lack reflections that the group
    allows. Orbits that have more symmetry than the group (by spglib) are not counted alone:
    such a crystal is one of another group.
    """
    reach = range(9)
    hkl = np.array([v for v in itertools.product(reach, repeat=3) if any(v)])
    plain = visible(EffectiveGroup(space_group), hkl)
    found: dict[bytes, list[int]] = {}
    for number in range(len(wyckoff_positions(space_group))):
        shown = visible(EffectiveGroup(space_group, (number,)), hkl)
        if _is_own(space_group, number):
            found.setdefault(np.packbits(shown).tobytes(), []).append(number)
    groups = [EffectiveGroup(space_group)]
    for bits, numbers in found.items():
        if bits != np.packbits(plain).tobytes():
            groups.append(EffectiveGroup(space_group, tuple(numbers)))
    return tuple(groups)


def _is_own(space_group: int, number: int) -> bool:
    """Return whether atoms on this orbit alone make a crystal of this group."""
    sites = tuple(
        AtomSite("Fe", (float(x), float(y), float(z))) for x, y, z in _orbit(space_group, number)
    )
    phase = Phase("orbit", space_group, (10.0, 10.0, 10.0, 90.0, 90.0, 90.0), sites)
    return is_of_its_group(phase, tolerance=1e-3)
