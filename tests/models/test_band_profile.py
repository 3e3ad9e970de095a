"""Profiles across bands: where edges lie, and that the cell only shifts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.models.band_profile import (
    NARROWEST,
    WIDEST,
    BandProfiles,
    plane_families,
    plane_normals,
)
from napari_spacegroup.models.sector import sector_directions

SIDE, BINS = 64, 80


@pytest.mark.parametrize(
    ("family", "count"), [((1, 0, 0), 3), ((1, 1, 0), 6), ((1, 1, 1), 4), ((2, 1, 0), 12),
                          ((2, 1, 1), 12), ((3, 2, 1), 24)],
)  # fmt: skip
def test_multiplicities_are_half_those_of_the_tables(family, count):
    """International Tables A, m-3m: 6, 12, 8, 24, 24 and 48 faces of a form."""
    assert len(plane_normals(family)) == count


def test_families_have_no_common_divisor_and_come_by_spacing():
    families = plane_families(14)
    assert families == [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1), (2, 2, 1),
                        (3, 1, 0), (3, 1, 1), (3, 2, 0), (3, 2, 1)]  # fmt: skip


def bands(family: tuple[int, int, int], half_width: float) -> torch.Tensor:
    """Draw one family's bands of the half width |hkl| times ``half_width``, on the sector."""
    normals = plane_normals(family)
    length = normals[0].norm()
    distance = (sector_directions(SIDE) @ (normals / length).T).abs()
    return (distance < half_width * length).float().amax(-1)[None]


def edge(profile: np.ndarray) -> float:
    scale = np.geomspace(NARROWEST, WIDEST, BINS)
    return float(scale[np.argmin(np.diff(profile))])


@pytest.mark.parametrize("family", [(1, 0, 0), (1, 1, 0), (1, 1, 1)])
@pytest.mark.parametrize("half_width", [0.03, 0.045])
def test_an_edge_lies_at_its_order_whatever_the_family(family, half_width):
    reader = BandProfiles(SIDE, most=3, bins=BINS)
    picture = bands(family, half_width)
    found = reader.profiles(picture, torch.full_like(picture, 50.0))[0].numpy()
    own = plane_families(3).index(family)
    assert edge(found[own]) == pytest.approx(half_width, rel=0.1)
    assert found[own][:20].mean() > 2 * np.delete(found, own, 0)[:, :20].mean()


def test_cells_without_pixels_do_not_count():
    reader = BandProfiles(32, most=3)
    mean = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(0))
    count = torch.ones(1, 32, 32)
    count[:, :, 20:] = 0
    other = mean.clone()
    other[:, :, 20:] = 99.0
    torch.testing.assert_close(reader.profiles(mean, count), reader.profiles(other, count))
