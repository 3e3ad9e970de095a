"""The whole path from choices to layers, with a napari model and without a window."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_spacegroup.errors import ModelError
from napari_spacegroup.infer.map_file import load_map
from napari_spacegroup.jobs import JobState
from napari_spacegroup.plugin.classify import ClassifyController
from napari_spacegroup.plugin.layers import (
    MAP_KEY,
    VIEW_KEY,
    navigation_layer,
    validate_map_layer,
)
from napari_spacegroup.plugin.state import MapState

SCAN_SHAPE = (3, 5)


class ListBridge:
    """Collects what the worker posts; the test hands it over on its own thread."""

    def __init__(self):
        self.values = []
        self.posted = threading.Condition()

    def post(self, value, *, may_wait=True, is_pressing=True):  # noqa: ARG002
        with self.posted:
            self.values.append(value)
            self.posted.notify_all()

    def drop(self):
        self.take()

    def take(self):
        with self.posted:
            values, self.values = self.values, []
        return values


class Bench:
    def __init__(self, provider):
        self.viewer = ViewerModel()
        self.state = MapState()
        self.bridge = ListBridge()
        self.provider = provider
        self.controller = ClassifyController(self.viewer, self.state, provider, self.bridge)
        self.state.models = provider.models()
        self.state.model = "fake-cubic"
        self.state.batch_size = 4

    def open(self, scan):
        data, keywords, _ = navigation_layer(scan, scan.navigation_image())
        return self.viewer.add_image(data, **keywords)

    def receive(self):
        self.controller.receive(self.bridge.take())

    def run(self):
        self.controller.classify()
        assert self.controller.runner.wait(10)
        self.receive()

    @property
    def map(self):
        return self.controller.presenter.layer


@pytest.fixture
def bench(provider):
    return Bench(provider)


def test_a_scan_becomes_a_map_in_its_own_frame(bench, scan):
    navigation = bench.open(scan)
    assert bench.state.layer == "Steel"
    assert "3 × 5 patterns" in bench.state.chosen("layer").detail
    navigation.translate = (10, 20)
    bench.run()
    assert bench.state.job is JobState.COMPLETED
    assert bench.state.message.startswith("15 patterns in")
    confidence = bench.controller.presenter.confidence
    for layer in (bench.map, confidence):
        assert tuple(layer.scale) == tuple(navigation.scale)
        assert tuple(layer.translate) == (10, 20)
        assert layer.units == navigation.units
    assert validate_map_layer(bench.map) == []
    expected = np.resize([221, 225, 227, 229], SCAN_SHAPE)
    expected[-1, -1] = 0
    np.testing.assert_array_equal(bench.map.data, expected)
    np.testing.assert_allclose(confidence.data, bench.controller.presenter.result.confidence())
    assert bench.viewer.canvas.overlays.scale_bar.visible
    assert not confidence.visible


def test_the_map_fills_in_while_the_job_runs(bench, scan, provider):
    bench.open(scan)
    provider.gate.clear()
    bench.controller.classify()
    with bench.bridge.posted:
        bench.bridge.posted.wait_for(lambda: len(bench.bridge.values) >= 4, 10)
    bench.receive()
    assert bench.state.job is JobState.RUNNING
    assert not bench.map.data.any()
    provider.gate.set()
    assert bench.controller.runner.wait(10)
    values = bench.bridge.take()
    pixels, replaced = bench.map.data, []
    bench.map.events.data.connect(replaced.append)
    bench.controller.receive(values[:2])
    assert bench.state.done == 4
    assert np.count_nonzero(bench.map.data) == 4
    # Pixels change in place: other data would build colour table and shader anew.
    assert bench.map.data is pixels
    assert not replaced
    assert bench.state.is_busy
    bench.controller.receive(values[2:])
    assert np.count_nonzero(bench.map.data) == 14
    assert bench.state.done == 15


def test_level_and_threshold_recolour_from_what_is_stored(bench, scan, provider):
    bench.open(scan)
    bench.run()
    result = bench.controller.presenter.result
    provider.load = None  # an inference would fail now
    bench.state.threshold = 0.6
    np.testing.assert_array_equal(bench.map.data, result.labels("space_group", threshold=0.6))
    assert bench.map.metadata[VIEW_KEY].threshold == 0.6
    for level in [choice.key for choice in bench.state.levels]:
        bench.state.level = level
        np.testing.assert_array_equal(bench.map.data, result.labels(level, threshold=0.6))
        assert validate_map_layer(bench.map) == []
        assert bench.state.legend == tuple(result.legend(level, 0.6))
        assert list(bench.map.features["index"]) == [0, *result.level_classes(level)]
    np.testing.assert_allclose(
        bench.controller.presenter.confidence.data, result.confidence("crystal_system")
    )


def test_the_legend_is_in_step_with_the_layer(bench, scan):
    bench.open(scan)
    bench.run()
    for threshold in (0.0, 0.55, 1.0):
        bench.state.threshold = threshold
        for row in bench.state.legend:
            assert row.share == pytest.approx(np.mean(bench.map.data == row.label))
        assert sum(row.share for row in bench.state.legend) == pytest.approx(1)


def test_cancel_keeps_what_is_computed(bench, scan, provider):
    bench.open(scan)
    provider.gate.clear()
    bench.controller.classify()
    with bench.bridge.posted:
        bench.bridge.posted.wait_for(lambda: len(bench.bridge.values) >= 4, 10)
    bench.receive()
    bench.controller.cancel()
    assert bench.state.job is JobState.FINISHING
    assert bench.controller.runner.wait(10)
    bench.receive()
    assert bench.state.job is JobState.CANCELLED
    assert bench.map in bench.viewer.layers
    assert bench.state.why_not_classify == ""


@pytest.mark.parametrize("victim", ["source", "map"])
def test_deleting_a_layer_cancels_its_job(bench, scan, provider, victim):
    navigation = bench.open(scan)
    provider.gate.clear()
    bench.controller.classify()
    with bench.bridge.posted:
        bench.bridge.posted.wait_for(lambda: len(bench.bridge.values) >= 4, 10)
    bench.receive()
    bench.viewer.layers.remove(navigation if victim == "source" else bench.map)
    assert bench.state.job is JobState.FINISHING
    assert bench.controller.runner.wait(10)
    bench.receive()
    assert bench.state.job is JobState.CANCELLED
    if victim == "map":
        assert bench.state.map_name == ""
        assert bench.state.legend == ()


def test_a_job_whose_source_goes_before_the_model_is_loaded_lays_out_nothing(bench, scan):
    navigation = bench.open(scan)
    bench.controller.classify()
    bench.viewer.layers.remove(navigation)
    assert bench.controller.runner.wait(10)
    bench.receive()
    assert len(bench.viewer.layers) == 0
    assert not bench.state.is_busy


def test_a_failure_is_a_message(bench, scan, provider):
    bench.open(scan)
    provider.error = ModelError("the model is for SAD, the scan is EBSD: choose another")
    bench.run()
    assert bench.state.job is JobState.FAILED
    assert bench.state.message == "the model is for SAD, the scan is EBSD: choose another"
    assert bench.state.is_alert
    assert bench.map is None
    provider.error = None
    bench.run()
    assert bench.state.job is JobState.COMPLETED


def test_the_layers_are_reused_for_the_same_scan_and_model(bench, scan):
    bench.open(scan)
    bench.run()
    first = bench.map
    bench.state.threshold = 0.5
    bench.run()
    assert bench.map is first
    assert len(bench.viewer.layers) == 3
    assert first.metadata[MAP_KEY] is bench.controller.presenter.result


def test_a_raw_stack_of_another_plugin_is_classified_in_scan_pixels(bench, make_patterns):
    stack = bench.viewer.add_image(make_patterns(), name="stack", scale=(2, 3, 1, 1))
    assert bench.state.layer == "stack"
    bench.run()
    assert bench.state.job is JobState.COMPLETED
    assert not stack.visible
    navigation = bench.viewer.layers["stack, navigation"]
    assert navigation.data.shape == bench.map.data.shape == SCAN_SHAPE
    assert tuple(navigation.scale) == tuple(bench.map.scale) == (2, 3)
    assert np.count_nonzero(bench.map.data) == 14
    bench.run()
    assert bench.state.job is JobState.COMPLETED
    assert len(bench.viewer.layers) == 4


def test_other_layers_are_offered_or_refused_with_a_reason(bench):
    bench.viewer.add_image(np.zeros((4, 4)), name="plain")
    bench.viewer.add_points(np.zeros((1, 3)), name="points")
    assert bench.state.layers == ()
    assert bench.state.hint
    bench.viewer.add_image(np.zeros((2, 2, 2, 16, 16)), name="five")
    assert bench.state.layer == ""
    assert "5 dimensions" in bench.state.layers[0].problem
    assert bench.state.why_not_classify == "Choose a scan."


def test_a_renamed_scan_stays_chosen(bench, scan, make_scan):
    navigation = bench.open(scan)
    bench.open(make_scan(name="Other"))
    bench.viewer.layers.selection.active = navigation
    bench.run()
    navigation.name = "Ferrite"
    assert bench.state.layer == "Ferrite"


def test_two_maps_keep_their_own_view(bench, scan, make_scan):
    bench.open(scan)
    other = bench.open(make_scan(name="Other"))
    bench.viewer.layers.selection.active = bench.viewer.layers["Steel"]
    bench.run()
    first = bench.map
    bench.state.level, bench.state.threshold = "point_group", 0.7
    bench.viewer.layers.selection.active = other
    assert bench.state.layer == "Other"
    bench.run()
    assert bench.map is not first
    bench.state.level, bench.state.threshold = "space_group", 0.2
    bench.viewer.layers.selection.active = first
    assert (bench.state.level, bench.state.threshold) == ("point_group", 0.7)
    assert bench.state.map_name == first.name
    bench.viewer.layers.remove(first)
    assert bench.state.map_name == "Other: fake-cubic"
    assert bench.state.level == "space_group"


def test_saving(bench, scan, tmp_path):
    presenter = bench.controller.presenter
    presenter.save(tmp_path / "map.h5")
    assert "no map yet" in bench.state.message
    bench.open(scan)
    bench.run()
    presenter.save(tmp_path / "missing" / "map.h5")
    assert not (tmp_path / "missing").exists()
    assert "does not exist" in bench.state.message
    assert bench.state.is_alert
    presenter.save(tmp_path / "map.h5")
    assert bench.state.message == "Saved map.h5"
    assert not bench.state.is_alert
    np.testing.assert_array_equal(load_map(tmp_path / "map.h5").labels(), presenter.result.labels())
