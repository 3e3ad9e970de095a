"""Networks for inference: the same answers with fewer layers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from napari_spacegroup.imaging import InputContract
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.models.fusion import fused


def trained(architecture: str, **options) -> nn.Module:
    """Return a network whose normalisations are not those of the start."""
    torch.manual_seed(3)
    network = build(architecture, 6, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.4, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return network.eval()


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_a_fused_network_gives_the_same_logits(architecture):
    network = trained(architecture, width=8)
    before = copy.deepcopy(network.state_dict())
    images = torch.randn(5, 1, 60, 44)
    quick = fused(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in quick.modules())
    with torch.no_grad():
        expected = network(images)
        assert torch.allclose(quick(images), expected, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def model() -> Model:
    card = ModelCard(
        name="small", technique="ebsd", classes=(221, 225, 229), architecture="resnet18",
        options={"width": 8}, input=InputContract(),
    )  # fmt: skip
    torch.manual_seed(1)
    return Model(build("resnet18", 3, width=8), card)


def test_changed_weights_are_seen():
    small = model()
    images = torch.randn(4, 1, 60, 60)
    before = small.probabilities(images)
    with torch.no_grad():
        small.network.head.weight.mul_(-1)
    after = small.probabilities(images)
    expected = torch.softmax(small.network(images), -1)
    assert not torch.allclose(before, after, atol=1e-3)
    assert torch.allclose(after, expected, atol=1e-5)


def test_a_model_travels_without_its_copy():
    small = model()
    size = len(pickle.dumps(small))
    images = torch.randn(4, 1, 60, 60)
    probabilities = small.probabilities(images)
    sent = pickle.dumps(small)
    assert len(sent) == size
    assert torch.equal(pickle.loads(sent).probabilities(images), probabilities)
