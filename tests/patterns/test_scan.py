"""PatternScan: any array in, the same patterns out, in constant memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tracemalloc
from types import SimpleNamespace

import dask.array as da
import h5py
import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import Geometry, PatternScan
from napari_spacegroup.patterns.source import ArraySource

SHAPE = (3, 5, 12, 16)


@pytest.fixture
def patterns():
    return np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)


def _streamed(scan, size):
    starts, batches = zip(*scan.batches(size), strict=True)
    lengths = [len(batch) for batch in batches]
    assert list(starts) == np.cumsum([0, *lengths[:-1]]).tolist()
    assert all(length == size for length in lengths[:-1])
    return np.concatenate(batches).reshape(scan.data.shape)


@pytest.mark.parametrize("size", [1, 4, 5, 7, 100])
@pytest.mark.parametrize("chunks", [None, (1, 5), (2, 2), (3, 1), (2, 5)])
def test_batches_are_row_major(patterns, size, chunks):
    array = patterns if chunks is None else da.from_array(patterns, chunks=(*chunks, 6, 16))
    scan = PatternScan.from_array(array)
    np.testing.assert_array_equal(_streamed(scan, size), patterns)
    np.testing.assert_array_equal(_streamed(scan.crop(1, 3, 1, 4), size), patterns[1:3, 1:4])
    np.testing.assert_array_equal(scan.data.compute(), patterns)


@pytest.mark.parametrize(
    "key",
    [
        np.s_[1, 2],
        np.s_[:, 3],
        np.s_[1:3, ::2, 4:8, ::3],
        np.s_[::-1, -2],
        np.s_[..., 5, 7],
        np.s_[-1, 1:1],
    ],
)
def test_lazy_view_slices_like_the_array(patterns, key):
    scan = PatternScan.from_array(patterns)
    np.testing.assert_array_equal(scan.data[key].compute(), patterns[key])


def test_dimensions(patterns):
    assert PatternScan.from_array(patterns[0, 0]).data.shape == (1, 1, 12, 16)
    assert PatternScan.from_array(patterns[0]).data.shape == (1, 5, 12, 16)
    stack = patterns.reshape(-1, 12, 16)
    for array in (stack, da.from_array(stack, chunks=(4, 12, 16)), list(stack)):
        scan = PatternScan.from_array(array, scan_size=(3, 5), name="stack")
        np.testing.assert_array_equal(scan.data.compute(), patterns)
        assert scan.name == "stack"
    with pytest.raises(ScanError, match="product is 15"):
        PatternScan.from_array(stack, scan_size=(4, 4))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 2, 8, 8)), "Select or reshape"),
        (np.zeros(9), "Select or reshape"),
        (np.zeros((0, 8, 8)), "zero patterns"),
        (np.zeros((2, 0, 8, 8)), "zero patterns"),
        (da.zeros((3, 3, 0, 8)), "zero patterns"),
        (np.zeros((3, 8, 8), complex), "np.abs"),
        (np.zeros((3, 8, 8), bool), "uint8"),
        (np.full((3, 8, 8), "a"), "numbers"),
        (np.zeros((3, 8, 8), [("R", "u1"), ("G", "u1")]), "grey"),
        (np.zeros((2, 1000)), "profile"),
        ("scan.h5", "use read"),
        (None, "use read"),
        ([np.zeros((8, 8)), np.zeros((9, 8))], "one shape"),
    ],
)
def test_refused(array, message):
    with pytest.raises(ScanError, match=message):
        PatternScan.from_array(array)


def test_fields_must_fit(patterns):
    for fields in (
        {"mask": np.ones((16, 12), bool)},
        {"static_background": np.ones((12, 12))},
        {"present": np.ones((5, 3), bool)},
        {"geometry": Geometry(np.full((5, 3, 3), 0.4))},
    ):
        with pytest.raises(ScanError):
            PatternScan.from_array(patterns, **fields)
    with pytest.raises(ScanError, match="from_array"):
        PatternScan(patterns)
    scan = PatternScan.from_array(patterns)
    assert PatternScan.from_array(scan) is scan
    assert PatternScan.from_array(scan, name="other").name == "other"
    with pytest.raises(ScanError, match="at least 1"):
        next(scan.batches(0))


def test_stored_arrays(tmp_path, patterns):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        four = file.create_dataset("four", data=patterns, chunks=(2, 3, 12, 16))
        three = file.create_dataset("three", data=patterns.reshape(-1, 12, 16))
        np.testing.assert_array_equal(_streamed(PatternScan.from_array(four), 4), patterns)
        line = PatternScan.from_array(three, scan_size=(3, 5))
        np.testing.assert_array_equal(_streamed(line, 4), patterns)
        np.testing.assert_array_equal(line.data[2, 4].compute(), patterns[2, 4])
    swapped = PatternScan.from_array(patterns.astype(">u2"))
    assert swapped.dtype.isnative
    assert swapped.data.compute().dtype.isnative
    np.testing.assert_array_equal(swapped.data.compute(), patterns)


def test_scattered_patterns_and_gaps(patterns):
    stack = patterns.reshape(-1, 12, 16)
    order = np.random.default_rng(3).permutation(15)
    source = ArraySource(stack[np.argsort(order)], (3, 5), order=order)
    np.testing.assert_array_equal(_streamed(PatternScan.from_source(source), 4), patterns)
    order[4] = -1
    source = ArraySource(stack.astype(np.float32), (3, 5), order=order, stored=15)
    assert np.isnan(PatternScan.from_source(source).pattern(0, 4)).all()


def test_layers(patterns):
    def layer(**values):
        plain = {"name": "map", "scale": np.ones(4), "metadata": {}, "units": ("pixel",) * 4}
        return SimpleNamespace(**{**plain, "data": patterns, "rgb": False, **values})

    scan = PatternScan.from_array(layer())
    assert (scan.name, scan.step) == ("map", None)
    scale = {"scale": np.array([0.5, 0.2, 1, 1]), "units": ("micrometer",) * 4}
    scan = PatternScan.from_array(layer(**scale))
    assert (scan.step, scan.step_unit) == ((0.5, 0.2), "um")
    stack = layer(data=patterns[0], scale=np.array([0.2, 1, 1]), units=("nm",) * 3)
    assert PatternScan.from_array(stack).step == (0.2, 0.2)
    pyramid = layer(data=[patterns, patterns[:, :, ::2, ::2]], multiscale=True)
    np.testing.assert_array_equal(PatternScan.from_array(pyramid).data.compute(), patterns)
    assert PatternScan.from_array(layer(metadata={"napari_spacegroup_scan": scan})) is scan
    with pytest.raises(ScanError, match="colour image"):
        PatternScan.from_array(layer(rgb=True))


def test_signals(vendor_files):
    import kikuchipy as kp

    data = vendor_files.patterns()
    detector = kp.detectors.EBSDDetector(shape=vendor_files.FRAME, pc=vendor_files.centers())
    for lazy in (False, True):
        signal = kp.signals.EBSD(
            data, detector=detector, static_background=vendor_files.background()
        )
        signal = signal.as_lazy() if lazy else signal
        for index, (name, scale) in enumerate((("x", 0.25), ("y", 0.5))):
            axis = signal.axes_manager[index]
            axis.name, axis.scale, axis.units = name, scale, "um"
        signal.metadata.General.title = "nickel"
        scan = PatternScan.from_array(signal)
        np.testing.assert_array_equal(scan.data.compute(), data)
        assert (scan.step, scan.step_unit, scan.name) == ((0.5, 0.25), "um", "nickel")
        assert scan.technique == "ebsd"
        np.testing.assert_allclose(scan.geometry.pattern_center, vendor_files.centers())
        np.testing.assert_array_equal(scan.static_background, vendor_files.background())
    line = PatternScan.from_array(signal.inav[:, 1])
    assert line.scan_shape == (1, 4)
    column = PatternScan.from_array(signal.inav[1])
    assert column.scan_shape == (3, 1)
    np.testing.assert_array_equal(column.data.compute()[:, 0], data[:, 1])
    assert PatternScan.from_array(signal.inav[2, 1]).scan_shape == (1, 1)
    with pytest.raises(ScanError, match="Transpose"):
        PatternScan.from_array(signal.transpose(signal_axes=1))


def test_pattern_and_crop_bounds(patterns):
    scan = PatternScan.from_array(patterns)
    for y, x in ((3, 0), (0, 5), (-1, 0)):
        with pytest.raises(ScanError, match="outside the scan"):
            scan.pattern(y, x)
    for window in ((0, 0, 0, 5), (0, 4, 0, 5), (2, 1, 0, 5), (-1, 2, 0, 5)):
        with pytest.raises(ScanError, match="rectangle"):
            scan.crop(*window)
    inner = scan.crop(1, 3, 1, 5).crop(1, 2, 2, 4)
    np.testing.assert_array_equal(inner.data.compute(), patterns[2:3, 3:5])
    np.testing.assert_array_equal(inner.pattern(0, 1), patterns[2, 4])
    assert inner.metadata["crop"] == (2, 3, 3, 5)


def test_navigation_image(patterns):
    mask = np.zeros(SHAPE[2:], bool)
    mask[2:9, 3:14] = True
    scan = PatternScan.from_array(patterns, mask=mask)
    image = scan.navigation_image()
    np.testing.assert_allclose(image, patterns[:, :, mask].mean(-1), rtol=1e-6)
    assert image.dtype == np.float32
    stored = np.arange(15.0).reshape(3, 5)
    scan = PatternScan.from_array(patterns, navigation=stored)
    np.testing.assert_array_equal(scan.crop(0, 2, 1, 3).navigation_image(), stored[:2, 1:3])


def test_not_finite_patterns_pass_through():
    data = np.random.default_rng(0).random((2, 3, 16, 20)).astype(np.float32)
    data[1, 1, 3, 3] = np.nan
    scan = PatternScan.from_array(data)
    assert np.isnan(scan.navigation_image()).sum() == 1
    assert np.isnan(scan.pattern(1, 1)).sum() == 1
    assert scan.detect_mask() is None


def test_fingerprint(patterns):
    scan = PatternScan.from_array(patterns)
    assert scan.fingerprint() == PatternScan.from_array(patterns.copy()).fingerprint()
    others = [patterns[:2], patterns.astype(np.uint32), patterns.reshape(5, 3, 12, 16)]
    last = patterns.copy()
    last[-1, -1, -1, -1] += 1
    prints = [PatternScan.from_array(array).fingerprint() for array in (*others, last)]
    prints += [scan.crop(0, 1, 0, 2).fingerprint(), scan.crop(1, 2, 0, 2).fingerprint()]
    assert len({scan.fingerprint(), *prints}) == 7
    assert len(scan.fingerprint()) == 32


def test_streaming_takes_constant_memory(tmp_path):
    """A sparse 0.8 GB memory map streams in the memory of a few batches."""
    path = tmp_path / "sparse.npy"
    shape = (1000, 200, 50, 80)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    array[700, 17] = 3
    del array
    scan = PatternScan.from_array(np.load(path, mmap_mode="r"))
    tracemalloc.start()
    try:
        stream = scan.batches(512)
        total = 0
        for start, batch in stream:
            total += len(batch)
            if start > 120_000:
                break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 120_000
    assert peak < 80e6
    assert scan.pattern(700, 17).min() == 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident size from /proc")
def test_resident_size_stays_constant(tmp_path):
    """The process itself, mapped pages included, does not grow with the scan."""
    code = """
        import sys
        from pathlib import Path
        import numpy as np
        from napari_spacegroup.patterns import PatternScan, read

        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

        path = sys.argv[1]
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(150, 500, 50, 80))
        del array
        for scan in (read(path), PatternScan.from_array(np.load(path, mmap_mode="r"))):
            for _, batch in scan.crop(0, 20, 0, 500).batches(256):
                pass
            before, peak = resident(), 0.0
            for _, batch in scan.batches(256):
                peak = max(peak, resident())
            assert peak - before < 100, (before, peak)
            assert "torch" not in sys.modules and "kikuchipy" not in sys.modules
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "sparse.npy")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr


def test_large_scan_has_a_small_graph():
    """The lazy view of a hundred million patterns is made at once."""

    class Endless:
        shape = (10_000, 10_000, 60, 80)
        dtype = np.dtype(np.uint8)

        def __getitem__(self, key):
            rows, columns = key
            assert isinstance(rows, int)
            return np.zeros((columns.stop - columns.start, 60, 80), np.uint8)

    scan = PatternScan.from_array(Endless())
    assert scan.data.npartitions <= 25_000
    assert scan.pattern(9_999, 9_999).shape == (60, 80)
