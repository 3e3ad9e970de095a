"""Profiles on the network's grid: counts are kept, backgrounds go, refusals say why."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.errors import ModelError
from napari_spacegroup.imaging import ProfileAxis, ProfileContract, prepare_inputs
from napari_spacegroup.imaging.profiles import resample

CONTRACT = ProfileContract()


def _peaks(angle, centres, width=0.1, height=100.0):
    return sum(height * np.exp(-0.5 * ((angle - c) / width) ** 2) for c in centres)


def test_angles_become_q_by_braggs_law():
    # Si 111 at Cu Kα1: 28.443 degrees (NIST SRM 640), d = 3.1356 Å.
    axis = ProfileAxis(np.array([20.0, 28.443, 60.0]), wavelength=1.540598)
    assert 2 * np.pi / axis.q()[1] == pytest.approx(3.1356, abs=2e-4)


def test_the_cell_means_are_the_exact_integral_of_the_measured_line():
    q = np.sort(np.random.default_rng(0).uniform(0.5, 6.0, 4000))
    profile = np.cumsum(np.random.default_rng(1).normal(size=4000))
    values, inside = resample(torch.tensor(profile)[None], q, CONTRACT)
    edges = CONTRACT.edges()
    chosen = np.flatnonzero(inside.numpy())[5:-5:97]
    fine = [np.linspace(edges[j], edges[j + 1], 4001) for j in chosen]
    wanted = [np.trapezoid(np.interp(x, q, profile), x) / (x[-1] - x[0]) for x in fine]
    np.testing.assert_allclose(values[0, chosen], wanted, atol=2e-3)


@pytest.mark.parametrize("kind", ["two_theta", "q", "d"])
def test_one_profile_is_the_same_on_every_axis(kind):
    angle = np.arange(10.0, 90.0, 0.02)
    profile = _peaks(angle, [20.0, 33.0, 47.0, 71.0]) + 5
    axis = ProfileAxis(angle, wavelength=1.5)
    q = axis.q()
    other = {"two_theta": axis, "q": ProfileAxis(q, "q"), "d": ProfileAxis(2 * np.pi / q, "d")}
    patterns = torch.tensor(profile)[None, None]
    wanted = prepare_inputs(patterns, CONTRACT, axis=axis)
    found = prepare_inputs(patterns, CONTRACT, axis=other[kind])
    assert found.shape == (1, 1, 1, CONTRACT.points)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_a_sloping_background_and_a_hump_go_and_peaks_stay():
    angle = np.arange(6.0, 90.0, 0.02)
    peaks = _peaks(angle, [20.0, 33.0, 47.0, 71.0])
    hump = 40 * np.exp(-0.5 * ((angle - 25) / 8) ** 2) + 0.3 * (90 - angle)
    axis = ProfileAxis(angle, wavelength=1.54184)
    both = torch.tensor(np.stack([peaks, peaks + hump]))[:, None]
    clean, found = prepare_inputs(both, CONTRACT, axis=axis)[:, 0, 0]
    strong = clean > 0.7
    assert strong.sum() > 8
    assert (clean - found)[strong].abs().max() < 0.05
    assert found[~strong].quantile(0.5) < 0.1


def test_points_that_were_not_measured_are_marked():
    axis = ProfileAxis(np.arange(20.0, 60.0, 0.02), wavelength=1.54184)
    inputs = prepare_inputs(torch.rand(2, 1, 2000), CONTRACT, axis=axis)
    outside = (CONTRACT.q() < axis.q()[0]) | (CONTRACT.q() > axis.q()[-1])
    assert (inputs[..., outside] == CONTRACT.outside).all()
    assert (inputs[..., ~outside] >= 0).all()


def test_what_is_refused():
    profile = torch.rand(1, 1, 500)
    angle = np.linspace(5, 80, 500)
    with pytest.raises(ModelError, match="needs its axis"):
        prepare_inputs(profile, CONTRACT)
    with pytest.raises(ModelError, match="wavelength"):
        prepare_inputs(profile, CONTRACT, axis=ProfileAxis(angle))
    with pytest.raises(ModelError, match="rise or fall"):
        ProfileAxis(np.array([1.0, 3.0, 2.0]))
    with pytest.raises(ModelError, match="covers q"):
        prepare_inputs(profile, CONTRACT, axis=ProfileAxis(angle / 60, wavelength=1.54))
    with pytest.raises(ModelError, match="neutrons"):
        prepare_inputs(profile, CONTRACT, axis=ProfileAxis(angle, "two_theta", 1.5, "neutron"))
    with pytest.raises(ModelError, match="one value for each column"):
        prepare_inputs(profile, CONTRACT, axis=ProfileAxis(angle[:-1], wavelength=1.5))
