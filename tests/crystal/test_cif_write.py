"""CIF files written here are read back as the same crystal."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import Phase, library_phase, read_cif, write_cif
from napari_spacegroup.crystal.cif_write import asymmetric_sites
from napari_spacegroup.errors import ResultError

NAMES = [
    "Ni", "Mg", "Fe3C-cementite", "FeCr-sigma", "CaMgSi2O6-diopside", "Al2SiO5-kyanite",
    "ZrSiO4-zircon", "CaCO3-calcite", "Mg(OH)2-brucite", "SiO2-quartz", "Bi2Te3-tellurobismuthite",
]  # fmt: skip


def content(phase):
    return sorted(
        (s.element, round(s.occupancy, 3), round(s.b_iso, 3), *np.round(s.position, 4) % 1)
        for s in phase.sites
    )


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name, tmp_path):
    phase = library_phase(name)
    found = read_cif(write_cif(phase, tmp_path / "a.cif", "Wüstite & Co. (1963), “a's”"))
    assert found.space_group == phase.space_group
    assert found.lattice == pytest.approx(phase.lattice, rel=1e-5)
    assert len(found.sites) == len(phase.sites)
    assert found.density == pytest.approx(phase.density, rel=1e-4)
    for got, expected in zip(content(found), content(phase), strict=True):
        assert got[:3] == expected[:3]
        apart = np.array(got[3:]) - np.array(expected[3:])
        assert np.abs(apart - np.round(apart)).max() < 2e-4


@pytest.mark.parametrize("file", ["monoclinic_p21n.cif", "spinel_origin2.cif", "brass_mixed.cif"])
def test_other_settings_stay_as_they_are(file, repository, tmp_path):
    phase = read_cif(repository / "tests" / "data" / "cif" / file)
    found = read_cif(write_cif(phase, tmp_path / "a.cif"))
    assert (found.space_group, found.hall) == (phase.space_group, phase.hall)
    assert len(found.sites) == len(phase.sites)


def test_one_site_per_orbit():
    assert len(asymmetric_sites(library_phase("Y3Al5O12-garnet"))) == 4
    assert isinstance(library_phase("Ni"), Phase)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ResultError, match="nowhere"):
        write_cif(library_phase("Ni"), tmp_path / "nowhere" / "a.cif")
