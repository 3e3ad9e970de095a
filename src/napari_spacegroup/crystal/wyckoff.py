"""The Wyckoff positions of all 230 groups, derived from the operators.

A position is a family of points, lines or planes that some of the operators leave in place.
An operator ``x -> R x + t`` fixes the points with ``(R - 1) x + t`` integer, a congruence
that the Smith normal form of ``R - 1`` solves; positions of higher symmetry are the
intersections of those sets. Everything is exact: integers and fractions. Letters of the
International Tables are not assigned, for they follow no rule that could be computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product

import gemmi
import numpy as np
from numpy.typing import NDArray

from .symmetry import setting_operations

Matrix = list[list[Fraction]]
Rows = tuple[tuple[int, ...], ...]
Shift = tuple[Fraction, ...]
Subspace = tuple[Rows, Shift]
"""Points with ``rows @ x = shift`` up to integers; the rows in Hermite normal form."""

GENERIC = (Fraction(17, 97), Fraction(31, 89), Fraction(23, 101))
"""Free coordinates of a point that no operator fixes by chance."""


@dataclass(frozen=True, eq=False)
class WyckoffPosition:
    """One Wyckoff position, by its representative.

    Parameters
    ----------
    multiplicity
        Points in the conventional cell.
    site_order
        Order of the site symmetry.
    offset
        A point of it, shape ``(3,)``.
    directions
        Along which it is free, as columns, shape ``(3, dimension)``.
    """

    multiplicity: int
    site_order: int
    offset: NDArray[np.float64]
    directions: NDArray[np.float64]

    @property
    def dimension(self) -> int:
        """Return the number of free coordinates, 0 to 3."""
        return int(self.directions.shape[1])

    def point(self, free: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the point with these free coordinates, of which the first ones are used."""
        found: NDArray[np.float64] = (self.offset + self.directions @ free[: self.dimension]) % 1.0
        return found


@cache
def wyckoff_positions(space_group: int) -> tuple[WyckoffPosition, ...]:
    """Return the Wyckoff positions of a group in its standard setting, the general one last.

    Parameters
    ----------
    space_group
        Number, 1 to 230.

    Returns
    -------
    positions
        By multiplicity and number of free coordinates.
    """
    operations = setting_operations(space_group)
    basis = _primitive_basis(operations)
    ops = _operations_in(operations, basis)
    single = {s for rotation, shift in ops for s in _fixed(rotation, shift)}
    whole: Subspace = ((), ())
    found: dict[Subspace, Subspace] = {}
    fresh = [whole]
    representatives = []
    while fresh:
        subspace = fresh.pop()
        if subspace in found:
            continue
        representatives.append(subspace)
        for rotation, shift in ops:
            found[_moved(subspace, rotation, shift)] = subspace
        for other in single:
            for smaller in _intersection(subspace, other):
                if smaller not in found:
                    fresh.append(smaller)
    centring = len(operations.cen_ops)
    positions = [_position(s, ops, basis, centring) for s in representatives]
    return tuple(sorted(positions, key=lambda p: (p.dimension == 3, p.multiplicity, p.dimension)))


def _primitive_basis(operations: gemmi.GroupOps) -> Matrix:
    """Return primitive vectors in conventional coordinates, as columns."""
    den = gemmi.Op.DEN
    vectors = [[den * (i == j) for j in range(3)] for i in range(3)]
    vectors += [list(vector) for vector in operations.cen_ops]
    rows, _ = _canonical(vectors, [Fraction(0)] * len(vectors))
    return [[Fraction(rows[j][i], den) for j in range(3)] for i in range(3)]


def _operations_in(operations: gemmi.GroupOps, basis: Matrix) -> list[tuple[Rows, Shift]]:
    """Return rotations and translations in coordinates of a primitive basis."""
    den, to_primitive = gemmi.Op.DEN, _inverse(basis)
    found = []
    for op in operations.sym_ops:
        rotation = [[Fraction(int(x), den) for x in row] for row in op.rot]
        turned = _product(_product(to_primitive, rotation), basis)
        shift = [sum(f * Fraction(int(t), den) for f, t in zip(row, op.tran, strict=True))
                 for row in to_primitive]  # fmt: skip
        rows = tuple(tuple(int(x) for x in row) for row in turned)
        found.append((rows, tuple(Fraction(s) % 1 for s in shift)))
    return found


def _fixed(rotation: Rows, shift: Shift) -> Iterator[Subspace]:
    """Give what an operator leaves in place; nothing for the identity."""
    rows = tuple(tuple(x - (i == j) for j, x in enumerate(row)) for i, row in enumerate(rotation))
    if any(any(row) for row in rows):
        yield from _solutions(rows, tuple(-s for s in shift))


def _intersection(first: Subspace, second: Subspace) -> Iterator[Subspace]:
    yield from _solutions(first[0] + second[0], first[1] + second[1])


def _moved(subspace: Subspace, rotation: Rows, shift: Shift) -> Subspace:
    """Return where an operator takes a subspace."""
    rows, values = subspace
    if not rows:
        return subspace
    back = _inverse([[Fraction(x) for x in row] for row in rotation])
    turned = [[int(x) for x in row] for row in _product(_fractions(rows), back)]
    moved = [v + sum(c * s for c, s in zip(row, shift, strict=True))
             for v, row in zip(values, turned, strict=True)]  # fmt: skip
    return _canonical(turned, moved)


def _position(
    subspace: Subspace, ops: list[tuple[Rows, Shift]], basis: Matrix, centring: int
) -> WyckoffPosition:
    rows, values = subspace
    offset, directions = _parameters(rows, values)
    point = [o + sum(d * g for d, g in zip(row, GENERIC, strict=False))
             for o, row in zip(offset, directions, strict=True)]  # fmt: skip
    order = 0
    for rotation, shift in ops:
        image = [sum(r * p for r, p in zip(row, point, strict=True)) + s
                 for row, s in zip(rotation, shift, strict=True)]  # fmt: skip
        order += all((a - b).denominator == 1 for a, b in zip(image, point, strict=True))
    back = np.array([[float(x) for x in row] for row in basis])
    free = np.array([[float(x) for x in row] for row in directions]).reshape(3, -1)
    return WyckoffPosition(
        len(ops) * centring // order,
        order,
        np.round(back @ np.array([float(x) for x in offset]), 12) % 1.0,
        back @ free,
    )


def _parameters(rows: Rows, values: Shift) -> tuple[list[Fraction], Matrix]:
    """Return a point of a subspace, and what spans it as columns."""
    if not rows:
        return [Fraction(0)] * 3, [[Fraction(int(i == j)) for j in range(3)] for i in range(3)]
    # The rows are primitive, so that all of the diagonal is 1 and any solution will do.
    left, diagonal, right = _smith([list(row) for row in rows])
    rank = len(diagonal)
    turned = [sum(u * v for u, v in zip(row, values, strict=True)) for row in left]
    first = [Fraction(turned[i]) / diagonal[i] if i < rank else Fraction(0) for i in range(3)]
    offset = [sum((right[i][j] * first[j] for j in range(3)), Fraction(0)) for i in range(3)]
    free = [[Fraction(right[i][j]) for j in range(rank, 3)] for i in range(3)]
    return offset, free


def _solutions(rows: Rows, values: Shift) -> Iterator[Subspace]:
    """Give all subspaces of points with ``rows @ x = values`` up to integers."""
    left, diagonal, right = _smith([list(row) for row in rows])
    turned = [sum(u * v for u, v in zip(row, values, strict=True)) for row in left]
    rank = len(diagonal)
    if any(Fraction(v).denominator != 1 for v in turned[rank:]):
        return
    inverse = [[int(x) for x in row] for row in _inverse(_fractions(right))]
    for steps in product(*(range(d) for d in diagonal)):
        shift = [(turned[i] + steps[i]) / Fraction(diagonal[i]) for i in range(rank)]
        yield _canonical(inverse[:rank], shift)


def _canonical(rows: list[list[int]], values: list[Fraction]) -> Subspace:
    """Return rows in Hermite normal form and their values from 0 to 1."""
    rows, values = [list(row) for row in rows], list(values)
    done = 0
    for column in range(3):
        while True:
            rest = [i for i in range(done, len(rows)) if rows[i][column]]
            if not rest:
                break
            pivot = min(rest, key=lambda i: abs(rows[i][column]))
            rows[done], rows[pivot] = rows[pivot], rows[done]
            values[done], values[pivot] = values[pivot], values[done]
            if rows[done][column] < 0:
                rows[done] = [-x for x in rows[done]]
                values[done] = -values[done]
            is_clear = True
            for i in range(len(rows)):
                factor = rows[i][column] // rows[done][column] if i != done else 0
                if factor:
                    rows[i] = [a - factor * b for a, b in zip(rows[i], rows[done], strict=True)]
                    values[i] -= factor * values[done]
                if i > done and rows[i][column]:
                    is_clear = False
            if is_clear:
                done += 1
                break
    return tuple(tuple(row) for row in rows), tuple(Fraction(v) % 1 for v in values)


def _smith(matrix: list[list[int]]) -> tuple[list[list[int]], list[int], list[list[int]]]:
    """Return ``left``, ``diagonal`` and ``right`` with ``left @ matrix @ right`` diagonal.

    Both factors are unimodular; the diagonal holds its non-zero elements alone.
    """
    matrix = [list(row) for row in matrix]
    height, width = len(matrix), len(matrix[0])
    left = [[int(i == j) for j in range(height)] for i in range(height)]
    right = [[int(i == j) for j in range(width)] for i in range(width)]
    rank = 0
    while rank < min(height, width):
        places = [(abs(matrix[i][j]), i, j) for i in range(rank, height)
                  for j in range(rank, width) if matrix[i][j]]  # fmt: skip
        if not places:
            break
        _, i, j = min(places)
        for square in (matrix, left):
            square[rank], square[i] = square[i], square[rank]
        for square in (matrix, right):
            for row in square:
                row[rank], row[j] = row[j], row[rank]
        pivot = matrix[rank][rank]
        for i in range(rank + 1, height):
            factor = matrix[i][rank] // pivot
            for square in (matrix, left):
                square[i] = [a - factor * b for a, b in zip(square[i], square[rank], strict=True)]
        for j in range(rank + 1, width):
            factor = matrix[rank][j] // pivot
            for square in (matrix, right):
                for row in square:
                    row[j] -= factor * row[rank]
        rest = [matrix[i][rank] for i in range(rank + 1, height)]
        if not any(rest) and not any(matrix[rank][rank + 1 :]):
            rank += 1
    diagonal = [matrix[i][i] for i in range(rank)]
    for i, value in enumerate(diagonal):
        if value < 0:
            diagonal[i] = -value
            left[i] = [-x for x in left[i]]
    return left, diagonal, right


def _fractions(rows: list[list[int]] | Rows) -> Matrix:
    return [[Fraction(x) for x in row] for row in rows]


def _product(first: Matrix, second: Matrix) -> Matrix:
    columns = list(zip(*second, strict=True))
    return [[sum((a * b for a, b in zip(row, column, strict=True)), Fraction(0))
             for column in columns] for row in first]  # fmt: skip


def _inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of a 3 x 3 matrix, by its cofactors."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return [[x / determinant for x in row] for row in cofactors]
