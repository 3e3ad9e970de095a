"""Synthetic crystals by the hundred a second: occupied Wyckoff positions, drawn on in batches.

:func:`~.synthetic.synthetic_phase` makes one crystal at a time and has spglib look at each.
Training on powder profiles wants millions. Here a *skeleton*, the occupied positions and
which of them hold like atoms, is looked at once; crystals are then drawn on it by the
dozen, with new coordinates, elements, cells and Debye-Waller factors. Generic coordinates
on a skeleton of the right symmetry have it too, but for accidents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from .phase import AtomSite, Phase
from .symmetry import operation_arrays, setting_operations
from .synthetic import (
    CONTACT,
    CONTACT_SPREAD,
    PACKING,
    SyntheticLimits,
    _known_elements,
    _lattice_of,
    _radius,
    is_of_its_group,
)
from .wyckoff import WyckoffPosition, wyckoff_positions

CANDIDATES = 24
"""Crystals drawn on a skeleton at a time; those that are not dense enough are dropped."""

LONGEST_AXIS = 24.0
"""[Å]; the reflections of longer cells are too many to list."""

GENERIC = np.array([0.1317, 0.2741, 0.3889])
"""Free coordinates of a point that no operator fixes by chance."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Occupied Wyckoff positions of a group.

    Parameters
    ----------
    space_group
        Number, 1 to 230.
    positions
        Index into :func:`~.wyckoff.wyckoff_positions` of each occupied one.
    species
        Which of them hold like atoms: numbers from 0.
    """

    space_group: int
    positions: tuple[int, ...]
    species: tuple[int, ...]

    @property
    def atoms(self) -> int:
        """Return the number of atoms in the primitive cell."""
        return sum(len(_images(self.space_group)[p][0]) for p in self.positions)


@dataclass(frozen=True, eq=False)
class Crystal:
    """A crystal as arrays, in the standard setting of its group.

    Parameters
    ----------
    space_group
        Number.
    metric
        Metric tensor [Å²], shape ``(3, 3)``.
    numbers
        Atomic number of each atom of a primitive cell, shape ``(n,)``.
    places
        Fractional coordinates on the conventional axes, one atom of each set that centring
        repeats, shape ``(n, 3)``.
    b_iso
        Debye-Waller factor of each [Å²], shape ``(n,)``.
    """

    space_group: int
    metric: NDArray[np.float64]
    numbers: NDArray[np.int64]
    places: NDArray[np.float64]
    b_iso: NDArray[np.float64]

    def as_phase(self, name: str = "synthetic") -> Phase:
        """Return it as a phase, with all atoms of the conventional cell."""
        centring = _centring_vectors(self.space_group)
        sites = [
            AtomSite(gemmi.Element(int(z)).name, (float(p[0]), float(p[1]), float(p[2])), b_iso=b)
            for z, place, b in zip(self.numbers, self.places, self.b_iso.tolist(), strict=True)
            for p in (place + centring) % 1.0
        ]
        return Phase(name, self.space_group, _lattice_of(self.metric), tuple(sites))


class SkeletonPool:
    """Skeletons of some groups, and an endless supply of crystals drawn on them.

    Parameters
    ----------
    space_groups
        Numbers, 1 to 230.
    seed
        The same one gives the same crystals.
    limits
        What they may be like.
    each
        Skeletons of each group that are kept; the oldest makes room for a new one.
    renewal
        Share of draws that first look for a new skeleton, once there are enough.
    """

    def __init__(
        self,
        space_groups: Sequence[int],
        *,
        seed: int,
        limits: SyntheticLimits | None = None,
        each: int = 200,
        renewal: float = 0.15,
    ) -> None:
        self.space_groups = tuple(space_groups)
        self.limits = SyntheticLimits() if limits is None else limits
        self.each, self.renewal = each, renewal
        self.rng = np.random.default_rng(seed)
        self._known: dict[int, list[Skeleton]] = {g: [] for g in self.space_groups}
        self._room = dict.fromkeys(self.space_groups, self.limits.atoms)

    def crystals(self, space_group: int, most: int = 4) -> list[Crystal]:
        """Return new crystals of a group, drawn on one skeleton; at least one.

        Parameters
        ----------
        space_group
            One of those of the pool.
        most
            Crystals at most.
        """
        known = self._known[space_group]
        while True:
            is_short = len(known) < self.each and self.rng.random() < 1 / (1 + len(known) / 8)
            if is_short or self.rng.random() < self.renewal:
                self._look_for_one(space_group)
            if known:
                skeleton = known[int(self.rng.integers(len(known)))]
                found = draw_crystals(skeleton, self.rng, self.limits, most=most)
                if found:
                    return found

    def _look_for_one(self, space_group: int) -> None:
        known = self._known[space_group]
        for number in range(40):
            # Where few sites make a more symmetric crystal, it takes more of them.
            least = 1 + number * self.limits.sites // 40
            skeleton = _draw_skeleton(
                space_group, self.rng, self.limits, least, self._room[space_group]
            )
            if skeleton is None:
                self._room[space_group] += 8  # the smallest crystal of the group is larger
                continue
            found = draw_crystals(skeleton, self.rng, self.limits, most=1)
            if found and is_of_its_group(found[0].as_phase()):
                known.append(skeleton)
                del known[: -self.each]
                return
        if not known:
            self._room[space_group] += 8


def draw_crystals(
    skeleton: Skeleton,
    rng: np.random.Generator,
    limits: SyntheticLimits,
    *,
    most: int = CANDIDATES,
) -> list[Crystal]:
    """Return crystals on a skeleton that are as dense as measured ones; maybe none.

    Parameters
    ----------
    skeleton
        Occupied positions.
    rng
        Source of all that is random.
    limits
        What they may be like.
    most
        Crystals at most; so many are dropped at random.
    """
    group = skeleton.space_group
    elements = _distinct_elements(rng, max(skeleton.species) + 1)
    names = [elements[s] for s in skeleton.species]
    rotations, shifts = _operations(group)
    positions = wyckoff_positions(group)
    free = rng.random((CANDIDATES, len(names), 3))
    metrics = _metrics(group, rng)
    orbits, firsts = [], []
    for index, number in enumerate(skeleton.positions):
        position = positions[number]
        point = position.offset + free[:, index, : position.dimension] @ position.directions.T
        chosen = _images(group)[number][0]
        orbit = np.einsum("nij,mj->mni", rotations[chosen], point) + shifts[chosen]
        orbits.append(orbit)
        firsts.append(orbit[:, 0])
    radii = np.array([_radius(name) for name in names])
    sizes = [orbit.shape[1] for orbit in orbits]
    each = np.repeat(radii, sizes)
    places = np.concatenate(orbits, axis=1)
    contact = _closest(group, np.stack(firsts, 1), places, metrics, radii, each)
    factor = np.maximum(rng.normal(CONTACT, CONTACT_SPREAD, CANDIDATES), 0.75) / contact
    centring = len(_centring_vectors(group))
    packing = centring * (4 / 3 * np.pi * each**3).sum() / factor**3
    axes = factor * np.sqrt(metrics.diagonal(axis1=1, axis2=2).max(1))
    good = (packing >= PACKING[0]) & (packing <= PACKING[1]) & (axes < LONGEST_AXIS)
    numbers = np.repeat([gemmi.Element(name).atomic_number for name in names], sizes)
    found = []
    for index in rng.permutation(np.flatnonzero(good))[:most].tolist():
        b_iso = np.repeat(rng.uniform(*limits.b_iso, len(names)), sizes)
        metric = metrics[index] * factor[index] ** 2
        found.append(Crystal(group, metric, numbers, places[index] % 1.0, b_iso))
    return found


def _distinct_elements(rng: np.random.Generator, count: int) -> list[str]:
    """Draw so many different elements: like ones could make the crystal more symmetric."""
    metals, others = _known_elements()
    is_compound = count > 1 and rng.random() > 0.4
    anions = int(rng.integers(1, min(count, 2) + 1)) if is_compound else 0
    anions = min(anions, count - 1)
    found = list(rng.choice(metals, count - anions, replace=False))
    found += list(rng.choice(others, anions, replace=False))
    return [str(found[k]) for k in rng.permutation(count)]


def _draw_skeleton(
    space_group: int, rng: np.random.Generator, limits: SyntheticLimits, least: int, room: int
) -> Skeleton | None:
    positions = wyckoff_positions(space_group)
    sizes = np.array([len(image[0]) for image in _images(space_group)])
    is_fixed = np.array([p.dimension == 0 for p in positions])
    is_free = np.ones(len(positions), bool)
    taken: list[int] = []
    for _ in range(int(rng.integers(least, limits.sites + 1))):
        weights = np.where((sizes <= room) & is_free, 1.0 / np.sqrt(sizes), 0.0)
        total = weights.sum()
        if total == 0:
            break
        chosen = int(np.searchsorted(np.cumsum(weights), rng.random() * total, side="right"))
        chosen = min(chosen, len(positions) - 1)
        taken.append(chosen)
        room -= int(sizes[chosen])
        is_free[chosen] = not is_fixed[chosen]
    if not taken:
        return None
    count = int(rng.integers(1, min(limits.elements, len(taken)) + 1))
    species = [k % count for k in range(len(taken))]
    rng.shuffle(species)
    order = {s: i for i, s in enumerate(dict.fromkeys(species))}
    return Skeleton(space_group, tuple(taken), tuple(order[s] for s in species))


def _closest(
    group: int,
    firsts: NDArray[np.float64],
    places: NDArray[np.float64],
    metrics: NDArray[np.float64],
    radii: NDArray[np.float64],
    each: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the shortest distance over the sum of radii, of cells with volume 1."""
    centring = _centring_vectors(group)
    steps = _neighbours(group)
    apart = firsts[:, :, None, None] - (places[:, None, :, None] + centring)
    apart -= np.round(apart)
    near = apart[..., None, :] + steps
    count = len(metrics)
    flat = near.reshape(count, -1, 3)
    length = ((flat @ metrics) * flat).sum(-1).reshape(near.shape[:-1])
    length[length < 1e-9] = np.inf  # the atom itself
    least = np.sqrt(length.min(axis=(3, 4))) / (radii[:, None] + each[None])
    # An atom touches its own images along the axes, which rounding leaves out.
    own = np.sqrt(metrics.diagonal(axis1=1, axis2=2).min(1)) / (2 * radii.max())
    shortest: NDArray[np.float64] = np.minimum(least.min(axis=(1, 2)), own)
    return shortest


def _metrics(space_group: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw metric tensors that the operators leave as they are, of cells with volume 1."""
    lengths = np.exp(rng.normal(0, 0.3, (CANDIDATES, 3)))
    cosines = np.cos(np.radians(rng.normal(90, 9, (CANDIDATES, 3))))
    metrics = np.ones((CANDIDATES, 3, 3))
    for first, second, third in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        metrics[:, first, second] = metrics[:, second, first] = cosines[:, third]
    metrics *= lengths[:, :, None] * lengths[:, None]
    mean = (_averaging(space_group) @ metrics.reshape(-1, 9).T).T.reshape(-1, 3, 3)
    symmetric: NDArray[np.float64] = mean / np.cbrt(np.linalg.det(mean))[:, None, None]
    return symmetric


@cache
def _averaging(space_group: int) -> NDArray[np.float64]:
    """Return the matrix that averages a metric tensor over the rotations, shape ``(9, 9)``."""
    rotations, _ = _operations(space_group)
    every = np.einsum("nji,nkl->niljk", rotations, rotations).reshape(-1, 9, 9)
    return np.asarray(every.mean(0))


@cache
def _operations(space_group: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return operation_arrays(setting_operations(space_group).sym_ops)


@cache
def _centring_vectors(space_group: int) -> NDArray[np.float64]:
    vectors = setting_operations(space_group).cen_ops
    return np.asarray(np.array(vectors, float) / gemmi.Op.DEN)


@cache
def _neighbours(space_group: int) -> NDArray[np.float64]:
    """Return lattice steps that can bring an atom nearer than rounding does."""
    spans: tuple[tuple[int, ...], ...]
    if space_group <= 2:
        spans = ((-1, 0, 1),) * 3
    elif space_group <= 15:
        spans = ((-1, 0, 1), (0,), (-1, 0, 1))
    elif 143 <= space_group <= 194:
        spans = ((-1, 0, 1), (-1, 0, 1), (0,))
    else:
        spans = ((0,), (0,), (0,))
    grid = np.meshgrid(*spans, indexing="ij")
    return np.asarray(np.stack([axis.ravel() for axis in grid], 1), float)


@cache
def _images(space_group: int) -> tuple[tuple[NDArray[np.intp], WyckoffPosition], ...]:
    """Return, for each position, operators that give all its points but for centring."""
    rotations, shifts = _operations(space_group)
    centring = _centring_vectors(space_group)
    found = []
    for position in wyckoff_positions(space_group):
        points = rotations @ position.point(GENERIC) + shifts
        chosen: list[int] = []
        for index, point in enumerate(points):
            apart = point - points[chosen][:, None] - centring if chosen else np.ones((1, 1, 3)) / 3
            if (np.abs(apart - np.round(apart)).max(-1) > 1e-6).all():
                chosen.append(index)
        found.append((np.array(chosen), position))
    return tuple(found)


__all__ = ["Crystal", "Skeleton", "SkeletonPool", "draw_crystals"]
