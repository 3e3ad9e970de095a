"""Master patterns with bands added: other structure factors, in all that symmetry allows.

A network that has met two thousand crystals knows them by their likeness; what tells the space
group of a crystal that it has not met is which reflections are there. Bands of allowed reflections
in random strength, laid over a real master pattern, leave its group as it was and its likeness not.
Bands that its group forbids make it a pattern of the group that allows them: a weakly ordered
crystal whose parent the network knows.

The profile of a band is that of two beams, dispersion-like at each edge, bright inside and dark
outside (for instance Reimer, Scanning Electron Microscopy, 1998, section 9.1, equations of the
anomalous absorption): ``w / (1 + w**2)``, w the distance from the Bragg angle over a width. It
knows nothing of many beams; those are in the master pattern below.
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


def wavelength(energy: float) -> float:
    """Return the relativistic wavelength [Å] of electrons of an energy [keV]."""
    volts = 1e3 * energy
    return 12.2643 / math.sqrt(volts * (1 + 0.978476e-6 * volts))


def band_picture(
    hkl: Sequence[int] | NDArray[np.int64], directions: Tensor, scale: float, width: float
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
    inside, outside = (scale * length - sine) / width, (scale * length + sine) / width
    edges: Tensor = inside / (1 + inside**2) + outside / (1 + outside**2)
    return edges.sum(1)


@dataclass(eq=False)
class AddedBands:
    """A pool of master patterns with added bands, renewed a few at a time.

    Parameters
    ----------
    masters
        Those with a cell edge are used; one hemisphere.
    classes
        Space groups, in the order of the labels.
    seed
        Of all random numbers.
    size
        Patterns in the pool.
    parents
        Share of the pool made by bands that the group of the original forbids.
    """

    masters: MasterSet
    classes: Sequence[int]
    seed: int = 0
    size: int = 1536
    parents: float = 0.35
    patterns: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Fill the pool."""
        side = self.masters.patterns.shape[-1]
        half = (side - 1) // 2
        row, column = np.tril_indices(half + 1)
        whole = lambert_directions(half)[0, half:, half:][row, column]
        self._directions = torch.from_numpy(whole).float()
        self._row, self._column = torch.from_numpy(row), torch.from_numpy(column)
        groups = self.masters.space_groups
        known = np.array([r.edge > 0 for r in self.masters.records])
        self._members = {c: np.flatnonzero((groups == c) & known) for c in self.classes}
        empty = [c for c in self.classes if c not in ALLOWED or not len(self._members[c])]
        if empty:
            raise ModelError(
                f"no master pattern of the groups {empty} says its cell edge, which added bands "
                f"need; groups that can have them are {', '.join(map(str, ALLOWED))}"
            )
        self._rng = np.random.default_rng((self.seed, 31))
        self.patterns = torch.zeros(self.size, 1, side, side)
        self._next = 0
        self.renew(self.size)

    def renew(self, count: int) -> None:
        """Make some patterns anew, the oldest first."""
        for _ in range(count):
            self.patterns[self._next] = self._made(self._next % len(self.classes))
            self._next = (self._next + 1) % self.size

    def drawn(self, label: int) -> Tensor:
        """Return one pattern of a class, shape ``(1, m, m)``."""
        step = len(self.classes)  # the classes follow each other in the pool
        count = (self.size - label + step - 1) // step
        return self.patterns[label + step * int(self._rng.integers(count))]

    def _made(self, label: int) -> Tensor:
        group = self.classes[label]
        parents = [p for p in PARENTS.get(group, ()) if len(self._members.get(p, ()))]
        is_new = bool(parents) and self._rng.random() < self.parents
        origin = parents[self._rng.integers(min(len(parents), 2))] if is_new else group
        if is_new and self._rng.random() < 0.2:
            origin = parents[self._rng.integers(len(parents))]
        index = int(self._rng.choice(self._members[origin]))
        record = self.masters.records[index]
        master = self.masters.patterns[index].float()
        octant = self._bands(group, record.edge, record.energy, LIKE_SHARE, None)
        if is_new:
            octant = 0.5 * octant + self._bands(
                group, record.edge, record.energy, NEW_SHARE, origin
            )
        made = master + self._unfolded(octant)[None]
        return (made - made.mean()) / (made.std() + 1e-6)

    def _bands(
        self,
        group: int,
        edge: float,
        energy: float,
        share: tuple[float, float],
        without: int | None,
    ) -> Tensor:
        """Return random bands that a group allows, and another does not, on the octant."""
        hkl = families(group, edge)
        if without is not None:
            hkl = hkl[~ALLOWED[without](hkl)]
        if not len(hkl):
            return torch.zeros(len(self._directions))
        length = np.linalg.norm(hkl, axis=1)
        rng = self._rng
        # Where the lines of a crystal lie is chosen by its structure: a slope of its own.
        weights = (length / length.min()) ** -rng.uniform(0.5, 2.0)
        count = min(int(rng.integers(3, MOST_BANDS + 1)), len(hkl))
        chosen = rng.choice(len(hkl), count, replace=False, p=weights / weights.sum())
        total = torch.zeros(len(self._directions))
        bright = 0.5 if without is None else 0.8
        for place in chosen.tolist():
            width = float(np.exp(rng.uniform(*np.log(EDGE_WIDTH))))
            scale = wavelength(energy) / (2 * edge)
            picture = band_picture(hkl[place], self._directions, scale, width)
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
