"""The plane lattice of spots, and the network that reads them in it."""

import math

import pytest
import torch

from napari_spacegroup.models import LatticeNet, build
from napari_spacegroup.models.latticenet import SPOT_FEATURES, describe, turned
from napari_spacegroup.models.plane_lattice import find_plane_lattice, reduced


def spots_of(basis: torch.Tensor, reach: int = 4, shift: float = 0.0) -> torch.Tensor:
    """Return the points of a plane lattice within the picture, shape ``(1, k, 2)``."""
    line = torch.arange(-reach, reach + 1.0)
    index = torch.cartesian_prod(line, line) + shift
    place = index @ basis
    is_seen = (place.abs() < 0.45).all(-1) & (place.norm(dim=-1) > 0.02)
    return place[is_seen][None]


def basis_of(length: float, other: float, angle: float, turn: float) -> torch.Tensor:
    """Return two vectors, angles in degrees."""
    first, second = math.radians(turn), math.radians(turn + angle)
    return torch.tensor([
        [length * math.cos(first), length * math.sin(first)],
        [other * math.cos(second), other * math.sin(second)],
    ])  # fmt: skip


@pytest.mark.parametrize("angle", [60.0, 71.0, 90.0])
@pytest.mark.parametrize("turn", [0.0, 33.0, 170.0])
def test_plane_lattices_are_found_whichever_way_they_are_turned(angle: float, turn: float) -> None:
    place = spots_of(basis_of(0.07, 0.09, angle, turn))
    generator = torch.Generator().manual_seed(1)
    place = place + 0.001 * torch.randn(place.shape, generator=generator)
    found = find_plane_lattice(place, torch.ones(place.shape[:2]))
    expected = reduced(basis_of(0.07, 0.09, angle, turn))
    gram = found.basis[0] @ found.basis[0].mT
    torch.testing.assert_close(gram.abs(), (expected @ expected.mT).abs(), atol=4e-4, rtol=0)
    index = found.coordinates(place)
    assert float((index - index.round()).abs().max()) < 0.1


def test_spots_of_another_layer_at_one_side_do_not_hide_the_lattice() -> None:
    basis = basis_of(0.08, 0.11, 80.0, 10.0)
    zeroth, first = spots_of(basis, 2), spots_of(basis, 4, 0.37)
    place = torch.cat([zeroth[:, zeroth[0, :, 0] < 0.1], first[:, first[0, :, 0] > 0.2]], dim=1)
    found = find_plane_lattice(place, torch.ones(place.shape[:2]))
    lengths = found.basis[0].norm(dim=-1)
    torch.testing.assert_close(lengths, torch.tensor([0.08, 0.11]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_spots_say_nothing(count: int) -> None:
    place = torch.tensor([[[0.1, 0.0], [-0.1, 0.0], [0.0, 0.0]]])
    strength = (torch.arange(3) < count).float()[None]
    found = find_plane_lattice(place, strength)
    assert torch.isfinite(found.basis).all()
    assert found.evidence.abs() < 20


def test_a_turned_picture_is_the_other_frame() -> None:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.rand(4, 1, 65, 3, generator=generator) * 0.8 - 0.4
    inputs[..., 2] = inputs[..., 2].abs()
    about = inputs * torch.tensor([-1.0, -1.0, 1.0])
    # The cubic search may end elsewhere: three numbers of the last row and its axes are its own.
    features, other = turned(describe(inputs)), describe(about)
    torch.testing.assert_close(features[:, :-1], other[:, :-1], atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(features[:, -1, :9], other[:, -1, :9], atol=2e-3, rtol=1e-3)


def test_the_order_of_spots_and_missing_ones_make_no_difference() -> None:
    network = LatticeNet(7, width=32, depth=1).eval()
    features = torch.randn(2, 65, SPOT_FEATURES)
    features[:, :-1, -1] = 1
    features[:, 40:-1] = 0
    shuffled = features.clone()
    shuffled[:, :40] = features[:, torch.randperm(40)]
    torch.testing.assert_close(network.read(features), network.read(shuffled))


def test_a_picture_that_is_turned_has_the_same_answer() -> None:
    network = build("latticenet", 5, width=32, depth=1).eval()
    place = spots_of(basis_of(0.07, 0.1, 75.0, 20.0))[0]
    inputs = torch.zeros(2, 1, 65, 3)
    generator = torch.Generator().manual_seed(4)
    strength = torch.rand(len(place), generator=generator)
    turn = math.radians(41.0)
    matrix = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    count = min(len(place), 64)
    for row, spots in enumerate((place, place @ matrix)):
        inputs[row, 0, :count, :2] = spots[:count]
        inputs[row, 0, :count, 2] = strength[:count]
    answers = network(inputs)
    assert answers.shape == (2, 5)
    torch.testing.assert_close(answers[0], answers[1], atol=0.05, rtol=0.05)
