"""Phases: cells, operators, and the structure that other libraries are given."""

from __future__ import annotations

import gzip
import itertools
import json
import pickle

import gemmi
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_spacegroup.crystal import AtomSite, Phase, level_name, library_phase
from napari_spacegroup.crystal.symmetry import (
    group_from_triplets,
    identify,
    operation_arrays,
    setting_operations,
    standard_setting,
)
from napari_spacegroup.errors import PhaseError

from .strategies import phases

RELAXED = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ORIGIN = (AtomSite("Fe", (0.0, 0.0, 0.0)),)
TRICLINIC = (5.1, 6.3, 7.9, 81.0, 95.0, 104.0)
CELLS = {
    2: TRICLINIC,
    14: (5.1, 6.3, 7.9, 90.0, 104.0, 90.0),
    62: (5.1, 6.3, 7.9, 90.0, 90.0, 90.0),
    136: (4.6, 4.6, 2.9, 90.0, 90.0, 90.0),
    167: (4.8, 4.8, 13.0, 90.0, 90.0, 120.0),
    194: (3.2, 3.2, 5.2, 90.0, 90.0, 120.0),
    230: (12.0, 12.0, 12.0, 90.0, 90.0, 90.0),
}


def structure_factors(phase, reflections):
    """Return F(hkl) with a made-up scattering power that falls off with angle."""
    reflections = np.asarray(reflections, float)
    reciprocal = reflections @ np.linalg.inv(phase.structure_matrix)
    s_squared = (reciprocal**2).sum(axis=1) / 4.0
    positions = np.array([site.position for site in phase.sites])
    weights = np.array([site.occupancy * site.atomic_number for site in phase.sites])
    factors = np.array([site.b_iso for site in phase.sites])
    waves = np.exp(2j * np.pi * reflections @ positions.T)
    return (waves * weights * np.exp(-np.outer(s_squared, factors))).sum(axis=1)


REFLECTIONS = np.array(
    [[1, 2, 3], [0, 1, 2], [3, 0, -1], [1, 1, 0], [0, 0, 3], [2, -1, 1], [1, 0, 0], [0, 3, 0]]
)


@RELAXED
@given(phase=phases())
def test_operators_keep_structure_factor_moduli(phase):
    """F(hR) = F(h) exp(-2πi h·t), International Tables B, 1.4.2."""
    rotations, translations = operation_arrays(phase.operations)
    reference = structure_factors(phase, REFLECTIONS)
    scale = structure_factors(phase, np.zeros((1, 3)))[0].real
    for rotation, translation in zip(rotations, translations, strict=True):
        image = structure_factors(phase, REFLECTIONS @ rotation)
        expected = reference * np.exp(-2j * np.pi * REFLECTIONS @ translation)
        assert np.abs(image - expected).max() < 1e-6 * scale


@RELAXED
@given(phase=phases())
def test_absent_reflections_vanish(phase):
    hkl = np.array(list(itertools.product(range(-2, 3), repeat=3)), np.int32)
    absent = hkl[phase.operations.systematic_absences(hkl)]
    if len(absent):
        scale = structure_factors(phase, np.zeros((1, 3)))[0].real
        assert np.abs(structure_factors(phase, absent)).max() < 1e-6 * scale


@RELAXED
@given(phase=phases())
def test_expanded_phase_obeys_its_operators(phase):
    phase.check_symmetry(1e-6)
    order = len(phase.operations)
    sizes = {}
    for site in phase.sites:
        assert all(0.0 <= x < 1.0 for x in site.position)
        key = (site.element, site.occupancy, site.b_iso)
        sizes[key] = sizes.get(key, 0) + 1
    assert sum(sizes.values()) <= 3 * order


@RELAXED
@given(phase=phases())
def test_point_operations_are_orthogonal_and_form_the_point_group(phase):
    operations = phase.point_operations
    products = operations @ np.swapaxes(operations, 1, 2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-9)
    assert len(operations) == len(phase.operations.sym_ops)


@RELAXED
@given(
    number=st.integers(1, 230),
    position=st.tuples(*[st.sampled_from((0.0, 0.125, 0.25, 0.3333, 0.5, 0.6667))] * 3),
)
def test_multiplicities_divide_the_order(number, position):
    system = level_name(number, "crystal_system")
    lattice = {
        "triclinic": TRICLINIC, "monoclinic": CELLS[14], "orthorhombic": CELLS[62],
        "tetragonal": CELLS[136], "cubic": CELLS[230],
    }.get(system, CELLS[194])  # fmt: skip
    phase = Phase.from_asymmetric_unit("x", number, lattice, [AtomSite("Fe", position)])
    assert len(phase.operations) % len(phase.sites) == 0


# Wyckoff positions of the Tables: group, coordinates as rounded in files, multiplicity.
WYCKOFF = [
    (194, (0.3333, 0.6667, 0.25), 2),
    (194, (0.333, 0.667, 0.75), 2),
    (194, (0.3333, 0.6667, 0.08), 4),
    (194, (0.1667, 0.3333, 0.25), 6),
    (167, (0.0, 0.0, 0.3521), 12),
    (167, (0.3063, 0.0, 0.25), 18),
    (225, (0.25, 0.25, 0.25), 8),
    (225, (0.2, 0.2, 0.2), 32),
    (227, (0.625, 0.625, 0.625), 16),
    (227, (0.11, 0.23, 0.32), 192),
    (230, (0.125, 0.0, 0.25), 24),
    (230, (0.9682, 0.0511, 0.1498), 96),
    (62, (0.036, 0.25, 0.852), 4),
    (136, (0.3053, 0.3053, 0.0), 4),
    (2, (0.5, 0.5, 0.0), 1),
]


@pytest.mark.parametrize(("number", "position", "multiplicity"), WYCKOFF)
def test_wyckoff_multiplicities(number, position, multiplicity):
    lattice = CELLS.get(number, CELLS[230])
    phase = Phase.from_asymmetric_unit("x", number, lattice, [AtomSite("Fe", position)])
    assert len(phase.sites) == multiplicity


@pytest.mark.parametrize("number", CELLS)
def test_point_operations_of_every_system(number):
    phase = Phase.from_asymmetric_unit("x", number, CELLS[number], ORIGIN)
    operations = phase.point_operations
    products = operations @ np.swapaxes(operations, 1, 2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-12)
    order = {2: 2, 14: 4, 62: 8, 136: 16, 167: 12, 194: 24, 230: 48}[number]
    assert len(operations) == order


def test_axes_are_x_along_a_and_z_along_c_star():
    phase = Phase("x", 2, TRICLINIC, ORIGIN)
    a, b, c = phase.structure_matrix.T
    assert a[0] == TRICLINIC[0]
    assert (a[1], a[2], b[2]) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(np.linalg.norm([a, b, c], axis=1), TRICLINIC[:3])
    cosines = [b @ c / (6.3 * 7.9), a @ c / (5.1 * 7.9), a @ b / (5.1 * 6.3)]
    np.testing.assert_allclose(np.degrees(np.arccos(cosines)), TRICLINIC[3:])
    assert phase.volume == pytest.approx(gemmi.UnitCell(*TRICLINIC).volume)


@pytest.mark.parametrize("number", CELLS)
def test_diffpy_and_orix_see_the_same_frame(number):
    sites = [AtomSite("Fe", (0.1, 0.2, 0.3), 0.5, 0.7)]
    phase = Phase.from_asymmetric_unit("frame", number, CELLS[number], sites)
    structure = phase.to_diffpy()
    np.testing.assert_allclose(structure.lattice.base, phase.structure_matrix.T, atol=1e-12)
    assert structure[0].occupancy == 0.5
    assert structure[0].Bisoequiv == pytest.approx(0.7)
    orix_phase = phase.to_orix()
    np.testing.assert_allclose(
        orix_phase.structure.lattice.base, phase.structure_matrix.T, atol=1e-9
    )
    assert orix_phase.space_group.number == number
    np.testing.assert_allclose(
        orix_phase.structure.xyz_cartn,
        np.array([s.position for s in phase.sites]) @ phase.structure_matrix.T,
        atol=1e-9,
    )


@pytest.mark.parametrize("name", ["Ni", "Si", "Cr3Si", "CaF2", "TiO2-rutile", "Ti"])
def test_orix_expands_a_full_cell_to_itself(name):
    """The standard setting is that of diffpy, so its operators add no atoms."""
    phase = library_phase(name)
    assert len(phase.to_orix().expand_asymmetric_unit().structure) == len(phase.sites)


def test_second_origin_choice_reaches_orix_in_the_first():
    hall = gemmi.SpaceGroup("F d -3 m:2").hall
    cell = (5.431, 5.431, 5.431, 90.0, 90.0, 90.0)
    sites = [AtomSite("Si", (0.125, 0.125, 0.125))]
    phase = Phase.from_asymmetric_unit("Si", 227, cell, sites, hall)
    orix_phase = phase.to_orix()
    assert len(orix_phase.structure) == len(orix_phase.expand_asymmetric_unit().structure) == 8
    moduli = np.abs(structure_factors(phase.standardized(), REFLECTIONS))
    np.testing.assert_allclose(moduli, np.abs(structure_factors(phase, REFLECTIONS)), atol=1e-9)


def test_other_axes_do_not_reach_orix_unnoticed():
    hall = gemmi.SpaceGroup("P 1 21/n 1").hall
    phase = Phase.from_asymmetric_unit("x", 14, CELLS[14], ORIGIN, hall)
    with pytest.raises(PhaseError, match="standardized"):
        phase.to_orix()
    assert phase.standardized().to_orix().space_group.number == 14


def test_standard_settings_are_diffpy_s():
    from diffpy.structure.spacegroups import GetSpaceGroup

    def key(rotation, translation):
        return tuple(np.ravel(rotation).astype(int)), tuple(np.round(translation * 24) % 24)

    for number in range(1, 231):
        theirs = {key(op.R, op.t) for op in GetSpaceGroup(number).iter_symops()}
        ours = zip(*operation_arrays(setting_operations(number)), strict=True)
        assert {key(*operation) for operation in ours} == theirs, number


CHANGES = [
    (227, "x+1/4,y,z+1/12"),
    (14, "x+z,y,z+1/8"),
    (62, "z+1/4,x,y"),
    (154, "x,y,z+1/3"),
    (96, "x+1/24,y+1/3,z"),
    (166, "x+1/8,y,z"),
    (91, "y,x,-z+1/24"),
]


@pytest.mark.parametrize(("number", "change"), CHANGES)
def test_unlisted_settings_are_identified(number, change):
    operations = gemmi.GroupOps(list(standard_setting(number).operations()))
    operations.change_basis_forward(gemmi.Op(change))
    setting = identify(operations)
    assert setting.number == number
    rebuilt = setting_operations(number, setting.hall)
    assert {op.triplet() for op in rebuilt} == {op.triplet() for op in operations}


def test_every_listed_setting_is_identified():
    for entry in gemmi.spacegroup_table():
        setting = identify(entry.operations())
        assert setting.number == entry.number
        rebuilt = setting_operations(setting.number, setting.hall)
        assert {op.triplet() for op in rebuilt} == {op.triplet() for op in entry.operations()}


def test_mirror_images_are_told_apart():
    """P41 and P43 differ by hand alone; so do their screw axes."""
    fourfold = ["x,y,z", "-y,x,z+1/4", "-x,-y,z+1/2", "y,-x,z+3/4"]
    assert identify(group_from_triplets(fourfold)).number == 76
    mirrored = ["x,y,z", "-y,x,z+3/4", "-x,-y,z+1/2", "y,-x,z+1/4"]
    assert identify(group_from_triplets(mirrored)).number == 78


def test_wrong_origin_choice_is_noticed():
    """Silicon of origin choice 2 under the operators of choice 1."""
    hall = gemmi.SpaceGroup("F d -3 m:2").hall
    cell = (8.08, 8.08, 8.08, 90.0, 90.0, 90.0)
    sites = [AtomSite("O", (0.2623, 0.2623, 0.2623))]
    second = Phase.from_asymmetric_unit("x", 227, cell, sites, hall)
    with pytest.raises(PhaseError, match="origin choice"):
        Phase("x", 227, cell, second.sites).check_symmetry()


def test_refusals():
    cubic = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)
    with pytest.raises(PhaseError, match="1 to 230"):
        Phase("x", 0, cubic, ORIGIN)
    with pytest.raises(PhaseError, match="no atoms"):
        Phase("x", 1, cubic, ())
    with pytest.raises(PhaseError, match="contradicts"):
        Phase.from_asymmetric_unit("x", 225, (4.0, 4.1, 4.0, 90.0, 90.0, 90.0), ORIGIN)
    with pytest.raises(PhaseError, match="Hall"):
        Phase.from_asymmetric_unit("x", 225, cubic, ORIGIN, hall="nonsense")


def test_scaled_and_b_iso():
    nickel = library_phase("Ni")
    assert nickel.scaled(2.0).volume == pytest.approx(8 * nickel.volume)
    assert {site.b_iso for site in nickel.with_b_iso(0.9).sites} == {0.9}


def test_structure_library_records(shared_data):
    """Every 150th structure obeys the operators that its number stands for."""
    path = shared_data / "structures" / "structures.jsonl.gz"
    checked = set()
    with gzip.open(path, "rt") as lines:
        for line in itertools.islice(lines, 0, None, 150):
            phase = Phase.from_record(json.loads(line))
            if len(phase.sites) <= 60:
                phase.check_symmetry(0.1)
                checked.add(phase.space_group)
    assert len(checked) > 40


def test_a_phase_that_was_used_can_be_sent_to_a_worker():
    phase = library_phase("Ni")
    matrices = phase.point_operations
    sent = pickle.loads(pickle.dumps(phase))
    assert sent == phase
    np.testing.assert_array_equal(sent.point_operations, matrices)
