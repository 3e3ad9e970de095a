"""Master patterns of EMsoft and ebsdsim, through kikuchipy."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_spacegroup.errors import MissingPartError, ResultError
from napari_spacegroup.simulate import read_master


@pytest.fixture(scope="module")
def emsoft_folder() -> Path:
    import kikuchipy

    return Path(kikuchipy.__file__).parent / "data" / "emsoft_ebsd_master_pattern"


def test_nickel(emsoft_folder):
    master = read_master(emsoft_folder / "ni_mc_mp_20kv_uint8_gzip_opts9.h5")
    assert master.data.shape == (1, 2, 401, 401)
    assert master.data.dtype == np.float32
    assert master.space_group == 225
    assert master.is_centrosymmetric
    assert master.lattice[0] == pytest.approx(3.5236)
    np.testing.assert_array_equal(master.data[0, 1], master.data[0, 0, ::-1, ::-1])


def test_many_energies(emsoft_folder):
    master = read_master(emsoft_folder / "master_patterns.h5")
    assert master.data.shape == (11, 2, 13, 13)
    np.testing.assert_allclose(master.energies, np.arange(10, 21))
    np.testing.assert_allclose(master.weights, 1 / 11)  # the file has no histogram
    assert master.space_group == 140
    # The energies differ in the file by a constant.
    assert len(np.unique(master.data.mean(axis=(1, 2, 3)))) > 1


def test_histogram_weights_the_energies(emsoft_folder, tmp_path):
    import shutil

    import h5py

    path = tmp_path / "with_histogram.h5"
    shutil.copy(emsoft_folder / "master_patterns.h5", path)
    with h5py.File(path, "r+") as file:
        counts = np.zeros((3, 3, 11), dtype=np.int32)
        counts[..., -1], counts[..., 0] = 3, 1
        file["EMData/MCOpenCL/accum_e"] = counts
    weights = read_master(path).weights
    assert weights[-1] == pytest.approx(0.75)
    assert weights[0] == pytest.approx(0.25)


def test_foreign_files_are_refused(tmp_path):
    import h5py

    with pytest.raises(ResultError, match="no file"):
        read_master(tmp_path / "none.h5")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(ResultError, match="master pattern"):
        read_master(path)
    path.write_bytes(b"no HDF5 at all")
    with pytest.raises(ResultError, match="master pattern"):
        read_master(path)


def test_scans_are_refused():
    import kikuchipy

    scan = Path(kikuchipy.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
    with pytest.raises(ResultError, match="Scans are read"):
        read_master(scan)


READER = "kikuchipy.io.plugins.ebsdsim_master_pattern._api"


def _archive(path: Path) -> None:
    np.savez(path, bin_weights=np.array([1.0, 3.0]))


def _ebsdsim(space_group: int) -> SimpleNamespace:
    """What the reader of kikuchipy asks of ebsdsim 0.2, with random numbers."""
    rng = np.random.default_rng(3)
    data = rng.random((3, 1, 1, 9, 9)).astype(np.float32)
    cell = {
        "space_group": space_group, "sites": [], "a_angstrom": 4.0, "b_angstrom": 5.0,
        "c_angstrom": 6.0, "alpha_deg": 90.0, "beta_deg": 100.0, "gamma_deg": 90.0,
    }  # fmt: skip
    loaded = SimpleNamespace(
        data=data,
        axes={"hemisphere_dim": 1, "energy_dim": 3, "bin_to_energy_index": [1, 2]},
        n_bins=2,
        side=9,
        bin_voltages_kv=[20.0, 15.0],
        meta={"cell": cell, "voltage_kv": 20.0, "energy_binwidth_keV": 5.0},
    )
    return SimpleNamespace(load_master_pattern=lambda _: loaded, data=data)


def test_ebsdsim_centric_crystal(tmp_path, monkeypatch):
    """The file holds one hemisphere; the other is its inversion image, not a copy."""
    module = _ebsdsim(14)
    monkeypatch.setitem(sys.modules, "ebsdsim", module)
    constants = importlib.import_module("kikuchipy._constants")
    monkeypatch.setitem(constants.dependency_version, "ebsdsim", "0.2")
    monkeypatch.delitem(sys.modules, READER, raising=False)
    path = tmp_path / "m.npz"
    _archive(path)
    master = read_master(path)
    assert master.data.shape == (2, 2, 9, 9)
    np.testing.assert_allclose(master.energies, [20, 15])
    np.testing.assert_allclose(master.weights, [0.25, 0.75])
    np.testing.assert_array_equal(master.data[:, 0], module.data[1:, 0, 0])
    np.testing.assert_array_equal(master.data[:, 1], module.data[1:, 0, 0, ::-1, ::-1])
    sys.modules.pop(READER, None)  # it holds on to the stand-in


def test_missing_ebsdsim_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ebsdsim", None)
    path = tmp_path / "m.npz"
    _archive(path)
    with pytest.raises(MissingPartError, match="pip install ebsdsim"):
        read_master(path)
