"""Spots and center of pictures, against what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.config import CalibrationSpec
from napari_spacegroup.imaging import find_spots, prepare_spots
from napari_spacegroup.imaging.spots import SPOTS


def picture(shape=(300, 220), center=(118.3, 147.6), step=(31.0, 7.0), noise=0.02, seed=0):
    """Return an oblique net of spots on a halo, and their places."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[: shape[0], : shape[1]].astype(float)
    x, y = column - center[0], row - center[1]
    image = 0.8 / (1 + (x**2 + y**2) / 30**2)
    image += 8 * np.exp(-(x**2 + y**2) / (2 * 3**2))
    places = []
    for m in range(-4, 5):
        for n in range(-5, 6):
            px, py = m * step[0] + n * 5.0, m * step[1] - n * 23.0
            if (m, n) != (0, 0) and abs(px) < 90 and abs(py) < 130:
                height = np.exp(-(px**2 + py**2) / 80**2)
                image += height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.6**2))
                places.append((center[0] + px, center[1] + py))
    return image + noise * rng.normal(size=shape), np.array(places)


@pytest.mark.parametrize("is_negative", [False, True])
@pytest.mark.parametrize("enlarged", [1, 2])
def test_spots_and_center_of_a_picture_that_is_not_square(is_negative, enlarged):
    image, places = picture()
    image = np.kron(image, np.ones((enlarged, enlarged)))
    places = (places + 0.5) * enlarged - 0.5
    center = (np.array([118.3, 147.6]) + 0.5) * enlarged - 0.5
    if is_negative:
        image = 255 - 20 * image
    found = find_spots(torch.from_numpy(image)[None].float())
    np.testing.assert_allclose(found.center[0], center, atol=0.6 * enlarged)
    offset = found.position[0][found.is_spot[0]].numpy() * min(image.shape)
    spots = found.center[0].numpy() + offset * [1, -1]
    apart = np.linalg.norm(spots[:, None] - places, axis=2)
    assert np.median(apart.min(axis=1)) < 0.6 * enlarged
    assert (apart.min(axis=1) < 2 * enlarged).mean() > 0.9  # hardly one is invented
    near = np.linalg.norm(places - center, axis=1) < 75 * enlarged
    assert (apart.min(axis=0)[near] < 2 * enlarged).mean() > 0.9  # hardly one is missed
    assert found.symmetry[0] > 0.8


def test_y_points_up():
    image = np.zeros((256, 256))
    image[60, 128] = image[128, 200] = 1.0
    image[124:132, 124:132] = 5.0
    found = find_spots(torch.from_numpy(image)[None].float())
    offsets = found.position[0][found.is_spot[0]].numpy() * 256
    assert any(np.allclose(o, (0.5, 67.5), atol=1.5) for o in offsets)
    assert any(np.allclose(o, (72.5, -0.5), atol=1.5) for o in offsets)


def test_no_spot_outside_of_the_mask():
    image, _ = picture()
    mask = np.ones(image.shape, np.float32)
    mask[:, 160:] = 0
    found = find_spots(torch.from_numpy(image)[None].float(), torch.from_numpy(mask))
    columns = found.center[0, 0] + found.position[0, :, 0][found.is_spot[0]] * 220
    assert columns.max() < 160


def test_a_bare_field_has_no_spots_and_does_no_harm():
    inputs = prepare_spots(torch.zeros(2, 40, 50))
    assert inputs.shape == (2, 1, SPOTS + 1, 3)
    assert torch.isfinite(inputs).all()
    assert (inputs[:, 0, :-1, 2] == 0).all()


def test_a_beam_stop_is_no_row_of_spots():
    image, _ = picture(shape=(256, 256), center=(127.0, 128.0))
    image[:128, 122:132] = 0.0
    found = find_spots(torch.from_numpy(image)[None].float())
    np.testing.assert_allclose(found.center[0], (127.0, 128.0), atol=1.5)
    spots = found.position[0][found.is_spot[0]].numpy() * 256
    along = (np.abs(np.abs(spots[:, 0]) - 5) < 2.0) & (spots[:, 1] > 6)
    assert along.sum() <= 3


def test_a_given_center_is_taken_and_the_symmetry_is_about_it():
    image, _ = picture()
    images = torch.from_numpy(image)[None].float()
    free = find_spots(images)
    found = find_spots(images, center=(118.3, 147.6))
    np.testing.assert_allclose(found.center[0], (118.3, 147.6), atol=1e-3)
    assert found.symmetry[0] == pytest.approx(float(free.symmetry[0]), abs=0.15)
    off = find_spots(images, center=(112.3, 147.6))  # 6 columns to the left of it
    assert off.symmetry[0] < 0.5 * free.symmetry[0]
    middle = [each.position[0, :5].numpy() * 220 + [each.center[0, 0], -each.center[0, 1]]
              for each in (free, off)]  # fmt: skip
    for place in middle[1]:  # spots stay where they are in the picture
        assert np.linalg.norm(middle[0] - place, axis=1).min() < 0.1


def test_a_correction_turns_an_ellipse_into_a_circle_with_y_up():
    down, across = np.mgrid[:200, :260].astype(float)
    image = 3 * np.exp(-((across - 140) ** 2 + (down - 90) ** 2) / 15)
    ratio, angle = 1.2, np.radians(30)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for turn in np.radians(np.arange(0, 360, 45)):
        x, y = (60 * np.array([np.cos(turn) * ratio**0.5, np.sin(turn) / ratio**0.5])) @ axes
        image += np.exp(-((across - 140 - x) ** 2 + (down - 90 + y) ** 2) / 5)
    images = torch.from_numpy(image)[None].float()
    spec = CalibrationSpec(ellipse=(ratio, 30.0))
    bent = find_spots(images)
    straight = find_spots(images, correction=spec.correction)
    radii = [each.position[0][each.is_spot[0]].norm(dim=1).numpy() * 200
             for each in (bent, straight)]  # fmt: skip
    assert len(radii[1]) == 8
    assert np.ptp(radii[0]) > 8
    assert np.ptp(radii[1]) < 1.0
    assert radii[1].mean() == pytest.approx(60, abs=0.5)  # of the same area
    np.testing.assert_allclose(straight.center, bent.center)


def test_nothing_is_corrected_out_of_what_the_network_takes_for_the_picture():
    image, _ = picture(shape=(256, 256), center=(127.0, 128.0))
    images = torch.from_numpy(image)[None].float()
    spec = CalibrationSpec(ellipse=(1.3, 0.0))
    plain = prepare_spots(images)[0, 0]
    corrected = prepare_spots(images, correction=spec.correction)[0, 0]
    # The long axis keeps its length, the short one is drawn out to it: never the other way.
    np.testing.assert_allclose(corrected[:10, 0], plain[:10, 0], atol=1e-5)
    np.testing.assert_allclose(corrected[:10, 1], 1.3 * plain[:10, 1], atol=1e-5)
