"""The networks for profiles: published shapes, any length, and what they must not depend on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_spacegroup.errors import ModelError
from napari_spacegroup.models import LollaResNet, ParkNet, ProfileNet, build


def test_the_network_of_park_has_the_layers_of_the_paper():
    network = ParkNet(230)
    filters = [m for m in network.modules() if isinstance(m, torch.nn.Conv1d)]
    assert [(f.out_channels, f.kernel_size[0]) for f in filters] == [(80, 100), (80, 50), (80, 25)]
    assert [f.stride[0] for f in filters[:2]] == [5, 5]
    dropped = [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    assert set(dropped) == {0.3}
    dense = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert len(dense) == 3  # two and the output
    with torch.no_grad():
        assert network.eval()(torch.rand(2, 1, 1, 10_001)).shape == (2, 230)


def test_the_resnet_of_lolla_has_eighteen_layers():
    network = LollaResNet(144)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv1d)]
    main = [m for m in convolutions if m.kernel_size[0] > 1]
    assert len(main) == 17  # and the fully connected one
    assert any(isinstance(m, torch.nn.GELU) for m in network.modules())
    assert any(isinstance(m, torch.nn.LayerNorm) for m in network.modules())
    assert not any(isinstance(m, torch.nn.BatchNorm1d) for m in network.modules())
    with torch.no_grad():
        for points in (701, 2048):
            assert network.eval()(torch.rand(2, 1, 1, points)).shape == (2, 144)


@pytest.mark.parametrize("points", [500, 1024, 2049])
@pytest.mark.parametrize("stem", [4, 8])
def test_ours_takes_any_length(points, stem):
    network = ProfileNet(7, points, widths=(8, 8, 8), blocks=(1, 1, 1), stem=stem).eval()
    with torch.no_grad():
        assert network(torch.rand(3, 1, 1, points)).shape == (3, 7)


@pytest.mark.parametrize("name", ["profilenet", "park_cnn", "lolla_resnet18"])
def test_they_learn_one_batch_by_heart(name):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    options = {"widths": [8, 16], "blocks": [1, 1], "stem": 8} if name == "profilenet" else {}
    options |= {"width": 8} if name == "lolla_resnet18" else {}
    network = build(name, 4, points=512, dropout=0.0, **options)
    inputs, labels = torch.rand(16, 1, 1, 512), torch.arange(16) % 4
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    for _ in range(80):
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if loss < 0.1:
            break
    assert loss.item() < 0.1


def test_an_unknown_option_is_refused():
    with pytest.raises(ModelError, match="does not take these options"):
        build("profilenet", 4, depth=3)


def test_channels_are_normalised_as_torch_does():
    network = LollaResNet(5, width=8)
    inputs = torch.randn(3, 8, 17)
    with torch.no_grad():
        network.stem_norm.weight.copy_(torch.randn(8))
        network.stem_norm.bias.copy_(torch.randn(8))
        norm = network.stem_norm
        expected = functional.layer_norm(inputs.transpose(1, 2), (8,), norm.weight, norm.bias)
        torch.testing.assert_close(norm(inputs), expected.transpose(1, 2))
