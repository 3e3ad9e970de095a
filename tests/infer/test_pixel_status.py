from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.infer import PixelStatus, pattern_status


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(100, 10, (20, 30))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_dead_and_saturated_patterns_of_any_kind(noise, dtype):
    high = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1.0
    dead, full, hot = (np.full((20, 30), value, dtype) for value in (0, high, 7))
    hot[3, 4] = hot[5, 6] = 90
    batch = np.stack([noise.astype(dtype), dead, full, hot])
    expected = [PixelStatus.OK] + 3 * [PixelStatus.CONSTANT]
    np.testing.assert_array_equal(pattern_status(batch), expected)


def test_not_finite_goes_before_constant(noise):
    batch = np.stack([noise] * 5)
    batch[1, 0, 0] = np.nan
    batch[2, 19, 29] = np.inf
    batch[3] = np.nan
    batch[4] = 5 * (1 + 1e-9 * noise)  # rounding of a division is no pattern
    expected = [0, 3, 3, 3, 2]
    np.testing.assert_array_equal(pattern_status(batch), expected)


def test_only_the_screen_counts(noise):
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:25] = True
    lit = np.where(mask, noise, np.nan)
    dark = np.where(mask, 4.0, noise)
    np.testing.assert_array_equal(pattern_status(np.stack([lit, dark]), mask), [0, 2])
    np.testing.assert_array_equal(pattern_status(lit[None], np.zeros_like(mask)), [2])


def test_every_status_but_ok_has_a_reason():
    assert PixelStatus.OK.reason == ""
    assert len({status.reason for status in PixelStatus}) == len(PixelStatus)
