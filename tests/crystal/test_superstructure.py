"""Superstructures: known types are among them, each is of its group alone, and none comes twice."""

from __future__ import annotations

import warnings
from collections import defaultdict
from itertools import islice

import gemmi
import numpy as np
import pytest
import spglib

from napari_spacegroup.crystal.aristotypes import GRID, scaffolds
from napari_spacegroup.crystal.phase import AtomSite, Phase
from napari_spacegroup.crystal.superstructure import (
    LIKE_SIZE,
    LOOSEST,
    RARE_EARTHS,
    SuperstructureLimits,
    colouring_key,
    colourings,
    ordered_superstructures,
)

GROUPS = [206, 216, 221, 223, 225, 227, 229, 230]

# From the International Tables and the usual lists of structure types, not from this code:
# space group, aristotype, and the Wyckoff multiplicities of each element.
KNOWN = {
    "AuCu3": (221, "f.c.c.", 1, ["1", "3"]),
    "CsCl as B2": (221, "b.c.c.", 1, ["1", "1"]),
    "ReO3 in perovskite": (221, "perovskite", 1, ["1", "3"]),
    "CaTiO3": (221, "perovskite", 1, ["1", "1", "3"]),
    "CaPd3C": (221, "antiperovskite", 1, ["1", "1", "3"]),
    "NbO": (221, "rock salt", 1, ["3", "3"]),
    "Cr3Si": (223, "A15", 1, ["2", "6"]),
    "NaCl": (225, "rock salt", 1, ["4", "4"]),
    "AlFe3 (D0_3)": (225, "b.c.c.", 2, ["4", "4 8"]),
    "AlCu2Mn": (225, "b.c.c.", 2, ["4", "4", "8"]),
    "K2NaAlF6": (225, "perovskite", 2, ["24", "4", "4", "8"]),
    "K2PtCl6": (225, "perovskite", 2, ["24", "4", "8"]),
    "Mg6MnO8 (Suzuki)": (225, "rock salt", 2, ["24", "24 8", "4"]),
    "K2PtCl6 as antifluorite": (225, "antifluorite", 1, ["4", "8"]),
    "NaTl": (227, "b.c.c.", 2, ["8", "8"]),
    "Cu2Mg": (227, "Laves", 1, ["16", "8"]),
    "Al2MgO4": (227, "close-packed anions", 2, ["16", "32", "8"]),
    "pyrochlore": (227, "fluorite", 2, ["16", "16", "48", "8"]),
    "Ti2C": (227, "carbide", 2, ["16", "32"]),
    "Pt3O4": (229, "b.c.c.", 2, ["6", "8"]),
    "Ga4Ni3": (230, "b.c.c.", 4, ["16 48", "48"]),
}


def dataset_of(phase: Phase, symprec: float = 0.01):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        cell = (
            phase.structure_matrix.T,
            [s.position for s in phase.sites],
            [s.atomic_number for s in phase.sites],
        )
        return spglib.get_symmetry_dataset(cell, symprec=symprec)


def translations_of(phase: Phase, tolerance: float) -> int:
    """Count the lattice translations in the cell, without spglib.

    A group of class m-3m is in no larger one but by more translations, so that a crystal with its
    operators and no more translations than its centring has exactly that group.
    """
    points = np.array([s.position for s in phase.sites])
    kinds = np.array([s.atomic_number for s in phase.sites])
    rarest = min(set(kinds), key=lambda kind: (kinds == kind).sum())
    places = points[kinds == rarest]
    unlike = kinds[:, None] != kinds[None]
    count = 0
    for step in places - places[0]:
        apart = points[:, None] + step - points[None]
        length = np.linalg.norm(apart - np.round(apart), axis=-1) * phase.lattice[0]
        count += np.where(unlike, np.inf, length).min(1).max() < tolerance
    return count


def multiplicities(scaffold, colouring) -> list[str]:
    sizes = defaultdict(list)
    for orbit, colour in zip(scaffold.orbits, colouring, strict=True):
        if colour:
            sizes[colour].append(len(orbit.points))
    return sorted(" ".join(str(n) for n in sorted(s, key=str)) for s in sizes.values())


def ideal(scaffold, colouring) -> Phase:
    sites = [
        AtomSite(gemmi.Element(20 + colour).name, tuple(point / GRID))
        for orbit, colour in zip(scaffold.orbits, colouring, strict=True)
        if colour
        for point in orbit.points
    ]
    return Phase("ideal", scaffold.space_group, (9.0, 9.0, 9.0, 90, 90, 90), tuple(sites))


@pytest.fixture(scope="module")
def crystals():
    return {
        number: list(islice(ordered_superstructures(number, np.random.default_rng(number)), 12))
        for number in GROUPS
    }


@pytest.mark.parametrize("name", KNOWN)
def test_known_structures_are_among_the_orders(name):
    number, aristotype, multiple, wanted = KNOWN[name]
    for scaffold in scaffolds(number):
        if (scaffold.aristotype.name, scaffold.multiple) != (aristotype, multiple):
            continue
        for colouring in colourings(scaffold):
            if multiplicities(scaffold, colouring) == wanted:
                assert dataset_of(ideal(scaffold, colouring)).number == number
                return
    pytest.fail(f"no {aristotype} {multiple}x{multiple}x{multiple} is {name}")


@pytest.mark.parametrize("number", [223, 229])
def test_every_order_is_given_once(number):
    keys = []
    for scaffold in scaffolds(number)[:3]:
        for colouring in islice(colourings(scaffold), 40):
            keys.append((scaffold.name, colouring_key(scaffold, colouring)))
            assert dataset_of(ideal(scaffold, colouring)).number == number
    assert len(set(keys)) == len(keys)


def test_an_order_is_the_same_from_another_origin_and_with_its_elements_swapped_it_is_too():
    (metal,) = [s for s in scaffolds(221) if s.name == "b.c.c. 1x1x1"]
    assert colouring_key(metal, (1, 2)) == colouring_key(metal, (2, 1))
    assert len(list(colourings(metal))) == 1
    fluorite, anti = [
        next(s for s in scaffolds(225) if s.name == f"{kind} 1x1x1")
        for kind in ("fluorite", "antifluorite")
    ]
    assert colouring_key(fluorite, (1, 2)) == colouring_key(anti, (1, 2))


def test_crystals_have_their_group_and_no_more(crystals):
    for number, found in crystals.items():
        assert len(found) == 12, number
        for crystal in found:
            crystal.check_symmetry(1e-3)
            if number not in (206, 216):
                centring = {221: 1, 223: 1, 229: 2, 230: 2}.get(number, 4)
                assert translations_of(crystal, 0.05) == centring
            for symprec in (0.003, 0.05):
                assert dataset_of(crystal, symprec).number == number


def test_atoms_touch_and_none_rattles(crystals):
    steps = np.array(list(np.ndindex(3, 3, 3))) - 1.0
    for crystal in (c for found in crystals.values() for c in found):
        radii = np.array([gemmi.Element(s.element).covalent_r for s in crystal.sites])
        places = np.array([s.position for s in crystal.sites])
        apart = places[:, None] - places[None]
        apart = (apart - np.round(apart))[..., None, :] + steps
        length = np.linalg.norm(apart, axis=-1) * crystal.lattice[0]
        length[length < 1e-3] = np.inf
        ratio = (length.min(-1) / (radii[:, None] + radii[None])).min(1)
        assert 0.74 < ratio.min() < 1.2
        assert ratio.max() < LOOSEST * ratio.min() * 1.001


def test_salts_are_neutral_and_metals_alike(crystals):
    charges = {"F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2, "Se": -2}
    for crystal in (c for found in crystals.values() for c in found):
        elements = {s.element for s in crystal.sites}
        if crystal.name.startswith(("simple", "b.c.c.", "f.c.c.", "A15", "Laves")):
            radii = [gemmi.Element(e).covalent_r for e in elements]
            assert max(radii) <= LIKE_SIZE * min(radii)
        if crystal.name.startswith(("rock", "fluor", "antifluor", "perovskite", "rhenium")):
            negative = sum(charges.get(s.element, 0) for s in crystal.sites)
            alkali = sum(s.element in {"Na", "K", "Rb", "Cs", "Li"} for s in crystal.sites)
            earths = sum(s.element in {"Mg", "Ca", "Sr", "Ba"} for s in crystal.sites)
            lanthanides = sum(s.element in RARE_EARTHS for s in crystal.sites)
            cations = sum(s.element not in charges for s in crystal.sites)
            if not elements & {"N", "P", "As", "Sb", "Te"}:
                fixed = alkali + earths + lanthanides
                least = alkali + 2 * earths + 2 * lanthanides + (cations - fixed)
                most = alkali + 2 * earths + 6 * lanthanides + 6 * (cations - fixed)
                assert least <= -negative <= most


def test_free_atoms_leave_the_sites_of_the_aristotype_but_not_far():
    limits = SuperstructureLimits(displacement=0.04)
    moved = []
    for crystal in islice(
        ordered_superstructures(229, np.random.default_rng(1), limits=limits), 15
    ):
        multiple = int(crystal.name[-1])
        # every aristotype of these has its sites on quarters of its cell
        steps = 4 * multiple * np.array([s.position for s in crystal.sites])
        off = np.linalg.norm((steps - np.round(steps)) / (4 * multiple), axis=1)
        nearest = 1 / multiple
        assert off.max() <= 0.04 * nearest
        moved.append(off.max() * crystal.lattice[0])
    assert max(moved) > 0.02
    still = SuperstructureLimits(displacement=0.0)
    for crystal in islice(ordered_superstructures(229, np.random.default_rng(1), limits=still), 5):
        steps = 8 * int(crystal.name[-1]) * np.array([s.position for s in crystal.sites])
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


def test_the_same_seed_gives_the_same_crystals(crystals):
    again = list(islice(ordered_superstructures(225, np.random.default_rng(225)), 12))
    assert again == crystals[225]
    other = list(islice(ordered_superstructures(225, np.random.default_rng(226)), 12))
    assert other != again


def test_no_order_comes_twice_unless_asked_for():
    limits = SuperstructureLimits(atoms=4, edge=8.0, displacement=0.0)

    def types(repeats: bool) -> list[tuple]:
        given = ordered_superstructures(
            225, np.random.default_rng(0), limits=limits, repeats=repeats
        )
        return [_type(crystal) for crystal in islice(given, 40)]

    once = types(False)
    assert 3 <= len(once) < 40
    assert len(set(once)) == len(once)
    assert len(types(True)) == 40


def _type(crystal: Phase) -> tuple:
    """Return the multiplicities of each element: enough for four atoms in the primitive cell."""
    data = dataset_of(crystal)
    sites = defaultdict(set)
    for element, letter in zip([s.element for s in crystal.sites], data.wyckoffs, strict=True):
        sites[element].add({"b": "a"}.get(letter, letter) if len(data.wyckoffs) == 12 else letter)
    both = [tuple(sorted("".join(sorted(s)) for s in sites.values()))]
    swapped = [
        tuple(
            sorted("".join(sorted(s)).translate(str.maketrans("ab", "ba")) for s in sites.values())
        )
    ]
    return min(both + swapped)


def test_limits_hold():
    limits = SuperstructureLimits(atoms=10, elements=2, edge=7.0)
    for crystal in islice(ordered_superstructures(229, np.random.default_rng(2), limits=limits), 5):
        assert len(crystal.sites) <= 20
        assert len({s.element for s in crystal.sites}) == 2
        assert crystal.lattice[0] <= 7.0
