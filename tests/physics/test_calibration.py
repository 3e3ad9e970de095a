"""A camera that makes ellipses of circles: what the correction saves, and what it costs not to.

The patterns are drawn by the simulation, whose distortion is applied in another place and by other
code than the correction; detectors are not square and the center is off the middle.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import napari_spacegroup as nsg
from napari_spacegroup.config import CalibrationSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.infer import find_calibration, measure_pattern
from napari_spacegroup.infer.tilt import cubic_misorientations
from napari_spacegroup.simulate.projector import random_quaternions
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spot_images import SpotCamera, draw_spots
from napari_spacegroup.simulate.spots import Beam, ReflectionBatch, excite

SHAPE, CENTER, CONSTANT = (240, 320), (0.53, 0.46), 110.0
PIXEL = (0.53 * 320 - 0.5, 0.46 * 240 - 0.5)


def drawn(names, turns, ratio, angle, shape=SHAPE):
    """Return pictures of crystals in the orientations of quaternions."""
    count = len(turns)
    stored = {name: simulate_reflections(library_phase(name), 1.3) for name in set(names)}
    batch = ReflectionBatch.of([stored[names[i % len(names)]] for i in range(count)])
    one = torch.ones(count)
    spots = excite(batch, turns, Beam(200 * one, 0.012 * one, 0.5 * one, 0.03 * one, "gaussian"))
    camera = SpotCamera.fixed(
        count, shape, camera_constant=CONSTANT, center=CENTER, ellipticity=ratio - 1,
        ellipse_angle=math.radians(angle),
    )  # fmt: skip
    images = draw_spots(spots, camera, spots.intensity**0.5).numpy()
    down, across = np.mgrid[: shape[0], : shape[1]]
    x, y = across + 0.5 - CENTER[0] * shape[1], down + 0.5 - CENTER[1] * shape[0]
    images = images / images.max() + 2 * np.exp(-(x**2 + y**2) / 18)
    return images + np.random.default_rng(0).normal(0, 0.003, images.shape)


def along(axes, count, seed):
    """Return quaternions, picture to crystal, near zone axes and turned at random about them."""
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        axis = np.array(axes[number % len(axes)], float)
        tilt = Rotation.from_euler("xyz", [*rng.normal(0, 0.4, 2), rng.uniform(0, 360)], True)
        x, y, z, w = (Rotation.align_vectors([axis], [[0, 0, 1]])[0] * tilt).as_quat()
        found.append([w, x, y, z])
    return torch.tensor(found, dtype=torch.float32)


def crystal_to_picture(quaternion):
    w, x, y, z = quaternion.tolist()
    return Rotation.from_quat([x, y, z, w]).as_matrix().T


def shares_right(images, turns, calibration):
    """Return the share of patterns whose lattice and orientation are right."""
    right = []
    for image, turn in zip(images, turns, strict=True):
        found = measure_pattern(image, camera_constant=CONSTANT, calibration=calibration)
        is_right = (
            found.rotation is not None
            and found.lattice_parameter == pytest.approx(3.524, rel=0.01)
            and cubic_misorientations([crystal_to_picture(turn)], found.rotation)[0] < 2
        )
        right.append(bool(is_right))
    return np.mean(right)


@pytest.mark.parametrize("shape", [(240, 320), (320, 240)])
def test_lattice_and_orientation_are_right_with_the_correction_and_wrong_without(shape):
    """Nickel along zone axes that show all of the face-centred lattice."""
    turns = along(([0, 1, 1], [1, 1, 2]), 24, 2)
    ratio, angle = 1.07, 25.0
    images = drawn(["Ni"], turns, ratio, angle, shape)
    straight = drawn(["Ni"], turns, 1.0, 0.0, shape)
    best = shares_right(straight, turns, None)
    corrected = shares_right(images, turns, CalibrationSpec(ellipse=(ratio, angle)))
    bare = shares_right(images, turns, None)
    # The same ellipse by rows that count downwards, the usual mistake, is as bad as none.
    mirrored = shares_right(images, turns, CalibrationSpec(ellipse=(ratio, -angle)))
    assert best > 0.5
    assert corrected >= best - 0.1
    assert bare < 0.2
    assert mirrored < 0.2


def test_spots_are_told_in_the_picture_and_spacings_without_distortion():
    turns = along(([0, 1, 1],), 1, 4)
    image = drawn(["Ni"], turns, 1.08, 130.0)[0]
    calibration = CalibrationSpec(center=PIXEL, camera_constant=CONSTANT, ellipse=(1.08, 130.0))
    found = measure_pattern(image, calibration=calibration)
    assert found.center == pytest.approx(PIXEL, abs=1e-3)
    for column, row in found.spots[:6].round().astype(int):
        near = image[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        assert near.max() > 5 * 0.003  # there is one
    ideal = 3.524 / np.sqrt(np.arange(1, 60))
    apart = np.abs(found.spacings[:6, None] / ideal - 1).min(axis=1)
    assert apart.max() < 0.012
    assert found.left_ellipse is not None
    assert found.left_ellipse[0] < 1.006


@pytest.mark.parametrize(("ratio", "angle"), [(1.03, 35.0), (1.09, 110.0)])
def test_many_orientations_give_the_ellipse(ratio, angle):
    turns = random_quaternions(24, torch.Generator().manual_seed(3))
    images = drawn(["NaCl", "Si", "Cu", "Fe"], turns, ratio, angle)
    scan = nsg.PatternScan.from_array(images.reshape(4, 6, *SHAPE))
    found = find_calibration(scan)
    assert found.views >= 6
    assert found.calibration.ellipse[0] == pytest.approx(ratio, abs=0.003)
    assert found.calibration.ellipse[1] == pytest.approx(angle, abs=3)
    assert found.calibration.center == pytest.approx(PIXEL, abs=0.3)
    assert found.calibration.camera_constant is None


def test_no_ellipse_is_claimed_of_one_orientation_or_of_a_hexagonal_crystal():
    turns = random_quaternions(12, torch.Generator().manual_seed(3))
    one = drawn(["NaCl"], turns[:1].expand(12, 4), 1.05, 40.0)
    hexagonal = drawn(["Sc"], turns, 1.05, 40.0)
    for images in (one, hexagonal):
        found = find_calibration(nsg.PatternScan.from_array(images.reshape(3, 4, *SHAPE)))
        assert found.views == 0
        assert found.calibration.ellipse == (1.0, 0.0)
        assert "no ellipse" in found.remark
