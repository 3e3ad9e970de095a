from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_spacegroup.errors import ScanError
from napari_spacegroup.infer.colors import color
from napari_spacegroup.plugin.hover import attach_hover, scan_pixel
from napari_spacegroup.plugin.layers import (
    SCAN_KEY,
    LayerFrame,
    MapView,
    confidence_layer,
    map_layer,
    navigation_layer,
    scan_of,
    unit_name,
    validate_map_layer,
    validate_scan_layer,
    warm_up,
    why_not_scan,
)

SCAN_SHAPE = (3, 5)
PATTERN_SHAPE = (16, 20)


def made(data, keywords, kind):
    return Labels(data, **keywords) if kind == "labels" else Image(data, **keywords)


@pytest.fixture
def layers(scan, result):
    frame = LayerFrame.of_scan(scan)
    view = MapView("labels", "space_group", 0.5, scan.name)
    labels = result.labels("space_group", threshold=0.5)
    return (
        made(*navigation_layer(scan, scan.navigation_image())),
        made(*map_layer(result, view, frame, labels, "map")),
        made(*confidence_layer(result, view, frame, result.confidence(), "confidence")),
    )


def test_all_layers_of_a_scan_share_its_frame(layers):
    for layer in layers:
        assert tuple(layer.scale) == (0.5, 0.25)
        assert tuple(layer.translate) == (0, 0)
        assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
        assert layer.axis_labels == ("scan_y", "scan_x")
        assert layer.data.shape == SCAN_SHAPE
    assert len({tuple(map(tuple, layer.extent.world)) for layer in layers}) == 1


def test_the_contract_holds_for_what_we_build(layers):
    navigation, labels, confidence = layers
    assert validate_scan_layer(navigation) == []
    assert validate_map_layer(labels) == []
    assert "PatternScan" in validate_scan_layer(labels)[0]
    assert "SpaceGroupMap" in validate_map_layer(navigation)[0]
    assert confidence.contrast_limits == [0, 1]


def test_the_validator_names_every_breach(layers):
    labels = layers[1]
    labels.data = np.full((5, 3), 14, np.int16)
    labels.axis_labels = ("y", "x")
    problems = " ".join(validate_map_layer(labels))
    assert "5 × 3, the scan 3 × 5" in problems
    assert "axis_labels" in problems
    labels.data = np.full(SCAN_SHAPE, 14, np.int16)
    labels.axis_labels = ("scan_y", "scan_x")
    assert "[14] are no space_group" in validate_map_layer(labels)[0]
    labels.metadata = {**labels.metadata, "napari_spacegroup_view": None}
    assert "MapView" in validate_map_layer(labels)[0]


def test_the_map_has_the_colours_of_its_classes(layers):
    labels = layers[1]
    for number in (221, 225, 227, 229):
        assert labels.get_color(number) == pytest.approx(color("space_group", number), abs=1e-3)
    assert labels.colormap.color_dict[0][3] == 0


def test_the_patterns_stay_lazy_behind_the_navigation_image(scan, layers):
    behind = layers[0].metadata[SCAN_KEY]
    assert behind is scan
    assert isinstance(behind.data, da.Array)
    assert layers[0].data.shape == SCAN_SHAPE


def test_a_scan_without_a_step_is_in_pixels(make_scan):
    frame = LayerFrame.of_scan(make_scan(step=None, step_unit=""))
    assert frame == LayerFrame((1, 1), (0, 0), ("pixel", "pixel"))
    assert unit_name("µm") == "um"
    assert unit_name("") == "pixel"
    assert unit_name("furlongs per patch") == "pixel"


@pytest.mark.parametrize(
    ("data", "keywords", "words"),
    [
        (np.zeros((4, 5)), {}, "one image of 2 dimensions"),
        (np.zeros((4, 5, 3), np.uint8), {"rgb": True}, "colour"),
        (np.zeros((1, 2, 3, 16, 16)), {}, "5 dimensions"),
        (np.zeros((3, 4, 5)), {}, "too small"),
        ([np.zeros((3, 32, 32)), np.zeros((3, 16, 16))], {"multiscale": True}, "multiscale"),
    ],
)
def test_what_is_no_stack_of_patterns_is_refused_with_a_reason(data, keywords, words):
    layer = Image(data, name="other", **keywords)
    assert words in why_not_scan(layer)
    with pytest.raises(ScanError, match=words):
        scan_of(layer)


def test_a_stack_of_another_plugin_is_a_scan(make_patterns):
    stack = Image(make_patterns(), name="stack", scale=(2, 3, 1, 1))
    assert why_not_scan(stack) == ""
    assert scan_of(stack).scan_shape == SCAN_SHAPE
    assert scan_of(stack).pattern_shape == PATTERN_SHAPE
    assert LayerFrame.of_layer(stack).scale == (2, 3)
    row = Image(make_patterns().reshape(15, *PATTERN_SHAPE), name="row", scale=(2, 1, 1))
    assert scan_of(row).scan_shape == (1, 15)
    assert LayerFrame.of_layer(row).scale == (2, 2)


def test_positions_become_row_and_column(layers, make_patterns):
    navigation = layers[0]
    assert scan_pixel(navigation, (0.5, 1.0)) == (1, 4)
    assert scan_pixel(navigation, (0.7, 0.13)) == (1, 1)
    assert scan_pixel(navigation, (1.3, 0.0)) is None
    assert scan_pixel(navigation, (0, 9, 0.5, 1.0)) == (1, 4)
    stack = Image(make_patterns())
    assert scan_pixel(stack, (2, 4, 7.7, 3.3)) == (2, 4)
    assert scan_pixel(stack, (3, 0, 0, 0)) is None
    row = Image(make_patterns().reshape(15, *PATTERN_SHAPE))
    assert scan_pixel(row, (14, 1, 1)) == (0, 14)


def test_the_status_bar_says_symbol_number_confidence_and_runner_up(layers):
    labels = layers[1]
    attach_hover(labels)
    attach_hover(labels)
    viewer = ViewerModel()
    viewer.add_layer(labels)
    inside = labels.get_status((0.0, 0.75), world=True)
    assert "(229), confidence 52 %; runner-up" in inside["value"]
    assert inside["coordinates"].startswith("[0 3]: ")
    assert "confidence" in labels._get_tooltip_text((0.0, 0.75), world=True)
    below = labels.get_status((0.0, 0.25), world=True)
    assert "unknown: confidence 0.44 is below the threshold 0.50" in below["value"]
    outside = labels.get_status((99, 99), world=True)
    assert "confidence" not in outside["value"]
    assert type(labels) is Labels


def test_the_first_map_can_be_prepared_on_another_thread():
    """What napari compiles for the first Labels layer must not hold the window."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(warm_up, (221, 225), "bravais_lattice").result(timeout=120)
        pool.submit(warm_up, (221, 225), "bravais_lattice").result(timeout=1)  # once is enough
