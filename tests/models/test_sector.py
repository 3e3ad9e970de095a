"""The sector of m-3m: every equivalent direction lands at one place."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_spacegroup.models.sector import (
    cubic_operations,
    fold_patterns,
    fold_twice,
    limit_resolution,
    sample_sector,
    screen_rays,
    sector_coordinates,
    sector_directions,
    sector_slopes,
)


def directions(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)


def smooth_sheet(side: int) -> torch.Tensor:
    """A function of the direction with the symmetry m-3m."""
    grid = sector_directions(side)
    return (grid**4).sum(-1) + 3 * (grid**2).prod(-1)


def test_the_operations_are_the_group():
    from orix.quaternion.symmetry import Oh

    found = cubic_operations()
    assert len(found) == 48
    assert torch.linalg.det(found)[:24].tolist() == [1.0] * 24
    expected = Oh.to_matrix()
    expected[Oh.improper.astype(bool)] *= -1
    rows = {tuple(m.ravel().round().astype(int)) for m in expected}
    assert {tuple(m.ravel().int().tolist()) for m in found} == rows


def test_equivalent_directions_share_their_coordinates():
    vectors = directions(50)
    own = sector_coordinates(vectors)
    assert bool((own[:, 0] >= own[:, 1]).all())
    assert own.min() >= 0
    assert own.max() <= 1
    for operation in cubic_operations():
        torch.testing.assert_close(sector_coordinates(vectors @ operation.T), own)


def test_a_sheet_gives_back_the_function_that_it_holds():
    vectors = directions(500)
    sheets = torch.stack([smooth_sheet(96), 2 * smooth_sheet(96)])[None]
    expected = (vectors**4).sum(-1) + 3 * (vectors**2).prod(-1)
    found = sample_sector(sheets, vectors[None])
    assert found.shape == (1, 2, 500)
    torch.testing.assert_close(found[0, 0], expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(found[0, 1], 2 * expected, atol=4e-3, rtol=0)
    several = sample_sector(sheets.expand(3, -1, -1, -1), vectors[None].expand(3, -1, -1))
    torch.testing.assert_close(several[2], found[0])


def test_slopes_are_those_of_small_rotations():
    vectors, sheet = directions(400), smooth_sheet(96)[None]
    slopes = sector_slopes(sheet, vectors[None])[0]
    small = 2e-3
    for axis in range(3):
        turn = torch.zeros(3)
        turn[axis] = small
        moved = torch.linalg.cross(turn.expand_as(vectors), vectors)
        ahead = sample_sector(sheet[:, None], (vectors + moved)[None])
        behind = sample_sector(sheet[:, None], (vectors - moved)[None])
        expected = ((ahead - behind) / (2 * small))[0, 0]
        assert torch.corrcoef(torch.stack([expected, slopes[:, axis]]))[0, 1] > 0.99
        assert slopes[:, axis].norm() / expected.norm() == pytest.approx(1, abs=0.05)


def test_rays_are_the_projectors():
    from napari_spacegroup.simulate.projector import (
        DetectorGeometry,
        pixel_directions,
        random_quaternions,
        rotation_matrices,
        sample_to_detector,
    )

    center = (0.43, 0.22, 0.55)
    geometry = DetectorGeometry.fixed((40, 40), center, detector_tilt=7.0, count=2)
    rotations = random_quaternions(2, torch.Generator().manual_seed(1))
    expected = torch.stack(pixel_directions(geometry, rotations), -1).flatten(1, 2)
    matrices = rotation_matrices(rotations) @ sample_to_detector(geometry).mT
    found = screen_rays(torch.tensor([center] * 2), 40) @ matrices.mT
    torch.testing.assert_close(found, functional.normalize(expected, dim=-1), atol=1e-5, rtol=0)


def test_folding_brings_every_orientation_into_one_picture():
    from napari_spacegroup.models.indexing import quaternion_matrices, uniform_rotations

    sheet = smooth_sheet(96)[None, None]
    rotations = quaternion_matrices(uniform_rotations(4))
    rays = screen_rays(torch.tensor([[0.5, 0.5, 0.4]] * 4), 90) @ rotations.mT
    images = sample_sector(sheet.expand(4, -1, -1, -1), rays).reshape(4, 1, 90, 90)
    folded = fold_patterns(images, rays, 24)
    assert folded.shape == (4, 2, 24, 24)
    torch.testing.assert_close(folded, folded.mT)
    for other in folded[1:, 0]:
        pair = torch.stack([folded[0, 0].ravel(), other.ravel()])
        assert torch.corrcoef(pair)[0, 1] > 0.995


def test_pixels_outside_the_screen_do_not_count():
    rays = screen_rays(torch.tensor([[0.5, 0.5, 0.5]]), 30)
    images = torch.rand(1, 1, 30, 30, generator=torch.Generator().manual_seed(0)) + 1
    masked = images.clone()
    masked[..., 20:, :] = 0
    cut = fold_patterns(images[:, :, :20], rays[:, : 20 * 30], 12)
    torch.testing.assert_close(fold_patterns(masked, rays, 12), cut)


@pytest.mark.parametrize("side", [16, 32])
def test_folding_twice_gives_the_coarse_picture_exactly(side):
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(3, 1, 40, 40, generator=generator)
    images[:, :, :4] = 0  # outside the screen
    rays = torch.stack([directions(1600, seed) for seed in range(3)])
    coarse, fine = fold_twice(images, rays, side)
    assert fine.shape == (3, 2, 2 * side - 1, 2 * side - 1)
    torch.testing.assert_close(coarse, fold_patterns(images, rays, side), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(fine, fold_patterns(images, rays, 2 * side - 1))


def test_resolution_is_an_angle_so_that_a_far_screen_is_blurred_by_more_pixels():
    images = torch.zeros(2, 1, 81, 81)
    images[:, :, 40, 40] = 1.0
    images[:, :, 0, 0] = 1e-3  # the screen reaches beyond the line
    images = images + 1e-9
    centers = torch.tensor([[0.5, 0.5, 0.4], [0.5, 0.5, 0.8]])
    pictures = limit_resolution(images, centers, 1.5)[:, 0, 20:61, 20:61]
    share = pictures / pictures.sum((1, 2), keepdim=True)
    step = torch.arange(41.0) - 20
    widths = (share.sum(1) * step**2).sum(-1).sqrt()
    expected = 81 * centers[:, 2] * torch.tan(torch.deg2rad(torch.tensor(1.5)))
    torch.testing.assert_close(widths, expected, rtol=0.02, atol=0)


def test_limiting_the_resolution_keeps_strength_and_the_edge_of_the_screen():
    generator = torch.Generator().manual_seed(3)
    inside = (radius_of(60) < 1).float()
    images = torch.randn(4, 1, 60, 60, generator=generator) * inside
    centers = torch.tensor([[0.5, 0.3, 0.6]]).expand(4, 3)
    found = limit_resolution(images, centers, 1.0)
    assert bool(((found != 0) == (images != 0)).all())
    torch.testing.assert_close(found.square().sum((1, 2, 3)), images.square().sum((1, 2, 3)))
    # A constant screen has no detail, and stays as it is up to its edge.
    flat = inside.expand(1, 1, 60, 60)
    torch.testing.assert_close(limit_resolution(flat, centers[:1], 1.0), flat, atol=1e-5, rtol=0)


def radius_of(side: int) -> torch.Tensor:
    """Distance from the middle over half the side."""
    step = (torch.arange(side) + 0.5) / side * 2 - 1
    return torch.hypot(step[:, None], step[None])
