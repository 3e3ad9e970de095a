"""Everything that is no vendor's EBSD file, and everything that is no scan."""

from __future__ import annotations

import datetime
import sys
import warnings

import h5py
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from napari_spacegroup.errors import MissingPartError, ScanError
from napari_spacegroup.patterns import FILE_SUFFIXES, read
from napari_spacegroup.patterns.arrays import grid_from_positions

SHAPE = (3, 4, 20, 28)


@pytest.fixture
def patterns():
    return np.random.default_rng(4).integers(0, 250, SHAPE).astype(np.uint8)


def _equal(scan, patterns):
    np.testing.assert_array_equal(scan.data.compute(), patterns)
    flat = np.concatenate([batch for _, batch in scan.batches(5)])
    np.testing.assert_array_equal(flat.reshape(patterns.shape), patterns)


def test_npy(tmp_path, patterns):
    path = tmp_path / "scan.npy"
    np.save(path, patterns)
    _equal(read(path), patterns)
    np.save(path, patterns.reshape(-1, 20, 28))
    assert read(path).scan_shape == (1, 12)
    _equal(read(path, scan_size=(3, 4)), patterns)
    np.save(path, np.asfortranarray(patterns))
    _equal(read(path), patterns)
    np.save(path, patterns[0, 0])
    assert read(path).scan_shape == (1, 1)
    np.save(path, patterns.astype(">u2"))
    assert read(path).dtype == np.uint16
    _equal(read(path), patterns)


def test_npy_that_is_no_scan(tmp_path, patterns):
    path = tmp_path / "scan.npy"
    np.save(path, np.array([{"pickled": 1}]), allow_pickle=True)
    with pytest.raises(ScanError, match="numbers"):
        read(path)
    np.save(path, patterns)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ScanError, match=r"ends after 8 of 12"):
        read(path)


def test_npz(tmp_path, patterns):
    path = tmp_path / "scan.npz"
    order = np.random.default_rng(1).permutation(12)
    y, x = np.divmod(order, 4)
    xy = np.column_stack([x * 0.25, y * 0.5]).astype(np.float32)
    np.savez(path, patterns=patterns.reshape(-1, 20, 28)[order], xy_um=xy, iq=np.zeros(12))
    scan = read(path)
    _equal(scan, patterns)
    assert (scan.step, scan.step_unit) == ((0.5, 0.25), "um")
    np.savez(path, first=patterns, second=patterns + 1)
    with pytest.raises(ScanError, match="dataset=NAME"):
        read(path)
    _equal(read(path, dataset="second"), patterns + 1)


def test_grids_from_positions():
    assert grid_from_positions(np.array([[0, 0], [1, 0], [0, 1]])) is None
    assert grid_from_positions(np.array([[0, 0], [0, 0]])) is None
    assert grid_from_positions(np.array([[0, 0], [1, 0], [5, 0]])) is None
    shape, step, _ = grid_from_positions(np.array([[3.0, 7.0]]))
    assert (shape, step) == ((1, 1), None)
    shape, step, order = grid_from_positions(np.array([[0, 2], [0, 0], [0, 1]]))
    assert (shape, step, order.tolist()) == ((3, 1), (1, 1), [1, 2, 0])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}])
def test_multi_page_tiff(tmp_path, patterns, options):
    path = tmp_path / "stack.tif"
    stack = patterns.reshape(-1, 20, 28)
    tifffile.imwrite(path, stack, photometric="minisblack", **options)
    assert read(path).scan_shape == (1, 12)
    _equal(read(path, scan_size=(3, 4)), patterns)
    with pytest.raises(ScanError, match="product is 12"):
        read(path, scan_size=(4, 4))


def test_other_tiffs(tmp_path, patterns):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, patterns[0, 0])
    assert read(path).data.shape == (1, 1, 20, 28)
    tifffile.imwrite(path, patterns.astype(">u2"), byteorder=">", photometric="minisblack")
    _equal(read(path), patterns)
    colour = np.repeat(patterns.reshape(-1, 20, 28)[..., None], 3, axis=-1)
    tifffile.imwrite(path, colour, photometric="rgb")
    _equal(read(path, scan_size=(3, 4)), patterns)
    path.write_bytes(b"II*\x00" + bytes(40))
    with pytest.raises(ScanError):
        read(path)


@pytest.mark.parametrize("ending", [".tif", ".png", ".bmp"])
@pytest.mark.parametrize(
    "name", ["map_x{x}y{y}", "pattern r{y} c{x}", "scan-{x}-{y}", "{index}", "p{index:04d}"]
)
def test_folder_of_images(tmp_path, patterns, ending, name):
    """Also 12 unpadded numbers, which must not sort as 0, 1, 10, 11, 2."""
    for index in range(12):
        y, x = divmod(index, 4)
        path = tmp_path / (name.format(x=x * 5, y=y * 3, index=index) + ending)
        imageio.imwrite(path, patterns[y, x])
    (tmp_path / "notes.txt").write_text("no image")
    gridded = "index" not in name
    scan = read(tmp_path, scan_size=None if gridded else (3, 4))
    _equal(scan, patterns)
    np.testing.assert_array_equal(scan.data[1, 2].compute(), patterns[1, 2])
    if not gridded:
        assert read(tmp_path).scan_shape == (1, 12)


def test_folders_that_are_no_scan(tmp_path, patterns):
    with pytest.raises(ScanError, match="folder without images"):
        read(tmp_path)
    imageio.imwrite(tmp_path / "1.png", patterns[0, 0])
    imageio.imwrite(tmp_path / "2.png", patterns[0, 0, :10])
    scan = read(tmp_path, mask=None)
    with pytest.raises(ScanError, match="images of one size"):
        scan.data.compute()
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    with pytest.raises(ScanError, match="Is it complete"):
        read(tmp_path, mask=None).data.compute()


def test_colour_images_become_grey(tmp_path, patterns):
    imageio.imwrite(tmp_path / "a.png", np.repeat(patterns[0, 0][..., None], 3, axis=-1))
    np.testing.assert_array_equal(read(tmp_path / "a.png").pattern(0, 0), patterns[0, 0])


@pytest.mark.parametrize("ending", [".hspy", ".zspy"])
@pytest.mark.usefixtures("vendor_files")
def test_hyperspy_files(tmp_path, patterns, ending):
    import kikuchipy as kp

    if ending == ".zspy":
        pytest.importorskip("zarr", reason="zspy needs zarr, an extra of rosettasciio")
    signal = kp.signals.EBSD(patterns)
    signal.metadata.set_item("Acquisition_instrument.SEM.beam_energy", 17.0)
    for index, (scale, name) in enumerate(((0.25, "x"), (0.5, "y"))):
        signal.axes_manager[index].scale = scale
        signal.axes_manager[index].units = "µm"
        signal.axes_manager[index].name = name
    signal.save(tmp_path / f"scan{ending}")
    scan = read(tmp_path / f"scan{ending}")
    _equal(scan, patterns)
    assert (scan.step, scan.step_unit, scan.technique) == ((0.5, 0.25), "um", "ebsd")
    assert scan.metadata["voltage"] == 17
    signal.inav[1].save(tmp_path / f"column{ending}")
    assert read(tmp_path / f"column{ending}").scan_shape == (3, 1)
    signal.inav[:, 1].save(tmp_path / f"row{ending}")
    assert read(tmp_path / f"row{ending}").scan_shape == (1, 4)
    signal.inav[2, 1].save(tmp_path / f"one{ending}")
    assert read(tmp_path / f"one{ending}").scan_shape == (1, 1)


@pytest.mark.usefixtures("vendor_files")
def test_spectra_are_refused(tmp_path):
    import hyperspy.api as hs

    hs.signals.Signal1D(np.zeros((3, 4, 50))).save(tmp_path / "spectra.hspy")
    with pytest.raises(ScanError, match="no diffraction patterns"):
        read(tmp_path / "spectra.hspy")


def test_zarr_is_named_when_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    (tmp_path / "scan.zarr").mkdir()
    with pytest.raises(MissingPartError, match="pip install zarr"):
        read(tmp_path / "scan.zarr")


@pytest.mark.usefixtures("vendor_files")
def test_blo_written_by_rosettasciio(tmp_path):
    import hyperspy.api as hs

    square = np.random.default_rng(0).integers(0, 250, (2, 3, 16, 16)).astype(np.uint8)
    signal = hs.signals.Signal2D(square)
    for axis, scale in zip(signal.axes_manager.navigation_axes, (2.5, 2.5), strict=True):
        axis.scale, axis.units = scale, "nm"
    for axis in signal.axes_manager.signal_axes:
        axis.scale, axis.units = 1.0, "cm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on scales that do not matter here
        signal.save(tmp_path / "scan.blo", intensity_scaling=None, navigator="navigator")
    scan = read(tmp_path / "scan.blo")
    _equal(scan, square)
    assert scan.technique == "sad"


def test_shared_blo_and_dm3(shared_data):
    folder = shared_data / "sad"
    scan = read(folder / "sped_blo_unlabelled_rosettasciio" / "test1.blo")
    assert scan.data.shape == (3, 2, 144, 144)
    assert scan.step == pytest.approx((12.8, 12.8))
    assert scan.step_unit == "nm"
    bismuth = read(folder / "bismuth_rings_skued" / "bismuth.dm3")
    expected = np.load(folder / "bismuth_rings_skued" / "bismuth_uint8.npy")
    np.testing.assert_array_equal(bismuth.pattern(0, 0), expected)  # the file says signed
    gold = read(folder / "au_rings_pyxem" / "au_xgrating_20cm.tif")
    assert gold.dtype == np.float32
    with pytest.raises(ScanError, match="profile"):
        read(folder / "vo2_powder_profile_skued" / "powder.npy")


def test_shared_full_ferrite_folder(shared_data):
    scan = read(shared_data / "ebsd" / "fe_ferrite_openxy" / "full480")
    assert scan.data.shape == (1, 24, 480, 480)  # 24 positions that fill no grid


def test_mib(tmp_path, patterns):
    """A Merlin file of 8-bit frames; its rows are stored from the bottom."""
    frames = patterns.reshape(-1, 20, 28)
    start = datetime.datetime(2024, 5, 1, 12, 0, 0)
    body = b""
    for index, frame in enumerate(frames):
        stamp = (start + datetime.timedelta(milliseconds=index)).isoformat(timespec="milliseconds")
        head = f"MQ1,{index + 1:06d},00384,01,0028,0020,U08,   1x1,01,{stamp}000,0.001000,0,0,0,"
        head += f"1.2E+2,5.1E+2,MQ1A,{stamp}000000Z,1000000ns,6,"
        body += head.encode().ljust(384, b"\x00") + frame.tobytes()
    (tmp_path / "scan.mib").write_bytes(body)
    scan = read(tmp_path / "scan.mib", scan_size=(3, 4))
    _equal(scan, patterns[:, :, ::-1])
    assert scan.technique == "sad"


def test_general_hdf5_needs_a_name(tmp_path, patterns):
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["group/frames"] = patterns
        file["probabilities"] = np.zeros((3, 4, 6))
    with pytest.raises(ScanError, match=r"group/frames.*\(3, 4, 20, 28\)"):
        read(path)
    with pytest.raises(ScanError, match="no dataset 'other'"):
        read(path, dataset="other")
    _equal(read(path, dataset="group/frames"), patterns)


@pytest.mark.parametrize("ending", [e for e in FILE_SUFFIXES if e not in (".zarr",)])
@pytest.mark.usefixtures("vendor_files")
def test_no_foreign_file_passes(tmp_path, ending):
    contents = {
        "empty": b"",
        "text": b"This is no scan.\n" * 400,
        "noise": np.random.default_rng(0).bytes(9000),
        "zeros": bytes(9000),
    }
    path = tmp_path / f"scan{ending}"
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises((ScanError, MissingPartError), match=r"scan|pip"):
            read(path)


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.98])
def test_truncated_hdf5(tmp_path, vendor_files, keep):
    path = vendor_files.kikuchipy_h5(tmp_path / "scan.h5")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(ScanError, match="copy it again"):
        read(path)


def test_other_refusals(tmp_path):
    with pytest.raises(ScanError, match="nothing at"):
        read(tmp_path / "missing.h5")
    (tmp_path / "scan.xyz").write_text("x")
    with pytest.raises(ScanError, match=r"'\.xyz'"):
        read(tmp_path / "scan.xyz")
    np.save(tmp_path / "a.npy", np.zeros((2, 20, 20)))
    with pytest.raises(ScanError, match="two positive integers"):
        read(tmp_path / "a.npy", scan_size=(0, 2))
    with pytest.raises(ScanError, match="'auto'"):
        read(tmp_path / "a.npy", mask="round")


def test_overrides(tmp_path, patterns):
    np.save(tmp_path / "a.npy", patterns)
    mask = np.zeros((20, 28), bool)
    mask[3:] = True
    scan = read(
        tmp_path / "a.npy", name="mine", technique="sad", step=(2, 3), step_unit="nm", mask=mask
    )
    assert (scan.name, scan.technique, scan.step, scan.step_unit) == ("mine", "sad", (2, 3), "nm")
    np.testing.assert_array_equal(scan.mask, mask)
