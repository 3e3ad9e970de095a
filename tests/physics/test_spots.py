"""Spot patterns against diffsims, on crystals without high symmetry in odd orientations.

diffsims knows no anisotropic or isotropic displacement here, so the Debye-Waller factors are
set to zero on both sides. Extinction distances are held against a textbook's table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_spacegroup.crystal import AtomSite, Phase, library_phase
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spots import (
    Beam,
    ReflectionBatch,
    electron_wavelength,
    excite,
    extinction_distance,
)

CIFS = Path(__file__).parents[1] / "data" / "cif"
ORIENTATIONS = [(0.0, 0.0, 0.0), (33.0, 71.0, 205.0), (310.5, 12.25, 47.0), (101.0, 133.0, 9.0)]


def triclinic() -> Phase:
    return Phase(
        "triclinic", 1, (5.1, 6.3, 7.7, 81.0, 98.0, 107.0),
        (AtomSite("Na", (0.11, 0.23, 0.37)), AtomSite("Cl", (0.62, 0.71, 0.55)),
         AtomSite("Pb", (0.33, 0.9, 0.8))),
    )  # fmt: skip


def crystal(name: str) -> Phase:
    phase = triclinic() if name == "triclinic" else Phase.from_cif(CIFS / f"{name}.cif")
    return phase.standardized().with_b_iso(0.0)


def theirs(phase: Phase, euler, voltage, width, precession, shape, approximate, g_max):
    """Return hkl, xy and intensities of diffsims, without the direct beam."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation

    from napari_spacegroup.simulate.kinematic import _orix_phase

    generator = SimulationGenerator(
        voltage, precession_angle=precession, shape_factor_model=shape,
        approximate_precession=approximate, minimum_intensity=0.0,
    )  # fmt: skip
    found = generator.calculate_diffraction2d(
        _orix_phase(phase), Rotation.from_euler(euler, degrees=True),
        reciprocal_radius=g_max, max_excitation_error=width, with_direct_beam=False,
    )  # fmt: skip
    vectors = found.coordinates
    return vectors.data, np.asarray(vectors.intensity)


@pytest.mark.parametrize("name", ["triclinic", "monoclinic_p21n", "quartz_levien"])
@pytest.mark.parametrize("euler", ORIENTATIONS)
@pytest.mark.parametrize(
    ("voltage", "width", "precession", "shape", "approximate"),
    [
        (200.0, 0.02, 0.0, "lorentzian", True),
        (80.0, 0.03, 0.0, "linear", True),
        (300.0, 0.02, 0.0, "sin2c", True),
        (120.0, 0.01, 1.2, "lorentzian", True),
    ],
)
def test_positions_and_intensities_are_those_of_diffsims(
    name, euler, voltage, width, precession, shape, approximate
):
    from orix.quaternion import Rotation

    phase = crystal(name)
    g_max = 1.1
    expected, strength = theirs(phase, euler, voltage, width, precession, shape, approximate, g_max)
    ours = simulate_reflections(phase, g_max)
    quaternion = torch.tensor(Rotation.from_euler(euler, degrees=True).data)
    beam = Beam.fixed(1, voltage=voltage, width=width, precession=precession, shape_factor=shape,
                      is_approximate=approximate)  # fmt: skip
    spots = excite(ReflectionBatch.of([ours]), quaternion, beam)
    found = spots.position.numpy()
    intensity = spots.intensity.numpy()
    # What carries no intensity may be listed or not.
    bright = strength > 1e-6 * strength.max()
    assert bright.sum() > 5
    distance = np.linalg.norm(expected[bright][:, None, :2] - found[None], axis=2)
    # Two reflections of one relrod fall on one place: the nearest of like intensity counts.
    relative = np.abs(strength[bright][:, None] - intensity) / strength.max()
    assert (np.where(relative < 1e-4, distance, np.inf).min(axis=1) < 1e-4).all()
    # On oblique axes orix's box of indices is too small (0.15, ``get_highest_hkl``: it asks
    # how far each axis reaches, not how far the sphere does); nothing else may be ours alone.
    within = np.abs(ours.hkl) * np.linalg.norm(np.linalg.inv(phase.structure_matrix), axis=1)
    in_box = (within <= g_max).all(axis=1)[spots.reflection.numpy()]
    assert abs(intensity[in_box].sum() / strength.sum() - 1) < 1e-4


def test_precession_by_average_is_that_of_diffsims():
    from orix.quaternion import Rotation

    phase = crystal("quartz_levien")
    euler = ORIENTATIONS[1]
    expected, strength = theirs(phase, euler, 200.0, 0.02, 0.7, "lorentzian", False, 0.8)
    quaternion = torch.tensor(Rotation.from_euler(euler, degrees=True).data)
    beam = Beam.fixed(1, width=0.02, precession=0.7, is_approximate=False)
    spots = excite(ReflectionBatch.of([simulate_reflections(phase, 0.8)]), quaternion, beam)
    assert len(spots.intensity) >= (strength > 1e-9).sum() > 5
    np.testing.assert_allclose(spots.intensity.sum().item(), strength.sum(), rtol=1e-4)
    order = np.argsort(strength)[::-1][:5]
    top = spots.intensity.numpy()
    assert np.abs(np.sort(top)[::-1][:5] - strength[order]).max() < 1e-4 * strength.max()
    assert expected.shape[1] == 3


def test_a_wrong_sense_of_rotation_would_be_seen():
    """The inverse rotation gives other spots: the test above can fail."""
    from orix.quaternion import Rotation

    phase = crystal("monoclinic_p21n")
    expected, strength = theirs(phase, ORIENTATIONS[1], 200.0, 0.02, 0.0, "lorentzian", True, 1.1)
    inverse = torch.tensor((~Rotation.from_euler(ORIENTATIONS[1], degrees=True)).data)
    beam = Beam.fixed(1, width=0.02)
    spots = excite(ReflectionBatch.of([simulate_reflections(phase, 1.1)]), inverse, beam)
    distance = np.linalg.norm(expected[:, None, :2] - spots.position.numpy()[None], axis=2)
    assert np.median(distance.min(axis=1)[strength > 0.01 * strength.max()]) > 0.01


@pytest.mark.parametrize(("voltage", "angstrom"), [(100, 0.0370), (200, 0.0251), (300, 0.0197)])
def test_wavelengths_are_those_of_the_table(voltage, angstrom):
    """Williams & Carter (2009), table 1.2, relativistic wavelengths."""
    assert float(electron_wavelength(float(voltage))) == pytest.approx(angstrom, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "hkl", "nanometres"),
    [("Al", (1, 1, 1), 56.3), ("Al", (2, 0, 0), 68.5), ("Cu", (1, 1, 1), 28.6),
     ("Si", (1, 1, 1), 60.2), ("Au", (1, 1, 1), 18.3)],
)  # fmt: skip
def test_extinction_distances_are_those_of_the_table(name, hkl, nanometres):
    """Williams & Carter (2009), table 13.2, two-beam, 100 kV; other scattering factors."""
    reflections = simulate_reflections(library_phase(name), 1.0)
    row = int(np.flatnonzero((reflections.hkl == hkl).all(axis=1))[0])
    found = extinction_distance(
        torch.tensor(reflections.factor[row]),
        torch.tensor(float(np.sum(reflections.g[row] ** 2))),
        torch.tensor(reflections.volume),
        torch.tensor(100.0, dtype=torch.float64),
    )
    assert float(found) / 10 == pytest.approx(nanometres, rel=0.1)
