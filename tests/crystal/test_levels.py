"""Symmetry levels against the International Tables for Crystallography, vol. A (2016)."""

from __future__ import annotations

import itertools
import subprocess
import sys

import gemmi
import numpy as np
import pytest

from napari_spacegroup.crystal.levels import (
    LEVELS,
    aggregate,
    level_index,
    level_name,
    level_names,
    members,
)
from napari_spacegroup.crystal.symmetry import operation_arrays, standard_setting

COUNTS = {
    "space_group": 230,
    "extinction_group": 122,
    "point_group": 32,
    "laue_class": 11,
    "bravais_lattice": 14,
    "crystal_system": 7,
}

# number: symbol, point group, Laue class, Bravais lattice, system, extinction symbol.
# Tables 1.6.4.x (reflection conditions), 2.1.1.1 (lattices) and the space-group pages.
SPOT_CHECKS = {
    1: ("P1", "1", "-1", "aP", "triclinic", "-1 P -"),
    5: ("C2", "2", "2/m", "mS", "monoclinic", "2/m C 1 - 1"),
    14: ("P21/c", "2/m", "2/m", "mP", "monoclinic", "2/m P 1 21/c 1"),
    19: ("P212121", "222", "mmm", "oP", "orthorhombic", "mmm P 21 21 21"),
    33: ("Pna21", "mm2", "mmm", "oP", "orthorhombic", "mmm P n - a"),
    38: ("Amm2", "mm2", "mmm", "oS", "orthorhombic", "mmm C - - -"),
    62: ("Pnma", "mmm", "mmm", "oP", "orthorhombic", "mmm P n - a"),
    70: ("Fddd", "mmm", "mmm", "oF", "orthorhombic", "mmm F d d d"),
    78: ("P43", "4", "4/m", "tP", "tetragonal", "4/m P 41"),
    122: ("I-42d", "-42m", "4/mmm", "tI", "tetragonal", "4/mmm I - - d"),
    136: ("P42/mnm", "4/mmm", "4/mmm", "tP", "tetragonal", "4/mmm P - n -"),
    137: ("P42/nmc", "4/mmm", "4/mmm", "tP", "tetragonal", "4/mmm P n - c"),
    146: ("R3", "3", "-3", "hR", "trigonal", "-3 R -"),
    152: ("P3121", "32", "-3m", "hP", "trigonal", "-3m1 P 31 - -"),
    153: ("P3212", "32", "-3m", "hP", "trigonal", "-31m P 31 - -"),
    167: ("R-3c", "-3m", "-3m", "hR", "trigonal", "-3m R - c"),
    187: ("P-6m2", "-62m", "6/mmm", "hP", "hexagonal", "6/mmm P - - -"),
    194: ("P63/mmc", "6/mmm", "6/mmm", "hP", "hexagonal", "6/mmm P - - c"),
    205: ("Pa-3", "m-3", "m-3", "cP", "cubic", "m-3 P a -"),
    216: ("F-43m", "-43m", "m-3m", "cF", "cubic", "m-3m F - - -"),
    221: ("Pm-3m", "m-3m", "m-3m", "cP", "cubic", "m-3m P - - -"),
    223: ("Pm-3n", "m-3m", "m-3m", "cP", "cubic", "m-3m P - - n"),
    227: ("Fd-3m", "m-3m", "m-3m", "cF", "cubic", "m-3m F d - -"),
    229: ("Im-3m", "m-3m", "m-3m", "cI", "cubic", "m-3m I - - -"),
    230: ("Ia-3d", "m-3m", "m-3m", "cI", "cubic", "m-3m I a - d"),
}

SYSTEM_RANGES = {
    "triclinic": (1, 2),
    "monoclinic": (3, 15),
    "orthorhombic": (16, 74),
    "tetragonal": (75, 142),
    "trigonal": (143, 167),
    "hexagonal": (168, 194),
    "cubic": (195, 230),
}


@pytest.mark.parametrize("level", LEVELS)
def test_counts_of_the_tables(level):
    assert len(level_names(level)) == COUNTS[level]


@pytest.mark.parametrize("number", SPOT_CHECKS)
def test_spot_checks(number):
    symbol, point_group, laue, lattice, system, extinction = SPOT_CHECKS[number]
    assert level_name(number, "space_group") == symbol
    assert level_name(number, "point_group") == point_group
    assert level_name(number, "laue_class") == laue
    assert level_name(number, "bravais_lattice") == lattice
    assert level_name(number, "crystal_system") == system
    assert level_name(number, "extinction_group") == extinction


@pytest.mark.parametrize("system", SYSTEM_RANGES)
def test_systems_are_the_ranges_of_the_tables(system):
    first, last = SYSTEM_RANGES[system]
    assert members("crystal_system", system) == tuple(range(first, last + 1))


def test_sizes_of_laue_classes():
    """Space groups per Laue class, counted from the Tables' list of point groups."""
    sizes = {name: len(members("laue_class", name)) for name in level_names("laue_class")}
    assert sizes == {
        "-1": 2, "2/m": 13, "mmm": 59, "4/m": 14, "4/mmm": 54, "-3": 6, "-3m": 19,
        "6/m": 9, "6/mmm": 18, "m-3": 12, "m-3m": 24,
    }  # fmt: skip


def test_laue_class_is_gemmi_s():
    for number in range(1, 231):
        assert level_name(number, "laue_class") == standard_setting(number).laue_str()


def test_crystal_system_is_gemmi_s():
    for number in range(1, 231):
        assert level_name(number, "crystal_system") == standard_setting(number).crystal_system_str()


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        ("extinction_group", "laue_class"),
        ("extinction_group", "bravais_lattice"),
        ("point_group", "laue_class"),
        ("laue_class", "crystal_system"),
    ],
)
def test_finer_level_decides_coarser(fine, coarse):
    for name in level_names(fine):
        assert len({level_name(number, coarse) for number in members(fine, name)}) == 1


def test_a_hexagonal_lattice_does_not_decide_the_system():
    systems = {level_name(n, "crystal_system") for n in members("bravais_lattice", "hP")}
    assert systems == {"trigonal", "hexagonal"}


def test_extinction_groups_are_independent_of_the_setting():
    """Absent reflections of another setting are those of the standard one, transformed."""
    hkl = np.array(list(itertools.product(range(-4, 5), repeat=3)), np.int32)
    for symbol in ("P 1 21/n 1", "P b n m", "F d -3 m:2", "R -3 c:R", "P c a n"):
        entry = gemmi.find_spacegroup_by_name(symbol)
        standard = standard_setting(entry.number)
        change = standard.basisop * entry.basisop.inverse()  # x_standard = change(x)
        matrix = np.array(change.rot) / change.DEN
        transformed = hkl @ np.linalg.inv(matrix)
        integral = np.abs(transformed - np.round(transformed)).max(axis=1) < 1e-6
        ours = entry.operations().systematic_absences(hkl[integral])
        reflections = np.ascontiguousarray(np.round(transformed[integral]), np.int32)
        theirs = standard.operations().systematic_absences(reflections)
        assert np.array_equal(ours, theirs), symbol


def _absences_by_formula(number, hkl):
    """Return which reflections the screw, glide and centring vectors extinguish.

    The intrinsic translation of an operator of order n is the mean of its powers'
    translations, w = (t + R t + ... + R^(n-1) t) / n. A reflection with h R = h is absent
    when h·w is not an integer (International Tables A, 1.6.3.1).
    """
    rotations, translations = operation_arrays(standard_setting(number).operations())
    absent = np.zeros(len(hkl), bool)
    for rotation, translation in zip(rotations, translations, strict=True):
        power, total, order = rotation, translation.copy(), 1
        while not np.array_equal(power, np.eye(3)):
            total += power @ translation
            power, order = power @ rotation, order + 1
        phase = hkl @ (total / order)
        fixed = (hkl @ rotation == hkl).all(axis=1)
        absent |= fixed & (np.abs(phase - np.round(phase)) > 1e-6)
    return absent


def _patterson(number):
    rotations, _ = operation_arrays(standard_setting(number).operations())
    kept = {tuple(r.ravel().astype(int)) for r in rotations}
    return frozenset(kept | {tuple(-x for x in r) for r in kept})


@pytest.fixture(scope="module")
def absences():
    """Absences of all groups on a box closed under permutation of the axes, two ways."""
    hkl = np.array(list(itertools.product(range(-6, 7), repeat=3)), np.int32)
    formula = {number: _absences_by_formula(number, hkl) for number in range(1, 231)}
    return hkl, formula


def test_gemmi_and_the_formula_extinguish_the_same(absences):
    hkl, formula = absences
    for number, absent in formula.items():
        by_gemmi = standard_setting(number).operations().systematic_absences(hkl)
        assert np.array_equal(by_gemmi, absent), number


def test_number_of_extinction_groups_a_second_way(absences):
    """122 by hand-written absences and relabelling: axis permutations, orthorhombic only.

    Counted with the geometric Laue class, -3m1 and -31m fall together: 120. Counted with
    the crystal system in place of the Laue class it is 101.
    """
    hkl, formula = absences
    index = {tuple(row): i for i, row in enumerate(hkl.tolist())}
    orders = [
        np.array([index[tuple(row[i] for i in order)] for row in hkl.tolist()])
        for order in itertools.permutations(range(3))
    ]

    def key(number):
        choices = orders if 16 <= number <= 74 else orders[:1]
        return min(np.packbits(formula[number][order]).tobytes() for order in choices)

    keys = {number: key(number) for number in formula}
    with_patterson = {number: (_patterson(number), keys[number]) for number in formula}
    assert len(set(with_patterson.values())) == 122
    assert len({(level_name(n, "laue_class"), keys[n]) for n in keys}) == 120
    assert len({(level_name(n, "crystal_system"), keys[n]) for n in keys}) == 101
    for first, second in itertools.combinations(range(1, 231), 2):
        same = with_patterson[first] == with_patterson[second]
        same_level = level_index(first, "extinction_group") == level_index(
            second, "extinction_group"
        )
        assert same == same_level, (first, second)


def test_aggregate_sums_probabilities():
    classes = (230, 225, 216, 194, 1)
    reached, matrix = aggregate(classes, "laue_class")
    names = [level_names("laue_class")[index - 1] for index in reached]
    assert names == ["-1", "6/mmm", "m-3m"]
    assert matrix.dtype == np.float32
    probabilities = np.array([[0.5, 0.25, 0.125, 0.125, 0.0]], np.float32)
    np.testing.assert_array_equal(probabilities @ matrix, [[0.0, 0.125, 0.875]])


@pytest.mark.parametrize("level", LEVELS)
def test_aggregate_of_all_groups_reaches_all_classes(level):
    reached, matrix = aggregate(range(1, 231), level)
    assert reached == tuple(range(1, COUNTS[level] + 1))
    np.testing.assert_array_equal(matrix.sum(axis=1), 1.0)


def test_space_group_index_is_its_number():
    assert [level_index(n, "space_group") for n in (1, 62, 230)] == [1, 62, 230]


def test_refusals():
    with pytest.raises(ValueError, match="1 to 230"):
        level_name(231, "laue_class")
    with pytest.raises(ValueError, match="no level"):
        level_names("colour_group")
    with pytest.raises(ValueError, match="no class"):
        members("laue_class", "m3m")


def test_first_call_is_fast():
    """All levels in a fresh interpreter, in processor time."""
    code = (
        "import time, napari_spacegroup.crystal.levels as l;"
        "start = time.process_time(); [l.level_names(x) for x in l.LEVELS];"
        "print(time.process_time() - start)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert float(result.stdout) < 1.5
