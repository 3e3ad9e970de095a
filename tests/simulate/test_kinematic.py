"""Kinematic master patterns: bands where the planes are, in every crystal system."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.errors import PhaseError
from napari_spacegroup.simulate import KinematicSpec, lambert_directions, simulate_master

SPEC = KinematicSpec(half_size=40, d_min=1.2, minimum_factor=0)


def bands_by_hand(phase, spec: KinematicSpec, intensities) -> np.ndarray:
    """Sum the bands on a Lambert grid, each direction by its angle to each plane."""
    from napari_spacegroup.simulate.kinematic import _halved

    limit = 8
    line = np.arange(-limit, limit + 1)
    hkl = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    g = hkl @ np.linalg.inv(phase.structure_matrix)
    length = np.linalg.norm(g, axis=1)
    keep = (length > 0) & (length <= 1 / spec.d_min)
    hkl, g, length = hkl[keep], g[keep], length[keep]
    volts = spec.voltage * 1e3
    wavelength = 12.2643 / np.sqrt(volts * (1 + 0.978476e-6 * volts))
    k = lambert_directions(2 * spec.half_size)
    total = np.zeros(k.shape[:-1])
    for vector, size, strength in zip(g, length, intensities(hkl, length), strict=True):
        total += strength * (np.abs(k @ (vector / size)) <= wavelength * size / 2)
    return _halved(total)


def structure_factors(phase):
    def modulus(hkl, length):
        # Gaussian atoms will do: what is tested is where the bands are.
        total = np.zeros(len(hkl), complex)
        for site in phase.sites:
            shape = site.atomic_number * np.exp(-(length**2) * (1.5 + site.b_iso / 4))
            total += site.occupancy * shape * np.exp(2j * np.pi * hkl @ np.array(site.position))
        return np.abs(total)

    return modulus


@pytest.mark.parametrize("name", ["Ni", "Ti", "ZrO2", "GaAs"])
def test_bands_are_where_the_planes_are(crystals, name):
    phase = crystals.phase(name)
    ours = simulate_master(phase, SPEC)
    by_hand = bands_by_hand(phase, SPEC, structure_factors(phase))
    found = np.corrcoef(ours.weighted().ravel(), by_hand.ravel())[0, 1]
    turned = np.corrcoef(ours.weighted().ravel(), by_hand[..., ::-1].ravel())[0, 1]
    assert found > 0.95
    if name == "ZrO2":
        assert turned < found - 0.1


@pytest.mark.parametrize("name", ["GaAs", "ZrO2"])
def test_friedel_makes_every_pattern_centric(crystals, name):
    upper, lower = simulate_master(crystals.phase(name), SPEC).weighted()
    assert np.abs(lower - upper[::-1, ::-1]).max() < 1e-3 * upper.std()


def test_strong_bands_alone_are_nearly_the_pattern(crystals):
    phase = crystals.phase("Ni")
    every = simulate_master(phase, SPEC).weighted()
    strong = simulate_master(phase, SPEC.replace(minimum_factor=0.05)).weighted()
    assert np.corrcoef(every.ravel(), strong.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("scattering", ["lobato", "xtables"])
def test_structure_factors_are_those_of_diffsims(crystals, scattering):
    """Without thermal vibration, which diffsims leaves out, and in P1."""
    from diffsims.crystallography import ReciprocalLatticeVector

    from napari_spacegroup.simulate.kinematic import _orix_phase, structure_factors

    phase = crystals.phase("ZrO2").with_b_iso(0.0)
    vectors = ReciprocalLatticeVector.from_min_dspacing(_orix_phase(phase), 1.6)
    vectors.calculate_structure_factor(scattering)
    ours = structure_factors(phase, vectors.hkl, scattering)
    np.testing.assert_allclose(ours, vectors.structure_factor.astype(complex), atol=1e-6)


def test_vibration_and_occupancy_weaken_a_reflection(crystals):
    from dataclasses import replace

    from napari_spacegroup.simulate.kinematic import structure_factors

    still = crystals.phase("Ni").with_b_iso(0.0)
    hkl = np.array([[2, 2, 0]])
    full = structure_factors(still, hkl)
    warm = structure_factors(still.with_b_iso(1.0), hkl)
    assert warm / full == pytest.approx(np.exp(-0.25 * 8 / 3.5236**2))
    half = replace(still, sites=tuple(replace(s, occupancy=0.5) for s in still.sites))
    assert structure_factors(half, hkl) / full == pytest.approx(0.5)


def test_no_planes_is_an_error(crystals):
    tiny = crystals.phase("Ni").scaled(0.1)
    with pytest.raises(PhaseError, match="lower d_min"):
        simulate_master(tiny, SPEC)


def test_no_band_is_lost_between_threads(crystals):
    """kikuchipy sums the bands on several threads that overwrite each other's sums."""
    phase, spec = crystals.phase("Ni"), KinematicSpec(half_size=30, d_min=0.7)
    first = simulate_master(phase, spec).data
    for _ in range(5):
        np.testing.assert_array_equal(simulate_master(phase, spec).data, first)
