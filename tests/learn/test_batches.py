"""Orientations with errors such as a search makes."""

from __future__ import annotations

import pytest
import torch

from napari_spacegroup.config import IndexingSpec
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterRecord, MasterSet, batches
from napari_spacegroup.learn.batches import TrainingBatches, as_if_indexed, detector_to_crystal
from napari_spacegroup.models.indexing import misorientation
from napari_spacegroup.models.sector import screen_rays
from napari_spacegroup.simulate.detector import TRAINING_GEOMETRY
from napari_spacegroup.simulate.projector import random_quaternions


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def truth(generator):
    return TRAINING_GEOMETRY.draw(400, generator), random_quaternions(400, generator)


def spec(**errors: float) -> IndexingSpec:
    none = {"orientation_error": 0.0, "pattern_center_error": 0.0, "wrong_share": 0.0}
    return IndexingSpec(**(none | errors))


def test_without_errors_it_is_the_truth(truth, generator):
    centers, matrices = as_if_indexed(*truth, spec(), generator)
    torch.testing.assert_close(centers, truth[0].pattern_center)
    torch.testing.assert_close(matrices, detector_to_crystal(*truth), atol=1e-5, rtol=0)


def test_orientation_errors_have_the_size_asked_for(truth, generator):
    _, matrices = as_if_indexed(*truth, spec(orientation_error=0.5), generator)
    angle = misorientation(matrices, detector_to_crystal(*truth))
    # Three axes of 0.5 degrees each.
    assert angle.square().mean().sqrt().item() == pytest.approx(0.5 * 3**0.5, rel=0.1)


def test_a_wrong_center_leaves_the_middle_of_the_screen_in_place(truth, generator):
    centers, matrices = as_if_indexed(*truth, spec(pattern_center_error=0.02), generator)
    assert (centers - truth[0].pattern_center).std().item() == pytest.approx(0.02, rel=0.1)
    found = screen_rays(centers, 1) @ matrices.mT
    expected = screen_rays(truth[0].pattern_center, 1) @ detector_to_crystal(*truth).mT
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_some_are_wrong_altogether(truth, generator):
    _, matrices = as_if_indexed(*truth, spec(wrong_share=0.25), generator)
    angle = misorientation(matrices, detector_to_crystal(*truth))
    assert (angle > 3).float().mean().item() == pytest.approx(0.25, abs=0.07)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(400), atol=1e-4, rtol=0)


def drawn_levels(monkeypatch, mixed: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return labels and levels of patterns, each structure being one even level."""
    levels = torch.tensor([1.0, 10.0, 100.0, 1000.0])
    records = [
        MasterRecord(name=str(k), space_group=group, prototype="", identifier=str(k), energy=20.0,
                     voltage=20.0, source="") for k, group in enumerate((221, 221, 225, 225))
    ]  # fmt: skip
    masters = MasterSet(levels[:, None, None, None].expand(4, 1, 5, 5).clone(), tuple(records))
    monkeypatch.setattr(batches, "project", lambda sheets, *_: sheets[:, 0, :1, :1].repeat(1, 9, 9))
    seen = []

    class Untouched:
        def apply(self, ideal, _):
            seen.append(ideal[:, 0, 0])
            return ideal, torch.ones_like(ideal, dtype=torch.bool)

    supply = TrainingBatches(
        masters, (221, 225), geometry=TRAINING_GEOMETRY, appearance=Untouched(),
        contract=InputContract(shape=(9, 9)), generator=torch.Generator().manual_seed(1),
        mixed=mixed,
    )  # fmt: skip
    return supply.draw(2000).labels, seen[0]


def test_without_mixing_a_pattern_is_of_one_structure(monkeypatch):
    labels, levels = drawn_levels(monkeypatch, 0.0)
    assert set(levels[labels == 0].tolist()) == {1.0, 10.0}
    assert set(levels[labels == 1].tolist()) == {100.0, 1000.0}


def test_a_mixed_pattern_has_two_structures_of_one_class(monkeypatch):
    labels, levels = drawn_levels(monkeypatch, 0.4)
    first = levels[labels == 0]
    # The most is the brighter structure with half of itself added: nothing of the other class.
    assert 14.0 < float(first.max()) <= 15.0
    assert 1400.0 < float(levels[labels == 1].max()) <= 1500.0
    pure = (first == 1.0) | (first == 10.0)
    assert float(pure.float().mean()) == pytest.approx(0.6, abs=0.05)
