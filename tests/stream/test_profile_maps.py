"""Maps of powder profiles that grow: HDF5 and zarr, with the axis from the file."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_spacegroup.patterns.options import ReadOptions
from napari_spacegroup.stream import SourceState, open_source

from .conftest import Clock, Collector

ANGLE = np.linspace(10, 80, 300)
MAP = np.random.default_rng(5).integers(1, 900, (3, 4, 300)).astype(np.float32)
TOLD = ReadOptions(wavelength=0.5)


def collector(path: Path, **options) -> Collector:
    clock = Clock()
    return Collector(open_source(path, clock=clock, told=TOLD, **options), clock)


def check(follower: Collector, expected: np.ndarray) -> None:
    follower.check(expected.reshape(-1, 1, 300))
    info = follower.source.info
    assert (info.technique, info.pattern_shape, info.is_series) == ("powder", (1, 300), False)
    np.testing.assert_array_equal(info.axis.values, ANGLE)
    assert info.axis.wavelength == 0.5


@pytest.mark.parametrize("is_swmr", [True, False])
def test_a_map_in_hdf5(tmp_path, is_swmr):
    path = tmp_path / "map.h5"
    follower = collector(path)
    assert follower.poll().state is SourceState.WAITING
    file = h5py.File(path, "w", libver="latest")
    counts = file.create_dataset("data/counts", MAP.shape, np.float32, chunks=(1, 1, 300))
    angle = file.create_dataset("data/two_theta", (300,), float)
    if not is_swmr:
        file.close()
    else:
        file.swmr_mode = True
    assert follower.poll().state is SourceState.WAITING  # an axis of zeros is none yet
    for pixel in range(-1, 12):
        if not is_swmr:
            file = h5py.File(path, "r+", libver="latest")
            counts, angle = file["data/counts"], file["data/two_theta"]
        if pixel < 0:
            angle[:] = ANGLE
            angle.flush()
        else:
            counts[pixel // 4, pixel % 4] = MAP.reshape(12, -1)[pixel]
            counts.flush()
        if not is_swmr:
            file.close()
        follower.poll()
    follower.poll(3)
    check(follower, MAP)
    assert follower.states[-1] is SourceState.ENDED
    assert follower.source.info.scan_shape == (3, 4)
    file.close()


def test_a_line_that_nobody_knows_the_end_of(tmp_path):
    path = tmp_path / "line.h5"
    with h5py.File(path, "w") as file:
        file["two_theta"] = ANGLE
        file.create_dataset("counts", (0, 300), np.float32, maxshape=(None, 300), chunks=(1, 300))
    follower = collector(path)
    for stop in range(1, 13):
        with h5py.File(path, "r+") as file:
            file["counts"].resize(stop, axis=0)
            file["counts"][stop - 1] = MAP.reshape(12, -1)[stop - 1]
        follower.poll()
    follower.poll(3)
    check(follower, MAP)
    assert follower.states[-1] is SourceState.IDLE
    assert follower.source.info.scan_shape is None


def put(folder: Path, values: np.ndarray, chunks: tuple[int, ...], **attributes) -> None:
    """Metadata of a plain zarr array, version 2."""
    folder.mkdir(parents=True)
    facts = {
        "zarr_format": 2, "shape": values.shape, "chunks": chunks, "dtype": values.dtype.str,
        "compressor": None, "fill_value": 0, "filters": None, "order": "C",
    }  # fmt: skip
    (folder / ".zarray").write_text(json.dumps(facts))
    (folder / ".zattrs").write_text(json.dumps(attributes))


@pytest.mark.parametrize("dataset", [None, "counts"])
def test_a_map_in_zarr(tmp_path, dataset):
    path = tmp_path / "map.zarr"
    follower = collector(path, dataset=dataset)
    path.mkdir()
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    assert follower.poll().state is SourceState.WAITING
    put(path / "counts", MAP, (1, 2, 200))
    put(path / "tth", ANGLE, (200,), units="degrees")
    for place in range(2):
        block = np.zeros(200)
        part = ANGLE[200 * place : 200 * (place + 1)]
        block[: len(part)] = part
        (path / "tth" / str(place)).write_bytes(block.tobytes())
        follower.poll()
    for y, x in np.ndindex(3, 2):
        for place in range(2):
            block = np.zeros((1, 2, 200), np.float32)
            part = MAP[y, 2 * x : 2 * x + 2, 200 * place : 200 * (place + 1)]
            block[0, :, : part.shape[1]] = part
            (path / "counts" / f"{y}.{x}.{place}").write_bytes(block.tobytes())
        follower.poll()
    follower.poll(3)
    check(follower, MAP)
    assert follower.states[-1] is SourceState.ENDED
    assert follower.source.info.scan_shape == (3, 4)


def test_profiles_without_an_axis_are_asked_for(tmp_path):
    path = tmp_path / "map.zarr"
    path.mkdir()
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    put(path / "counts", MAP, (1, 2, 300))
    arrival = open_source(path).poll()
    assert arrival.state is SourceState.WAITING
    assert "without powder profiles beside their axis" in arrival.message
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file["counts"], file["tof"] = MAP, np.linspace(2000, 20000, 300)
    arrival = open_source(tmp_path / "map.h5").poll()
    assert "give difc" in arrival.message
    source = open_source(tmp_path / "map.h5", told=ReadOptions(difc=7000.0))
    source.poll()
    assert source.info.axis.kind == "d"


@pytest.mark.parametrize("version", [2, 3])
def test_a_map_that_the_zarr_library_packs(tmp_path, version):
    zarr = pytest.importorskip("zarr", reason="needs zarr, which is not installed here")
    group = zarr.open_group(str(tmp_path / "map.zarr"), mode="w", zarr_format=version)
    for name, values in (("two_theta", ANGLE), ("counts", MAP)):
        chunks = (1, 3, 200)[-values.ndim :]
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks)
        if name == "two_theta":
            array[:] = ANGLE
    follower = collector(tmp_path / "map.zarr")
    for y in range(3):
        array[y] = MAP[y]
        follower.poll()
    follower.poll(3)
    check(follower, MAP)
