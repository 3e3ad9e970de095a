"""The projector against kikuchipy, which is the authority on the geometry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.simulate.projector import (
    DetectorGeometry,
    lambert_coordinates,
    pixel_directions,
    project,
    random_quaternions,
    rotation_matrices,
)

GEOMETRIES = [
    # shape, pattern center, sample tilt, detector tilt, azimuthal, twist
    ((45, 60), (0.42, 0.21, 0.50), 70.0, 5.0, 0.0, 0.0),
    ((60, 40), (0.10, 0.90, 0.70), 65.0, -8.0, 4.0, 3.0),
    ((48, 64), (0.90, 0.10, 0.45), 71.0, 10.0, -6.0, -4.0),
    ((33, 51), (0.05, 0.05, 0.40), 70.0, 0.0, 12.0, 0.0),
    ((51, 33), (0.95, 0.95, 0.90), 60.0, 20.0, 0.0, 7.0),
]


def _off_axis_quaternions(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    quaternions = rng.normal(size=(count, 4))
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def nickel():
    """EMsoft's nickel master pattern at 20 kV, which kikuchipy ships."""
    kp = pytest.importorskip("kikuchipy")
    return kp.data.nickel_ebsd_master_pattern_small(projection="lambert", hemisphere="both")


def _sheets(master) -> torch.Tensor:
    return torch.tensor(master.data.astype(np.float32))[None]


@pytest.mark.parametrize(("shape", "center", "sigma", "theta", "omega", "gamma"), GEOMETRIES)
def test_patterns_agree_with_kikuchipy(nickel, shape, center, sigma, theta, omega, gamma):
    import kikuchipy as kp
    from orix.quaternion import Rotation

    quaternions = _off_axis_quaternions(6)
    detector = kp.detectors.EBSDDetector(
        shape=shape, pc=center, sample_tilt=sigma, tilt=theta, azimuthal=omega, twist=gamma
    )
    expected = nickel.get_patterns(
        Rotation(quaternions), detector, energy=20, dtype_out="float32", compute=True,
        show_progressbar=False,
    ).data  # fmt: skip
    geometry = DetectorGeometry.fixed(
        shape, center, sample_tilt=sigma, detector_tilt=theta, azimuthal=omega, twist=gamma,
        count=6,
    )  # fmt: skip
    drawn = project(_sheets(nickel), geometry, torch.tensor(quaternions, dtype=torch.float32))
    assert drawn.shape == (6, *shape)
    for ours, theirs in zip(drawn.numpy(), expected, strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9999


def test_a_swapped_pattern_center_would_be_seen(nickel):
    """The comparison above can fail: the smallest wrong convention is far below 0.9999."""
    rotations = torch.tensor(_off_axis_quaternions(4), dtype=torch.float32)

    def draw(center):
        geometry = DetectorGeometry.fixed((45, 60), center, count=4)
        return project(_sheets(nickel), geometry, rotations).flatten(1)

    right = draw((0.42, 0.21, 0.5))
    for wrong in ((0.42, 0.79, 0.5), (0.58, 0.21, 0.5), (0.42, 0.21, 0.6)):
        for a, b in zip(right, draw(wrong), strict=True):
            assert np.corrcoef(a, b)[0, 1] < 0.9


def test_one_hemisphere_serves_a_crystal_with_an_inversion_center(nickel):
    both = _sheets(nickel)
    rotations = torch.tensor(_off_axis_quaternions(5), dtype=torch.float32)
    geometry = DetectorGeometry.fixed((40, 50), (0.45, 0.3, 0.55), count=5)
    full, half = project(both, geometry, rotations), project(both[:, :1], geometry, rotations)
    assert torch.allclose(full, half, atol=1e-2 * float(both.max()))


def test_each_pattern_can_have_its_own_master():
    masters = torch.stack([torch.full((1, 9, 9), value) for value in (1.0, 2.0, 3.0)])
    geometry = DetectorGeometry.fixed((5, 7), (0.5, 0.5, 0.6), count=3)
    quaternions = random_quaternions(3, torch.Generator().manual_seed(0))
    drawn = project(masters, geometry, quaternions)
    assert torch.allclose(drawn.mean(dim=(1, 2)), torch.tensor([1.0, 2.0, 3.0]))


def test_rotations_compose():
    generator = torch.Generator().manual_seed(1)
    a, b = rotation_matrices(random_quaternions(2, generator).double())
    assert torch.allclose(a @ a.T, torch.eye(3, dtype=torch.float64), atol=1e-6)
    assert torch.linalg.det(a @ b).item() == pytest.approx(1.0)


def test_random_rotations_are_uniform():
    """On SO(3) a rotated axis is uniform on the sphere, and the mean matrix vanishes."""
    matrices = rotation_matrices(random_quaternions(20_000, torch.Generator().manual_seed(2)))
    assert matrices.mean(0).abs().max() < 0.02
    assert matrices[:, 2, 2].square().mean().item() == pytest.approx(1 / 3, abs=0.01)


def test_lambert_coordinates_keep_precision_at_the_pole():
    angle = torch.tensor([1e-3, 1e-4, 1e-5])
    x, y, z = torch.sin(angle), torch.zeros(3), torch.cos(angle)
    column, row = lambert_coordinates(x, y, z)
    expected = torch.sqrt(2 * torch.sin(angle.double() / 2) ** 2)
    assert torch.allclose(column.double(), expected, rtol=1e-5)
    assert torch.all(row == 0)


def test_the_pattern_center_looks_along_the_detector_normal():
    geometry = DetectorGeometry.fixed((41, 61), (0.5, 0.5, 0.7))
    x, y, z = pixel_directions(geometry, torch.tensor([[1.0, 0, 0, 0]]))
    centre = torch.stack([x, y, z])[:, 0, 20, 30]
    # Sample tilted by 70 degrees, upright screen: the normals of both are 20 degrees apart.
    expected = torch.tensor([np.sin(np.deg2rad(20)), 0.0, np.cos(np.deg2rad(20))]).float()
    assert torch.allclose(centre.abs(), expected.abs(), atol=1e-5)
