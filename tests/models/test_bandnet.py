"""The Radon network: where a line goes, and what its second task is told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_spacegroup.learn.batches import sector_planes
from napari_spacegroup.models import BandNet
from napari_spacegroup.models.bandnet import RadonTransform
from napari_spacegroup.simulate.projector import (
    DetectorGeometry,
    pixel_directions,
    random_quaternions,
)


@pytest.mark.parametrize(("angle", "distance"), [(0.7, 0.15), (2.4, -0.2), (1.5, 0.0)])
def test_a_line_becomes_a_peak_at_its_place(angle, distance):
    side = 60
    centre = (torch.arange(side) + 0.5) / side - 0.5
    offset = centre[None] * math.cos(angle) + centre[:, None] * math.sin(angle)
    picture = ((offset - distance).abs() < 0.012).float() + 1e-3
    radon = RadonTransform(side)
    sinogram = radon(picture[None, None])[0, 0]
    inner = sinogram[:, radon.wrap : -radon.wrap]
    row, column = divmod(int(inner.argmax()), inner.shape[1])
    found = radon.lines(torch.tensor(row), torch.tensor(column + radon.wrap))
    assert found[0].item() == pytest.approx(angle, abs=math.pi / radon.angles)
    assert found[1].item() == pytest.approx(distance, abs=1.25 / radon.distances)


def test_the_wrapped_edge_is_the_other_edge_flipped():
    radon = RadonTransform(24, angles=18, distances=20, wrap=3)
    sinogram = radon(torch.randn(2, 1, 24, 24))
    assert torch.allclose(sinogram[..., :3], sinogram[..., 18:21].flip(2))


def test_noise_is_alike_for_long_and_short_lines():
    """Sums are scaled by the length of their line inside the screen."""
    radon = RadonTransform(60)
    y, x = np.mgrid[:60, :60] - 29.5
    inside = torch.tensor((x**2 + y**2 < 29**2).astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(300, 1, 60, 60, generator=generator)
    sinogram = radon(noise * inside)
    middle, outside = sinogram[:, 0, 28:32].std(), sinogram[:, 0, 13:16].std()
    assert outside.item() == pytest.approx(middle.item(), rel=0.1)
    # Sharing a pixel between two distances takes a quarter off the deviation of white noise.
    assert middle.item() == pytest.approx(0.75, abs=0.05)


def test_planes_told_to_the_network_are_those_seen_on_the_screen():
    """Pixels whose direction is perpendicular to [100] lie on the line told to be {100}."""
    geometry = DetectorGeometry.fixed((60, 60), (0.42, 0.3, 0.6), detector_tilt=5.0, azimuthal=2.0)
    rotation = random_quaternions(1, torch.Generator().manual_seed(3))
    directions = torch.stack(pixel_directions(geometry, rotation), -1)[0]
    directions = directions / directions.norm(dim=-1, keepdim=True)
    checked = 0
    for plane in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, -1], [1, -1, 1], [1, 1, 1]):
        normal = torch.tensor(plane, dtype=torch.float32)
        normal = normal / normal.norm()
        points = ((directions @ normal).abs() < 0.01).nonzero().float()
        if len(points) < 30:
            continue
        xy = torch.stack([(points[:, 1] + 0.5) / 60 - 0.5, (points[:, 0] + 0.5) / 60 - 0.5], 1)
        middle = xy.mean(0)
        across = torch.linalg.svd(xy - middle)[2][1]
        angle = torch.atan2(across[1], across[0])
        told = sector_planes(geometry, rotation, angle[None], (middle @ across)[None])[0, :, 0]
        told = told * torch.tensor([0.11, 0.18, 0.13]) + torch.tensor([0.85, 0.45, 0.19])
        assert torch.allclose(told, normal.abs().sort(descending=True)[0], atol=0.02)
        checked += 1
    assert checked >= 2


def test_the_fixed_transform_is_not_stored_with_the_weights():
    network = BandNet(3, widths=(8, 8, 8, 8))
    assert not any("radon" in key for key in network.state_dict())
    logits, planes = network.with_planes(torch.randn(2, 1, 60, 60))
    assert logits.shape == (2, 3)
    angle, distance = network.plane_lines(*planes.shape[2:])
    assert angle.shape == planes.shape[2:] == distance.shape
    assert distance.abs().max() < 0.7
