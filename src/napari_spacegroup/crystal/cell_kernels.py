"""Compiled loops of the search for cells: millions of small systems of equations.

A cell is a few terms in which ``Q = 1 / d²`` is linear; ``kind`` counts
:data:`~.cell_search.FAMILIES`: 0 cubic, 1 hexagonal, 2 tetragonal, 3 orthorhombic, 4 monoclinic,
5 triclinic. The search itself goes down to 3; the lower two have :mod:`.zone_kernels`.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def cell_volume(kind: int, p: NDArray[np.float64]) -> float:
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
    if kind == 5:
        rest = p[0] * p[1] * p[2] + 0.25 * p[3] * p[4] * p[5]
        rest -= 0.25 * (p[0] * p[3] * p[3] + p[1] * p[4] * p[4] + p[2] * p[5] * p[5])
        return float(1 / math.sqrt(rest)) if rest > 0 else 0.0
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
    volume = cell_volume(kind, p)
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
def search_trials(
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
            if not is_new:
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
def refine_terms(
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
        if scale == 0:  # no line says anything of the first term
            break
        for s in range(size):
            b[s] /= scale
            for t in range(size):
                a[s, t] /= scale
        if not _solve(a, b, size) or cell_volume(kind, b) <= 0:
            break
        for s in range(size):
            p[s] = b[s]
    return p, indexed
