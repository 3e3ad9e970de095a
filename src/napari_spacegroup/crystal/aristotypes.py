"""Simple cubic structures, and how a space group splits their sites in a larger cell.

Most ordered crystals are a simple structure, the *aristotype*, whose sites are shared out among
several elements and vacancies: AuCu3 is face-centred cubic, elpasolite a perovskite, spinel a
close packing of anions with some of its holes filled. A :class:`Scaffold` is the sites of an
aristotype in n x n x n of its cells, sorted into the orbits of one space group. Whatever stands on
the orbits, the crystal has at least that group; ``superstructure.py`` decides what does.

Positions are integers on a grid of the cell, so that equal places compare equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import PhaseError
from .phase import AtomSite, Phase
from .symmetry import operation_arrays, setting_operations
from .synthetic import is_of_its_group

GRID = 96
"""Steps along the edge of a scaffold: eighths of an aristotype's cell, up to 4 x 4 x 4 of them."""

MOST_SITES = 150
"""Of a scaffold, occupied or not."""

IDEAL_EDGE = 24.0
"""Of the cell [Å] in which the symmetry of an undisplaced scaffold is judged."""

Kind = Literal["metal", "interstitial", "cation", "anion"]
Point = tuple[int, int, int]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sublattice:
    """Sites of an aristotype that the same elements may share.

    Parameters
    ----------
    kind
        What stands there.
    points
        Positions [eighths of the cell].
    empty
        Share of the orbits that is left vacant when elements are drawn.
    """

    kind: Kind
    points: tuple[Point, ...]
    empty: float


@dataclass(frozen=True)
class Aristotype:
    """A simple cubic structure.

    Parameters
    ----------
    name
        What it is called.
    sublattices
        Its sites.
    multiples
        How many of its cells lie along the edge of a superstructure.
    """

    name: str
    sublattices: tuple[Sublattice, ...]
    multiples: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, eq=False)
class Orbit:
    """Sites that the operators of a space group map onto each other.

    Parameters
    ----------
    sublattice
        Index of the aristotype's sublattice.
    points
        Shape ``(n, 3)``, steps of the grid.
    free
        Projection onto the displacements of the first point that keep its site symmetry, shape
        ``(3, 3)``; zero where it can't move.
    """

    sublattice: int
    points: Integers
    free: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaffold:
    """The sites of an aristotype, sorted into the orbits of a space group.

    Parameters
    ----------
    space_group
        Number, 195 to 230.
    aristotype
        Where the sites are from.
    multiple
        How many of its cells lie along the edge.
    orbits
        All sites of the cell.
    """

    space_group: int
    aristotype: Aristotype
    multiple: int
    orbits: tuple[Orbit, ...]

    @property
    def name(self) -> str:
        """Return the aristotype and the size of the cell, such as ``perovskite 2x2x2``."""
        return f"{self.aristotype.name} {'x'.join(3 * str(self.multiple))}"

    @property
    def centring(self) -> int:
        """Return how many primitive cells the conventional one holds."""
        return len(setting_operations(self.space_group).cen_ops)

    def closest(self) -> float:
        """Return the shortest distance of two sites, as a fraction of the edge."""
        points = np.concatenate([orbit.points for orbit in self.orbits])
        firsts = np.array([orbit.points[0] for orbit in self.orbits])
        apart = (firsts[:, None] - points[None] + GRID // 2) % GRID - GRID // 2
        length = np.sqrt((apart**2).sum(-1))
        return float(length[length > 0].min()) / GRID if len(points) > 1 else 1.0


FACES: tuple[Point, ...] = ((0, 0, 0), (0, 4, 4), (4, 0, 4), (4, 4, 0))
EDGES: tuple[Point, ...] = ((4, 4, 4), (4, 0, 0), (0, 4, 0), (0, 0, 4))
QUARTERS: tuple[Point, ...] = ((2, 2, 2), (2, 6, 6), (6, 2, 6), (6, 6, 2))
OPPOSITE: tuple[Point, ...] = ((6, 6, 6), (6, 2, 2), (2, 6, 2), (2, 2, 6))
CORNER: tuple[Point, ...] = ((0, 0, 0),)
CENTRE: tuple[Point, ...] = ((4, 4, 4),)
FACE_CENTRES = FACES[1:]
EDGE_CENTRES = EDGES[1:]
CHAINS: tuple[Point, ...] = (
    (2, 0, 4), (6, 0, 4), (4, 2, 0), (4, 6, 0), (0, 4, 2), (0, 4, 6),
)  # fmt: skip
KAGOME: tuple[Point, ...] = tuple(
    ((x + a) % 8, (y + b) % 8, (z + c) % 8)
    for x, y, z in ((5, 5, 5), (5, 7, 7), (7, 5, 7), (7, 7, 5))
    for a, b, c in FACES
)


def _metals(*points: tuple[Point, ...]) -> tuple[Sublattice, ...]:
    return (Sublattice("metal", tuple(p for group in points for p in group), 0.1),)


def _salt(cations: tuple[Point, ...], anions: tuple[Point, ...]) -> tuple[Sublattice, ...]:
    return (Sublattice("cation", cations, 0.2), Sublattice("anion", anions, 0.08))


ARISTOTYPES = (
    Aristotype("simple cubic", _metals(CORNER), (1, 2, 3, 4)),
    Aristotype("b.c.c.", _metals(CORNER, CENTRE), (1, 2, 3, 4)),
    Aristotype("f.c.c.", _metals(FACES), (1, 2, 3)),
    Aristotype("diamond", _metals(FACES, QUARTERS)),
    Aristotype("A15", _metals(CORNER, CENTRE, CHAINS)),
    Aristotype("Laves", _metals(FACES, QUARTERS, KAGOME)),
    Aristotype("carbide", (*_metals(FACES), Sublattice("interstitial", EDGES, 0.35))),
    Aristotype(
        "antiperovskite",
        (*_metals(CORNER), *_metals(FACE_CENTRES), Sublattice("interstitial", CENTRE, 0.3)),
    ),
    Aristotype("caesium chloride", _salt(CORNER, CENTRE), (1, 2, 3, 4)),
    Aristotype("rock salt", _salt(FACES, EDGES)),
    Aristotype("zinc blende", _salt(FACES, QUARTERS)),
    Aristotype("fluorite", _salt(FACES, QUARTERS + OPPOSITE)),
    Aristotype("antifluorite", _salt(QUARTERS + OPPOSITE, FACES)),
    Aristotype("cuprite", _salt(FACES, ((2, 2, 2), (6, 6, 6)))),
    Aristotype("rhenium trioxide", _salt(CORNER, EDGE_CENTRES)),
    Aristotype(
        "perovskite",
        (
            Sublattice("cation", CORNER, 0.12),
            Sublattice("cation", CENTRE, 0.12),
            Sublattice("anion", FACE_CENTRES, 0.08),
        ),
    ),
    Aristotype(
        "close-packed anions",
        (
            Sublattice("anion", FACES, 0.05),
            Sublattice("cation", EDGES, 0.45),
            Sublattice("cation", QUARTERS + OPPOSITE, 0.7),
        ),
    ),
)
"""What superstructures are made of. Elements mix within a sublattice, not between two.

*Carbide* is rock salt with metals and interstitials. *Close-packed anions* are f.c.c. with their
octahedral and tetrahedral holes, of which few are filled at a time."""


@cache
def scaffolds(space_group: int) -> tuple[Scaffold, ...]:
    """Return all scaffolds on which a crystal of exactly this space group can be built.

    A scaffold is left out where even different atoms on all its orbits make a crystal of more
    symmetry, or of a smaller cell.

    Parameters
    ----------
    space_group
        Number, 195 to 230, in the standard setting.

    Raises
    ------
    PhaseError
        If the group is not cubic.
    """
    if not 195 <= space_group <= 230:
        raise PhaseError(
            f"superstructures of cubic structures have cubic groups, 195 to 230; got {space_group}"
        )
    found: dict[bytes, Scaffold] = {}
    for aristotype in ARISTOTYPES:
        for multiple in aristotype.multiples:
            sites = sum(len(s.points) for s in aristotype.sublattices)
            if sites * multiple**3 > MOST_SITES:
                continue
            # Centres of inversion and of rotation lie on eighths of both cells.
            for shift in range(0, GRID // multiple, GRID // (8 * multiple)):
                orbits = _split(space_group, aristotype, multiple, shift)
                if orbits is None or len(orbits) < 2:
                    continue
                scaffold = Scaffold(space_group, aristotype, multiple, orbits)
                key = aristotype.name.encode() + place_key(
                    space_group, [_all(orbits, i) for i in range(len(aristotype.sublattices))]
                )
                if key not in found and is_ordered(scaffold, range(1, len(orbits) + 1)):
                    found[key] = scaffold
    return tuple(found.values())


def is_ordered(scaffold: Scaffold, colours: Sequence[int]) -> bool:
    """Return whether what stands on the orbits alone gives a crystal of exactly their group.

    Parameters
    ----------
    scaffold
        The orbits.
    colours
        One for each orbit: 0 for a vacancy, equal numbers for equal elements.
    """
    sites = [
        AtomSite(gemmi.Element(colour).name, (x / GRID, y / GRID, z / GRID))
        for orbit, colour in zip(scaffold.orbits, colours, strict=True)
        if colour
        for x, y, z in orbit.points.tolist()
    ]
    cell = (IDEAL_EDGE, IDEAL_EDGE, IDEAL_EDGE, 90.0, 90.0, 90.0)
    return bool(sites) and is_of_its_group(Phase("ideal", scaffold.space_group, cell, tuple(sites)))


def place_key(space_group: int, parts: Sequence[Integers], *, in_order: bool = True) -> bytes:
    """Return what sets of places have in common with those that describe the same crystal.

    Crystals are the same if an operator of the group's normalizer (another choice of origin, most
    often) takes one to the other.

    Parameters
    ----------
    space_group
        Whose operators leave each part as it is.
    parts
        Places, each of shape ``(n, 3)`` [steps of the grid].
    in_order
        Tell apart which part is which.
    """
    images = []
    for rotation, shift in _normalizer(space_group):
        codes = [np.sort(_codes(part @ rotation.T + shift)).astype(np.int32) for part in parts]
        texts = [code.tobytes() for code in codes]
        # Lengths tell where a part ends.
        marked = [len(text).to_bytes(4, "big") + text for text in texts]
        images.append(b"".join(marked if in_order else sorted(marked)))
    return min(images)


def _codes(points: Integers) -> Integers:
    """Return one number for each place in the cell."""
    wrapped = points % GRID
    return np.asarray((wrapped[..., 0] * GRID + wrapped[..., 1]) * GRID + wrapped[..., 2])


def _all(orbits: tuple[Orbit, ...], sublattice: int) -> Integers:
    return np.concatenate([o.points for o in orbits if o.sublattice == sublattice])


@cache
def _grid_operations(space_group: int) -> tuple[Integers, Integers]:
    """Return all operators modulo the cell: rotations, and shifts in steps of the grid."""
    rotations, translations = operation_arrays(setting_operations(space_group))
    return np.round(rotations).astype(np.int64), np.round(GRID * translations).astype(np.int64)


@cache
def _normalizer(space_group: int) -> list[tuple[Integers, Integers]]:
    """Return one operator of each coset of the group in its normalizer, the identity among them."""
    rotations, shifts = _grid_operations(space_group)
    own = {(r.tobytes(), int(c)) for r, c in zip(rotations, _codes(shifts), strict=True)}
    origins = np.array(list(np.ndindex(8, 8, 8)), np.int64) * (GRID // 8)
    whole, _ = _grid_operations(221)
    found: dict[int, tuple[Integers, Integers]] = {}
    generic = np.array([1, 5, 18])
    for turn in whole:
        fits = np.ones(len(origins), bool)
        for rotation, shift in zip(rotations, shifts, strict=True):
            turned = turn @ rotation @ turn.T
            codes = _codes(turn @ shift + origins - origins @ turned.T)
            fits &= [(turned.tobytes(), int(code)) in own for code in codes]
        for origin in origins[fits]:
            image = turn @ generic + origin
            first = int(_codes(rotations @ image + shifts).min())
            found.setdefault(first, (turn, origin))
    return list(found.values())


def _split(
    space_group: int, aristotype: Aristotype, multiple: int, shift: int
) -> tuple[Orbit, ...] | None:
    """Return the orbits of all sites; None if the operators do not map the sites on themselves."""
    rotations, shifts = _grid_operations(space_group)
    cells = np.array(list(np.ndindex(multiple, multiple, multiple)), np.int64)
    step = GRID // (8 * multiple)
    orbits: list[Orbit] = []
    for index, sublattice in enumerate(aristotype.sublattices):
        points = (8 * cells[:, None] + np.array(sublattice.points)).reshape(-1, 3)
        points = (step * points + shift) % GRID
        left = set(_codes(points).tolist())
        for point in points:
            if int(_codes(point)) not in left:
                continue
            images = (rotations @ point + shifts) % GRID
            codes, first = np.unique(_codes(images), return_index=True)
            if not left.issuperset(codes.tolist()):
                return None
            left.difference_update(codes.tolist())
            stabilizer = rotations[_codes(images) == int(_codes(point))]
            orbits.append(Orbit(index, images[np.sort(first)], stabilizer.mean(axis=0)))
    return tuple(orbits)
