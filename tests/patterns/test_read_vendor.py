"""Every vendor's file of the same patterns gives the same scan."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import read

H5 = ["kikuchipy_h5", "edax_h5", "bruker_h5", "oxford_h5"]


def _path(tmp_path, maker: str):
    ending = {"oxford_h5": ".h5oina", "edax_up": ".up1", "oxford_ebsp": ".ebsp"}.get(maker, ".h5")
    return tmp_path / ("scan" if maker == "nordif_folder" else f"scan{ending}")


@pytest.mark.parametrize("maker", [*H5, "nordif_folder", "edax_up"])
def test_same_patterns_in_the_same_order(tmp_path, vendor_files, maker):
    scan = read(getattr(vendor_files, maker)(_path(tmp_path, maker)))
    expected = vendor_files.patterns()
    assert scan.scan_shape == vendor_files.GRID
    assert scan.pattern_shape == vendor_files.FRAME
    assert scan.technique == "ebsd"
    assert scan.present is None
    np.testing.assert_array_equal(scan.data.compute(), expected)
    np.testing.assert_array_equal(scan.data[2, 1:3, 4].compute(), expected[2, 1:3, 4])
    np.testing.assert_array_equal(scan.pattern(2, 1), expected[2, 1])
    flat = np.concatenate([batch for _, batch in scan.batches(5)])
    np.testing.assert_array_equal(flat.reshape(expected.shape), expected)


@pytest.mark.parametrize("maker", [*H5, "edax_up"])
def test_step_is_y_then_x(tmp_path, vendor_files, maker):
    scan = read(getattr(vendor_files, maker)(_path(tmp_path, maker)))
    assert scan.step == pytest.approx(vendor_files.STEP)
    assert scan.step_unit == "um"


@pytest.mark.parametrize("maker", H5)
def test_pattern_centers_agree_in_bruker_convention(tmp_path, vendor_files, maker):
    geometry = read(getattr(vendor_files, maker)(_path(tmp_path, maker))).geometry
    assert geometry is not None
    if maker == "edax_h5":  # it stores one
        np.testing.assert_allclose(geometry.pattern_center, vendor_files.CENTER, atol=1e-7)
    else:
        assert geometry.is_per_pixel
        np.testing.assert_allclose(geometry.pattern_center, vendor_files.centers(), atol=1e-7)
        np.testing.assert_allclose(geometry.at(2, 1), vendor_files.centers()[2, 1], atol=1e-7)


def test_emsoft_patterns(tmp_path, vendor_files):
    path = vendor_files.emsoft_h5(tmp_path / "emsoft.h5")
    scan = read(path, scan_size=vendor_files.GRID)
    np.testing.assert_array_equal(scan.data.compute(), vendor_files.patterns())
    assert scan.geometry is not None
    np.testing.assert_allclose(scan.geometry.pattern_center, vendor_files.CENTER, atol=1e-7)
    assert scan.geometry.voltage == 20
    assert read(path).scan_shape == (1, 12)
    with pytest.raises(ScanError, match="12 patterns"):
        read(path, scan_size=(5, 5))


def test_bruker_region_puts_patterns_and_centers_in_map_order(tmp_path, vendor_files):
    scan = read(vendor_files.bruker_h5(tmp_path / "region.h5", shuffled=True))
    np.testing.assert_array_equal(scan.data.compute(), vendor_files.patterns())
    np.testing.assert_allclose(scan.geometry.pattern_center, vendor_files.centers())
    cropped = scan.crop(1, 3, 1, 3)
    np.testing.assert_array_equal(cropped.pattern(1, 0), vendor_files.patterns()[2, 1])
    np.testing.assert_allclose(cropped.geometry.at(1, 0), vendor_files.centers()[2, 1])


@pytest.mark.usefixtures("vendor_files")
def test_bruker_other_regions_are_refused(tmp_path):
    from kikuchipy.data._dummy_files import bruker_h5ebsd

    path = tmp_path / "region.h5"
    bruker_h5ebsd.create_dummy_bruker_h5ebsd_nonrectangular_roi_file(path)
    with pytest.raises(ScanError, match=r"rectangular.*square grid"):
        read(path)


def test_oxford_processed_or_not(tmp_path, vendor_files):
    path = vendor_files.oxford_h5(tmp_path / "scan.h5oina")
    processed, raw = read(path), read(path, processed=False)
    np.testing.assert_array_equal(raw.data.compute(), processed.data.compute() + 1)
    # The background is off the processed patterns already.
    assert processed.static_background is None
    np.testing.assert_array_equal(raw.static_background, vendor_files.background())


@pytest.mark.parametrize("maker", ["kikuchipy_h5", "bruker_h5"])
def test_static_background(tmp_path, vendor_files, maker):
    scan = read(getattr(vendor_files, maker)(tmp_path / "scan.h5"))
    np.testing.assert_array_equal(scan.static_background, vendor_files.background())
    assert scan.metadata["voltage"] == 20


def test_ebsp_sorts_patterns_into_the_map(tmp_path, vendor_files):
    scan = read(vendor_files.oxford_ebsp(tmp_path / "scan.ebsp"))
    assert scan.scan_shape == vendor_files.GRID
    assert scan.step == pytest.approx((0.25, 0.25))
    data = scan.data.compute()
    np.testing.assert_array_equal(data[:, :, ::2, ::2], vendor_files.patterns())
    np.testing.assert_array_equal(scan.data[1, 2].compute(), data[1, 2])


def test_up2_is_sixteen_bit(tmp_path, vendor_files):
    scan = read(vendor_files.edax_up(tmp_path / "scan.up2"))
    assert scan.dtype == np.uint16
    np.testing.assert_array_equal(scan.data.compute(), vendor_files.patterns("u2") * 200)


def test_nordif_without_settings_needs_both_sizes(tmp_path, vendor_files):
    path = tmp_path / "raw.dat"
    path.write_bytes(vendor_files.patterns().tobytes())
    with pytest.raises(ScanError, match=r"scan_size=.*pattern_size="):
        read(path)
    scan = read(path, scan_size=vendor_files.GRID, pattern_size=vendor_files.FRAME)
    np.testing.assert_array_equal(scan.data.compute(), vendor_files.patterns())
    assert scan.step is None
    with pytest.raises(ScanError, match="no setting file"):
        read(path, setting_file=tmp_path / "missing.txt")


def test_nordif_settings_and_background(tmp_path, vendor_files):
    shipped = vendor_files.kikuchipy_data() / "nordif"
    scan = read(shipped / "Pattern.dat")
    reference = read(vendor_files.kikuchipy_data() / "kikuchipy_h5ebsd" / "patterns.h5")
    np.testing.assert_array_equal(scan.data.compute(), reference.data.compute())
    np.testing.assert_array_equal(scan.static_background, reference.static_background)
    assert scan.step == reference.step == (1.5, 1.5)
    assert scan.geometry is None  # it has tilts, but no pattern center
    assert scan.metadata["voltage"] == 20
    assert scan.metadata["sample_tilt"] == 70
    assert read(vendor_files.nordif_folder(tmp_path / "run")).name == "run"


def test_shipped_nickel_agrees_between_vendors(vendor_files):
    folder = vendor_files.kikuchipy_data()
    reference = read(folder / "kikuchipy_h5ebsd" / "patterns.h5")
    assert reference.geometry.is_per_pixel
    assert reference.geometry.voltage == 20
    for name in ("edax_h5ebsd/patterns.h5", "nordif/Pattern.dat", "oxford_binary/patterns.ebsp"):
        scan = read(folder / name)
        np.testing.assert_array_equal(scan.data.compute(), reference.data.compute())
        assert scan.geometry is None  # each stores zeros, or nothing
    line = read(folder / "edax_binary" / "edax_binary.up1", scan_size=(3, 3))
    assert line.scan_shape == (3, 3)
    assert line.step is None  # version 1 has none


def test_two_scans_in_a_file(vendor_files):
    path = vendor_files.kikuchipy_data() / "kikuchipy_h5ebsd" / "patterns.h5"
    first = read(path)
    assert first.metadata["scan_names"] == ("Scan 1", "Scan 2")
    assert first.metadata["scan_name"] == "Scan 1"
    for wished in ("Scan 2", 1, -1):
        assert read(path, scan=wished).metadata["scan_name"] == "Scan 2"
    for wrong in ("Scan 3", 2):
        with pytest.raises(ScanError, match=r"\['Scan 1', 'Scan 2'\]"):
            read(path, scan=wrong)


def test_single_pattern(vendor_files):
    scan = read(vendor_files.kikuchipy_data() / "kikuchipy_h5ebsd" / "patterns_nochunks.h5")
    assert scan.data.shape == (1, 1, 60, 60)
    assert scan.step is None
    assert scan.navigation_image().shape == (1, 1)


@pytest.mark.parametrize("grid", [(1, 12), (12, 1)])
def test_line_scans_keep_their_direction(tmp_path, vendor_files, grid):
    path = vendor_files.kikuchipy_h5(tmp_path / "line.h5")
    with h5py.File(path, "r+") as file:
        header = file["Scan 1/EBSD/Header"]
        vendor_files.put(header, {"n_rows": [grid[0]], "n_columns": [grid[1]]})
        for axis in "xyz":
            values = header[f"pc{axis}"][()].reshape(grid)
            vendor_files.put(header, {f"pc{axis}": values})
    scan = read(path)
    assert scan.scan_shape == grid
    assert scan.geometry.pattern_center.shape == (*grid, 3)
    expected = 0.25 if grid[1] > 1 else 0.5
    assert scan.step == (expected, expected)
    flat = vendor_files.patterns().reshape(-1, *vendor_files.FRAME)
    np.testing.assert_array_equal(scan.data.compute().reshape(flat.shape), flat)


def test_silicon_has_no_pattern_center(shared_data):
    folder = shared_data / "ebsd" / "si_moving_screen_kikuchipy"
    for path in sorted(folder.glob("*.h5")):
        scan = read(path)
        assert scan.geometry is None  # the file says -1
        assert scan.static_background.shape == (480, 480)
        assert scan.mask is not None


@pytest.mark.parametrize("options", [{"chunks": (1, 20, 28)}, {"chunks": (5, 10, 28)}, {}])
def test_storage_layouts(tmp_path, vendor_files, options):
    scan = read(vendor_files.kikuchipy_h5(tmp_path / "scan.h5", **options))
    assert scan.source.granularity == options.get("chunks", (1,))[0]
    flat = np.concatenate([batch for _, batch in scan.batches(7)])
    np.testing.assert_array_equal(flat.reshape(scan.data.shape), vendor_files.patterns())


def test_interrupted_scan_shows_missing_patterns(tmp_path, vendor_files):
    scan = read(vendor_files.kikuchipy_h5(tmp_path / "short.h5", count=9))
    assert scan.present.sum() == 9
    assert not scan.present.ravel()[9:].any()
    np.testing.assert_array_equal(scan.data.compute()[:2], vendor_files.patterns()[:2])
    assert not scan.data[2, 1:].compute().any()
    assert np.isnan(scan.navigation_image()).sum() == 3


def test_chunks_that_were_never_written_are_missing(tmp_path, vendor_files):
    path = vendor_files.kikuchipy_h5(tmp_path / "holes.h5")
    flat = vendor_files.patterns().reshape(-1, *vendor_files.FRAME)
    with h5py.File(path, "r+") as file:
        del file["Scan 1/EBSD/Data/patterns"]
        dataset = file.create_dataset(
            "Scan 1/EBSD/Data/patterns", flat.shape, dtype="u1", chunks=(2, 10, 28)
        )
        dataset[:6] = flat[:6]
        dataset[10:12, :10] = flat[10:12, :10]  # half a pattern is none
    scan = read(path)
    assert scan.present.ravel().tolist() == [True] * 6 + [False] * 6
    assert scan.crop(1, 3, 0, 4).present.sum() == 2
    path = vendor_files.kikuchipy_h5(tmp_path / "empty.h5")
    with h5py.File(path, "r+") as file:
        del file["Scan 1/EBSD/Data/patterns"]
        file.create_dataset("Scan 1/EBSD/Data/patterns", flat.shape, dtype="u1", chunks=(2, 20, 28))
    with pytest.raises(ScanError, match="none was written"):
        read(path)


def test_truncated_raw_file_shows_missing_patterns(tmp_path, vendor_files):
    folder = vendor_files.nordif_folder(tmp_path / "run")
    raw = (folder / "Pattern.dat").read_bytes()
    (folder / "Pattern.dat").write_bytes(raw[: 20 * 28 * 7 + 50])
    scan = read(folder)
    assert scan.present.sum() == 7
    np.testing.assert_array_equal(scan.pattern(1, 2), vendor_files.patterns()[1, 2])
    (folder / "Pattern.dat").write_bytes(raw[:50])
    with pytest.raises(ScanError, match="less than one pattern"):
        read(folder)


def test_the_file_is_opened_when_it_is_read(tmp_path, vendor_files):
    """A lazy scan survives pickling and a closed handle, and says so if the file is gone."""
    import pickle

    path = vendor_files.kikuchipy_h5(tmp_path / "scan.h5")
    scan = read(path)
    copy = pickle.loads(pickle.dumps(scan))
    np.testing.assert_array_equal(copy.data.compute(), vendor_files.patterns())
    scan.source.array.close()
    np.testing.assert_array_equal(scan.pattern(0, 3), vendor_files.patterns()[0, 3])
    scan.source.array.close()
    shutil.move(path, tmp_path / "elsewhere.h5")
    with pytest.raises(ScanError, match="check the disk"):
        scan.pattern(0, 0)


def test_files_without_patterns_or_with_others(tmp_path, vendor_files):
    path = vendor_files.kikuchipy_h5(tmp_path / "scan.h5")
    with h5py.File(path, "r+") as file:
        del file["Scan 1/EBSD/Data/patterns"]
    with pytest.raises(ScanError, match="without patterns"):
        read(path)
    master = vendor_files.kikuchipy_data() / "emsoft_ebsd_master_pattern" / "master_patterns.h5"
    with pytest.raises(ScanError, match="master pattern belongs to simulate"):
        read(master)
    with h5py.File(path, "r+") as file:
        file["Scan 1/EBSD/Data/patterns"] = np.zeros((0, 20, 28), dtype=np.uint8)
    with pytest.raises(ScanError, match="at least one pattern"):
        read(path)


def test_complex_patterns_are_refused(tmp_path, vendor_files):
    path = vendor_files.kikuchipy_h5(tmp_path / "scan.h5")
    with h5py.File(path, "r+") as file:
        data = file["Scan 1/EBSD/Data"]
        vendor_files.put(data, {"patterns": data["patterns"][()].astype(complex)})
    with pytest.raises(ScanError, match="magnitude"):
        read(path)
