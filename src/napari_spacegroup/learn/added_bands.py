"""Master patterns with bands added: other structure factors, in all that symmetry allows.

A network that has met two thousand crystals knows them by their likeness; what tells the space
group of a crystal that it has not met is which reflections are there. Bands of allowed reflections
in random strength, laid over a real master pattern, leave its group as it was and its likeness not.
Bands that its group forbids make it a pattern of the group that allows them: a weakly ordered
crystal whose parent the network knows.

The profile of a band is like that of two beams with anomalous absorption, a dispersion at each
edge, bright on one side and dark on the other: ``w / (1 + w**2)``, w the distance from the Bragg
angle over a width. It knows nothing of many beams; those are in the master pattern below.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ModelError
from ..simulate.lambert import lambert_directions
from ..simulate.spots import electron_wavelength
from .masterset import MasterSet

D_MIN = 0.75
"""Shortest spacing of an added reflection [Å]."""

MOST_BANDS = 14
"""Families added to one master pattern at most."""

EDGE_WIDTH = (0.0008, 0.006)
"""Range of the width of an edge [rad]."""

LIKE_SHARE = (0.1, 0.6)
"""Standard deviation of allowed bands over that of the master pattern."""

NEW_SHARE = (0.08, 0.5)
"""The same for bands that its own group forbids."""

BRIGHT = 0.8
"""Share of the bands that their own group forbids which are bright inside; of the others, half."""

USUAL = 0.8
"""How often the parent is one of the first two of :data:`PARENTS`."""

Rule = Callable[[NDArray[np.int64]], NDArray[np.bool_]]


def _face(hkl: NDArray[np.int64]) -> NDArray[np.bool_]:
    parity = hkl % 2
    same: NDArray[np.bool_] = (parity == parity[:, :1]).all(1)
    return same


def _body(hkl: NDArray[np.int64]) -> NDArray[np.bool_]:
    even: NDArray[np.bool_] = hkl.sum(1) % 2 == 0
    return even


def _pairs(hkl: NDArray[np.int64], rule: Callable[..., NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return whether a rule on (h, h, l) holds wherever two indices are alike in size."""
    allowed = np.ones(len(hkl), bool)
    size = np.abs(hkl)
    for first, second, third in ((0, 1, 2), (1, 2, 0), (0, 2, 1)):
        is_pair = size[:, first] == size[:, second]
        allowed &= ~is_pair | rule(size[:, first], size[:, third])
    return allowed


def _zeros(hkl: NDArray[np.int64], rule: Callable[..., NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return whether a rule on (0, k, l) holds wherever an index is 0."""
    allowed = np.ones(len(hkl), bool)
    for zero, first, second in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        is_zero = hkl[:, zero] == 0
        allowed &= ~is_zero | rule(hkl[:, first], hkl[:, second])
    return allowed


ALLOWED: dict[int, Rule] = {
    221: lambda hkl: np.ones(len(hkl), bool),
    223: lambda hkl: _pairs(hkl, lambda _, m: m % 2 == 0),
    225: _face,
    227: lambda hkl: _face(hkl) & _zeros(hkl, lambda k, m: (k + m) % 4 == 0),
    229: _body,
    230: lambda hkl: (
        _body(hkl)
        & _zeros(hkl, lambda k, m: (k % 2 == 0) & (m % 2 == 0))
        & _pairs(hkl, lambda h, m: (2 * h + m) % 4 == 0)
        & ~(((hkl == 0).sum(1) == 2) & (hkl.sum(1) % 4 != 0))
    ),
}
"""Reflection conditions of the general position (International Tables A) of each group."""

PARENTS = {221: (225, 229, 227, 223), 223: (229,), 225: (227,), 229: (230,)}
"""Groups whose patterns become those of a group when the reflections that they lack are added."""


def families(group: int, edge: float) -> NDArray[np.int64]:
    """Return the allowed families of reflections h >= k >= l >= 0 of a cell.

    Parameters
    ----------
    group
        One of :data:`ALLOWED`.
    edge
        Of the cell [Å].

    Returns
    -------
    hkl
        With spacings down to :data:`D_MIN`, shape ``(n, 3)``.
    """
    line = np.arange(int(edge / D_MIN) + 1)
    hkl = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    square = (hkl**2).sum(1)
    is_ordered = (hkl[:, 0] >= hkl[:, 1]) & (hkl[:, 1] >= hkl[:, 2])
    hkl = hkl[is_ordered & (square > 0) & (square <= (edge / D_MIN) ** 2)]
    allowed: NDArray[np.int64] = hkl[ALLOWED[group](hkl)]
    return allowed


def band_picture(
    hkl: Sequence[int] | NDArray[np.int64],
    directions: Tensor,
    scale: float,
    width: float,
    pixel: float = 0.0,
) -> Tensor:
    """Return the bands of one family on a set of directions, shape ``(n,)``.

    Parameters
    ----------
    hkl
        Indices.
    directions
        Unit vectors, shape ``(n, 3)``.
    scale
        Wavelength over twice the cell's edge: the sine of the Bragg angle is that times |hkl|.
    width
        Of an edge [rad].
    pixel
        Distance of the directions [rad], over which the profile is averaged.
    """
    normals = set()
    for order in itertools.permutations(int(v) for v in hkl):
        for signs in itertools.product((1, -1), repeat=3):
            normal = tuple(s * v for s, v in zip(signs, order, strict=True))
            if normal > (0, 0, 0):
                normals.add(normal)
    matrix = torch.tensor(sorted(normals), dtype=torch.float32)
    length = float(matrix[0].norm())
    sine = (directions @ (matrix / length).T).abs()
    half = max(0.5 * pixel, 0.01 * width) / width
    edges = torch.zeros_like(sine)
    for distance in (scale * length - sine, scale * length + sine):
        w = distance / width  # the mean of w / (1 + w**2) from w - half to w + half
        edges += torch.log((1 + (w + half) ** 2) / (1 + (w - half) ** 2)) / (4 * half)
    return edges.sum(1)


@dataclass(eq=False)
class AddedBands:
    """A pool of master patterns with added bands, renewed a few at a time.

    A pattern is made when it is drawn first. What it is depends on the seed and on how many came
    before it, so that a training that was stopped goes on with the same ones.

    Parameters
    ----------
    masters
        Those with a cell edge are used.
    classes
        Space groups, in the order of the labels.
    seed
        Of all random numbers.
    size
        Patterns in the pool; the classes follow each other.
    parents
        Share of the pool made by bands that the group of the original forbids.

    Raises
    ------
    ModelError
        If a class has no reflection conditions here, or no master pattern with a cell edge.
    """

    masters: MasterSet
    classes: Sequence[int]
    seed: int = 0
    size: int = 1536
    parents: float = 0.35
    renewed: int = 0
    """How many patterns were renewed so far; may be set, to go on from there."""
    _patterns: Tensor = field(init=False)
    _numbers: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Get ready to make patterns."""
        unknown = [c for c in self.classes if c not in ALLOWED]
        if unknown:
            raise ModelError(
                f"got the groups {unknown}; bands can be added to those of "
                f"{', '.join(map(str, ALLOWED))} alone"
            )
        groups = self.masters.space_groups
        known = np.array([r.edge > 0 for r in self.masters.records])
        self._members = {c: np.flatnonzero((groups == c) & known) for c in self.classes}
        empty = [c for c in self.classes if not len(self._members[c])]
        if empty:
            raise ModelError(
                f"no master pattern of the groups {empty} says its cell edge, which added bands "
                "need; simulate them anew"
            )
        side = self.masters.patterns.shape[-1]
        half = (side - 1) // 2
        row, column = np.tril_indices(half + 1)
        octant = lambert_directions(half)[0, half:, half:][row, column]
        self._directions = torch.from_numpy(octant).float()
        self._pixel = math.sqrt(2 * math.pi) / (side - 1)  # a hemisphere on that many squares
        self._row, self._column = torch.from_numpy(row), torch.from_numpy(column)
        self._patterns = torch.zeros(self.size, *self.masters.patterns.shape[1:])
        self._numbers = np.full(self.size, -1, np.int64)

    def drawn(self, label: int, draw: float) -> Tensor:
        """Return one pattern of a class, shape ``(hemisphere, m, m)``.

        Parameters
        ----------
        label
            Index of the class.
        draw
            From 0 to 1: which of its patterns in the pool.
        """
        step = len(self.classes)
        count = (self.size - label + step - 1) // step
        place = label + step * min(int(draw * count), count - 1)
        newest = self.size + self.renewed - 1
        number = newest - (newest - place) % self.size
        if self._numbers[place] != number:
            rng = np.random.default_rng((self.seed, 31, number))
            self._patterns[place], self._numbers[place] = self._made(label, rng), number
        return self._patterns[place]

    def _made(self, label: int, rng: np.random.Generator) -> Tensor:
        group = origin = self.classes[label]
        parents = [p for p in PARENTS.get(group, ()) if len(self._members.get(p, ()))]
        if parents and rng.random() < self.parents:
            origin = int(rng.choice(parents[:2] if rng.random() < USUAL else parents))
        record = self.masters.records[place := int(rng.choice(self._members[origin]))]
        hkl = families(group, record.edge)
        new = hkl[~ALLOWED[origin](hkl)]
        if origin != group and not len(new):  # a small cell: it stays what it is
            group = origin = self.classes[label]
            record = self.masters.records[place := int(rng.choice(self._members[origin]))]
            hkl = families(group, record.edge)
        scale = float(electron_wavelength(record.energy)) / (2 * record.edge)
        octant = self._bands(hkl, scale, rng, LIKE_SHARE, 0.5)
        if origin != group:
            octant = 0.5 * octant + self._bands(new, scale, rng, NEW_SHARE, BRIGHT)
        made = self.masters.patterns[place].float() + self._unfolded(octant)
        return (made - made.mean()) / (made.std() + 1e-6)

    def _bands(
        self,
        hkl: NDArray[np.int64],
        scale: float,
        rng: np.random.Generator,
        share: tuple[float, float],
        bright: float,
    ) -> Tensor:
        """Return some of the families in random strength on the octant."""
        length = np.linalg.norm(hkl, axis=1)
        # How fast structure factors fall with the scattering angle differs between crystals.
        weights = (length / length.min()) ** -rng.uniform(0.5, 2.0)
        count = min(int(rng.integers(3, MOST_BANDS + 1)), len(hkl))
        chosen = rng.choice(len(hkl), count, replace=False, p=weights / weights.sum())
        total = torch.zeros(len(self._directions))
        for place in chosen.tolist():
            width = float(np.exp(rng.uniform(*np.log(EDGE_WIDTH))))
            picture = band_picture(hkl[place], self._directions, scale, width, self._pixel)
            sign = 1.0 if rng.random() < bright else -1.0
            total += sign * float(rng.lognormal(0, 0.6)) * picture / (picture.std() + 1e-6)
        strength = float(np.exp(rng.uniform(*np.log(share))))
        return (total - total.mean()) * (strength / (float(total.std()) + 1e-6))

    def _unfolded(self, octant: Tensor) -> Tensor:
        half = int(self._row[-1]) + 1
        quadrant = torch.zeros(half, half)
        quadrant[self._row, self._column] = octant
        quadrant[self._column, self._row] = octant
        right = torch.cat([quadrant[:, 1:].flip(1), quadrant], 1)
        return torch.cat([right[1:].flip(0), right], 0)
