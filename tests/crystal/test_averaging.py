"""What a crystal is mistaken for: its average over translations that it does not have."""

from __future__ import annotations

import pytest

from napari_spacegroup.crystal import (
    AtomSite,
    Phase,
    averaged,
    cubic_parents,
    library_phase,
    space_group_of,
)
from napari_spacegroup.errors import PhaseError


def cubic(name: str, number: int, a: float, *sites: AtomSite) -> Phase:
    return Phase.from_asymmetric_unit(name, number, (a, a, a, 90.0, 90.0, 90.0), list(sites))


CASES = {
    # name: phase, {lattice: group of the average}
    "FeNi3": (
        cubic("FeNi3", 221, 3.55, AtomSite("Fe", (0, 0, 0)), AtomSite("Ni", (0, 0.5, 0.5))),
        {"F": 225, "I": 229, "half P": 221, "half I": 229, "half F": 225},
    ),
    "FeAl": (
        cubic("FeAl", 221, 2.9, AtomSite("Fe", (0, 0, 0)), AtomSite("Al", (0.5, 0.5, 0.5))),
        {"F": 225, "I": 229, "half P": 221, "half I": 229, "half F": 225},
    ),
    "KCl": (
        cubic("KCl", 225, 6.29, AtomSite("K", (0, 0, 0)), AtomSite("Cl", (0.5, 0.5, 0.5))),
        {"I": 221, "half P": 221, "half I": 229, "half F": 225},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_parents_have_the_groups_of_the_textbook(name):
    phase, expected = CASES[name]
    assert {p.lattice: p.space_group for p in cubic_parents(phase)} == expected


def test_an_average_keeps_cell_and_composition():
    phase, _ = CASES["FeNi3"]
    mixed = averaged(phase, ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5)))
    assert mixed.lattice == phase.lattice
    for element, count in (("Fe", 1.0), ("Ni", 3.0)):
        total = sum(site.occupancy for site in mixed.sites if site.element == element)
        assert total == pytest.approx(count)
    assert len({site.position for site in mixed.sites}) == 4


def test_what_has_the_translations_stays_as_it_is():
    nickel = library_phase("Ni")
    assert averaged(nickel, ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5))) is nickel
    assert "F" not in {parent.lattice for parent in cubic_parents(nickel)}


def test_mixed_sites_are_told_apart_by_content():
    half = [AtomSite("Fe", (0, 0, 0), 0.5), AtomSite("Al", (0, 0, 0), 0.5)]
    other = [AtomSite("Fe", (0.5, 0.5, 0.5), 0.6), AtomSite("Al", (0.5, 0.5, 0.5), 0.4)]
    cell = (2.9, 2.9, 2.9, 90.0, 90.0, 90.0)
    assert space_group_of(Phase("B2 in part", 221, cell, (*half, *other))) == 221


def test_only_cubic_crystals_have_cubic_parents():
    zinc = Phase(
        "Zn", 194, (2.66, 2.66, 4.95, 90, 90, 120), (AtomSite("Zn", (1 / 3, 2 / 3, 0.25)),)
    )
    with pytest.raises(PhaseError, match="need a cubic one"):
        list(cubic_parents(zinc))
