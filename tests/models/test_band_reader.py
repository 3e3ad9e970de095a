"""The reader of band profiles alone: its axis, its noise, and its place in the network."""

from __future__ import annotations

import pytest
import torch

from napari_spacegroup.models import SectorNet, build
from napari_spacegroup.models.band_profile import NARROWEST, WIDEST, plane_families, plane_normals
from napari_spacegroup.models.band_reader import (
    BINS,
    MOST,
    BandReader,
    scale_target,
    triangle_weights,
)
from napari_spacegroup.models.sector import sector_directions

SIDE = 63


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    return BandReader(4, side=SIDE, width=8).eval()


def band(family, half_width):
    """One family's bands of the half width |hkl| times ``half_width``, on the square."""
    normals = plane_normals(family)
    length = normals[0].norm()
    distance = (sector_directions(SIDE) @ (normals / length).T).abs()
    return (distance < half_width * length).any(-1).float()[None]


def test_an_edge_lies_where_its_scale_says(reader):
    """Inside of an edge the profile is bright, outside dark."""
    family = (1, 1, 1)
    place = plane_families(MOST).index(family)
    for scale in (0.03, 0.06):
        mean = band(family, scale) - 0.5
        values, _ = reader.profiles(mean, torch.full((1, SIDE, SIDE), 20.0))
        edge = float(scale_target(torch.tensor(1 / (2 * scale)), torch.tensor(1.0)))
        line = values[0, place]
        # Where the profile falls fastest.
        assert abs(int(line.diff().argmin()) + 0.5 - edge) < 3
        assert line[round(edge) - 6] > line[round(edge) + 6] + 0.3


def test_the_axis_goes_from_the_narrowest_to_the_widest():
    edges = torch.tensor([1 / (2 * NARROWEST), 1 / (2 * WIDEST)])
    found = scale_target(edges, torch.ones(2))
    torch.testing.assert_close(found, torch.tensor([0.0, BINS - 1.0]), atol=1e-3, rtol=0)


def test_the_triangle_stands_for_the_square(reader):
    mean = torch.randn(2, SIDE, SIDE)
    mean = mean + mean.mT
    count = torch.rand(2, SIDE, SIDE) * 10
    count = count + count.mT
    directions = sector_directions(SIDE)
    cells, weights = triangle_weights(SIDE)
    assert len(cells) == SIDE * (SIDE + 1) // 2
    # The weight of all cells, each twice off the diagonal, is that of the whole square.
    family = plane_families(MOST).index((1, 0, 0))
    total = weights[:, family * BINS + 30].sum()
    middle = NARROWEST * (WIDEST / NARROWEST) ** (30 / (BINS - 1))
    ratio = (WIDEST / NARROWEST) ** (1 / (BINS - 1))
    deviation = max(0.5 * (ratio - 1) * middle, 0.6 / (SIDE - 1))
    every = torch.exp(-0.5 * ((directions - middle) / deviation) ** 2).sum(-1)
    expected = (every * directions[..., 0] ** 3).sum()
    torch.testing.assert_close(total, expected, rtol=1e-3, atol=0)
    values, pixels = reader.profiles(mean, count)
    assert values.shape == pixels.shape == (2, len(plane_families(MOST)), BINS)


def test_more_pixels_are_told(reader):
    mean = torch.randn(1, SIDE, SIDE)
    few = reader.profiles(mean, torch.full((1, SIDE, SIDE), 1.0))[1]
    many = reader.profiles(mean, torch.full((1, SIDE, SIDE), 50.0))[1]
    assert (many > few).all()


def test_readers_are_mixed_into_the_answer():
    torch.manual_seed(1)
    network = build("sectornet", 3, width=4, bands=6, readers=2, reader_share=0.7).eval()
    assert isinstance(network, SectorNet)
    images, centers = torch.randn(2, 1, 60, 60), torch.tensor([[0.5, 0.3, 0.6]] * 2)
    folded = network.fold(images, centers, torch.eye(3).expand(2, 3, 3))
    assert folded.shape == (2, 4, SIDE, SIDE)
    both = network.read(folded)
    network.reader_share = 0.0
    own = network.read(folded).log_softmax(-1)
    network.reader_share = 1.0
    others = network.read(folded)
    torch.testing.assert_close(both, 0.3 * own + 0.7 * others)
    # Without readers the picture is folded as it was before, and gives the same answer.
    plain = build("sectornet", 3, width=4, bands=6).eval()
    plain.load_state_dict(
        {k: v for k, v in network.state_dict().items() if not k.startswith("readers.")}
    )
    alone = plain.read(plain.fold(images, centers, torch.eye(3).expand(2, 3, 3)))
    torch.testing.assert_close(alone.log_softmax(-1), own, atol=1e-4, rtol=1e-4)


def test_it_can_learn():
    torch.manual_seed(2)
    network = BandReader(2, side=SIDE, width=8, dropout=0.0)
    values = torch.randn(16, network.families, BINS) * 0.1
    labels = torch.arange(16) % 2
    values[labels == 1, 0, 20:40] += 1.0
    pixels = torch.ones_like(values)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(30):
        logits, scale = network.read(values, pixels)
        assert scale.shape == (16, BINS)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    assert (network.read(values, pixels)[0].argmax(1) == labels).all()
