"""The evaluation conditions do what the one table of them says."""

from __future__ import annotations

import pytest
import torch

from napari_spacegroup.config import ebsd_condition
from napari_spacegroup.simulate.detector import (
    GeometryRange,
    apply_condition,
    blur_normalised,
    standardise,
)

NAMES = ("clean", "standard", "hard")


def _ideal(count: int = 64) -> torch.Tensor:
    return standardise(torch.randn(count, 48, 60, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", NAMES)
def test_geometries_stay_in_the_condition(name):
    asked = ebsd_condition(name)
    geometry = GeometryRange.of(name).draw(500, torch.Generator().manual_seed(1))
    assert geometry.shape == asked.pattern_shape
    limits = (asked.pattern_center_x, asked.pattern_center_y, asked.pattern_center_z)
    for column, (low, high) in zip(geometry.pattern_center.T, limits, strict=True):
        assert low <= column.min() < low + 0.02
        assert high - 0.02 < column.max() <= high


@pytest.mark.parametrize("name", NAMES)
def test_noise_and_screen_are_those_of_the_condition(name):
    asked = ebsd_condition(name)
    ideal = _ideal()
    seen, mask = apply_condition(ideal, name, torch.Generator().manual_seed(2))
    added = seen - standardise(blur_normalised(ideal, asked.blur))
    assert (mask is not None) == asked.has_circular_screen
    # Neighbours share the background, so their difference holds the noise alone.
    inner = (added[:, 20:28, 26:34] - added[:, 20:28, 25:33]) / 2**0.5
    assert inner.std().item() == pytest.approx(asked.noise, abs=0.06)
    if mask is not None:
        assert (seen[:, ~mask] == 0).all()
        assert not mask[0, 0]
        assert mask[24, 30]
