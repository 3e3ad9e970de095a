"""Search for the cell of a crystal from the positions of its powder lines.

Positions are ``Q = 1 / d²``, linear in a few terms that stand for the cell: one for cubic lattices,
two for hexagonal and tetragonal ones, three for orthorhombic, four for monoclinic. Some of the
first lines are given all low indices in turn (as TREOR does; Werner, Eriksson & Westdahl (1985).
J. Appl. Cryst. 18, 367-370), the terms follow from linear equations, and what indexes most of the
lines is refined.
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

LatticeFamily = Literal["cubic", "hexagonal", "tetragonal", "orthorhombic", "monoclinic"]
FAMILIES: tuple[LatticeFamily, ...] = (
    "cubic", "hexagonal", "tetragonal", "orthorhombic", "monoclinic",
)  # fmt: skip
"""Shapes of cells; hexagonal stands for trigonal crystals too, rhombohedral ones included."""

_KIND = {family: index for index, family in enumerate(FAMILIES)}
_REACH = {"cubic": (10, 10), "hexagonal": (8, 16), "tetragonal": (8, 14), "orthorhombic": (8, 12),
          "monoclinic": (7, 9)}  # fmt: skip
_QUICK = {"cubic": (10, 10), "hexagonal": (5, 9), "tetragonal": (5, 9), "orthorhombic": (4, 5),
          "monoclinic": (3, 4)}  # fmt: skip
_TRIED = {"cubic": (5, 5), "hexagonal": (3, 6), "tetragonal": (3, 6), "orthorhombic": (2, 4),
          "monoclinic": (4, 2)}  # fmt: skip
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
    }[family]
    return np.stack(rows, axis=1)


def index_box(family: LatticeFamily, reach: tuple[int, int]) -> NDArray[np.int32]:
    """Return reflections up to a largest h and k, and a largest l, shape ``(n, 3)``."""
    most, along = reach
    lowest = -along if family == "monoclinic" else 0
    box = itertools.product(range(most + 1), range(most + 1), range(lowest, along + 1))
    return np.array([hkl for hkl in box if any(hkl)], np.int32)


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
        In no order that means much; near copies are left out.
    """
    table, quick = index_table(family), index_table(family, _QUICK[family])
    trials = _trials(family)
    count = trials.shape[1]
    if len(lines) < max(count, 3):
        return []
    bases = np.array(list(itertools.combinations(range(min(len(lines), first)), count)))
    checked = min(10, len(lines))
    found = search_trials(
        _KIND[family], lines, tolerance, bases, trials, quick.terms, largest, LONGEST**-2.0,
        checked, math.ceil(share * checked), 6000,
    )  # fmt: skip
    cells: dict[tuple[int, ...], FoundCell] = {}
    for row in found[np.argsort(-found[:, -1], kind="stable")[:most]]:
        terms, indexed = refine_terms(_KIND[family], lines, tolerance, table.terms, row[:-1].copy())
        key = tuple(np.round(np.log(np.abs(terms) + 1e-9) * 150).astype(int).tolist())
        if indexed >= 3 and key not in cells:
            cells[key] = FoundCell(family, terms, int(indexed))
    return list(cells.values())


@cache
def _trials(family: LatticeFamily) -> NDArray[np.float64]:
    """Return the terms of the indices that the first lines may have."""
    tried = index_table(family, _TRIED[family])
    if family != "monoclinic":
        return tried.terms
    # Long axes are mostly the unique one: its index may be high where the others are low.
    h, k, m = np.abs(tried.indices).T
    is_low = (h + m <= 2) | ((h + m == 3) & (k == 0))
    return np.asarray(tried.terms[is_low])


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
    elif cell.family != "cubic":
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
