from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from napari_spacegroup.errors import ResultError
from napari_spacegroup.infer import SpaceGroupMap, color, draw_map
from napari_spacegroup.infer.figure import nice_length, typical_pixel
from napari_spacegroup.patterns import PatternScan

MANY = (221, 223, 225, 227, 229, 230, 62, 14, 152, 166, 194, 63, 2, 1, 139)


def count(picture, rgb):
    return int(
        (np.abs(picture.astype(int) - np.round(255 * np.array(rgb))).max(axis=-1) <= 2).sum()
    )


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 40), (40, 2)])
def test_a_picture_of_any_shape(random_map, tmp_path, shape):
    scan = PatternScan.from_array(np.random.default_rng(0).random((*shape, 12, 16)))
    result = random_map(shape, MANY, step=(0.5, 0.25), step_unit="um", scan_name="$5_{ scan $")
    path = draw_map(result, scan, tmp_path / "map.png", threshold=0.3)
    with Image.open(path) as image:
        assert image.width > 1000
        assert image.height > 600
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]


def test_the_map_has_the_colours_of_its_classes(tmp_path):
    result = SpaceGroupMap.empty((10, 10), (225, 229))
    rows = np.float32([[0.9, 0.1]] * 70 + [[0.2, 0.8]] * 30)
    result.merge(0, rows, np.zeros(100, np.uint8))
    picture = np.asarray(Image.open(draw_map(result, None, tmp_path / "map.png")).convert("RGB"))
    many, few = (count(picture, color("space_group", n)[:3]) for n in (225, 229))
    assert many > 1.5 * few > 10_000


def test_pdf_level_and_pixel(random_map, tmp_path):
    before = dict(mpl.rcParams)
    result = random_map((4, 5), equivalence_sets=[(221, 229)])
    y, x = np.argwhere(result.status != 0)[0]
    path = draw_map(result, None, tmp_path / "map.pdf", level="laue_class", pixel=(int(y), int(x)))
    assert path.read_bytes().startswith(b"%PDF")
    assert dict(mpl.rcParams) == before


def test_a_map_with_nothing_in_it(tmp_path):
    result = SpaceGroupMap.empty((3, 4), (225, 229))
    draw_map(result, None, tmp_path / "map.png")
    assert typical_pixel(result) == (0, 0)


def test_a_picture_that_can_not_be_written(random_map, tmp_path):
    with pytest.raises(ResultError, match="does not exist"):
        draw_map(random_map(), None, tmp_path / "no" / "map.png")


@pytest.mark.parametrize(
    ("extent", "length"), [(100, 20), (40, 10), (4.5, 1), (0.9, 0.2), (3e4, 5000)]
)
def test_scale_bars_are_round(extent, length):
    assert nice_length(extent) == pytest.approx(length)


def test_the_typical_pixel_is_the_median(random_map):
    result = random_map((5, 5))
    confidence = result.confidence()[result.status == 0]
    assert result.confidence()[typical_pixel(result)] in np.sort(confidence)[[11, 12]]
