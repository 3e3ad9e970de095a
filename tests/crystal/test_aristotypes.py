"""Scaffolds: the sites of simple structures, sorted by operators that map them on themselves."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import ordered_superstructures
from napari_spacegroup.crystal.aristotypes import (
    ARISTOTYPES,
    GRID,
    is_ordered,
    place_key,
    scaffolds,
)
from napari_spacegroup.crystal.symmetry import operation_arrays, setting_operations
from napari_spacegroup.errors import PhaseError

# Nearest sites, in edges of the aristotype's cell, from textbooks.
NEAREST = {
    "simple cubic": 1.0,
    "b.c.c.": 3**0.5 / 2,
    "f.c.c.": 0.5**0.5,
    "diamond": 3**0.5 / 4,
    "A15": 0.5,
    "Laves": 2**0.5 / 4,
    "rock salt": 0.5,
    "fluorite": 3**0.5 / 4,
    "cuprite": 3**0.5 / 4,
    "perovskite": 0.5,
    "close-packed anions": 3**0.5 / 4,
}
SITES = {"Laves": 24, "A15": 8, "fluorite": 12, "cuprite": 6, "close-packed anions": 16}


def test_aristotypes_have_the_sites_of_their_textbook_structures():
    for aristotype in ARISTOTYPES:
        points = [p for s in aristotype.sublattices for p in s.points]
        assert len(set(points)) == len(points)
        assert len(points) == SITES.get(aristotype.name, len(points))
    for scaffold in (s for number in (216, 221, 223, 225, 227, 229) for s in scaffolds(number)):
        if scaffold.aristotype.name in NEAREST:
            nearest = NEAREST[scaffold.aristotype.name] / scaffold.multiple
            assert scaffold.closest() == pytest.approx(nearest)


@pytest.mark.parametrize("number", [216, 221, 225, 227, 229, 230])
def test_operators_map_each_orbit_on_itself_and_keep_what_is_free_on_its_site(number):
    rotations, translations = operation_arrays(setting_operations(number))
    for scaffold in scaffolds(number):
        sizes = sum(len(orbit.points) for orbit in scaffold.orbits)
        sites = sum(len(s.points) for s in scaffold.aristotype.sublattices)
        assert sizes == sites * scaffold.multiple**3
        for orbit in scaffold.orbits:
            places = {tuple(p) for p in orbit.points}
            first = orbit.points[0]
            images = np.round(rotations @ first + GRID * translations).astype(int) % GRID
            assert {tuple(p) for p in images} == places
            moved = first + orbit.free @ np.array([0.3, 0.1, 0.2])
            images = (rotations @ moved + GRID * translations) % GRID
            unique = np.unique(np.round(images, 6) % GRID, axis=0)
            assert len(unique) == len(places)


def test_an_order_with_more_symmetry_is_none_of_the_group():
    (metal,) = [s for s in scaffolds(221) if s.name == "f.c.c. 1x1x1"]
    assert is_ordered(metal, (1, 2))
    assert not is_ordered(metal, (1, 1))
    assert not is_ordered(metal, (0, 0))
    assert is_ordered(metal, (0, 1))  # as in NbO's sublattices


def test_places_are_the_same_from_another_origin():
    corner, centre = np.array([[0, 0, 0]]), np.full((1, 3), GRID // 2)
    edge = np.array([[0, 0, GRID // 2]])
    assert place_key(221, [corner]) == place_key(221, [centre])
    assert place_key(221, [corner]) != place_key(221, [edge])
    assert place_key(221, [corner, edge]) != place_key(221, [edge, corner])
    alike = [place_key(221, pair, in_order=False) for pair in ([corner, edge], [edge, corner])]
    assert alike[0] == alike[1]


def test_groups_that_are_not_cubic_are_refused():
    with pytest.raises(PhaseError, match="cubic groups, 195 to 230; got 194"):
        scaffolds(194)
    with pytest.raises(PhaseError, match="cubic groups, 195 to 230; got 194"):
        next(ordered_superstructures(194, np.random.default_rng(0)))
