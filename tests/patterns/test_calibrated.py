"""What files say of the scale of their patterns, and rings that the lenses made ellipses of."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.config import CalibrationSpec, ellipse_matrix
from napari_spacegroup.patterns import PatternScan, read, ring_profiles
from napari_spacegroup.patterns.calibrated import FILE_CALIBRATION, calibration_of_axes


@pytest.mark.parametrize(
    ("scales", "units", "constant"),
    [
        ((0.05, 0.05), "1/nm", 200.0),
        ((0.01, -0.01), "1/Å", 100.0),
        ((0.01, 0.01), "Å^-1", 100.0),
        ((0.05, 0.05), "$nm^{-1}$", None),  # not known: better nothing than a guess
        ((0.05, 0.06), "1/nm", None),
        ((0.05, 0.05), "nm", None),
        ((0.0, 0.0), "1/nm", None),
        ((1.0, 1.0), None, None),
    ],
)
def test_reciprocal_axes_give_the_camera_constant(scales, units, constant):
    found = calibration_of_axes({"scale": scale, "units": units} for scale in scales)
    assert found == (None if constant is None else CalibrationSpec(camera_constant=constant))


def test_a_hyperspy_signal_and_its_file_bring_their_scale_along(tmp_path):
    hs = pytest.importorskip("hyperspy.api")
    signal = hs.signals.Signal2D(np.random.default_rng(0).random((2, 3, 20, 30)))
    for axis in signal.axes_manager.signal_axes:
        axis.scale, axis.units = 0.04, "1/nm"
    path = tmp_path / "a.hspy"
    signal.save(path)
    expected = CalibrationSpec(camera_constant=250.0)
    for scan in (PatternScan.from_array(signal), read(path)):
        assert scan.calibration == expected
        assert scan.metadata[FILE_CALIBRATION] == expected
    changed = read(path, calibration={"camera_constant": 200.0})
    assert changed.calibration.camera_constant == 200.0
    assert changed.metadata[FILE_CALIBRATION] == expected


def test_elliptic_rings_are_sharp_after_the_correction():
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")
    shape, center, ellipse = (190, 250), (131.0, 90.0), (1.12, 40.0)
    down, across = np.mgrid[: shape[0], : shape[1]].astype(float)
    back = np.linalg.inv(np.array(ellipse_matrix(*ellipse)))
    x, y = across - center[0], center[1] - down
    radius = np.hypot(back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y)
    image = np.exp(-0.5 * ((radius - 50) / 1.2) ** 2) + 3 * np.exp(-((radius / 5) ** 2))
    scan = PatternScan.from_array(image[None])
    profiles = {}
    for name, told in {
        "round": CalibrationSpec(center=center, camera_constant=100.0),
        "right": CalibrationSpec(center=center, camera_constant=100.0, ellipse=ellipse),
        "mirrored": CalibrationSpec(center=center, camera_constant=100.0, ellipse=(1.12, -40.0)),
    }.items():
        found = ring_profiles(scan.with_calibration(told), inner=20.0)
        profiles[name] = found.pattern(0, 0)[0]
        assert found.metadata["ring_center"] == center
    assert profiles["right"].max() > 0.8
    assert profiles["round"].max() < 0.6
    assert profiles["mirrored"].max() < 0.6
    values = found.axis.values
    assert values[profiles["right"].argmax()] == pytest.approx(2 * np.pi * 0.5, rel=0.01)
