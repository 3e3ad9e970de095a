from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.stream.judge import (
    are_empty,
    are_random,
    are_repeats,
    checksum,
    fill_tail,
)


def test_empty_is_fill_alone() -> None:
    stack = np.zeros((4, 5, 7), np.uint8)
    stack[1, 0, 0] = 1
    stack[2, 4, 6] = 1
    stack[3, 2, 3] = 1
    assert are_empty(stack).tolist() == [True, False, False, False]
    floats = np.full((2, 5, 7), np.nan, np.float32)
    floats[1, 0, 0] = 0
    assert are_empty(floats, np.nan).tolist() == [True, False]
    assert are_empty(np.full((1, 3, 3), 9), 9).tolist() == [True]


def test_tail_counts_from_the_end() -> None:
    pattern = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert fill_tail(pattern) == 0
    pattern[2, 1:] = 0
    assert fill_tail(pattern) == 3
    assert fill_tail(np.zeros((3, 4))) == 12


def test_repeats_need_equal_bytes_and_an_image() -> None:
    random = np.random.default_rng(0)
    stack = random.integers(0, 99, (6, 9, 11)).astype(np.uint8)
    stack[2] = stack[1]
    stack[3] = stack[1]
    stack[5] = stack[4]
    stack[5, 8, 10] += 1
    assert are_repeats(stack, None).tolist() == [False, False, True, True, False, False]
    assert are_repeats(stack[3:], stack[2]).tolist() == [True, False, False]
    blank = np.full((3, 9, 11), 7, np.uint8)
    assert not are_repeats(blank, blank[0]).any()


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_random_bytes_are_no_pattern(dtype: str) -> None:
    random = np.random.default_rng(1)
    shape = (200, 60, 48)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    noise = np.frombuffer(random.bytes(size), dtype).reshape(shape)
    assert are_random(noise).mean() > 0.99
    y, x = np.mgrid[:60, :48]
    weak = 0.2 * (y + x) + random.normal(0, 10, shape)
    dark = random.poisson(4, shape)
    wide = random.normal(0.5, 0.15, shape).clip(0, 1) * np.iinfo(dtype).max
    for images in (weak + 100, dark, wide):
        assert not are_random(images.astype(dtype)).any()
    # Equalised to a flat histogram, as some cameras do: neighbours still agree.
    ranks = np.argsort(np.argsort((y * 3 + x + random.normal(0, 20, (60, 48))).ravel()))
    flat = (ranks * 256 // ranks.size).astype(np.uint8).reshape(1, 60, 48)
    assert not are_random(flat).any()
    assert not are_random(noise[:, :4, :4]).any()
    assert not are_random(random.random((3, 60, 48))).any()


def test_checksum_tells_patterns_apart() -> None:
    one = np.arange(30, dtype=np.uint16).reshape(5, 6)
    other = one.copy()
    other[4, 5] += 1
    assert checksum(one) == checksum(one.copy())
    assert checksum(one) != checksum(other)
    assert checksum(one.T) != checksum(one)
