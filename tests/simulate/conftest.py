"""Small crystals of every kind of symmetry, with the same atoms for de-ebsd."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_spacegroup.crystal import AtomSite, Phase

RECORDS = {
    "Ni": (225, (3.5236, 3.5236, 3.5236, 90, 90, 90), [("Ni", (0, 0, 0))]),
    # Point group -43m: no inversion center.
    "GaAs": (
        216,
        (5.6533, 5.6533, 5.6533, 90, 90, 90),
        [("Ga", (0, 0, 0)), ("As", (0.25, 0.25, 0.25))],
    ),
    "Ti": (194, (2.951, 2.951, 4.684, 90, 90, 120), [("Ti", (1 / 3, 2 / 3, 0.25))]),
    # Baddeleyite, b unique.
    "ZrO2": (
        14,
        (5.1505, 5.2116, 5.3173, 90, 99.23, 90),
        [
            ("Zr", (0.2754, 0.0395, 0.2083)),
            ("O", (0.0700, 0.3317, 0.3447)),
            ("O", (0.4496, 0.7569, 0.4792)),
        ],
    ),
}
B_ISO = 0.4


def phase(name: str) -> Phase:
    number, lattice, atoms = RECORDS[name]
    sites = [AtomSite(element, position, 1.0, B_ISO) for element, position in atoms]
    return Phase.from_asymmetric_unit(name, number, tuple(map(float, lattice)), sites)


def de_ebsd_crystal(name: str):
    """The same crystal in its own space group, expanded by de-ebsd."""
    from de_ebsd import Crystal
    from de_ebsd.crystal.lattice import AtomSite as Site

    number, (a, b, c, *angles), atoms = RECORDS[name]
    sites = [Site(element, position, 1.0, B_ISO / 100) for element, position in atoms]
    return Crystal(a / 10, b / 10, c / 10, *angles, number, sites)


@pytest.fixture(scope="session")
def crystals() -> SimpleNamespace:
    """``phase(name)`` and ``de_ebsd_crystal(name)`` of the crystals above."""
    return SimpleNamespace(phase=phase, de_ebsd_crystal=de_ebsd_crystal)
