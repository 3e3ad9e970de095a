"""Round screens are found, and only round screens."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.patterns import detect_mask, read
from napari_spacegroup.patterns.mask import MIN_AGREEMENT


def _disk(shape, center, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(y - center[0], x - center[1]) <= radius


@pytest.mark.parametrize("shape", [(60, 60), (60, 80), (120, 96)])
@pytest.mark.parametrize("level", [0, 153])
def test_simulated_screen(shape, level):
    """Dark corners, and corners at the screen's mean grey, on non-square detectors."""
    random = np.random.default_rng(1)
    truth = _disk(shape, (shape[0] * 0.52, shape[1] * 0.49), 0.48 * min(shape))
    noise = random.normal(0, 12, (20, *shape))
    stack = np.where(truth, (120 if level == 0 else level) + noise, level)
    stack = stack + random.normal(0, 0.5, stack.shape)
    mask = detect_mask(stack)
    assert mask is not None
    assert not (mask & ~truth).any()
    assert mask.sum() > 0.88 * truth.sum()


def test_frames_without_a_round_screen():
    random = np.random.default_rng(2)
    y, x = np.mgrid[:60, :80]
    vignette = 200 * np.exp(-((y - 25) ** 2 + (x - 45) ** 2) / 2000)
    assert detect_mask(vignette) is None
    assert detect_mask(random.normal(100, 10, (10, 60, 80))) is None
    assert detect_mask(np.full((60, 80), 7)) is None
    half = np.where(x < 40, 0, 100) + random.normal(0, 1, (60, 80))
    assert detect_mask(half) is None
    assert detect_mask(np.full((3, 60, 80), np.nan)) is None
    assert detect_mask(np.zeros((0, 60, 80))) is None


def test_ferrite_is_round(shared_data):
    path = shared_data / "ebsd" / "fe_ferrite_openxy" / "fe_ferrite_899_binned4.npz"
    scan = read(path)
    assert scan.scan_shape == (31, 29)
    assert scan.step == (0.1, 0.1)
    mask = scan.mask
    assert 0.70 < mask.mean() < 0.79  # a full disk in a square is 0.785
    assert not mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    inside, outside = scan.sample(50).std(0)[mask], scan.sample(50).std(0)[~mask]
    assert np.median(inside) > 5 * np.median(outside)


def test_silicon_is_round_and_nickel_is_not(shared_data):
    for path in sorted((shared_data / "ebsd" / "si_moving_screen_kikuchipy").glob("*.h5")):
        mask = read(path).mask
        assert 0.80 < mask.mean() < 0.88
        assert not mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    nickel = read(shared_data / "ebsd" / "ni_small_kikuchipy" / "ni_patterns.h5")
    assert nickel.mask is None


def test_other_measured_screens(shared_data):
    manganese = read(shared_data / "ebsd" / "beta_mn_acentric")
    assert manganese.scan_shape == (1, 8)
    assert 0.66 < manganese.mask.mean() < 0.70
    assert read(shared_data / "ebsd" / "al_wc_kaufmann" / "al_1244x1024.tiff").mask is None
    assert read(shared_data / "sad" / "sped_blo_unlabelled_rosettasciio" / "test1.blo").mask is None
    assert 0.9 < MIN_AGREEMENT < 0.98
