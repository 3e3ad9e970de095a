"""Derived Wyckoff positions against what the International Tables count and spglib says."""

from __future__ import annotations

import numpy as np
import pytest
import spglib

from napari_spacegroup.crystal.symmetry import operation_arrays, setting_operations
from napari_spacegroup.crystal.wyckoff import wyckoff_positions

# International Tables A (2016): multiplicities as printed for these groups.
PRINTED = {
    2: [1] * 8 + [2],
    62: [4, 4, 4, 8],
    148: [3, 3, 6, 9, 9, 18],
    194: [2, 2, 2, 2, 4, 4, 6, 6, 12, 12, 12, 24],
    225: [4, 4, 8, 24, 24, 32, 48, 48, 48, 96, 96, 192],
    227: [8, 8, 16, 16, 32, 48, 96, 96, 192],
    230: [16, 16, 24, 24, 32, 48, 48, 96],
}


def test_there_are_1731_positions_in_all():
    assert sum(len(wyckoff_positions(number)) for number in range(1, 231)) == 1731


@pytest.mark.parametrize("number", PRINTED)
def test_multiplicities_are_the_printed_ones(number):
    assert sorted(p.multiplicity for p in wyckoff_positions(number)) == PRINTED[number]


@pytest.mark.parametrize("number", [5, 14, 36, 62, 88, 141, 155, 167, 178, 203, 214, 220, 227, 230])
def test_orbits_are_as_long_as_they_should_be(number):
    operations = setting_operations(number)
    rotations, translations = operation_arrays(operations.sym_ops)
    shifts = np.array(operations.cen_ops, float) / 24
    order = len(rotations) * len(shifts)
    rng = np.random.default_rng(number)
    for position in wyckoff_positions(number):
        point = position.point(rng.random(3))
        images = (rotations @ point + translations)[None] + shifts[:, None]
        unique = np.unique(np.round(images.reshape(-1, 3) % 1.0, 5) % 1.0, axis=0)
        assert len(unique) == position.multiplicity
        assert position.multiplicity * position.site_order == order


@pytest.mark.filterwarnings("ignore::DeprecationWarning:spglib")
@pytest.mark.parametrize("number", [62, 166, 194, 216, 227])
def test_spglib_sees_one_orbit_with_the_same_site_symmetry(number):
    rng = np.random.default_rng(0)
    operations = setting_operations(number)
    rotations, translations = operation_arrays(operations.sym_ops)
    shifts = np.array(operations.cen_ops, float) / 24
    lattice = np.diag([5.0, 6.0, 7.0])
    if number >= 195:
        lattice = 5 * np.eye(3)
    elif number >= 143:
        lattice = np.array([[5.0, 0, 0], [-2.5, 5 * 3**0.5 / 2, 0], [0, 0, 7]])
    general = wyckoff_positions(number)[-1].point(np.array([0.137, 0.251, 0.089]))
    for kind, position in enumerate(wyckoff_positions(number)[:-1]):
        places, numbers = [], []
        for element, point in ((1, general), (2, position.point(rng.random(3)))):
            images = ((rotations @ point + translations)[None] + shifts[:, None]).reshape(-1, 3)
            unique = np.unique(np.round(images % 1.0, 8) % 1.0, axis=0)
            places.append(unique)
            numbers += [element] * len(unique)
        data = spglib.get_symmetry_dataset((lattice, np.concatenate(places), numbers), symprec=1e-4)
        assert data.number == number, kind
        orbits = data.crystallographic_orbits
        assert (orbits == orbits[-1]).sum() == position.multiplicity, kind
        leaves = np.abs(
            (data.rotations @ unique[-1] + data.translations - unique[-1] + 0.5) % 1.0 - 0.5
        ).max(axis=1) < 1e-4  # fmt: skip
        assert leaves.sum() * position.multiplicity == len(data.rotations), kind
