"""Calibrating by hand in the dock *Pattern*: marks, numbers, and what they change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

import napari_spacegroup as nsg
from napari_spacegroup.config import CalibrationSpec
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.patterns.calibrated import FILE_CALIBRATION
from napari_spacegroup.plugin.combine_dock import CombineDock
from napari_spacegroup.plugin.layers import navigation_layer, scan_of
from napari_spacegroup.plugin.map_dock import MapDock
from napari_spacegroup.plugin.pattern_dock import PatternDock
from napari_spacegroup.plugin.regions import patterns_of_layer
from napari_spacegroup.plugin.session import session_of

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("fake_models")]

SHAPE, CENTER = (180, 240), (128.4, 84.2)


def net(center=CENTER, step=(26.0, 4.0)):
    """Return a pattern that is not square: an oblique net of spots about a center."""
    down, across = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    image = 4 * np.exp(-((across - center[0]) ** 2 + (down - center[1]) ** 2) / 18)
    for m in range(-4, 5):
        for n in range(-4, 5):
            x, y = m * step[0] - n * step[1], m * step[1] + n * step[0]
            if (m, n) != (0, 0):
                spot = (across - center[0] - x) ** 2 + (down - center[1] + y) ** 2
                image += np.exp(-spot / 5) * np.exp(-(x**2 + y**2) / 90**2)
    noise = np.random.default_rng(0).normal(0, 0.01, SHAPE)
    return ((image + noise + 0.1) * 40).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def stack():
    return np.stack([net()] * 6).reshape(2, 3, *SHAPE)


class Window:
    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        self.dock = PatternDock(viewer)
        self.frame = viewer.window.add_dock_widget(self.dock, name="pattern")
        self.session = session_of(viewer)
        self.state = self.session.calibrate.state
        self.until(lambda: self.session.map_state.model)

    def until(self, condition):
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=30_000)

    def open(self, stack, **facts):
        scan = PatternScan.from_array(stack, name="Steel", technique="sad", **facts)
        image, keywords, _ = navigation_layer(scan, np.ones(scan.scan_shape, np.float32))
        layer = self.viewer.add_image(image, **keywords)
        self.viewer.layers.selection.active = layer
        self.session.pattern_state.pinned = (1, 1)
        self.until(lambda: self.session.pattern_state.view is not None)
        return layer

    def calibrate(self):
        assert self.dock.calibrate_button.isVisibleTo(self.dock)
        self.dock.calibrate_button.click()
        self.until(lambda: self.state.spots is not None)

    def drag(self, here, there):
        """Drag between two places of the pattern with the mouse."""
        picture = self.dock.panel.picture
        start, end = (picture.on_screen(*place).toPoint() for place in (here, there))
        QTest.mousePress(picture, Qt.MouseButton.LeftButton, pos=start)
        for share in np.linspace(0, 1, 5):
            QTest.mouseMove(picture, start + (end - start) * float(share))
        QTest.mouseRelease(picture, Qt.MouseButton.LeftButton, pos=end)
        # What the mouse can hit: whole pixels of the screen.
        return picture.in_picture(end.toPointF())

    def press(self, button):
        assert button.isEnabled(), button.toolTip()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def window(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1100, 900)
    found = Window(viewer, qtbot)
    found.frame.setMinimumHeight(430)
    yield found
    session_of(viewer).close()


@pytest.fixture
def open_window(window, stack):
    layer = window.open(stack)
    window.calibrate()
    return window, layer


def test_only_spot_patterns_are_calibrated(window, scan):
    data, keywords, _ = navigation_layer(scan, np.ones(scan.scan_shape, np.float32))
    window.viewer.add_image(data, **keywords)
    window.session.pattern_state.pinned = (0, 1)
    window.until(lambda: window.session.pattern_state.view is not None)
    assert not window.dock.calibrate_button.isVisibleTo(window.dock)


def test_the_marks_start_where_the_pattern_has_its_center(open_window):
    window, _ = open_window
    marks = window.state.marks
    assert marks.center == pytest.approx(CENTER, abs=0.7)
    assert marks.calibration().center is None
    assert marks.camera_constant is None
    assert window.dock.panel.column.value() == pytest.approx(marks.center[0], abs=0.006)
    assert window.dock.panel.row.value() == pytest.approx(marks.center[1], abs=0.006)
    assert window.dock.panel.picture.isVisibleTo(window.dock)
    assert not window.dock.measured.isVisibleTo(window.dock)
    # The ring goes through a spot.
    apart = np.hypot(*(window.state.spots.places - marks.center).T) - marks.radius
    assert np.abs(apart).min() < 0.5
    assert not window.dock.panel.use_button.isEnabled()
    assert "has this calibration" in window.dock.panel.use_button.toolTip()


def test_marks_are_dragged_and_the_scan_has_them(open_window):
    window, layer = open_window
    panel = window.dock.panel
    place = window.drag(window.state.marks.center, (120.0, 90.0))
    assert window.state.marks.center == pytest.approx(place, abs=0.02)
    assert panel.fixed.isChecked()
    panel.spacing.setValue(2.0)
    marks = window.state.marks
    end = window.drag(marks.ring(marks.radius, 1.2), marks.ring(marks.radius + 14, 1.2))
    marks = window.state.marks
    radius = math.hypot(end[0] - marks.center[0], end[1] - marks.center[1])
    assert marks.radius == pytest.approx(radius, rel=1e-3)
    assert marks.camera_constant == pytest.approx(2.0 * radius, rel=1e-3)
    center = marks.center
    angle = math.radians(-35)  # down to the right: rows count downwards, the angle upwards
    there = (
        center[0] + 1.05 * radius * math.cos(angle),
        center[1] - 1.05 * radius * math.sin(angle),
    )
    start = marks.handles()[0]
    place = window.drag(start, there)
    ratio, turned = window.state.marks.ellipse
    distance = math.hypot(place[0] - center[0], place[1] - center[1])
    assert ratio == pytest.approx((distance / radius) ** 2, rel=1e-3)
    assert turned == pytest.approx(145, abs=2)
    window.press(panel.use_button)
    found = scan_of(layer).calibration
    assert found == window.state.marks.calibration()
    assert found.camera_constant == pytest.approx(2.0 * radius, rel=1e-3)
    assert not panel.use_button.isEnabled()
    # The library takes a layer as it is.
    assert nsg.PatternScan.from_array(layer).calibration == found


def test_numbers_are_typed_in_every_unit(open_window):
    window, _ = open_window
    panel = window.dock.panel
    panel.column.setValue(121.5)
    panel.ratio.setValue(1.05)
    panel.angle.setValue(30.0)
    assert window.state.marks.center[0] == 121.5
    assert window.state.marks.ellipse == (1.05, 30.0)
    panel.scale.setValue(80.0)
    assert window.state.marks.camera_constant == 80.0
    panel.unit.setCurrentIndex(1)
    assert panel.scale.value() == pytest.approx(0.125)  # 1/nm
    panel.scale.setValue(0.1)
    assert window.state.marks.camera_constant == pytest.approx(100.0)
    panel.unit.setCurrentIndex(2)
    assert panel.scale.value() == pytest.approx(0.01)  # 1/Å
    panel.spacing.setValue(2.5)
    assert window.state.marks.radius == pytest.approx(40.0)
    panel.scale.setValue(0.0)
    assert window.state.marks.camera_constant is None
    assert panel.scale.text() == "unknown"


def test_a_center_that_is_not_the_same_is_found_again(open_window):
    window, _ = open_window
    panel = window.dock.panel
    panel.column.setValue(100.0)
    assert panel.fixed.isChecked()
    panel.fixed.click()
    window.until(lambda: abs(window.state.marks.center[0] - CENTER[0]) < 0.7)
    assert window.state.marks.calibration().center is None


def test_find_again_and_reset(window, stack):
    told = CalibrationSpec(camera_constant=70.0, ellipse=(1.1, 20.0))
    layer = window.open(stack, calibration=told, metadata={FILE_CALIBRATION: told})
    window.calibrate()
    panel = window.dock.panel
    assert window.state.marks.camera_constant == 70.0
    panel.scale.setValue(90.0)
    panel.ratio.setValue(1.2)
    window.press(panel.find_button)
    window.until(lambda: not window.state.is_finding)
    assert window.state.marks.center == pytest.approx(CENTER, abs=0.7)
    assert window.state.marks.is_fixed
    # Six times one orientation say nothing about the ellipse, and the scale is nobody's guess.
    assert window.state.marks.ellipse[0] == 1.2
    assert window.state.marks.camera_constant == 90.0
    assert "no ellipse" in panel.message.text()
    window.press(panel.use_button)
    assert scan_of(layer).calibration.camera_constant == 90.0
    window.press(panel.reset_button)
    assert window.state.marks.calibration() == told
    window.press(panel.use_button)
    assert scan_of(layer).calibration == told


def test_classify_and_combine_go_by_it(window, stack, fake_models, monkeypatch):
    told = []
    events = fake_models.events
    evidence = fake_models.evidence
    monkeypatch.setattr(fake_models, "events", lambda scan, model, **o: (
        told.append(("classify", scan.calibration)), events(scan, model, **o))[1])  # fmt: skip
    monkeypatch.setattr(fake_models, "evidence", lambda model, scan, region: (
        told.append(("combine", scan.calibration)), evidence(model, scan, region))[1])  # fmt: skip
    map_dock, combine = MapDock(window.viewer), CombineDock(window.viewer)
    for dock in (map_dock, combine):
        window.viewer.window.add_dock_widget(dock)
    window.open(stack)
    window.press(combine.pattern_button)
    window.until(lambda: ("combine", None) in told)
    window.calibrate()
    window.dock.panel.column.setValue(121.5)
    window.dock.panel.ratio.setValue(1.05)
    window.press(window.dock.panel.use_button)
    expected = window.state.marks.calibration()
    # At once, and for the line that was there already.
    window.until(lambda: ("combine", expected) in told)
    window.until(lambda: not combine.state.is_reading)
    window.session.classify.classify()
    window.until(lambda: ("classify", expected) in told)
    window.until(lambda: not window.session.map_state.is_busy)


def test_one_photograph_is_shown_and_calibrated(window, fake_models, monkeypatch):
    model = type("SpotModel", (), {"reads_spots": True})()
    plain = fake_models.load("fake-cubic", "inspect")
    model.classes, model.predict, model.name = plain.classes, plain.predict, plain.name
    monkeypatch.setattr(fake_models, "load", lambda *_: model)
    picture = np.stack([net()] * 3, axis=-1)
    layer = window.viewer.add_image(picture, name="photo")
    window.viewer.layers.selection.active = layer
    window.until(lambda: window.session.pattern_state.view is not None)
    assert window.dock.where.text() == "photo"
    window.calibrate()
    assert not window.dock.panel.fixed.isVisibleTo(window.dock)
    window.dock.panel.ratio.setValue(1.03)
    window.press(window.dock.panel.use_button)
    assert patterns_of_layer(layer).calibration == CalibrationSpec(ellipse=(1.03, 0.0))


def test_another_pattern_keeps_the_marks_and_another_scan_has_its_own(open_window, stack):
    window, _ = open_window
    window.dock.panel.column.setValue(99.0)
    window.session.pattern_state.pinned = (0, 2)
    window.until(lambda: window.session.pattern_state.view.scan_x == 2)
    assert window.state.marks.center[0] == 99.0
    told = CalibrationSpec(center=(60.0, 50.0))
    other = PatternScan.from_array(stack, name="Other", technique="sad", calibration=told)
    image, keywords, _ = navigation_layer(other, np.ones(other.scan_shape, np.float32))
    window.viewer.layers.selection.active = window.viewer.add_image(image, **keywords)
    window.session.pattern.look_at(0, 0)
    window.until(lambda: window.state.marks.center == (60.0, 50.0))


def test_the_wheel_zooms_and_a_double_click_shows_all(open_window):
    window, _ = open_window
    picture = window.dock.panel.picture
    before = picture.on_screen(0, 0)
    picture._zoom = 4.0
    picture._look_at(picture._middle)
    point = QPoint(40, 60)
    column, row = picture.in_picture(point.toPointF())
    assert picture.on_screen(column, row).toPoint() == point
    assert picture.on_screen(0, 0) != before
    marks = window.state.marks
    corner = QPoint(3, picture.height() - 3)
    QTest.mouseDClick(picture, Qt.MouseButton.LeftButton, pos=corner)
    assert picture.on_screen(0, 0) == before
    assert window.state.marks == marks


def test_closing_the_dock_ends_it(open_window):
    window, _ = open_window
    window.viewer.window.remove_dock_widget(window.frame)
    window.until(lambda: not window.state.is_on)


def test_a_map_of_another_calibration_does_not_answer_for_a_pattern(provider, result, scan):
    from napari_spacegroup.plugin.inspect_pattern import make_view

    class SpotModel(type(provider.load("fake-cubic", "inspect"))):
        reads_spots = True

    provider.load = lambda *_: SpotModel()
    fitting = make_view(scan, (0, 1), provider, "fake-cubic", result, "space_group", 0.0)
    assert provider.predicted == []
    assert "calibration" not in fitting.verdict
    told = scan.with_calibration(ellipse=(1.05, 0.0))
    other = make_view(told, (0, 1), provider, "fake-cubic", result, "space_group", 0.0)
    assert len(provider.predicted) == 1
    assert "map of another calibration" in other.verdict
    result.provenance["view"] = {"calibration": told.calibration.model_dump(mode="json")}
    again = make_view(told, (0, 1), provider, "fake-cubic", result, "space_group", 0.0)
    assert len(provider.predicted) == 1
    assert "calibration" not in again.verdict
    assert again.can_calibrate
