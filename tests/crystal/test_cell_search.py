"""Cells from line positions, and which lines each extinction group allows on them."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from napari_spacegroup.crystal.absences import absence_table
from napari_spacegroup.crystal.cell_search import (
    FAMILIES,
    FoundCell,
    index_box,
    index_table,
    index_terms,
    search_cells,
)
from napari_spacegroup.crystal.symmetry import standard_setting

CELLS = {
    "cubic": (8.1, 8.1, 8.1, 90, 90, 90), "hexagonal": (4.76, 4.76, 12.99, 90, 90, 120),
    "tetragonal": (4.59, 4.59, 2.96, 90, 90, 90), "orthorhombic": (10.2, 5.98, 4.76, 90, 90, 90),
    "monoclinic": (5.25, 8.9, 9.2, 90, 98.4, 90),
}  # fmt: skip


def lines_of(cell, hkl):
    unit = gemmi.UnitCell(*cell)
    return np.array([1 / unit.calculate_d(row) ** 2 for row in np.asarray(hkl).tolist()])


def terms_of(family, cell):
    """Least squares of the terms on lines that gemmi computes."""
    box = index_box(family, (3, 3))
    return np.linalg.lstsq(index_terms(family, box), lines_of(cell, box), rcond=None)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_terms_say_what_gemmi_says(family):
    cell = CELLS[family]
    box = index_box(family, (3, 3))
    found = FoundCell(family, terms_of(family, cell), 0)
    np.testing.assert_allclose(
        index_terms(family, box) @ found.terms, lines_of(cell, box), rtol=1e-9
    )
    unit = gemmi.UnitCell(*cell)
    assert found.volume == pytest.approx(unit.volume)
    assert found.parameters == pytest.approx(cell)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cell_is_found_again(family):
    cell = CELLS[family]
    table = index_table(family)
    every = np.unique(np.round(table.terms @ terms_of(family, cell), 9))
    rng = np.random.default_rng(3)
    lines = every[:24][rng.random(24) > 0.2]  # some are too weak to be seen
    lines = lines * (1 + 1e-4 * rng.standard_normal(len(lines)))
    found = search_cells(lines, 1.5e-3 * lines, family)
    volume = gemmi.UnitCell(*cell).volume
    assert found
    best = max(found, key=lambda one: (one.indexed, -one.volume))
    assert best.indexed == len(lines)
    assert best.volume == pytest.approx(volume, rel=2e-3)


def test_lines_that_no_cell_has_give_none():
    lines = np.sort(np.random.default_rng(0).uniform(0.02, 0.3, 20))
    assert not search_cells(lines, 1e-5 * lines, "cubic")
    assert not search_cells(lines[:2], 1e-3 * lines[:2], "orthorhombic")


def test_as_many_ways_as_the_international_tables_have():
    """Diffraction symbols of table 3.1.4.1, volume A: monoclinic (unique b), orthorhombic, 4/m."""
    counts = {
        family: len(np.unique(absence_table(family).is_allowed, axis=0))
        for family in ("monoclinic", "orthorhombic", "tetragonal")
    }
    assert counts == {"monoclinic": 14, "orthorhombic": 111, "tetragonal": 31}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_group_lies_on_its_cell_in_all_ways_together_once(family):
    table = absence_table(family)
    shares: dict[tuple[int, ...], float] = {}
    for groups, share in zip(table.groups, table.shares, strict=True):
        shares[groups] = shares.get(groups, 0) + share
    assert all(share == pytest.approx(1) for share in shares.values())
    numbers = sorted(number for groups in shares for number in groups)
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(("family", "number", "dark", "bright"), [
    ("cubic", 227, [(0, 0, 2), (0, 2, 4), (1, 0, 0)], [(1, 1, 1), (0, 2, 2), (0, 0, 4)]),
    ("hexagonal", 167, [(0, 0, 3), (1, 0, 0)], [(0, 0, 6), (1, 1, 0), (1, 0, 2)]),
    ("hexagonal", 154, [(0, 0, 1), (0, 0, 2)], [(0, 0, 3), (1, 0, 0), (1, 0, 1)]),
    ("tetragonal", 136, [(0, 0, 1), (1, 0, 0)], [(1, 1, 0), (1, 0, 1), (0, 0, 2)]),
])  # fmt: skip
def test_known_absences(family, number, dark, bright):
    table, lines = absence_table(family), index_table(family)
    way = next(i for i, groups in enumerate(table.groups) if number in groups)
    allowed = dict(zip(map(tuple, lines.terms.tolist()), table.is_allowed[way], strict=True))

    def is_seen(hkl):
        return allowed[tuple(index_terms(family, np.array([hkl]))[0].tolist())]

    assert not any(is_seen(hkl) for hkl in dark)
    assert all(is_seen(hkl) for hkl in bright)


def test_a_nonstandard_setting_is_among_the_ways():
    """Pbnm is Pnma with its axes renamed."""
    table, lines = absence_table("orthorhombic"), index_table("orthorhombic")
    operations = gemmi.SpaceGroup("P b n m").operations()
    box = index_box("orthorhombic", (8, 12))
    seen = {}
    for terms, is_dark in zip(
        index_terms("orthorhombic", box).tolist(), operations.systematic_absences(box), strict=True
    ):
        seen[tuple(terms)] = seen.get(tuple(terms), False) or not is_dark
    expected = np.array([seen[tuple(row)] for row in lines.terms.tolist()])
    ways = [i for i, groups in enumerate(table.groups) if 62 in groups]
    assert any((table.is_allowed[way] == expected).all() for way in ways)
    assert standard_setting(62).hm == "P n m a"
