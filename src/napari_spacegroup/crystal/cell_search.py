"""Search for the cell of a crystal from the positions of its powder lines.

Positions are ``Q = 1 / d²``, linear in a few terms that stand for the cell: one for cubic lattices,
two for hexagonal and tetragonal ones, three for orthorhombic, four for monoclinic, six for
triclinic. Down to orthorhombic cells some of the first lines are given all low indices in turn (as
TREOR does; Werner, Eriksson & Westdahl (1985). J. Appl. Cryst. 18, 367-370) and the terms follow
from linear equations; monoclinic and triclinic ones are put together from zones
(:mod:`.zone_kernels`). What indexes most of the lines is refined.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .cell_kernels import cell_volume, refine_terms, search_trials
from .triclinic_kernels import ROWS, search_triclinic
from .zone_kernels import COSETS, PLANES, find_zones, search_monoclinic

LatticeFamily = Literal[
    "cubic", "hexagonal", "tetragonal", "orthorhombic", "monoclinic", "triclinic"
]
FAMILIES: tuple[LatticeFamily, ...] = (
    "cubic", "hexagonal", "tetragonal", "orthorhombic", "monoclinic", "triclinic",
)  # fmt: skip
"""Shapes of cells; hexagonal stands for trigonal crystals too, rhombohedral ones included."""

_KIND = {family: index for index, family in enumerate(FAMILIES)}
_REACH = {"cubic": (10, 10), "hexagonal": (8, 16), "tetragonal": (8, 14), "orthorhombic": (8, 12),
          "monoclinic": (7, 9), "triclinic": (6, 6)}  # fmt: skip
_QUICK = {"cubic": (10, 10), "hexagonal": (5, 9), "tetragonal": (5, 9), "orthorhombic": (4, 5),
          "triclinic": (4, 4)}  # fmt: skip
_TRIED = {"cubic": (5, 5), "hexagonal": (3, 6), "tetragonal": (3, 6),
          "orthorhombic": (2, 4)}  # fmt: skip
ZONES = 120
"""Zones that triclinic cells are put together from."""

LONGEST = 45.0
"""Longest cell edge [Å]."""


@dataclass(frozen=True, eq=False)
class IndexTable:
    """The distinct lines that any cell of a family has.

    Parameters
    ----------
    terms
        What each line's Q is made of: shape ``(line, term)``.
    indices
        One ``(h, k, l)`` of each, shape ``(line, 3)``.
    """

    terms: NDArray[np.float64]
    indices: NDArray[np.int32]


def index_terms(family: LatticeFamily, indices: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return what the Q of reflections is made of, shape ``(n, term)``."""
    h, k, m = np.asarray(indices, np.float64).T
    rows = {
        "cubic": (h * h + k * k + m * m,),
        "hexagonal": (h * h + h * k + k * k, m * m),
        "tetragonal": (h * h + k * k, m * m),
        "orthorhombic": (h * h, k * k, m * m),
        "monoclinic": (h * h, k * k, m * m, h * m),
        "triclinic": (h * h, k * k, m * m, k * m, h * m, h * k),
    }[family]
    return np.stack(rows, axis=1)


def index_box(family: LatticeFamily, reach: tuple[int, int]) -> NDArray[np.int32]:
    """Return reflections up to a largest h and k, and a largest l, shape ``(n, 3)``."""
    most, along = reach
    lowest = -along if family in ("monoclinic", "triclinic") else 0
    second = -most if family == "triclinic" else 0
    box = itertools.product(range(most + 1), range(second, most + 1), range(lowest, along + 1))
    is_triclinic = family == "triclinic"
    chosen = [hkl for hkl in box if (hkl > (0, 0, 0) if is_triclinic else any(hkl))]
    return np.array(chosen, np.int32)


@cache
def index_table(family: LatticeFamily, reach: tuple[int, int] | None = None) -> IndexTable:
    """Return the distinct lines of a family; the usual reach where None."""
    box = index_box(family, _REACH[family] if reach is None else reach)
    terms, first = np.unique(index_terms(family, box), axis=0, return_index=True)
    return IndexTable(terms, box[first])


@dataclass(frozen=True, eq=False)
class FoundCell:
    """A cell that indexes most of the lines.

    Parameters
    ----------
    family
        Its shape.
    terms
        Shape ``(term,)`` [1/Å²].
    indexed
        How many of the lines lie on one of its own.
    """

    family: LatticeFamily
    terms: NDArray[np.float64]
    indexed: int

    @property
    def volume(self) -> float:
        """Return the volume of the cell [Å³]."""
        return float(cell_volume(_KIND[self.family], self.terms))

    @property
    def parameters(self) -> tuple[float, float, float, float, float, float]:
        """Return a, b, c [Å] and the angles [degrees]; b is unique in monoclinic cells."""
        p = self.terms
        if self.family == "triclinic":
            metric = np.linalg.inv(_reciprocal_metric(p))
            edges = np.sqrt(np.diag(metric))
            cosines = metric / np.outer(edges, edges)
            angles = [math.degrees(math.acos(cosines[i, j])) for i, j in ((1, 2), (0, 2), (0, 1))]
            return (*edges.tolist(), *angles)
        if self.family == "cubic":
            return (p[0] ** -0.5,) * 3 + (90.0,) * 3
        if self.family == "hexagonal":
            return ((0.75 * p[0]) ** -0.5,) * 2 + (p[1] ** -0.5, 90.0, 90.0, 120.0)
        if self.family == "tetragonal":
            return (p[0] ** -0.5,) * 2 + (p[1] ** -0.5,) + (90.0,) * 3
        if self.family == "orthorhombic":
            return (p[0] ** -0.5, p[1] ** -0.5, p[2] ** -0.5) + (90.0,) * 3
        cosine = p[3] / (2 * math.sqrt(p[0] * p[2]))
        sine = math.sqrt(1 - cosine**2)
        a, c = (1 / (math.sqrt(x) * sine) for x in (p[0], p[2]))
        return (a, p[1] ** -0.5, c, 90.0, math.degrees(math.acos(-cosine)), 90.0)


def search_cells(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    family: LatticeFamily,
    *,
    largest: float = 4000.0,
    share: float = 0.8,
    first: int = 6,
    most: int = 400,
) -> list[FoundCell]:
    """Return cells of a family that index most of the first lines, refined on all of them.

    Parameters
    ----------
    lines
        Q of the lines [1/Å²], rising, shape ``(n,)``.
    tolerance
        How far from a line of the cell each may lie, shape ``(n,)``.
    largest
        Volume [Å³].
    share
        Of the first ten lines that must be indexed.
    first
        From how many of the first lines the trials are made.
    most
        Cells that are refined.

    Returns
    -------
    cells
        Roughly the best first; near copies are left out.
    """
    table = index_table(family)
    count = table.terms.shape[1]
    if len(lines) < max(count, 3):
        return []
    checked = min(10, len(lines))
    needed = math.ceil(share * checked)
    if family == "monoclinic":
        found = search_monoclinic(
            lines, tolerance, COSETS, PLANES, first + 4, 3 * first, checked, needed - 1,
            largest, LONGEST**-2.0, most,
        )  # fmt: skip
        found[:, :4] = [_reduced(row[:4]) for row in found] or found[:, :4]
    elif family == "triclinic":
        zones = find_zones(lines, tolerance, first + 4, 3 * first, 4 * ZONES)[:ZONES]
        quick = index_table(family, _QUICK[family])
        found = search_triclinic(
            lines, tolerance, zones, ROWS, quick.indices.astype(np.int64), 2 * first, checked,
            needed, 0.6 * largest, most,
        )  # fmt: skip
    else:
        quick = index_table(family, _QUICK[family])
        bases = np.array(list(itertools.combinations(range(min(len(lines), first)), count)))
        found = search_trials(
            _KIND[family], lines, tolerance, bases, index_table(family, _TRIED[family]).terms,
            quick.terms, largest, LONGEST**-2.0, checked, needed, 6000,
        )  # fmt: skip
    cells: dict[tuple[int, ...], FoundCell] = {}
    for row in found[np.argsort(-found[:, -1], kind="stable")[:most]]:
        terms, indexed = refine_terms(_KIND[family], lines, tolerance, table.terms, row[:-1].copy())
        key = tuple(np.round(np.log(np.abs(terms) + 1e-9) * 150).astype(int).tolist())
        if indexed >= 3 and key not in cells:
            cells[key] = FoundCell(family, terms, int(indexed))
    return list(cells.values())


def monoclinic_cells(cell: FoundCell, obliquity: float = 0.6) -> list[FoundCell]:
    """Return the monoclinic cells of a triclinic one that has twofold axes, nearly.

    Parameters
    ----------
    cell
        Triclinic.
    obliquity
        Largest angle between an axis and the normal of the planes across it [degrees].

    References
    ----------
    Le Page, Y. (1982). J. Appl. Cryst. 15, 255-259.
    """
    reciprocal = _reciprocal_metric(cell.terms)
    direct = np.linalg.inv(reciprocal)
    low = np.array([v for v in itertools.product(range(-2, 3), repeat=3)
                    if v > (0, 0, 0) and math.gcd(*v) == 1])  # fmt: skip
    lengths = np.sqrt(np.einsum("ni,ij,nj->n", low, direct, low))
    heights = np.sqrt(np.einsum("ni,ij,nj->n", low, reciprocal, low))
    cosines = np.abs(low @ low.T) / np.outer(lengths, heights)
    found = []
    for axis in np.flatnonzero(cosines.max(axis=1) > math.cos(math.radians(obliquity))):
        zone = low[low @ low[axis] == 0]
        zone = zone[np.argsort(np.einsum("ni,ij,nj->n", zone, reciprocal, zone), kind="stable")]
        second = next((v for v in zone[1:] if np.linalg.norm(np.cross(v, zone[0]))), None)
        if second is None:
            continue
        basis = np.stack([zone[0], second])
        inner = basis @ reciprocal @ basis.T
        # Where the planes above the zone have their points, in its vectors: on them or halfway.
        places = np.linalg.solve(inner, basis @ reciprocal).T
        halves = np.round(2 * places)
        if np.abs(2 * places - halves).max() > 0.2:
            continue
        a, c = np.where((halves % 2).any(axis=0), 0.5, 1.0)
        terms = np.array([
            inner[0, 0] * a**2, lengths[axis] ** -2, inner[1, 1] * c**2, 2 * inner[0, 1] * a * c
        ])  # fmt: skip
        found.append(FoundCell("monoclinic", _reduced(terms), cell.indexed))
    return found


def _reciprocal_metric(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the reciprocal metric of a triclinic cell, shape ``(3, 3)``."""
    a, b, c, d, e, f = terms.tolist()
    return np.array([[a, f / 2, e / 2], [f / 2, b, d / 2], [e / 2, d / 2, c]])


def smaller_cells(cell: FoundCell) -> list[FoundCell]:
    """Return the cells of half the volume that have every second line of a cell.

    Lines that a search of low indices explained by a cell may all lie on one of them.
    """
    p = cell.terms
    found: list[NDArray[np.float64]] = []
    if cell.family == "monoclinic":
        a, b, c, d = p.tolist()
        halves = ((4 * a, b, c, 2 * d), (a, 4 * b, c, d), (a, b, 4 * c, 2 * d),
                  (a + c + d, b, a + c - d, 2 * (c - a)))  # fmt: skip
        found = [_reduced(np.array(terms)) for terms in halves]
    elif cell.family not in ("cubic", "triclinic"):
        first = 0 if cell.family == "orthorhombic" else 1
        for place in range(first, len(p)):
            terms = p.copy()
            terms[place] *= 4
            found.append(np.sort(terms)[::-1].copy() if first == 0 else terms)
    return [FoundCell(cell.family, terms, cell.indexed) for terms in found]


def _reduced(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms of a monoclinic cell with the shortest reciprocal edges across b."""
    a, b, c, d = terms.tolist()
    for _ in range(20):
        if a < c:
            a, c = c, a
        shift = round(d / (2 * c))
        if shift == 0:
            break
        a, d = a - shift * d + shift**2 * c, d - 2 * shift * c
    return np.array([a, b, c, d])
