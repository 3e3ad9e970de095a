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
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

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
        return float(_volume(_KIND[self.family], self.terms))

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
    found = _search(
        _KIND[family], lines, tolerance, bases, trials, quick.terms, largest, LONGEST**-2.0,
        checked, math.ceil(share * checked), 6000,
    )  # fmt: skip
    cells: dict[tuple[int, ...], FoundCell] = {}
    for row in found[np.argsort(-found[:, -1], kind="stable")[:most]]:
        terms, indexed = _refine(_KIND[family], lines, tolerance, table.terms, row[:-1].copy())
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


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def _volume(kind: int, p: NDArray[np.float64]) -> float:
    """Return the volume of a cell, 0 where the terms are none."""
    if p[0] <= 0:
        return 0.0
    if kind == 0:
        return float(p[0] ** -1.5)
    if p[1] <= 0:
        return 0.0
    if kind == 1:
        return float(math.sqrt(3.0) / 2 / (0.75 * p[0]) / math.sqrt(p[1]))
    if kind == 2:
        return float(1 / (p[0] * math.sqrt(p[1])))
    if p[2] <= 0:
        return 0.0
    if kind == 3:
        return float(1 / math.sqrt(p[0] * p[1] * p[2]))
    rest = p[0] * p[2] - 0.25 * p[3] * p[3]
    return float(1 / math.sqrt(p[1] * rest)) if rest > 0 else 0.0


@_compiled
def _solve(a: NDArray[np.float64], b: NDArray[np.float64], size: int) -> bool:
    """Solve a small system in place, the answer in ``b``; False where it has none."""
    for i in range(size):
        pivot = i
        for r in range(i + 1, size):
            if abs(a[r, i]) > abs(a[pivot, i]):
                pivot = r
        if abs(a[pivot, i]) < 1e-9:
            return False
        if pivot != i:
            for c in range(size):
                a[i, c], a[pivot, c] = a[pivot, c], a[i, c]
            b[i], b[pivot] = b[pivot], b[i]
        for r in range(i + 1, size):
            f = a[r, i] / a[i, i]
            if f != 0.0:
                for c in range(i, size):
                    a[r, c] -= f * a[i, c]
                b[r] -= f * b[i]
    for i in range(size - 1, -1, -1):
        for c in range(i + 1, size):
            b[i] -= a[i, c] * b[c]
        b[i] /= a[i, i]
    return True


@_compiled
def _is_plausible(
    kind: int, p: NDArray[np.float64], size: int, smallest: float, least: float, largest: float
) -> bool:
    for s in range(min(size, 3)):
        if p[s] < smallest:
            return False
    if kind == 3 and (p[0] < p[1] or p[1] < p[2]):
        return False
    if kind == 4 and (p[0] < p[2] or abs(p[3]) > 1.01 * p[2]):
        return False
    volume = _volume(kind, p)
    return bool(least < volume < largest)


@_compiled
def _fit(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    terms: NDArray[np.float64],
    p: NDArray[np.float64],
    count: int,
    allowed: int,
    size: int,
    own: NDArray[np.float64],
) -> float:
    """Return how many of the first lines are indexed, less how badly; -1 once too many are not."""
    for j in range(terms.shape[0]):
        q = 0.0
        for t in range(size):
            q += terms[j, t] * p[t]
        own[j] = q
    score, missed = 0.0, 0
    for i in range(count):
        best = 1e9
        for j in range(terms.shape[0]):
            d = abs(own[j] - lines[i])
            best = min(best, d)
        if best < tolerance[i]:
            score += 1 - 0.3 * best / tolerance[i]
        else:
            missed += 1
            if missed > allowed:
                return -1.0
    return score


@_compiled
def _is_usual(trials: NDArray[np.float64], chosen: NDArray[np.int64]) -> bool:
    """Return whether one of four lines is 0k0, or three are h0l: most first lines are such."""
    along, across = 0, 0
    for s in range(4):
        if trials[chosen[s], 0] == 0 and trials[chosen[s], 2] == 0:
            along += 1
        elif trials[chosen[s], 1] == 0:
            across += 1
    return along == 1 or (across == 3 and along == 0)


@_compiled
def _search(
    kind: int,
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    bases: NDArray[np.int64],
    trials: NDArray[np.float64],
    terms: NDArray[np.float64],
    largest: float,
    smallest: float,
    checked: int,
    needed: int,
    capacity: int,
) -> NDArray[np.float64]:
    """Return terms and score of the trials that index enough of the first lines."""
    size = trials.shape[1]
    found = np.zeros((capacity, size + 1))
    count = 0
    a, p = np.zeros((size, size)), np.zeros(size)
    own = np.zeros(terms.shape[0])
    chosen = np.zeros(size, np.int64)
    total = trials.shape[0] ** size
    for base in range(bases.shape[0]):
        for number in range(total):
            rest = number
            is_new = True
            for s in range(size):
                chosen[s] = rest % trials.shape[0]
                rest //= trials.shape[0]
                for t in range(s):
                    is_new = is_new and chosen[s] != chosen[t]
            if not is_new or (kind == 4 and not _is_usual(trials, chosen)):
                continue
            for s in range(size):
                p[s] = lines[bases[base, s]]
                for t in range(size):
                    a[s, t] = trials[chosen[s], t]
            if not _solve(a, p, size):
                continue
            if not _is_plausible(kind, p, size, smallest, 10.0, largest):
                continue
            score = _fit(lines, tolerance, terms, p, checked, checked - needed, size, own)
            if score < 0:
                continue
            place = count
            if count == capacity:
                place = int(np.argmin(found[:, size]))
                if found[place, size] >= score:
                    continue
            else:
                count += 1
            for s in range(size):
                found[place, s] = p[s]
            found[place, size] = score
    return found[:count]


@_compiled
def _refine(
    kind: int,
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    terms: NDArray[np.float64],
    p: NDArray[np.float64],
) -> tuple[NDArray[np.float64], int]:
    """Return terms after three rounds of least squares, and how many lines are indexed."""
    size = terms.shape[1]
    own = np.zeros(terms.shape[0])
    indexed = 0
    for round_ in range(4):
        a, b = np.zeros((size, size)), np.zeros(size)
        for j in range(terms.shape[0]):
            q = 0.0
            for t in range(size):
                q += terms[j, t] * p[t]
            own[j] = q
        indexed = 0
        for i in range(lines.shape[0]):
            nearest, best = 0, 1e9
            for j in range(terms.shape[0]):
                d = abs(own[j] - lines[i])
                if d < best:
                    best, nearest = d, j
            if best < tolerance[i]:
                indexed += 1
                weight = 1 / tolerance[i] ** 2
                for s in range(size):
                    b[s] += weight * terms[nearest, s] * lines[i]
                    for t in range(size):
                        a[s, t] += weight * terms[nearest, s] * terms[nearest, t]
        if round_ == 3 or indexed < size:
            break
        scale = a[0, 0]
        for s in range(size):
            b[s] /= scale
            for t in range(size):
                a[s, t] /= scale
        if not _solve(a, b, size) or _volume(kind, b) <= 0:
            break
        for s in range(size):
            p[s] = b[s]
    return p, indexed
