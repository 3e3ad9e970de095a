"""Ring patterns to profiles: center, radii, laziness, and measured gold."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import napari_spacegroup as nsg
from napari_spacegroup.errors import MissingPartError, ScanError
from napari_spacegroup.patterns import PatternScan, find_ring_center, ring_profiles

pytest.importorskip("pyFAI", reason="pyFAI is not installed")

SHAPE, CENTER = (190, 244), (131.3, 84.6)
CONSTANT = 100.0
RADII = {30.0: 1.0, 49.0: 0.6, 57.5: 0.5, 76.0: 0.2}


def rings(shape=SHAPE, center=CENTER, *, beam=20.0, noise=0.02, seed=0):
    down, across = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(across - center[0], down - center[1])
    image = beam * np.exp(-0.5 * (radius / 4) ** 2) + 2.0 * np.exp(-radius / 25)
    for place, height in RADII.items():
        image = image + height * np.exp(-0.5 * ((radius - place) / 1.2) ** 2)
    return image + noise * np.random.default_rng(seed).normal(size=shape)


def peaks(profile, axis):
    from scipy.signal import find_peaks

    found, _ = find_peaks(profile, prominence=0.1)
    return axis.values[found]


@pytest.mark.parametrize(("shape", "center"), [(SHAPE, CENTER), ((200, 200), (92.0, 110.4))])
def test_the_center_is_found_off_the_middle(shape, center):
    assert find_ring_center(rings(shape, center)) == pytest.approx(center, abs=0.4)


def test_a_masked_beam_stop_does_not_move_the_center():
    image, mask = rings(), np.ones(SHAPE, bool)
    mask[76:92, :140] = False
    image[~mask] = 0
    assert find_ring_center(image, mask) == pytest.approx(CENTER, abs=0.4)


def test_rings_stand_at_their_q():
    scan = PatternScan.from_array(rings()[None])
    profiles = ring_profiles(scan, camera_constant=CONSTANT)
    assert profiles.technique == "powder"
    assert profiles.axis.kind == "q"
    found = peaks(profiles.pattern(0, 0)[0], profiles.axis)
    expected = 2 * np.pi * np.array(sorted(RADII)) / CONSTANT
    assert found == pytest.approx(expected, abs=2 * np.pi * 0.8 / CONSTANT)
    assert profiles.axis.values[0] > 2 * np.pi * 8 / CONSTANT  # behind the beam


def test_mean_counts_do_not_depend_on_how_much_of_a_ring_is_seen():
    flat = PatternScan.from_array(np.full((1, *SHAPE), 7.0) + 1e-3 * rings()[None])
    profile = ring_profiles(flat, camera_constant=CONSTANT, center=CENTER).pattern(0, 0)
    assert profile == pytest.approx(7.0, abs=0.02)


def test_a_map_is_integrated_when_it_is_read():
    frames = np.stack([rings(seed=i) * (i + 1) for i in range(6)]).reshape(2, 3, *SHAPE)
    scan = PatternScan.from_array(frames.astype(np.float32))
    profiles = ring_profiles(scan, camera_constant=CONSTANT, center=CENTER, columns=64)
    assert profiles.scan_shape == (2, 3)
    assert profiles.pattern_shape == (1, 64)
    whole = profiles.data.compute()
    assert whole[1, 2, 0] == pytest.approx(profiles.pattern(1, 2)[0])
    assert whole.mean((2, 3)).ravel() == pytest.approx(
        whole[0, 0].mean() * np.arange(1, 7), rel=0.01
    )
    sent = pickle.loads(pickle.dumps(profiles.source))
    np.testing.assert_array_equal(sent.read(0, 6), profiles.source.read(0, 6))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"camera_constant": 0.0}, "camera constant of 0"),
        ({"camera_constant": float("nan")}, "camera constant of nan"),
        ({"camera_constant": 90.0, "inner": 500.0}, "the rings end at"),
    ],
)
def test_impossible_numbers_are_refused(options, words):
    with pytest.raises(ScanError, match=words):
        ring_profiles(PatternScan.from_array(rings()[None]), **options)


def test_a_constant_pattern_has_no_center():
    with pytest.raises(ScanError, match="constant"):
        find_ring_center(np.ones((40, 50)))


def test_without_pyfai_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyFAI.integrator.azimuthal", None)
    profiles = ring_profiles(PatternScan.from_array(rings()[None]), camera_constant=CONSTANT)
    with pytest.raises(MissingPartError, match=r"napari-spacegroup\[rings\]"):
        profiles.pattern(0, 0)


def test_measured_gold_has_the_spacings_of_gold(shared_data):
    """Gold on a cross grating, d(111) 2.355 Å at 42 pixels by its source."""
    scan = nsg.read(shared_data / "sad" / "au_rings_pyxem" / "au_xgrating_20cm.tif")
    profiles = ring_profiles(scan, camera_constant=42 * 2.355)
    center = profiles.metadata["ring_center"]
    assert center == pytest.approx((127.3, 127.7), abs=0.5)
    profile = profiles.pattern(0, 0)[0]
    from scipy.signal import find_peaks

    found, _ = find_peaks(profile, prominence=0.01 * profile.max())
    spacings = 2 * np.pi / profiles.axis.values[found][:3]
    # Broad rings: 111 with 200, 220, 311 with 222.
    assert spacings == pytest.approx(4.078 / np.sqrt([3, 8, 11]), rel=0.02)
