"""Compiled search for triclinic cells: zones that share a row, and one line more."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .zone_kernels import MISSED, compiled, keep_best, worth_of

ROWS = np.array([(1, 0, 0, 1), (0, 1, -1, 0), (1, 1, 0, 1), (1, -1, 0, 1), (2, 1, 1, 1),
                 (1, 2, 0, 1), (2, -1, -1, 1), (1, -2, 0, 1)])  # fmt: skip
"""Low vectors of a zone, each with another one that completes the zone."""


@compiled
def reduce_cell(p: NDArray[np.float64]) -> None:
    """Shorten the vectors of a triclinic cell, pair by pair, in place."""
    for _ in range(30):
        is_done = True
        for first in range(3):
            for second in range(3):
                if first == second:
                    continue
                # The term of the pair: 3 is kl, 4 is hl, 5 is hk.
                pair = 6 - first - second
                shift = round(p[pair] / (2 * p[first]))
                if shift == 0:
                    continue
                third = 3 - first - second
                # second -= shift * first
                p[second] += shift * shift * p[first] - shift * p[pair]
                p[pair] -= 2 * shift * p[first]
                p[6 - second - third] -= shift * p[6 - first - third]
                is_done = False
        total = p[0] + p[1] + p[2]
        # Where no pair shortens a vector, the sum of all three may.
        for signs in range(4):
            u = 1.0 if signs & 1 else -1.0
            v = 1.0 if signs & 2 else -1.0
            q = total + u * v * p[3] + v * p[4] + u * p[5]
            longest = 0
            if p[1] > p[longest]:
                longest = 1
            if p[2] > p[longest]:
                longest = 2
            if q < p[longest] * (1 - 1e-9):
                a, b, c, d, e, f = p
                if longest == 0:
                    p[0], p[4], p[5] = q, e + 2 * v * c + u * d, f + 2 * u * b + v * d
                elif longest == 1:
                    p[1], p[3], p[5] = q, u * d + 2 * v * c + e, u * f + 2 * a + v * e
                else:
                    p[2], p[3], p[4] = q, v * d + 2 * u * b + f, v * e + 2 * a + u * f
                is_done = False
                break
        if is_done:
            return


@compiled
def search_triclinic(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    zones: NDArray[np.float64],
    rows: NDArray[np.int64],
    indices: NDArray[np.int64],
    highest: int,
    checked: int,
    needed: int,
    largest: float,
    capacity: int,
) -> NDArray[np.float64]:
    """Return terms (h², k², l², kl, hl, hk) and score of cells, shape ``(n, 7)``.

    Zones of :func:`find_zones` that share a row are joined; the angle between them follows from
    one more line.
    """
    found = np.zeros((capacity, 7))
    count = 0
    total = len(lines)
    last = lines[-1] * 1.02
    p = np.zeros(6)
    own = np.zeros(len(indices))
    spread = tolerance / lines
    near = 1.5 * spread[: min(10, total)].mean()
    for one in range(len(zones)):
        for two in range(one, len(zones)):
            for r in range(len(rows)):
                a, b, f = _completed(zones[one], rows[r])
                for s in range(len(rows)):
                    other, c, e = _completed(zones[two], rows[s])
                    if abs(other - a) > near * a or (one == two and s <= r):
                        continue
                    for n in range(min(highest, total)):
                        for h in range(-1, 2):
                            for side in range(2):
                                if side == 0:
                                    d = lines[n] - h * h * a - b - c - h * e - h * f
                                else:
                                    d = -(lines[n] - h * h * a - b - c + h * e - h * f)
                                inner = (
                                    a * b * c + d * e * f / 4
                                    - (a * d * d + b * e * e + c * f * f) / 4
                                )  # fmt: skip
                                if inner <= 0 or not 20.0 < 1 / math.sqrt(inner) < largest:
                                    continue
                                p[0], p[1], p[2], p[3], p[4], p[5] = a, b, c, d, e, f
                                reduce_cell(p)
                                if min(p[0], p[1], p[2]) < 0.15 * lines[0]:
                                    continue
                                score = _box_score(
                                    lines, tolerance, indices, p, own, last, checked, needed
                                )
                                if score > 0:
                                    count = keep_best(found, count, p, score)
    return found[:count]


@compiled
def _completed(zone: NDArray[np.float64], row: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return the terms of a zone on a row of it and a vector that completes it."""
    a, c, d = zone[0], zone[1], zone[2]
    h, k, m, n = row
    first = h * h * a + k * k * c + h * k * d
    second = m * m * a + n * n * c + m * n * d
    cross = 2 * h * m * a + 2 * k * n * c + (h * n + k * m) * d
    shift = round(cross / (2 * first))
    return first, second - shift * cross + shift * shift * first, cross - 2 * shift * first


@compiled
def _box_score(
    lines: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    indices: NDArray[np.int64],
    p: NDArray[np.float64],
    own: NDArray[np.float64],
    last: float,
    checked: int,
    needed: int,
) -> float:
    """Return what the lines say for a triclinic cell; 0 where too few fit."""
    count = 0
    for s in range(len(indices)):
        h, k, m = indices[s]
        q = h * h * p[0] + k * k * p[1] + m * m * p[2] + k * m * p[3] + h * m * p[4] + h * k * p[5]
        if q < last:
            own[count] = q
            count += 1
    score, missed = 0.0, 0
    for i in range(len(lines)):
        best = 1e9
        for s in range(count):
            best = min(best, abs(own[s] - lines[i]))
        if best < tolerance[i]:
            score += worth_of(best, tolerance[i], last, count)
        else:
            score -= MISSED
            if i < checked:
                missed += 1
                if missed > checked - needed:
                    return 0.0
    return score
