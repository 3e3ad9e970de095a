"""The pattern center, found from nickel that the templates do not hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.imaging import InputContract, prepare
from napari_spacegroup.models.pattern_center import (
    detector_center,
    find_pattern_center,
    square_centers,
)

CENTER = (0.44, 0.26, 0.53)


@pytest.fixture(scope="module")
def inputs(nickel_patterns):
    patterns, _ = nickel_patterns(8, (60, 60), CENTER, tilt=4.0)
    return prepare(torch.from_numpy(patterns), InputContract())


@pytest.mark.parametrize("shape", [(60, 60), (60, 80), (81, 60), (1024, 1244)])
def test_the_square_and_back(shape):
    center = np.array([0.42, 0.31, 0.66])
    square = square_centers(center, shape)
    assert square.shape == (1, 3)
    np.testing.assert_allclose(detector_center(square[0], shape).numpy(), center, atol=1e-6)
    several = square_centers(np.stack([center, center + 0.1]), shape)
    torch.testing.assert_close(several[0], square[0])


def test_the_middle_of_a_wide_screen_is_the_middle_of_the_square():
    found = square_centers(np.array([0.5, 0.5, 0.5]), (60, 100))[0]
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 0.5]))
    # The left edge of the square lies 20 of 100 columns from that of the screen.
    assert square_centers(np.array([0.2, 0.5, 0.5]), (60, 100))[0, 0] == pytest.approx(0)


def test_it_is_found_from_nothing(indexer, inputs):
    found = find_pattern_center(indexer, inputs)
    np.testing.assert_allclose(found.center.numpy(), CENTER, atol=0.008)
    assert found.score > 0.3
    assert np.isnan(found.start_score)


def test_a_stated_center_is_refined(indexer, inputs):
    found = find_pattern_center(indexer, inputs, torch.tensor([0.46, 0.24, 0.55]))
    np.testing.assert_allclose(found.center.numpy(), CENTER, atol=0.008)
    assert found.score > found.start_score + 0.05


def test_another_convention_is_found_out(indexer, inputs):
    """Bruker counts y from the top, EDAX from the bottom: the commonest silent error."""
    found = find_pattern_center(indexer, inputs, torch.tensor([0.44, 0.74, 0.53]))
    np.testing.assert_allclose(found.center.numpy(), CENTER, atol=0.008)
    assert found.start_score < 0.2 < found.score
