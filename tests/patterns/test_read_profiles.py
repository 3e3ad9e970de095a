"""Powder profiles from files: columns, vendors' formats, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import from_profiles, read

ANGLE = np.round(np.arange(10.0, 50.0, 0.05), 4)
COUNTS = np.round(100 + 900 * np.exp(-0.5 * ((ANGLE - 30) / 0.1) ** 2))


def _columns(separator: str, more: str = "") -> str:
    return "\n".join(f"{x}{separator}{y:g}{more}" for x, y in zip(ANGLE, COUNTS, strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xy", _columns("\t")),
        ("a.xye", "# 2theta intensity su\n" + _columns("  ", "  10.5")),
        ("a.csv", "angle,counts\n" + _columns(",")),
        ("a.txt", "Sample: 2 pieces\n\n" + _columns("; ")),
        ("a.dat", _columns("   ")),
    ],
)
def test_columns_of_text(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    scan = read(path, wavelength=1.54)
    assert scan.technique == "powder"
    assert scan.data.shape == (1, 1, 1, len(ANGLE))
    assert scan.mask is None
    np.testing.assert_allclose(scan.axis.values, ANGLE)
    assert scan.axis.wavelength == 1.54
    np.testing.assert_allclose(scan.pattern(0, 0)[0], COUNTS)


def test_a_table_of_several_profiles_is_a_line_or_a_map(tmp_path):
    table = np.column_stack([ANGLE, *(COUNTS * k for k in range(1, 7))])
    np.savetxt(tmp_path / "map.csv", table, delimiter=",")
    scan = read(tmp_path / "map.csv", scan_size=(2, 3))
    assert scan.data.shape == (2, 3, 1, len(ANGLE))
    np.testing.assert_allclose(scan.pattern(1, 0)[0], 4 * COUNTS)
    cropped = scan.crop(1, 2, 0, 2)
    assert cropped.axis is scan.axis
    np.testing.assert_allclose(cropped.pattern(0, 1)[0], 5 * COUNTS)


def test_time_of_flight_needs_difc(tmp_path):
    d = np.linspace(0.5, 3.5, 900)
    np.savetxt(tmp_path / "tof.xye", np.column_stack([7476.91 * d, np.ones(900), np.ones(900)]))
    with pytest.raises(ScanError, match="difc"):
        read(tmp_path / "tof.xye")
    scan = read(tmp_path / "tof.xye", difc=7476.91)
    assert (scan.axis.kind, scan.axis.radiation) == ("d", "neutron")
    np.testing.assert_allclose(scan.axis.values, d, rtol=1e-6)


def test_xrdml_brings_its_wavelength(tmp_path):
    counts = " ".join(f"{y:g}" for y in COUNTS)
    (tmp_path / "a.xrdml").write_text(
        '<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.3">'
        '<xrdMeasurement><usedWavelength intended="K-Alpha"><kAlpha1 unit="Angstrom">1.5405980'
        '</kAlpha1><kAlpha2 unit="Angstrom">1.5444260</kAlpha2><ratioKAlpha2KAlpha1>0.5'
        "</ratioKAlpha2KAlpha1></usedWavelength><scan><dataPoints>"
        f'<positions axis="2Theta" unit="deg"><startPosition>{ANGLE[0]}</startPosition>'
        f"<endPosition>{ANGLE[-1]}</endPosition></positions>"
        f'<positions axis="Omega" unit="deg"><startPosition>5</startPosition><endPosition>25'
        f'</endPosition></positions><intensities unit="counts">{counts}</intensities>'
        "</dataPoints></scan></xrdMeasurement></xrdMeasurements>"
    )
    scan = read(tmp_path / "a.xrdml")
    assert scan.axis.wavelength == pytest.approx(1.541874)  # two parts of Kα1, one of Kα2
    assert scan.axis.radiation == "xray"
    np.testing.assert_allclose(scan.axis.values, ANGLE, atol=1e-6)
    np.testing.assert_allclose(scan.pattern(0, 0)[0], COUNTS)


def test_gsas_banks(tmp_path):
    count = len(ANGLE)
    header = f"title\nBANK 1 {count} {-(-count // 10)} CONST 1000.0 5.0 0 0"
    standard = "".join(f"{1:2d}{y:6.0f}" for y in COUNTS)
    rows = [standard[k : k + 80] for k in range(0, len(standard), 80)]
    (tmp_path / "a.gsa").write_text("\n".join([f"{header} STD", *rows]))
    pairs = "".join(f"{y:8.1f}{np.sqrt(y):8.2f}" for y in COUNTS)
    rows = [pairs[k : k + 80] for k in range(0, len(pairs), 80)]
    (tmp_path / "b.gss").write_text("\n".join([f"{header} ESD", *rows]))
    rows = [f"{100 * x:.2f} {y:.1f} 1.0" for x, y in zip(ANGLE, COUNTS, strict=True)]
    (tmp_path / "c.fxye").write_text("\n".join([f"{header} FXYE", *rows]))
    for name in ("a.gsa", "b.gss", "c.fxye"):
        scan = read(tmp_path / name)
        np.testing.assert_allclose(scan.axis.values, ANGLE, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(scan.pattern(0, 0)[0], COUNTS, err_msg=name)


def test_a_powder_block_of_cif(tmp_path):
    rows = "\n".join(f"{x} {y:g}" for x, y in zip(ANGLE, COUNTS, strict=True))
    (tmp_path / "a.cif").write_text(
        "data_structure\n_cell_length_a 5\n\ndata_pattern\n_diffrn_radiation_probe neutron\n"
        "_diffrn_radiation_wavelength 1.8857\nloop_\n_pd_meas_2theta_scan\n"
        f"_pd_meas_counts_total\n{rows}\n"
    )
    scan = read(tmp_path / "a.cif")
    assert (scan.axis.wavelength, scan.axis.radiation) == (1.8857, "neutron")
    np.testing.assert_allclose(scan.pattern(0, 0)[0], COUNTS)
    (tmp_path / "b.cif").write_text("data_structure\n_cell_length_a 5\n")
    with pytest.raises(ScanError, match="no measured powder profile"):
        read(tmp_path / "b.cif")


def test_binary_dat_still_goes_to_nordif(tmp_path):
    path = tmp_path / "Pattern.dat"
    path.write_bytes(np.random.default_rng(0).integers(0, 255, 60 * 60 * 4, np.uint8).tobytes())
    scan = read(path, scan_size=(2, 2), pattern_size=(60, 60))
    assert scan.pattern_shape == (60, 60)


def test_what_is_refused(tmp_path):
    (tmp_path / "a.xy").write_text("no numbers here\n1 2\n")
    with pytest.raises(ScanError, match="1 lines with two or more numbers"):
        read(tmp_path / "a.xy")
    (tmp_path / "b.xy").write_text(_columns(" ") + "\n12 5\n13 6\n")
    with pytest.raises(ScanError, match="rise or fall"):
        read(tmp_path / "b.xy")
    with pytest.raises(ScanError, match="one axis"):
        from_profiles(np.ones(100))
    with pytest.raises(ScanError, match="axis of 99"):
        from_profiles(np.ones((2, 100)), q=np.linspace(1, 6, 99))


def test_measured_files_are_read(shared_data):
    folder = shared_data / "powder"
    files = [p for p in folder.rglob("*") if p.suffix in (".xy", ".xye", ".dat")]
    assert len(files) > 90
    for path in files:
        scan = read(path, difc=7476.91)
        assert scan.technique == "powder", path
        assert scan.pattern(0, 0).max() > 0
