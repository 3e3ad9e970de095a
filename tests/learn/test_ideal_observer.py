"""The ideal observer: closed form against drawn patterns, and what uncertainty costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_spacegroup.learn.ideal_observer import Uncertainty, _modes, error_of, separations
from napari_spacegroup.simulate.detector import standardise
from napari_spacegroup.simulate.projector import DetectorGeometry, project

KNOWN = Uncertainty(
    noise=2.0, orientation=0, pattern_center=0, background=0, spectrum=0, asymmetry=0
)
SHAPE, COUNT = (24, 32), 6


@pytest.fixture
def scene():
    """Two smooth master patterns that differ a little, and six views of them."""
    generator = torch.Generator().manual_seed(3)
    line = torch.linspace(-1, 1, 41)
    x, y = torch.meshgrid(line, line, indexing="ij")
    one = torch.sin(9 * x) * torch.cos(7 * y) + torch.sin(5 * (x + y))
    other = one + 0.15 * torch.sin(13 * x - 4 * y)
    geometry = DetectorGeometry.fixed(SHAPE, (0.45, 0.3, 0.6), count=COUNT)
    rotations = torch.randn(COUNT, 4, generator=generator)
    return one[None], other[None], geometry, rotations / rotations.norm(dim=1, keepdim=True)


def test_known_pictures_in_white_noise(scene):
    one, other, geometry, rotations = scene
    first, second = (standardise(project(m[None], geometry, rotations)) for m in (one, other))
    expected = (first - second).flatten(1).norm(dim=1) / 2.0
    torch.testing.assert_close(separations(one, other, geometry, rotations, KNOWN), expected)


def test_the_closed_form_is_what_a_likelihood_ratio_reaches(scene):
    one, other, geometry, rotations = scene
    uncertainty = Uncertainty(noise=1.0, orientation=3.0, background=0.5)
    first, second = (standardise(project(m[None], geometry, rotations)) for m in (one, other))
    modes = torch.stack(
        [m.flatten(1) for m in _modes(one, first, geometry, rotations, uncertainty)], 2
    )
    found = error_of(separations(one, other, geometry, rotations, uncertainty))
    generator = torch.Generator().manual_seed(0)
    for index in range(COUNT):
        jacobian = modes[index].double()
        covariance = jacobian @ jacobian.T + torch.eye(len(jacobian)).double()
        filtered = torch.linalg.solve(covariance, (first - second)[index].flatten().double())
        size = (4000, jacobian.shape[1])
        unknown = torch.randn(size, generator=generator).double() @ jacobian.T
        noise = torch.randn((4000, len(jacobian)), generator=generator).double()
        drawn = first[index].flatten().double() + unknown + noise
        middle = (first + second)[index].flatten().double() / 2
        wrong = ((drawn - middle) @ filtered < 0).double().mean()
        assert float(found[index]) == pytest.approx(float(wrong), abs=0.025)


def test_what_is_not_known_can_only_cost(scene):
    one, other, geometry, rotations = scene
    known = separations(one, other, geometry, rotations, KNOWN)
    for name in ("orientation", "pattern_center", "background", "spectrum", "asymmetry"):
        less = separations(one, other, geometry, rotations, replace(KNOWN, **{name: 0.5}))
        assert (less <= known + 1e-5).all()
        assert (less < known - 1e-4).any(), name


def test_a_crystal_and_itself_are_a_coin_toss(scene):
    one, _, geometry, rotations = scene
    same = separations(one, one, geometry, rotations, Uncertainty())
    torch.testing.assert_close(error_of(same), torch.full((COUNT,), 0.5))


def test_no_noise_is_refused(scene):
    one, other, geometry, rotations = scene
    with pytest.raises(ValueError, match="above 0"):
        separations(one, other, geometry, rotations, replace(KNOWN, noise=0.0))
