"""The network of the EBSD paper: its size is the published one."""

from __future__ import annotations

import pytest
import torch

from napari_spacegroup.models import build
from napari_spacegroup.models.xception import Xception


def test_it_has_as_many_weights_as_published():
    """22,855,952 trainable ones with 1,000 classes and three channels, as Keras counts."""
    network = Xception(1000, inputs=3)
    assert sum(p.numel() for p in network.parameters()) == 22_855_952


@pytest.mark.parametrize("side", [60, 71, 128])
def test_it_takes_any_side(side):
    network = build("xception", 6, width=4).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, side, side)).shape == (2, 6)


def test_it_learns_one_batch_by_heart():
    torch.manual_seed(0)
    network = build("xception", 3, width=4)
    images, labels = torch.randn(12, 1, 60, 60), torch.arange(12) % 3
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.1
