"""Hypothesis strategies for crystals: any space group, a cell that fits, any atoms."""

from __future__ import annotations

from hypothesis import strategies as st

from napari_spacegroup.crystal import AtomSite, Phase, level_name

ELEMENTS = ("C", "O", "Al", "Si", "Fe", "Ni", "W", "U")
LENGTHS = st.floats(3.0, 12.0)
SPECIAL = st.sampled_from((0.0, 0.25, 1 / 3, 0.5, 0.125, 2 / 3, 0.3333, 0.6667))
COORDINATES = st.one_of(st.floats(0.0, 1.0, exclude_max=True), SPECIAL)


@st.composite
def lattices(draw, system):
    """Draw a cell of a crystal system, in the axes of the standard setting."""
    a, b, c = draw(LENGTHS), draw(LENGTHS), draw(LENGTHS)
    angles = st.floats(75.0, 105.0)
    if system == "triclinic":
        return a, b, c, draw(angles), draw(angles), draw(angles)
    if system == "monoclinic":
        return a, b, c, 90.0, draw(angles), 90.0
    if system == "orthorhombic":
        return a, b, c, 90.0, 90.0, 90.0
    if system == "tetragonal":
        return a, a, c, 90.0, 90.0, 90.0
    if system == "cubic":
        return a, a, a, 90.0, 90.0, 90.0
    return a, a, c, 90.0, 90.0, 120.0


@st.composite
def atom_sites(draw):
    """Draw an atom at a general or special position, full or partly occupied."""
    position = (draw(COORDINATES), draw(COORDINATES), draw(COORDINATES))
    occupancy = draw(st.sampled_from((1.0, 0.5, 0.25)))
    return AtomSite(draw(st.sampled_from(ELEMENTS)), position, occupancy, draw(st.floats(0.1, 2.0)))


@st.composite
def phases(draw):
    """Draw a phase of any space group with one to three orbits."""
    number = draw(st.integers(1, 230))
    lattice = draw(lattices(level_name(number, "crystal_system")))
    sites = draw(st.lists(atom_sites(), min_size=1, max_size=3))
    return Phase.from_asymmetric_unit("drawn", number, lattice, sites)
