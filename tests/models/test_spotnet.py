"""Indexing of cubic spot patterns and what is read from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.imaging import prepare_spots
from napari_spacegroup.infer.measure import measure_pattern, near_axis
from napari_spacegroup.infer.tilt import cubic_misorientation
from napari_spacegroup.models import SpotNet, build
from napari_spacegroup.models.spotnet import CONDITIONS, _reflections, family_count, fold
from napari_spacegroup.simulate import Beam, ReflectionBatch, SpotCamera, draw_spots, excite
from napari_spacegroup.simulate.reflections import simulate_reflections


def pattern(name: str, orientation: Rotation, rim: float = 1.0, width: float = 0.015):
    """Return a clean picture; ``orientation`` turns the picture's frame into the crystal's."""
    x, y, z, w = orientation.as_quat()
    quaternion = torch.tensor([[w, x, y, z]], dtype=torch.float32)
    beam = Beam.fixed(1, width=width, cutoff=2.5 * width, shape_factor="gaussian", precession=0.8)
    crystal = simulate_reflections(library_phase(name), 1.3)
    spots = excite(ReflectionBatch.of([crystal]), quaternion, beam)
    camera = SpotCamera.fixed(1, camera_constant=128 / rim, center=(0.52, 0.47))
    images = draw_spots(spots, camera, spots.intensity**0.5)
    glow = SpotCamera.fixed(1, camera_constant=1.0, center=(0.52, 0.47), spot_radius=3.0)
    beam_spot = type(spots)(*(v[:1] for v in (spots.pattern, 0 * spots.position, spots.excitation,
                                              spots.intensity, spots.reflection)), 1)  # fmt: skip
    return images + draw_spots(beam_spot, glow, 200 * images.max() * torch.ones(1))


@pytest.mark.parametrize("name", ["NaCl", "Si", "Fe"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_orientation_and_cell_are_found(name, seed):
    """Within the cubic group, and the turn by 180 degrees that hardly shows."""
    tilt = Rotation.from_euler("xyz", np.random.default_rng(seed).uniform(-2, 2, 3), degrees=True)
    along = Rotation.align_vectors([[1, 1, 2]], [[0, 0, 1]])[0]
    orientation = along * tilt
    image = pattern(name, orientation)
    found = measure_pattern(image[0].numpy(), camera_constant=128.0)
    assert found.rotation is not None
    truth = orientation.as_matrix()
    errors = [cubic_misorientation(found.rotation, turn @ truth.T)
              for turn in (np.eye(3), np.diag([-1.0, -1.0, 1.0]))]  # fmt: skip
    # The sparsest lattice can be another one than the crystal's, turned and scaled.
    ratio = found.lattice_parameter / library_phase(name).lattice[0]
    assert min(errors) < 3.0 or ratio < 0.9
    np.testing.assert_allclose(found.center, (0.52 * 256 - 0.5, 0.47 * 256 - 0.5), atol=1.0)


def test_the_cell_of_iron_from_its_scale():
    found = measure_pattern(pattern("Fe", Rotation.identity())[0].numpy(), camera_constant=128.0)
    # Along [001] of b.c.c. iron 110 and 200 show: a square net of a/√2.
    assert found.lattice_parameter == pytest.approx(2.866 / np.sqrt(2), rel=0.01)
    assert found.axis == ((0, 0, 1), pytest.approx(0, abs=2.0)) or found.axis[0] in {
        (0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)}  # fmt: skip
    np.testing.assert_allclose(np.sort(found.spacings)[::-1][:4], 2.866 / np.sqrt(2), rtol=0.02)


def test_nothing_is_indexed_on_noise():
    noise = np.random.default_rng(0).normal(size=(200, 200))
    assert measure_pattern(noise).rotation is None


def test_both_settings_hold_the_same_for_m3m_and_not_for_m3():
    """Exchanging k and l maps each kind 0kl and hhl onto one of its setting."""
    hkl, kinds, families = _reflections()
    swapped = hkl[:, [0, 2, 1]]
    codes = {tuple(row): i for i, row in enumerate(hkl.tolist())}
    partner = [codes[tuple(row)] for row in swapped.tolist()]
    assert (kinds[0][partner] == kinds[1]).all()
    assert (families[0][partner] == families[1]).all()
    assert families.max() + 1 == family_count()
    assert kinds.max() < CONDITIONS


def test_rotating_a_pattern_by_a_right_angle_changes_nothing():
    image = pattern("NaCl", Rotation.from_euler("xyz", [3.0, 1.0, 20.0], degrees=True))
    one = fold(prepare_spots(image)).features
    other = fold(prepare_spots(torch.rot90(image, 1, (1, 2)))).features
    # Which of the two settings comes first is arbitrary.
    same = min((one - other).abs().mean(), (one - other.flip(1)).abs().mean())
    assert same < 0.1 * one.abs().mean()


def test_the_network_takes_lists_of_spots():
    network = build("spotnet", 4, width=16)
    assert isinstance(network, SpotNet)
    network.eval()
    with torch.inference_mode():
        logits = network(prepare_spots(pattern("Si", Rotation.identity())))
    assert logits.shape == (1, 4)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, -1, 2), (3, 1, 0)])
def test_an_axis_is_named(axis):
    found = near_axis(np.array(axis, float))
    assert found is not None
    assert found[0] == axis
    assert found[1] == pytest.approx(0, abs=1e-5)
