"""Peaks of profiles: where they are, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.imaging.peaks import find_peaks, peak_wavelengths

ANGLE = np.arange(10.0, 90.0, 0.02)


def curve(peaks, width=0.2, background=80.0, noise=True):
    values = np.full(len(ANGLE), background) + 60 * np.exp(-ANGLE / 20)
    for place, height in peaks:
        values += height * np.exp(-4 * np.log(2) * ((ANGLE - place) / width) ** 2)
    return np.random.default_rng(1).poisson(values).astype(float) if noise else values


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
def test_positions_do_not_depend_on_the_unit(scale):
    truth = [(20.013, 900), (20.4, 300), (35.25, 2000), (61.108, 400)]
    found = find_peaks(ANGLE, scale * curve(truth))
    assert len(found.positions) == 4
    np.testing.assert_allclose(found.positions, [p for p, _ in truth], atol=0.02)
    assert found.heights.max() == 1
    assert found.width == pytest.approx(0.2, abs=0.05)


def test_noise_has_no_peaks():
    assert len(find_peaks(ANGLE, curve([])).positions) <= 1


def test_the_first_ones_are_kept():
    truth = [(15.0 + 2 * n, 500) for n in range(30)]
    found = find_peaks(ANGLE, curve(truth), most=10)
    np.testing.assert_allclose(found.positions, [p for p, _ in truth[:10]], atol=0.02)


def test_the_second_line_of_the_tube_is_no_peak():
    place = 80.0
    second = place + np.degrees(2 * np.tan(np.radians(place / 2)) * 0.00248)
    values = curve([(place, 2000), (second, 1000)], width=0.1)
    assert len(find_peaks(ANGLE, values).positions) == 2
    found = find_peaks(ANGLE, values, is_doublet=True)
    np.testing.assert_allclose(found.positions, [place], atol=0.02)


def test_a_short_profile_has_none():
    assert len(find_peaks(ANGLE[:20], np.ones(20)).positions) == 0


@pytest.mark.parametrize("width", [0.08, 0.16, 0.3])
def test_spacings_do_not_change_with_the_angle(width):
    """Where Kα1 and Kα2 part, peaks stand at Kα1; where not, at their mean."""
    first, second = 1.540598, 1.544426
    mean = (2 * first + second) / 3
    spacings = np.array([4.2, 3.1, 2.41, 1.97, 1.66, 1.43, 1.27, 1.16, 1.12])
    peaks = [
        (np.degrees(2 * np.arcsin(wavelength / (2 * d))), height)
        for d in spacings for wavelength, height in ((first, 4000), (second, 2000))
    ]  # fmt: skip
    found = find_peaks(ANGLE, curve(peaks, width=width), is_doublet=True)
    assert len(found.positions) == len(spacings)
    own = peak_wavelengths(found.positions, found.width, mean)
    angles = np.degrees(2 * np.arcsin(own / (2 * spacings)))
    np.testing.assert_allclose(found.positions, angles, atol=0.02)
    naive = np.degrees(2 * np.arcsin(mean / (2 * spacings)))
    assert np.abs(found.positions - naive).max() > 0.05


def test_a_wavelength_of_no_doublet_stays():
    np.testing.assert_array_equal(peak_wavelengths(np.array([20.0, 80.0]), 0.1, 1.54), [1.54, 1.54])
    np.testing.assert_array_equal(peak_wavelengths(np.array([20.0, 80.0]), 0.1, 0.45), [0.45, 0.45])
