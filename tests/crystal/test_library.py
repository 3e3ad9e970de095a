"""The built-in phases against handbook densities and bond lengths."""

from __future__ import annotations

import itertools

import gemmi
import numpy as np
import pytest

from napari_spacegroup.crystal import DEFAULT_B_ISO, library, library_phase
from napari_spacegroup.crystal.library import ENTRIES

# g/cm³, CRC Handbook of Chemistry and Physics and the Handbook of Mineralogy.
DENSITIES = {
    "Al": 2.70, "Ni": 8.90, "Cu": 8.96, "Ag": 10.5, "Au": 19.3, "Pt": 21.5, "Fe": 7.87,
    "Cr": 7.15, "Mo": 10.2, "Ta": 16.4, "W": 19.3, "C-diamond": 3.513, "Si": 2.3296,
    "Ge": 5.3234, "Mg": 1.74, "Ti": 4.506, "NaCl": 2.17, "MgO": 3.6, "TiC": 4.93, "NbC": 7.82,
    "TaC": 14.3, "CaF2": 3.18, "CsCl": 3.988, "SrTiO3": 5.1, "ZnS-sphalerite": 4.09,
    "GaAs": 5.3176, "MgAl2O4-spinel": 3.58, "Y3Al5O12-garnet": 4.56, "FeS2-pyrite": 5.02,
    "Fe3C-cementite": 7.694, "SiO2-quartz": 2.648, "TiO2-rutile": 4.23, "ZnO-zincite": 5.67,
}  # fmt: skip

# Nearest neighbours [Å]: first element, second, distance, how many.
BONDS = [
    ("Ni", "Ni", "Ni", 2.492, 12),
    ("Fe", "Fe", "Fe", 2.482, 8),
    ("Si", "Si", "Si", 2.352, 4),
    ("C-diamond", "C", "C", 1.544, 4),
    ("NaCl", "Na", "Cl", 2.820, 6),
    ("SiO2-quartz", "Si", "O", 1.609, 4),
    ("MgAl2O4-spinel", "Mg", "O", 1.92, 4),
    ("MgAl2O4-spinel", "Al", "O", 1.93, 6),
    ("FeS2-pyrite", "S", "S", 2.17, 1),
    ("FeS2-pyrite", "Fe", "S", 2.26, 6),
    ("TiO2-rutile", "Ti", "O", 1.96, 6),
    ("Y3Al5O12-garnet", "Y", "O", 2.37, 8),
    ("Cr3Si", "Cr", "Cr", 2.279, 2),
    ("Fe3C-cementite", "C", "Fe", 2.02, 6),
]

# K, Kittel, Introduction to Solid State Physics, 8th ed., ch. 5, table 1 (low temperature).
DEBYE_TEMPERATURES = {
    "Al": 428, "Ni": 450, "Cu": 343, "Ag": 225, "Au": 165, "Pt": 240, "Fe": 470, "Cr": 630,
    "Mo": 450, "Ta": 240, "W": 400,
}  # fmt: skip


@pytest.mark.parametrize("name", DENSITIES)
def test_density(name):
    assert library_phase(name).density == pytest.approx(DENSITIES[name], rel=0.02)


@pytest.mark.parametrize(("name", "first", "second", "distance", "count"), BONDS)
def test_bonds(name, first, second, distance, count):
    phase = library_phase(name)
    elements = np.array([site.element for site in phase.sites])
    positions = np.array([site.position for site in phase.sites])
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    center = positions[elements == first][0]
    images = (positions[elements == second][:, None] + steps - center).reshape(-1, 3)
    lengths = np.sort(np.linalg.norm(images @ phase.structure_matrix.T, axis=1))
    nearest = lengths[lengths > 0.1][:count]
    assert nearest.mean() == pytest.approx(distance, rel=0.01)
    assert lengths[lengths > 0.1][count] > 1.03 * nearest.mean()


@pytest.mark.parametrize("name", DEBYE_TEMPERATURES)
def test_debye_waller_factor_is_near_the_debye_model(name):
    """B = 11492 T / (M Θ²) φ(Θ/T) + 2873 / (M Θ) [Å²], International Tables C, 6.1.1."""
    theta, temperature = DEBYE_TEMPERATURES[name], 280.0
    x = np.linspace(1e-6, theta / temperature, 1000)
    debye = np.trapezoid(x / np.expm1(x), x) / x[-1]
    mass = gemmi.Element(name).weight
    expected = 11492 * temperature / (mass * theta**2) * debye + 2873 / (mass * theta)
    b_iso = library_phase(name).sites[0].b_iso
    assert 0.7 < b_iso / expected < 1.5


def test_every_phase_obeys_its_operators():
    for phase in library():
        phase.check_symmetry(1e-6)


def test_names_are_distinct_and_sources_given():
    assert len({phase.name for phase in library()}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.reference
        assert bool(entry.b_reference) == (entry.b_iso != DEFAULT_B_ISO)


def test_cubic_classes_of_the_bundled_model_are_covered():
    assert {221, 223, 225, 227, 229, 230} <= {phase.space_group for phase in library()}


def test_unknown_name():
    with pytest.raises(KeyError, match=r"unobtainium.*Ni"):
        library_phase("unobtainium")
