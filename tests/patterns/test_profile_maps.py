"""Maps of powder profiles in HDF5 and zarr: found by the axis that stands beside them."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import from_profiles, read
from napari_spacegroup.patterns.options import ReadOptions
from napari_spacegroup.patterns.profile_maps import find_profiles

ANGLE = np.linspace(10, 80, 300)
MAP = np.random.default_rng(5).integers(1, 900, (3, 4, 300)).astype(np.int32)


def write(path, **more):
    """A map as a beamline's program may write it: NeXus, with errors beside the counts."""
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs["signal"] = "intensity"
        group["intensity"] = MAP
        group["errors"] = np.sqrt(MAP)
        group["two_theta"] = ANGLE
        group["two_theta"].attrs["units"] = "deg"
        for name, value in more.items():
            file[name] = value
    return path


def test_a_map_of_profiles_in_hdf5(tmp_path):
    scan = read(write(tmp_path / "map.h5"), wavelength=0.5)
    assert (scan.technique, scan.scan_shape, scan.pattern_shape) == ("powder", (3, 4), (1, 300))
    assert (scan.axis.kind, scan.axis.wavelength) == ("two_theta", 0.5)
    np.testing.assert_array_equal(scan.data.compute()[:, :, 0], MAP)
    np.testing.assert_array_equal(scan.crop(1, 3, 1, 3).pattern(0, 1)[0], MAP[1, 2])
    again = pickle.loads(pickle.dumps(scan.source))
    np.testing.assert_array_equal(again.read(5, 7)[:, 0], MAP.reshape(12, -1)[5:7])
    scan.let_go()
    assert scan.source.array.array._file is None
    np.testing.assert_array_equal(scan.pattern(2, 3)[0], MAP[2, 3])


def test_the_wavelength_of_the_file(tmp_path):
    path = write(tmp_path / "map.h5")
    with h5py.File(path, "r+") as file:
        file["entry/instrument/wavelength"] = 0.05
        file["entry/instrument/wavelength"].attrs["units"] = "nm"
    assert read(path).axis.wavelength == pytest.approx(0.5)
    assert read(path, wavelength=0.7).axis.wavelength == 0.7
    with h5py.File(path, "r+") as file:
        file["entry/data/two_theta"].attrs["wavelength"] = 0.6
        file["entry/data/two_theta"].attrs["radiation"] = "x-rays"
    assert (read(path).axis.wavelength, read(path).axis.radiation) == (0.6, "xray")


@pytest.mark.parametrize(
    ("name", "units", "kind", "factor"),
    [
        ("q", "", "q", 1),
        ("q_nm^-1", "", "q", 0.1),
        ("radial", "nm^-1", "q", 0.1),
        ("2th_deg", "", "two_theta", 1),
        ("tth", "rad", "two_theta", 180 / np.pi),
        ("d", "nm", "d", 10),
    ],
)
def test_names_and_units_of_the_axis(tmp_path, name, units, kind, factor):
    values = np.linspace(0.5, 3, 300)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = MAP.reshape(12, 300)
        file.create_dataset(name, data=values).attrs["units"] = units
        file["y"] = np.arange(12)
    scan = read(tmp_path / "a.h5", scan_size=(4, 3), wavelength=1.0)
    assert (scan.axis.kind, scan.scan_shape) == (kind, (4, 3))
    np.testing.assert_allclose(scan.axis.values, values * factor)


def test_a_time_of_flight(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = MAP
        file["tof"] = np.linspace(2000, 20000, 300)
    with pytest.raises(ScanError, match="difc"):
        read(tmp_path / "a.h5")
    axis = read(tmp_path / "a.h5", difc=7000.0).axis
    assert (axis.kind, axis.radiation) == ("d", "neutron")
    np.testing.assert_allclose(axis.values[0], 2 / 7)


def test_what_can_not_be_decided_is_asked(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one"], file["two"], file["q"] = MAP, MAP + 1, np.linspace(0.5, 5, 300)
    with pytest.raises(ScanError, match="say which"):
        read(tmp_path / "a.h5")
    scan = read(tmp_path / "a.h5", dataset="two")
    np.testing.assert_array_equal(scan.data.compute()[:, :, 0], MAP + 1)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["volume"], file["x"] = MAP, np.arange(300)  # no axis of profiles
    with pytest.raises(ScanError, match="that we don't know"):
        read(tmp_path / "b.h5")
    assert find_profiles({}, ReadOptions(), "nothing") is None


def test_a_group_of_zarr(tmp_path):
    zarr = pytest.importorskip("zarr", reason="needs zarr, which is not installed here")
    group = zarr.open_group(str(tmp_path / "map.zarr"), mode="w")
    for name, values in (("counts", MAP), ("two_theta", ANGLE)):
        array = group.create_array(name, shape=values.shape, dtype=values.dtype)
        array[:] = values
    scan = read(tmp_path / "map.zarr", wavelength=1.54)
    expected = from_profiles(MAP, two_theta=ANGLE, wavelength=1.54)
    np.testing.assert_array_equal(scan.data.compute(), expected.data.compute())
    np.testing.assert_array_equal(scan.axis.values, ANGLE)
