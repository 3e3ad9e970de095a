from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.patterns import PatternScan, from_profiles
from napari_spacegroup.plugin.describe import (
    classes_line,
    hover_line,
    level_symbols,
    percent,
    read_pixel,
    scan_line,
    shape_line,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 %"),
        (0.0212, "2.1 %"),
        (0.254, "25 %"),
        (0.994, "99 %"),
        (0.9951, "99.5 %"),
        (0.99999, "> 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_percent_never_rounds_up_to_certainty(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("classes", "level", "text"),
    [
        ((221, 225), "space_group", "221 225"),
        (tuple(range(221, 231)), "space_group", "10 groups: 221 222 223 224 225 226 227 228 …"),
        (tuple(range(1, 231)), "space_group", "all 230 space groups"),
        (tuple(range(1, 231)), "laue_class", "11 Laue classes"),
        ((221, 194), "crystal_system", "2 crystal systems"),
    ],
)
def test_a_model_says_what_it_tells_apart(classes, level, text):
    assert classes_line(classes, level) == text


def test_a_pixel_reads_as_the_map_does(result):
    for level in ("space_group", "point_group", "crystal_system"):
        labels = result.labels(level, threshold=0.6)
        confidence = result.confidence(level)
        second = result.runner_up(level)
        for y, x in np.ndindex(labels.shape):
            reading = read_pixel(result, y, x, level, 0.6)
            assert reading.label == labels[y, x]
            if reading.bars:
                assert reading.bars[0].probability == pytest.approx(confidence[y, x], abs=1e-6)
            if len(reading.bars) > 1 and second[y, x]:
                probability = result.probability(level)[y, x]
                place = result.level_classes(level).index(second[y, x])
                assert reading.bars[1].probability == pytest.approx(probability[place], abs=1e-6)


def test_hover_says_symbol_number_confidence_and_runner_up(result):
    line = hover_line(result, 0, 1, "space_group")
    assert level_symbols("space_group")[224] in line
    assert "(225)" in line
    assert "confidence 44 %" in line
    assert "runner-up" in line


def test_hover_says_why_a_pixel_is_unknown(result):
    assert hover_line(result, 2, 4, "space_group").startswith("unknown: the pattern is constant")
    line = hover_line(result, 0, 1, "space_group", threshold=0.9)
    assert line.startswith("unknown: confidence 0.44 is below")
    assert "best guess" in line


def test_hover_names_the_equivalence_set(result):
    assert "can't be told from 229" in hover_line(result, 0, 0, "space_group")
    assert "can't be told" not in hover_line(result, 0, 1, "space_group")


def test_sizes_are_rows_by_columns(scan):
    assert scan_line(scan) == "3 × 5 patterns, 16 × 20, 0.25 µm"
    assert shape_line((3, 5, 16, 20)) == "3 × 5 patterns, 16 × 20"
    assert shape_line((7, 16, 20)) == "1 × 7 patterns, 16 × 20"


def test_one_is_one():
    frame = PatternScan.from_array(np.zeros((16, 20)))
    assert scan_line(frame).startswith("1 pattern, 16 × 20")
    angles = np.linspace(10, 90, 50)
    profile = from_profiles(np.ones(50), two_theta=angles, wavelength=1.54)
    assert scan_line(profile) == "1 profile, 50 points"
    profiles = from_profiles(np.ones((3, 4, 50)), two_theta=angles, wavelength=1.54)
    assert scan_line(profiles).startswith("3 × 4 profiles, 50 points")
