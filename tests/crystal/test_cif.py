"""CIF files: what is kept, and what is refused with which words."""

from __future__ import annotations

import logging
import shutil

import gemmi
import numpy as np
import pytest

from napari_spacegroup.crystal import DEFAULT_B_ISO, Phase, library_phase, read_cif
from napari_spacegroup.errors import PhaseError

CELL = """data_x
_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta {beta}
_cell_angle_gamma {gamma}
"""


@pytest.fixture
def cif_folder(repository):
    return repository / "tests" / "data" / "cif"


@pytest.fixture
def write(tmp_path):
    """Write a CIF of a symmetry block, atom rows and a cell, and return its path."""

    def _write(symmetry, atoms=("Fe1 Fe 0 0 0 1",), a=4.0, b=4.0, c=4.0, beta=90, gamma=90):
        text = CELL.format(a=a, b=b, c=c, beta=beta, gamma=gamma) + symmetry + "\n"
        columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
        text += "loop_\n" + "".join(f"_atom_site_{column}\n" for column in columns)
        path = tmp_path / "crystal.cif"
        path.write_text(text + "\n".join(atoms) + "\n")
        return path

    return _write


def triplets(symbol):
    operations = gemmi.find_spacegroup_by_name(symbol).operations()
    rows = "\n".join(f"'{operation.triplet()}'" for operation in operations)
    return f"loop_\n_space_group_symop_operation_xyz\n{rows}\n"


def structure_factor_moduli(phase, reflections):
    positions = np.array([site.position for site in phase.sites])
    weights = np.array([site.occupancy * site.atomic_number for site in phase.sites])
    return np.abs(np.exp(2j * np.pi * reflections @ positions.T) @ weights)


def test_rounded_thirds_make_two_atoms(cif_folder):
    phase = read_cif(cif_folder / "magnesium_rounded.cif")
    assert (phase.space_group, phase.hall, len(phase.sites)) == (194, "", 2)
    positions = sorted(site.position for site in phase.sites)
    np.testing.assert_allclose(positions, [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]], atol=1e-9)
    assert {site.b_iso for site in phase.sites} == {1.73}
    assert phase.density == pytest.approx(1.738, rel=0.005)


def test_anisotropic_displacement_becomes_isotropic(cif_folder):
    phase = read_cif(cif_folder / "rutile_rounded.cif")
    factors = {site.element: site.b_iso for site in phase.sites}
    assert factors["Ti"] == pytest.approx(8 * np.pi**2 * (0.006 + 0.006 + 0.009) / 3)
    assert factors["O"] == DEFAULT_B_ISO
    assert phase.formula == "O4 Ti2"


def test_anisotropic_displacement_on_hexagonal_axes(cif_folder):
    """U_eq on hexagonal axes is (4/3 (U11 + U22 - U12) + U33) / 3."""
    phase = read_cif(cif_folder / "quartz_levien.cif")
    silicon = next(site for site in phase.sites if site.element == "Si")
    mean = (4 / 3 * (0.00854 + 0.00716 - 0.00358) + 0.00725) / 3
    assert silicon.b_iso == pytest.approx(8 * np.pi**2 * mean, rel=1e-6)


def test_mixed_sites_keep_occupancies(cif_folder):
    phase = read_cif(cif_folder / "brass_mixed.cif")
    assert phase.formula == "Cu1.1 Zn0.9"
    copper = next(site for site in phase.sites if site.element == "Cu")
    assert copper.occupancy == 0.55
    assert copper.b_iso == pytest.approx(0.0095 * 8 * np.pi**2)


def test_foreign_origin_is_recognised(cif_folder):
    """The quartz of Levien et al. (1980) has its own origin, which no table lists."""
    phase = read_cif(cif_folder / "quartz_levien.cif")
    assert phase.space_group == 154
    assert phase.hall
    assert phase.formula == "O6 Si3"
    assert phase.density == pytest.approx(2.646, abs=0.002)  # as the file says
    phase.check_symmetry()
    reflections = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 2], [2, 0, -3], [0, 0, 3]])
    np.testing.assert_allclose(
        structure_factor_moduli(phase, reflections),
        structure_factor_moduli(library_phase("SiO2-quartz"), reflections),
        atol=0.01,
    )


def test_origin_choices_are_the_same_crystal(cif_folder):
    second = read_cif(cif_folder / "spinel_origin2.cif")
    first = library_phase("MgAl2O4-spinel")
    assert second.hall
    assert second.formula == first.formula
    reflections = np.array([[1, 1, 1], [2, 2, 0], [3, 1, 1], [4, 0, 0], [2, 2, 2], [4, 2, 2]])
    np.testing.assert_allclose(
        structure_factor_moduli(second, reflections),
        structure_factor_moduli(first, reflections),
        rtol=1e-9,
    )
    moved = second.standardized()
    assert (moved.hall, moved.lattice) == ("", first.lattice)
    moved.check_symmetry()


def test_other_cell_choice_is_kept_and_standardized(cif_folder):
    phase = read_cif(cif_folder / "monoclinic_p21n.cif")
    assert phase.space_group == 14
    assert phase.lattice == (5.1, 6.2, 7.3, 90.0, 97.5, 90.0)
    assert len(phase.sites) == 8
    phase.check_symmetry()
    standard = phase.standardized()
    assert standard.hall == ""
    assert standard.volume == pytest.approx(phase.volume)
    assert len(standard.sites) == 8
    standard.check_symmetry()


def test_origin_choice_from_the_formula(write):
    """Fd-3m without origin: silicon at 0,0,0 is 8a in choice 1, 16c in choice 2."""
    symmetry = "_space_group_name_H-M_alt 'F d -3 m'\n_chemical_formula_sum Si8"
    phase = read_cif(write(symmetry, ["Si1 Si 0 0 0 1"], 5.431, 5.431, 5.431))
    assert len(phase.sites) == 8


def test_rhombohedral_axes_from_the_cell(tmp_path):
    """A number alone means hexagonal or rhombohedral axes; the cell tells which."""
    text = CELL.format(a=4.7459, b=4.7459, c=4.7459, beta=57.236, gamma=57.236)
    text = text.replace("_cell_angle_alpha 90", "_cell_angle_alpha 57.236")
    text += "_space_group_IT_number 166\nloop_\n_atom_site_label\n_atom_site_fract_x\n"
    text += "_atom_site_fract_y\n_atom_site_fract_z\nBi1 0.234 0.234 0.234\n"
    path = tmp_path / "bismuth.cif"
    path.write_text(text)
    phase = read_cif(path)
    assert len(phase.sites) == 2
    assert len(phase.standardized().sites) == 6
    assert phase.standardized().lattice[5] == pytest.approx(120.0)
    assert phase.density == pytest.approx(phase.standardized().density)


def test_hall_symbol_alone_suffices(write):
    path = write("_space_group_name_Hall '-F 4 2 3'")
    assert read_cif(path).space_group == 225


@pytest.mark.parametrize(
    ("label", "element"),
    [("SiA", "Si"), ("OH", "O"), ("Wat", "O"), ("CaM1", "Ca"), ("O_c", "O"), ("Fe3+", "Fe")],
)
def test_elements_from_labels(write, label, element):
    path = write("_space_group_IT_number 221", [f"{label} ? 0 0 0 1"])
    assert read_cif(path).sites[0].element == element


def test_duplicate_cif_words_are_read_beside_other_blocks(write):
    path = write("_space_group_IT_number 221")
    path.write_text("data_global\n_journal_year 1990\n" + path.read_text())
    assert read_cif(path).name == "crystal"


def test_latin_text_is_no_obstacle(write):
    path = write("_space_group_IT_number 221")
    path.write_bytes("# Müller, Größe in Å\n".encode("latin-1") + path.read_bytes())
    assert len(read_cif(path).sites) == 1


REFUSED = {
    "no symmetry": ("", {}, "no symmetry"),
    "number": ("_space_group_IT_number 231", {}, "1 to 230"),
    "symbol against number": (
        "_space_group_IT_number 221\n_space_group_name_H-M_alt 'F m -3 m'", {}, "225.*221"),
    "operators against symbol": (
        triplets("P m -3 m") + "_space_group_name_H-M_alt 'F m -3 m'", {}, "221.*225"),
    "operators against Hall symbol": (
        triplets("P m -3 m") + "_space_group_name_Hall 'P 4 2 3'", {}, "221.*207"),
    "no group": (
        "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-y,x,z\n", {}, "no group"),
    "no identity": (
        "loop_\n_space_group_symop_operation_xyz\n-x,-y,-z\n", {}, "identity"),
    "bad operator": (
        "loop_\n_space_group_symop_operation_xyz\nx,y,z\nfoo\n", {}, "can't be read"),
    "unknown symbol": ("_space_group_name_H-M_alt 'Q 7'", {}, "no symmetry"),
    "cell against symmetry": ("_space_group_IT_number 221", {"b": 4.2}, "contradicts"),
    "flat cell": ("_space_group_IT_number 1", {"c": 0.0}, "no volume"),
    "ambiguous origin": ("_space_group_name_H-M_alt 'F d -3 m'", {}, "origin"),
    "occupancy": ("_space_group_IT_number 221", {"atoms": ["Fe1 Fe 0 0 0 1.4"]}, "occupancy"),
    "twice": (
        "_space_group_IT_number 225",
        {"atoms": ["Fe1 Fe 0 0 0 1", "Fe2 Fe 0.5 0.5 0 1"]}, "list each orbit once"),
    "no element": ("_space_group_IT_number 221", {"atoms": ["Q1 ? 0 0 0 1"]}, "element"),
    "no coordinate": ("_space_group_IT_number 221", {"atoms": ["Fe1 Fe 0 ? 0 1"]}, "coordinates"),
    "nothing occupied": ("_space_group_IT_number 221", {"atoms": ["Fe1 Fe 0 0 0 0"]}, "occupied"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(write, case):
    symmetry, options, words = REFUSED[case]
    with pytest.raises(PhaseError, match=f"(?s)crystal.cif.*{words}"):
        read_cif(write(symmetry, **options))


def test_files_that_are_no_cif(tmp_path):
    picture = tmp_path / "picture.cif"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(PhaseError, match="not a CIF"):
        read_cif(picture)
    empty = tmp_path / "empty.cif"
    empty.touch()
    with pytest.raises(PhaseError, match="no atoms"):
        read_cif(empty)
    with pytest.raises(PhaseError, match="can't be read"):
        read_cif(tmp_path / "missing.cif")
    with pytest.raises(PhaseError, match="can't be read"):
        read_cif(tmp_path)


def test_truncated_file(cif_folder, tmp_path):
    path = tmp_path / "cut.cif"
    text = (cif_folder / "spinel_origin2.cif").read_text()
    path.write_text(text[: text.index("_atom_site_label")])
    with pytest.raises(PhaseError):
        read_cif(path)


def test_p1_is_read_with_a_warning(write, caplog):
    with caplog.at_level(logging.WARNING):
        assert read_cif(write("_space_group_name_H-M_alt 'P 1'")).space_group == 1
    assert "P1" in caplog.text


def test_wrong_multiplicity_is_reported(write, caplog):
    path = write("_space_group_IT_number 225")
    text = path.read_text().replace("occupancy\n", "occupancy\n_atom_site_symmetry_multiplicity\n")
    path.write_text(text.replace("0 0 0 1", "0 0 0 1 8"))
    with caplog.at_level(logging.WARNING):
        read_cif(path)
    assert "multiplicity 4 by its operators, 8" in caplog.text


KAUFMANN_GROUPS = {
    221: {"NiAl", "FeAl", "Ni3Al", "FeNi3"},
    223: {"Cr3Si", "Mo3Si"},
    225: {"Al", "Ni", "TiC", "NbC", "TaC"},
    227: {"Si", "Ge"},
    229: {"Fe", "Ta", "W"},
    230: {"Al4Ni3", "Al4CoNi2"},
}


def test_the_eighteen_materials_of_the_ebsd_paper(shared_data):
    folder = shared_data / "structures" / "kaufmann18"
    phases = [Phase.from_cif(path) for path in sorted(folder.glob("*.cif"))]
    groups = {}
    for phase in phases:
        groups.setdefault(phase.space_group, set()).add(phase.name)
        phase.check_symmetry()
        assert phase.hall == ""
    assert groups == KAUFMANN_GROUPS
    atoms = {phase.name: len(phase.sites) for phase in phases}
    assert (atoms["Ni"], atoms["Cr3Si"], atoms["Si"], atoms["Al4Ni3"]) == (4, 8, 8, 112)


def test_name_is_the_stem(cif_folder, tmp_path):
    copy = tmp_path / "β-brass.cif"
    shutil.copy(cif_folder / "brass_mixed.cif", copy)
    assert read_cif(copy).name == "β-brass"
