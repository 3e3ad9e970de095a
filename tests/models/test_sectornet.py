"""The network that finds the orientation first."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.errors import ModelError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.models import BandNet, Model, ModelCard, SectorNet
from napari_spacegroup.models.sector import cubic_operations, limit_resolution, unpack_folded

CENTER = (0.5, 0.3, 0.6)


@pytest.fixture
def network(templates, indexer):
    torch.manual_seed(0)
    made = SectorNet(3, width=4, templates=len(templates))
    made.load_state_dict(made.state_dict() | {"templates": templates})
    made._indexer = indexer  # its dictionary takes seconds
    return made.eval()


@pytest.fixture
def model(network):
    card = ModelCard(
        name="sector", technique="ebsd", classes=(221, 225, 229), architecture="sectornet",
        options={"width": 4, "templates": network.templates.shape[0]}, input=InputContract(),
    )  # fmt: skip
    return Model(network, card)


def test_shapes_and_gradients(network, model, nickel_patterns):
    patterns, _ = nickel_patterns(3, (60, 60), CENTER)
    inputs = model.prepare(patterns)
    logits = network(inputs, torch.tensor([CENTER]))
    assert logits.shape == (3, 3)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_an_equivalent_orientation_is_the_same_input(network, model, nickel_patterns):
    patterns, truth = nickel_patterns(2, (60, 60), CENTER)
    inputs, centers = model.prepare(patterns), torch.tensor([CENTER] * 2)
    first = network.fold(inputs, centers, truth)
    second = network.fold(inputs, centers, cubic_operations()[7] @ truth)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_noise_is_no_class(model):
    noise = np.random.default_rng(0).normal(size=(6, 60, 60)).astype(np.float32)
    found = model.predict(noise, pattern_center=np.array(CENTER))
    np.testing.assert_allclose(found, 1 / 3, atol=0.05)


def test_half_precision_leaves_directions_alone(network, model, nickel_patterns):
    patterns, truth = nickel_patterns(2, (60, 60), CENTER)
    inputs, centers = model.prepare(patterns), torch.tensor([CENTER] * 2)
    expected = network.fold(inputs, centers, truth)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(network.fold(inputs, centers, truth), expected)
        logits = network(inputs, centers)
    torch.testing.assert_close(logits.float(), network(inputs, centers), atol=0.05, rtol=0.05)


def test_new_templates_make_a_new_dictionary(network, templates):
    before = network.indexer
    assert network.indexer is before
    network.load_state_dict(network.state_dict() | {"templates": templates.flip(1, 2)})
    assert network.indexer is not before


def test_a_model_finds_the_center_that_it_is_not_told(model, nickel_patterns):
    patterns, _ = nickel_patterns(6, (60, 80), CENTER, noise=0.3)
    told = model.predict(patterns, pattern_center=np.array(CENTER))
    np.testing.assert_allclose(told.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(model.predict(patterns), told, atol=0.05)
    found = model.find_pattern_center(patterns, start=np.array(CENTER))
    np.testing.assert_allclose(found.center.numpy(), CENTER, atol=0.01)


def test_one_center_per_pattern(model, nickel_patterns):
    patterns, _ = nickel_patterns(4, (60, 60), CENTER)
    one = model.predict(patterns, pattern_center=np.array(CENTER))
    four = model.predict(patterns, pattern_center=np.array([CENTER] * 4))
    np.testing.assert_allclose(one, four, atol=1e-5)


def test_saved_and_loaded(model, nickel_patterns, tmp_path):
    from napari_spacegroup.models import load_model

    patterns, _ = nickel_patterns(4, (60, 60), CENTER)
    again = load_model(model.save(tmp_path / "sector"))
    assert again.needs_pattern_center
    center = np.array(CENTER)
    np.testing.assert_allclose(
        again.predict(patterns, pattern_center=center),
        model.predict(patterns, pattern_center=center),
        atol=1e-5,
    )


def test_other_networks_have_no_orientation_search():
    card = ModelCard(name="bands", technique="ebsd", classes=(221, 225), architecture="bandnet",
                     input=InputContract())  # fmt: skip
    model = Model(BandNet(2), card)
    assert not model.needs_pattern_center
    with pytest.raises(ModelError, match="does not use the pattern center"):
        model.find_pattern_center(np.zeros((1, 60, 60), np.float32))


def test_a_fine_grid_leaves_the_picture_as_it_was(templates, indexer, model, nickel_patterns):
    """The same weights serve both grids; only what the band profiles see is sharper."""
    torch.manual_seed(0)
    options = {"width": 4, "templates": len(templates), "bands": 8}
    plain, fine = SectorNet(3, **options).eval(), SectorNet(3, **options, is_fine=True).eval()
    weights = plain.state_dict() | {"templates": templates}
    for network in (plain, fine):
        network.load_state_dict(weights)
        network._indexer = indexer
    patterns, truth = nickel_patterns(3, (60, 60), CENTER)
    inputs, centers = model.prepare(patterns), torch.tensor([CENTER] * 3)
    coarse, both = (n.fold(inputs, centers, truth) for n in (plain, fine))
    side = plain.sector_side
    torch.testing.assert_close(both[:, 2:, :side, :side], coarse, atol=2e-5, rtol=1e-4)
    rough, sharp = (
        n.bands.profiles(*unpack_folded(f[:, :2])) for n, f in ((plain, coarse), (fine, both))
    )
    assert rough.shape == sharp.shape
    assert float(sharp.diff(dim=-1).abs().mean()) > float(rough.diff(dim=-1).abs().mean())
    assert fine(inputs, centers).shape == (3, 3)


def test_a_network_of_limited_resolution_folds_what_is_blurred(templates):
    torch.manual_seed(0)
    options = {"width": 4, "templates": len(templates), "bands": 8}
    plain, coarse = SectorNet(3, **options), SectorNet(3, **options, resolution=1.4).eval()
    images = torch.randn(2, 1, 60, 60)
    centers = torch.tensor([[0.5, 0.3, 0.5], [0.45, 0.35, 0.8]])
    rotations = torch.eye(3).expand(2, 3, 3)
    expected = plain.fold(limit_resolution(images, centers, 1.4), centers, rotations)
    torch.testing.assert_close(coarse.fold(images, centers, rotations), expected)
    as_they_are = plain.fold(images, centers, rotations)
    assert not torch.allclose(as_they_are, expected, atol=0.1)
    # While training the blur differs from pattern to pattern: one that never changes a network
    # can learn to undo.
    same = images[:1].expand(8, 1, 60, 60)
    folded = coarse.train().fold(same, centers[:1].expand(8, 3), rotations[:1].expand(8, 3, 3))
    steps = folded[:, 0].diff(dim=1).abs().mean((1, 2))
    assert float(steps.min()) < 0.8 * float(steps.max())
    assert float(plain.fold(same[:1], centers[:1], rotations[:1])[:, 0].diff(dim=1).abs().mean()
                 ) >= 0.99 * float(steps.max())  # fmt: skip
