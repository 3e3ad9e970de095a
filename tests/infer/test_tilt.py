"""Where to tilt: against rotations composed one by one, and scipy's conventions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_spacegroup.config import HolderSpec
from napari_spacegroup.crystal.orientations import proper_rotations
from napari_spacegroup.errors import SpecError
from napari_spacegroup.infer import holder_angles, holder_rotation, suggest_axes
from napari_spacegroup.infer.tilt import axes_along

RNG = np.random.default_rng(5)


def test_the_holder_turns_beta_inside_alpha():
    expected = Rotation.from_euler("XY", [21.0, -13.0], degrees=True).as_matrix()
    np.testing.assert_allclose(holder_rotation(21.0, -13.0), expected, atol=1e-12)


@pytest.mark.parametrize("axis", [0.0, 37.0, -120.0])
def test_tilting_as_told_brings_the_axis_along_the_beam(axis):
    """Tilt the crystal step by step, and look where the direction points then."""
    for _ in range(20):
        holder = HolderSpec(alpha=float(RNG.uniform(-20, 20)), beta=float(RNG.uniform(-20, 20)),
                            axis=axis)  # fmt: skip
        rotation = Rotation.random(random_state=int(RNG.integers(1000))).as_matrix()
        direction = RNG.normal(size=3)
        alpha, beta = holder_angles(direction, rotation, holder)
        # Picture to holder, back to zero tilt, to the new tilt, to the picture.
        to_holder = Rotation.from_euler("z", -axis, degrees=True).as_matrix()
        back = holder_rotation(holder.alpha, holder.beta).T
        there = to_holder.T @ holder_rotation(alpha, beta) @ back @ to_holder @ rotation
        pointing = there @ direction / np.linalg.norm(direction)
        np.testing.assert_allclose(pointing, [0, 0, 1], atol=1e-9)


def test_from_001_to_011_is_45_degrees_about_x():
    alpha, beta = holder_angles(np.array([0.0, 1.0, 1.0]), np.eye(3), HolderSpec())
    assert (abs(alpha), beta) == (pytest.approx(45), pytest.approx(0))
    tilted = holder_rotation(alpha, beta) @ np.array([0, 1, 1]) / np.sqrt(2)
    np.testing.assert_allclose(tilted, [0, 0, 1], atol=1e-12)


def test_the_papers_next_axis_comes_out():
    """After [001], four groups are left; [103] is one that tells all of them apart."""
    found = suggest_axes((221, 225, 227, 229), np.full(4, 0.25), rotation=np.eye(3),
                         seen=[(0, 0, 1)])  # fmt: skip
    gains = {s.family: s.gain for s in found}
    assert gains[0, 1, 3] == pytest.approx(2.0)
    assert (0, 0, 1) not in gains
    assert (1, 1, 1) not in gains  # hexagons all
    best = found[0]
    assert best.gain == pytest.approx(2.0)
    assert best.is_reachable
    assert abs(best.alpha) <= 30
    assert abs(best.beta) <= 30
    assert best.other == pytest.approx((-best.alpha, -best.beta))


def test_what_is_decided_needs_no_axis():
    assert suggest_axes((225, 229), np.array([1.0, 0.0])) == []
    # Groups that always look alike: nothing helps.
    assert suggest_axes((225, 216), np.array([0.5, 0.5])) == []


def test_out_of_reach_comes_last():
    holder = HolderSpec(alpha_range=(-10, 10), beta_range=(-10, 10))
    found = suggest_axes((221, 225, 227, 229), np.full(4, 0.25), rotation=np.eye(3), holder=holder)
    reach = [s.is_reachable for s in found]
    assert reach == sorted(reach, reverse=True)
    assert not all(reach)


def test_a_position_outside_of_the_range_is_refused():
    with pytest.raises(SpecError, match="alpha is 40"):
        HolderSpec.from_mapping({"alpha": 40.0})


def test_axes_along_the_beam_are_seen():
    along = proper_rotations(225)[7].astype(float)  # some equivalent of [001]
    angle = np.radians(10.0)
    tilted = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    assert axes_along([along]) == [(0, 0, 1)]
    assert axes_along([tilted]) == []
    assert axes_along([]) == []
    both = axes_along([along, tilted], within=10.5)
    assert (0, 0, 1) in both
    assert (0, 1, 1) not in both
