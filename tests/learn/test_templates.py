"""Folded master patterns and the templates made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.templates import cubic_templates, fold_masters
from napari_spacegroup.models.sector import sample_sector


@pytest.fixture(scope="module")
def masters(repository: Path) -> MasterSet:
    return MasterSet.load(repository / "recipes" / "ebsd-cubic" / "sets" / "k18.npz")


def test_a_folded_master_draws_the_same_patterns(masters):
    from napari_spacegroup.simulate.projector import (
        DetectorGeometry,
        pixel_directions,
        project,
        random_quaternions,
    )

    few = masters.patterns[:3]
    geometry = DetectorGeometry.fixed((50, 50), (0.45, 0.3, 0.6), count=3)
    rotations = random_quaternions(3, torch.Generator().manual_seed(2))
    expected = project(few.float(), geometry, rotations).flatten(1)
    rays = torch.stack(pixel_directions(geometry, rotations), -1).flatten(1, 2)
    drawn = sample_sector(fold_masters(few, 96)[:, None], rays)[:, 0]
    for one, other in zip(drawn, expected, strict=True):
        # The grid holds aliased fine lines, which the mean over 48 operations smooths.
        assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.9
    swapped = sample_sector(fold_masters(few, 96)[:, None], rays.flip(-1))[:, 0]
    torch.testing.assert_close(swapped, drawn, atol=1e-4, rtol=0)
    mirrored = sample_sector(fold_masters(few, 96)[:, None], rays + 0.1)[:, 0]
    assert torch.corrcoef(torch.stack([mirrored[0], expected[0]]))[0, 1] < 0.6


def test_templates_explain_most_of_what_they_are_made_of(masters):
    weights = torch.ones(len(masters))
    whole = cubic_templates(masters.patterns, weights, 14, 24, InputContract())
    assert whole.shape == (14, 24, 24)
    strength = whole.square().sum((1, 2))
    assert bool((strength[:-1] >= strength[1:]).all())
    assert strength[:4].sum() / strength.sum() > 0.6
    again = cubic_templates(masters.patterns.flip(0), weights, 14, 24, InputContract())
    torch.testing.assert_close(again[:3], whole[:3], atol=1e-3, rtol=1e-2)


def test_weights_count(masters):
    weights = torch.zeros(len(masters))
    weights[0] = 1
    alone = cubic_templates(masters.patterns, weights, 2, 24, InputContract())
    first = cubic_templates(masters.patterns[:1], torch.ones(1), 2, 24, InputContract())
    torch.testing.assert_close(alone[0], first[0], atol=1e-4, rtol=0)
    assert first[1].abs().max() == 0
