"""The orientation search, on a crystal that its templates do not hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.imaging import InputContract, prepare
from napari_spacegroup.models.indexing import (
    CubicIndexer,
    cubic_zone_rotations,
    misorientation,
    quaternion_matrices,
    uniform_rotations,
)
from napari_spacegroup.models.pattern_center import square_centers


def random_rotations(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    quaternions = torch.randn(count, 4, generator=generator)
    return quaternion_matrices(quaternions / quaternions.norm(dim=1, keepdim=True))


def test_misorientation_is_that_of_orix():
    from orix.quaternion import Orientation, Rotation
    from orix.quaternion.symmetry import Oh

    first, second = random_rotations(40), random_rotations(80)[40:]
    expected = Orientation(Rotation.from_matrix(first.numpy()), symmetry=Oh).angle_with(
        Orientation(Rotation.from_matrix(second.numpy()), symmetry=Oh), degrees=True
    )
    np.testing.assert_allclose(misorientation(first, second).numpy(), expected, atol=0.05)


def test_the_grid_leaves_no_orientation_out():
    grid = cubic_zone_rotations()
    assert len(grid) == pytest.approx(158_000 / 24, rel=0.02)
    distance = [
        misorientation(rotation.expand(len(grid), 3, 3), grid).min()
        for rotation in random_rotations(40)
    ]
    assert max(distance) < 4


def test_rotations_are_uniform():
    quaternions = uniform_rotations(5000)
    torch.testing.assert_close(quaternions.norm(dim=1), torch.ones(5000))
    # The second moment of a uniform distribution on the sphere is a quarter of the identity.
    moment = quaternions.T @ quaternions / 5000
    torch.testing.assert_close(moment, torch.eye(4) / 4, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("shape", "center", "tilt"),
    [
        ((60, 60), (0.5, 0.3, 0.6), 0.0),
        ((60, 80), (0.42, 0.21, 0.50), 5.0),
        ((80, 60), (0.55, 0.40, 0.45), 10.0),
    ],
)
def test_nickel_is_oriented_without_being_known(indexer, nickel_patterns, shape, center, tilt):
    patterns, truth = nickel_patterns(12, shape, center, tilt=tilt)
    inputs = prepare(torch.from_numpy(patterns), InputContract())
    centers = square_centers(np.array(center), shape).expand(12, 3)
    rotations, scores = indexer.index(inputs, centers)
    angle = misorientation(rotations, truth)
    assert (angle < 0.7).sum() >= 11
    assert scores[angle < 0.7].min() > 0.2
    determinant = torch.linalg.det(rotations)
    torch.testing.assert_close(determinant, torch.ones(12), atol=1e-4, rtol=0)


def test_an_answer_does_not_depend_on_its_neighbours(indexer, nickel_patterns):
    patterns, _ = nickel_patterns(40, (60, 60), (0.5, 0.3, 0.6))
    inputs = prepare(torch.from_numpy(patterns), InputContract())
    centers = torch.tensor([[0.5, 0.3, 0.6]]).expand(40, 3)
    rotations, scores = indexer.index(inputs, centers)
    alone, score = indexer.index(inputs[35:37], centers[:2])
    assert misorientation(alone, rotations[35:37]).max() < 0.1
    torch.testing.assert_close(score, scores[35:37], atol=1e-3, rtol=0)


def test_noise_has_a_low_score(indexer):
    noise = torch.randn(4, 60, 60, generator=torch.Generator().manual_seed(0))
    inputs = prepare(noise, InputContract())
    _, scores = indexer.index(inputs, torch.tensor([[0.5, 0.3, 0.6]]).expand(4, 3))
    assert scores.max() < 0.2


def test_few_templates_do_as_far_as_they_go(templates, nickel_patterns):
    patterns, truth = nickel_patterns(6, (60, 60), (0.5, 0.3, 0.6), noise=0.2)
    search = CubicIndexer(templates[:4])
    inputs = prepare(torch.from_numpy(patterns), InputContract())
    rotations, _ = search.index(inputs, torch.tensor([[0.5, 0.3, 0.6]]).expand(6, 3))
    assert (misorientation(rotations, truth) < 1).sum() >= 5
