"""Compiled searches for monoclinic and triclinic cells, zone by zone.

Two reciprocal vectors that are seen and a third line give a plane of the reciprocal lattice (a
zone; Ito, T. (1949). Nature 164, 755-756). A monoclinic cell is the zone across its unique axis
and the height of the planes above it; a triclinic one three zones that share their vectors. What a
glide takes away from the zone and centring moves in the planes above is tried too, so that the
weak or absent first lines need not be guessed.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


def compiled(function: Any) -> Any:
    """Return the function compiled, kept on disk, without the interpreter's lock."""
    return numba.njit(cache=True, nogil=True)(function)


COSETS = np.array([(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)])
"""Where points of the planes above a zone may lie, in units of its vectors."""

PLANES = np.array([
    (0, -1, 0, -1), (1, -1, 0, -1), (2, -1, 0, -1), (3, -1, 0, -1),
    (0, 1, 0, 1), (2, 3, 0, 1), (0, 2, 0, 2), (1, 3, 0, 2), (0, 3, 0, 3), (1, 2, 0, 3),
])  # fmt: skip
"""Cosets of odd planes and of even ones above the zone: centring alone, then with a glide that
thins the zone itself; -1 for none."""

MISSED = 2.5
"""What a line costs that a cell does not have [nat]."""


@compiled
def zone_points(
    a: float, c: float, d: float, shift_a: float, shift_c: float, last: float
) -> NDArray[np.float64]:
    """Return Q of the points of a plane up to the last one, rising; opposite ones once."""
    height = c - d * d / (4 * a)
    most_c = int(math.sqrt(last / height)) + 1
    found = np.empty((2 * most_c + 2) * 60)
    count = 0
    is_centered = shift_a == 0 and shift_c == 0
    for j in range(-most_c, most_c + 1):
        y = j + shift_c
        middle = -d * y / (2 * a)
        reach = math.sqrt(max(last - height * y * y, 0.0) / a)
        for i in range(math.ceil(middle - reach - shift_a),
                       math.floor(middle + reach - shift_a) + 1):  # fmt: skip
            x = i + shift_a
            if is_centered and (y < 0 or (y == 0 and x <= 0)):
                continue
            q = a * x * x + c * y * y + d * x * y
            if q <= last and count < len(found):
                found[count] = q
                count += 1
    return np.sort(found[:count])


@compiled
def nearest_point(points: NDArray[np.float64], q: float) -> float:
    """Return the distance of the nearest of rising points."""
    low, high = 0, len(points)
    while low < high:
        middle = (low + high) // 2
        if points[middle] < q:
            low = middle + 1
        else:
            high = middle
    best = 1e9
    if low < len(points):
        best = points[low] - q
    if low > 0:
        best = min(best, q - points[low - 1])
    return float(best)


@compiled
def points_below(points: NDArray[np.float64], q: float) -> int:
    """Return how many of rising points lie below."""
    return int(np.searchsorted(points, q))


@compiled
def worth_of(apart: float, tolerance: float, last: float, lines: int) -> float:
    """Return what a line that lies so far from one of the cell's speaks for the cell [nat]."""
    chance = min(1.0, 2 * tolerance * lines / last)
    return -math.log(chance) - 0.5 * (2.3 * apart / tolerance) ** 2 + 1.0


@compiled
def keep_best(
    found: NDArray[np.float64], count: int, row: NDArray[np.float64], score: float
) -> int:
    """Keep a row if there is room or a worse one; return how many are kept."""
    size = len(row)
    place = count
    if count == len(found):
        place = int(np.argmin(found[:, size]))
        if found[place, size] >= score:
            return count
    else:
        count += 1
    found[place, :size] = row
    found[place, size] = score
    return count


@compiled
def _mixed_term(a: float, c: float, third: float, kind: int) -> float:
    """Return the size of the hl term if a third line is 11, 12 or 21 of a zone."""
    if kind == 0:
        return float(abs(third - a - c))
    if kind == 1:
        return float(abs(third - a - 4 * c) / 2)
    return float(abs(third - 4 * a - c) / 2)


@compiled
def find_zones(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    first: int,
    third: int,
    capacity: int,
) -> NDArray[np.float64]:
    """Return terms (h², l², hl) of reduced zones and what the lines say for each, best first."""
    found = np.zeros((capacity, 4))
    row = np.zeros(3)
    count = 0
    total = len(lines)
    last = lines[-1] * 1.02
    for i in range(min(first, total)):
        for j in range(i + 1, min(first + 4, total)):
            for m in range(j + 1, min(third, total)):
                for kind in range(3):
                    a, c = lines[i], lines[j]
                    d = _mixed_term(a, c, lines[m], kind)
                    if 4 * a * c - d * d < 0.1 * a * a:
                        continue
                    # The shortest two vectors of the zone, at an obtuse angle or none.
                    for _ in range(20):
                        if a > c:
                            a, c = c, a
                        shift = round(d / (2 * a))
                        if shift == 0:
                            break
                        c, d = c - shift * d + shift * shift * a, d - 2 * shift * a
                    d = abs(d)
                    if a < 0.2 * lines[0]:
                        continue
                    points = zone_points(a, c, d, 0.0, 0.0, last)
                    score = 0.0
                    for n in range(total):
                        apart = nearest_point(points, lines[n])
                        if apart < tolerance[n]:
                            score += max(worth_of(apart, tolerance[n], last, len(points)), 0.0)
                    score -= 0.5 * len(points)
                    is_new = True
                    for t in range(count):
                        if (abs(found[t, 0] / a - 1) < 2e-3 and abs(found[t, 1] / c - 1) < 2e-3
                                and abs(found[t, 2] - d) < 4e-3 * a):  # fmt: skip
                            is_new = False
                            if found[t, 3] < score:
                                found[t, 0], found[t, 1], found[t, 2] = a, c, d
                                found[t, 3] = score
                            break
                    if is_new:
                        row[0], row[1], row[2] = a, c, d
                        count = keep_best(found, count, row, score)
    found = found[:count]
    return found[np.argsort(-found[:, 3])]


@compiled
def search_monoclinic(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    cosets: NDArray[np.float64],
    planes: NDArray[np.int64],
    first: int,
    third: int,
    checked: int,
    needed: int,
    largest: float,
    smallest: float,
    capacity: int,
) -> NDArray[np.float64]:
    """Return terms (h², k², l², hl) and score of cells, shape ``(n, 5)``; see cell_search."""
    found = np.zeros((capacity, 5))
    count = 0
    total = len(lines)
    last = lines[-1] * 1.02
    row = np.zeros(4)
    for i in range(min(first, total)):
        for j in range(i + 1, min(first + 2, total)):
            a, c = lines[i], lines[j]
            for m in range(j + 1, min(third, total)):
                for kind in range(3):
                    d = _mixed_term(a, c, lines[m], kind)
                    if d > 1.02 * a or d < tolerance[m]:
                        continue
                    area = 1 / math.sqrt(a * c - d * d / 4)
                    p0 = zone_points(a, c, d, cosets[0, 0], cosets[0, 1], last)
                    p1 = zone_points(a, c, d, cosets[1, 0], cosets[1, 1], last)
                    p2 = zone_points(a, c, d, cosets[2, 0], cosets[2, 1], last)
                    p3 = zone_points(a, c, d, cosets[3, 0], cosets[3, 1], last)
                    for type_ in range(len(planes)):
                        for n in range(min(checked, total)):
                            if n in (i, j, m):
                                continue
                            for k in range(1, 3):
                                for part in range(2):
                                    coset = planes[type_, (0 if k == 1 else 2) + part]
                                    if coset < 0:
                                        continue
                                    points = (p0, p1, p2, p3)[coset]
                                    start = -1 if coset == 0 else 0
                                    for s in range(start, min(6, len(points))):
                                        rest = lines[n] - (points[s] if s >= 0 else 0.0)
                                        b = rest / (k * k)
                                        if b < smallest:
                                            break
                                        volume = area / math.sqrt(b)
                                        if not 10.0 < volume < largest:
                                            continue
                                        score = _plane_score(
                                            lines, tolerance, b, planes[type_], p0, p1, p2, p3,
                                            last, checked, needed,
                                        )  # fmt: skip
                                        if score <= 0:
                                            continue
                                        half_a, half_c = 1.0, 1.0
                                        for q in range(4):
                                            if planes[type_, q] >= 0:
                                                if cosets[planes[type_, q], 0] > 0:
                                                    half_a = 0.5
                                                if cosets[planes[type_, q], 1] > 0:
                                                    half_c = 0.5
                                        row[0], row[1] = a * half_a * half_a, b
                                        row[2], row[3] = c * half_c * half_c, d * half_a * half_c
                                        count = keep_best(found, count, row, score)
    return found[:count]


@compiled
def _plane_score(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    b: float,
    plane: NDArray[np.int64],
    p0: NDArray[np.float64],
    p1: NDArray[np.float64],
    p2: NDArray[np.float64],
    p3: NDArray[np.float64],
    last: float,
    checked: int,
    needed: int,
) -> float:
    """Return what the lines say for planes of height b over a zone; 0 where too few fit."""
    most = int(math.sqrt(last / b))
    missed = 0
    total = len(lines)
    count = 0
    for k in range(most + 1):
        for part in range(1 if k == 0 else 2):
            coset = 0 if k == 0 else plane[(k + 1) % 2 * 2 + part]
            if coset < 0:
                continue
            points = (p0, p1, p2, p3)[coset]
            count += points_below(points, last - k * k * b) + (1 if coset == 0 and k > 0 else 0)
    score = 0.0
    for i in range(total):
        best = 1e9
        for k in range(most + 1):
            rest = lines[i] - k * k * b
            if rest < -tolerance[i]:
                break
            for part in range(1 if k == 0 else 2):
                coset = 0 if k == 0 else plane[(k + 1) % 2 * 2 + part]
                if coset < 0:
                    continue
                points = (p0, p1, p2, p3)[coset]
                best = min(best, nearest_point(points, rest))
                if coset == 0 and k > 0:
                    best = min(best, abs(rest))
        if best < tolerance[i]:
            score += worth_of(best, tolerance[i], last, count)
        else:
            score -= MISSED
            if i < checked:
                missed += 1
                if missed > checked - needed:
                    return 0.0
    return score
