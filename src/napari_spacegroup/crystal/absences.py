"""Which powder lines each extinction group allows on a cell of a given shape.

A cell that was found from line positions has no names for its axes: an orthorhombic one may have
its screw along any of them, a monoclinic one its glide along a, c or the diagonal. So every
extinction group stands here in all the ways it can lie on the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from .cell_search import LatticeFamily, index_box, index_table, index_terms
from .levels import level_name
from .symmetry import standard_setting

_NUMBERS = {
    "cubic": range(195, 231), "hexagonal": range(143, 195), "tetragonal": range(75, 143),
    "orthorhombic": range(16, 75), "monoclinic": range(3, 16), "triclinic": range(1, 3),
}  # fmt: skip
_AXES = {
    "orthorhombic": ("x,y,z", "y,z,x", "z,x,y", "y,x,-z", "z,y,-x", "x,z,-y"),
    # Of a monoclinic cell with the shortest two edges across b: its other two, and their mirror.
    "monoclinic": ("x,y,z", "z,-y,x", "x-z,y,z", "z,-y,x-z", "-x,-y,x+z", "x+z,y,-x"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class AbsenceTable:
    """The ways in which extinction groups can lie on cells of one shape.

    Parameters
    ----------
    groups
        Space groups of each way, that no absence tells apart.
    is_allowed
        Whether a line may be seen, shape ``(way, line)``; lines as in
        :func:`~.cell_search.index_table`.
    shares
        Which part of all ways of its group each is, shape ``(way,)``.
    """

    groups: tuple[tuple[int, ...], ...]
    is_allowed: NDArray[np.bool_]
    shares: NDArray[np.float64]


@cache
def absence_table(family: LatticeFamily) -> AbsenceTable:
    """Return which lines every extinction group of a shape of cells allows."""
    table = index_table(family)
    most = int(np.abs(table.indices[:, :2]).max()), int(np.abs(table.indices[:, 2]).max())
    box = index_box(family, most)
    # Every reflection of a line, with signs that the shape does not make equal.
    if family in ("hexagonal", "monoclinic"):
        box = np.concatenate([box, box * np.array([-1, 1, 1], np.int32)])
        if family == "hexagonal":
            h, k, m = box.T
            box = np.concatenate([box, np.stack([k, h, m], 1), np.stack([-h - k, h, m], 1)])
            box = box.astype(np.int32)
    _, line = _lines_of(family, table.terms, box)
    members: dict[str, list[int]] = {}
    for number in _NUMBERS[family]:
        members.setdefault(level_name(number, "extinction_group"), []).append(number)
    groups: list[tuple[int, ...]] = []
    masks: list[NDArray[np.bool_]] = []
    shares: list[float] = []
    for numbers in members.values():
        own: dict[bytes, NDArray[np.bool_]] = {}
        for change in _AXES.get(family, ("x,y,z",)):
            operations = standard_setting(numbers[0]).operations()
            if change != "x,y,z":
                operations.change_basis_forward(gemmi.Op(change))
            seen = ~operations.systematic_absences(box)
            mask = np.zeros(len(table.terms), bool)
            np.logical_or.at(mask, line[line >= 0], seen[line >= 0])
            own[mask.tobytes()] = mask
        for mask in own.values():
            groups.append(tuple(numbers))
            masks.append(mask)
            shares.append(1 / len(own))
    return AbsenceTable(tuple(groups), np.stack(masks), np.array(shares))


def _lines_of(
    family: LatticeFamily, terms: NDArray[np.float64], box: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the terms of reflections, and which line each belongs to, -1 for none."""
    own = index_terms(family, box)
    known = {tuple(row): place for place, row in enumerate(terms.tolist())}
    return own, np.array([known.get(tuple(row), -1) for row in own.tolist()])
