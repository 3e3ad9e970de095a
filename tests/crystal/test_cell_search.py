"""Cells from line positions, and which lines each extinction group allows on them."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from napari_spacegroup.crystal.absences import absence_table
from napari_spacegroup.crystal.cell_kernels import refine_terms
from napari_spacegroup.crystal.cell_search import (
    FAMILIES,
    FoundCell,
    index_box,
    index_table,
    index_terms,
    monoclinic_cells,
    search_cells,
)
from napari_spacegroup.crystal.symmetry import standard_setting
from napari_spacegroup.crystal.triclinic_kernels import reduce_cell

CELLS = {
    "cubic": (8.1, 8.1, 8.1, 90, 90, 90), "hexagonal": (4.76, 4.76, 12.99, 90, 90, 120),
    "tetragonal": (4.59, 4.59, 2.96, 90, 90, 90), "orthorhombic": (10.2, 5.98, 4.76, 90, 90, 90),
    "monoclinic": (5.25, 8.9, 9.2, 90, 98.4, 90),
    "triclinic": (5.31, 7.07, 8.46, 83.2, 95.6, 101.7),
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


@pytest.mark.parametrize("family", ["monoclinic", "triclinic"])
def test_low_cells_do_not_need_their_axes(family):
    """No line h00, 0k0 or 00l is seen, as where they are weak."""
    cell = CELLS[family]
    table = index_table(family)
    is_axis = (table.indices != 0).sum(axis=1) == 1
    places = np.sort((table.terms @ terms_of(family, cell))[~is_axis])[:25]
    lines = places * (1 + 5e-5 * np.random.default_rng(1).standard_normal(25))
    tolerance = 6e-4 * lines
    found = search_cells(lines, tolerance, family)
    if family == "monoclinic":
        for one in search_cells(lines, tolerance, "triclinic")[:50]:
            found += monoclinic_cells(one)
    volume = gemmi.UnitCell(*cell).volume
    assert any(one.volume == pytest.approx(volume, rel=2e-3) for one in found)


def test_a_twofold_axis_makes_a_cell_monoclinic():
    """A face-centred monoclinic lattice, given by primitive vectors as a triclinic search does."""
    cell = (9.84, 18.05, 5.28, 90, 104.7, 90)
    unit = gemmi.UnitCell(*cell)
    fractional = np.array(unit.frac.mat.tolist())
    primitive = np.array([(0.5, 0.5, 0), (-0.5, 0.5, 0), (0, 0, 1)])  # direct vectors
    reciprocal = np.linalg.inv(primitive).T @ fractional
    metric = reciprocal @ reciprocal.T
    terms = np.array([*np.diag(metric), 2 * metric[1, 2], 2 * metric[0, 2], 2 * metric[0, 1]])
    found = monoclinic_cells(FoundCell("triclinic", terms, 25))
    assert len(found) == 1
    assert found[0].volume == pytest.approx(unit.volume)
    assert found[0].parameters[1] == pytest.approx(18.05)
    lines = np.unique(np.round(lines_of(cell, index_box("monoclinic", (3, 3))), 9))
    own = index_table("monoclinic").terms @ found[0].terms
    assert np.abs(own[:, None] - lines).min(axis=0).max() < 1e-6


def test_a_reduced_cell_has_the_same_lines():
    rng = np.random.default_rng(0)
    box = index_box("triclinic", (9, 9))
    for _ in range(20):
        vectors = 0.3 * rng.normal(size=(3, 3)) + np.eye(3)
        sheared = np.array([(1, 0, 0), (1, 1, 0), (1, -1, 1)]) @ vectors
        metric = sheared @ sheared.T
        terms = np.array([*np.diag(metric), 2 * metric[1, 2], 2 * metric[0, 2], 2 * metric[0, 1]])
        before = np.sort(index_terms("triclinic", box) @ terms)[:10]
        shorter = terms.copy()
        reduce_cell(shorter)
        np.testing.assert_allclose(
            np.sort(index_terms("triclinic", box) @ shorter)[:10], before, rtol=1e-9
        )
        assert shorter[:3].sum() <= terms[:3].sum() + 1e-12


def test_lines_that_no_cell_has_give_none():
    lines = np.sort(np.random.default_rng(0).uniform(0.02, 0.3, 20))
    assert not search_cells(lines, 1e-5 * lines, "cubic")
    assert not search_cells(lines[:2], 1e-3 * lines[:2], "orthorhombic")


def test_lines_that_say_nothing_of_a_term_leave_it_as_it_is():
    terms = np.array([[0.0, 1.0], [0.0, 4.0], [1.0, 0.0]])
    start = np.array([9.0, 1.0])
    refined, indexed = refine_terms(2, np.array([1.01, 4.02]), np.full(2, 0.1), terms, start.copy())
    np.testing.assert_array_equal(refined, start)
    assert indexed == 2


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
