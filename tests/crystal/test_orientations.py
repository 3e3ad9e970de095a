"""Orientations: uniform on SO(3), and one per fundamental zone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import (
    fundamental_zone_orientations,
    random_orientations,
    rotation_matrices,
)
from napari_spacegroup.crystal.orientations import proper_rotations
from napari_spacegroup.crystal.symmetry import standard_setting
from napari_spacegroup.errors import PhaseError


def test_same_seed_same_orientations():
    first = random_orientations(5, np.random.default_rng(3))
    second = random_orientations(5, np.random.default_rng(3))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0)
    assert (first[:, 0] >= 0).all()


def test_uniform_on_so3():
    """The rotation angle has the density (1 - cos ω)/π; images of z fill the sphere."""
    orientations = random_orientations(40_000, np.random.default_rng(0))
    angles = 2 * np.arccos(orientations[:, 0])
    grid = np.linspace(0.1, np.pi - 0.1, 20)
    measured = (angles[:, None] < grid).mean(axis=0)
    np.testing.assert_allclose(measured, (grid - np.sin(grid)) / np.pi, atol=0.012)
    images = rotation_matrices(orientations)[:, :, 2]
    np.testing.assert_allclose(images.mean(axis=0), 0.0, atol=0.012)
    np.testing.assert_allclose(images.T @ images / len(images), np.eye(3) / 3, atol=0.012)


def test_matrices_rotate_and_agree_with_scipy():
    from scipy.spatial.transform import Rotation

    orientations = random_orientations(50, np.random.default_rng(1))
    theirs = Rotation.from_quat(orientations, scalar_first=True).as_matrix()
    np.testing.assert_allclose(rotation_matrices(orientations), theirs, atol=1e-12)


@pytest.mark.parametrize("number", [1, 6, 62, 115, 149, 150, 187, 194, 216, 225])
def test_fundamental_zone_is_one_share_of_all_orientations(number):
    """Its share of a uniform grid is one by the number of the group's own rotations."""
    rotations = proper_rotations(number)
    whole = fundamental_zone_orientations(1, 12.0)
    zone = fundamental_zone_orientations(number, 12.0)
    assert len(zone) == pytest.approx(len(whole) / len(rotations), rel=0.12)
    products = rotation_matrices(zone)[:, None] @ rotations
    traces = np.trace(products, axis1=2, axis2=3)
    identity = np.trace(rotation_matrices(zone), axis1=1, axis2=2)
    assert (identity >= traces.max(axis=1) - 1e-6).all()


def test_cubic_zone_ends_at_its_corners():
    """No angle exceeds 62.8 degrees, Mackenzie's limit (1958)."""
    zone = fundamental_zone_orientations(225, 6.0)
    assert 54.0 < np.degrees(2 * np.arccos(zone[:, 0])).max() < 62.81


@pytest.mark.parametrize("number", range(1, 231, 7))
def test_proper_rotations_are_those_of_the_operators(number):
    rotations = proper_rotations(number)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    products = rotations @ np.swapaxes(rotations, 1, 2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-12)
    proper = [op for op in standard_setting(number).operations().sym_ops if op.det_rot() > 0]
    assert len(rotations) == len(proper)


def test_twofold_axes_of_312_and_321_differ():
    """In 321 a two-fold axis lies along a, in 312 it does not."""
    along_a = np.diag([1.0, -1.0, -1.0])
    assert np.abs(proper_rotations(150) - along_a).max(axis=(1, 2)).min() < 1e-9
    assert np.abs(proper_rotations(149) - along_a).max(axis=(1, 2)).min() > 0.1


def test_refusals():
    with pytest.raises(ValueError, match="0 or more"):
        random_orientations(-1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="above 0"):
        fundamental_zone_orientations(225, 0.0)
    with pytest.raises(PhaseError, match="1 to 230"):
        fundamental_zone_orientations(300, 5.0)
