"""The docks in a real napari window, driven as a user drives them."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QProgressBar, QSlider

from napari_spacegroup.jobs import JobState
from napari_spacegroup.plugin.commands import classify_layer
from napari_spacegroup.plugin.controls import ProgressLine
from napari_spacegroup.plugin.layers import navigation_layer
from napari_spacegroup.plugin.map_dock import MapDock
from napari_spacegroup.plugin.pattern_dock import PatternDock
from napari_spacegroup.plugin.session import session_of

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("fake_models")]

SCAN_SHAPE = (3, 5)


class Window:
    """A viewer with the docks, and how a test waits for them."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        self.map = MapDock(viewer)
        self.pattern = PatternDock(viewer)
        self.map_frame = viewer.window.add_dock_widget(self.map, name="map")
        self.pattern_frame = viewer.window.add_dock_widget(self.pattern, name="pattern")
        self.session = session_of(viewer)
        self.state = self.session.map_state
        self.until(lambda: self.state.model and len(self.state.devices) > 1)

    def until(self, condition):
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=15_000)

    def open(self, scan):
        data, keywords, _ = navigation_layer(scan, scan.navigation_image())
        return self.viewer.add_image(data, **keywords)

    def press(self, button):
        assert button.isEnabled(), button.toolTip()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def classify(self):
        self.press(self.map.classify_button)
        self.until(lambda: not self.state.is_busy)

    def column(self, number):
        table = self.map.legend
        return [table.item(row, number).text() for row in range(table.rowCount())]


@pytest.fixture
def window(make_napari_viewer, qtbot, fake_models):
    found = Window(make_napari_viewer(), qtbot)
    yield found
    fake_models.gate.set()


def is_shown(widget):
    return not widget.isHidden()


def test_a_job_without_a_known_end_does_not_draw_all_the_time(qtbot):
    line = ProgressLine()
    qtbot.addWidget(line)
    drawn = []
    line.paintEvent = lambda event: (drawn.append(1), QProgressBar.paintEvent(line, event))
    line.show()
    line.show_share(0, 0)
    qtbot.wait(100)
    before = len(drawn)
    qtbot.wait(500)
    assert len(drawn) <= before + 1  # Qt's own sign would draw some fifteen times
    line.show_share(3, 5)
    assert (line.value(), line.maximum()) == (3, 5)


def test_an_empty_window_says_what_to_do(window):
    assert is_shown(window.map.empty)
    assert "Open Sample" in window.map.empty_hint.text()
    assert "Open Sample" in window.pattern.hint.text()
    assert not window.map.classify_button.isEnabled()


def test_every_disabled_control_says_why(window, scan):
    def check():
        controls = [
            child
            for kind in (QAbstractButton, QComboBox, QSlider)
            for child in window.map.findChildren(kind) + window.pattern.findChildren(kind)
            if is_shown(child) and not child.isEnabled()
        ]
        assert all(control.toolTip() for control in controls), [c.objectName() for c in controls]
        return len(controls)

    assert check() >= 4
    window.open(scan)
    assert check() >= 3
    window.session.provider.gate.clear()
    window.press(window.map.classify_button)
    window.until(lambda: window.state.map_name)
    assert check() >= 4


def test_one_press_gives_the_map_and_its_legend(window, scan):
    window.open(scan)
    assert not is_shown(window.map.empty)
    assert window.map.layer_hint.text() == "3 × 5 patterns, 16 × 20, 0.25 µm"
    window.classify()
    layer = window.viewer.layers["Steel: fake-cubic"]
    expected = np.resize([221, 225, 227, 229], SCAN_SHAPE)
    expected[-1, -1] = 0
    np.testing.assert_array_equal(layer.data, expected)
    assert window.column(1) == ["221", "225", "227", "229", "–"]
    assert window.column(3) == ["27 %", "27 %", "20 %", "20 %", "6.7 %"]
    assert window.column(2)[:4] == ["cubic"] * 4
    assert window.column(0)[-1] == "unknown"
    color = window.map.legend.item(1, 0).icon().pixmap(12, 12).toImage().pixelColor(6, 6)
    assert color.getRgbF()[:3] == pytest.approx(layer.get_color(225)[:3], abs=0.01)


def test_slider_and_level_recolour_without_inference(window, scan):
    window.open(scan)
    window.classify()
    window.session.provider.events = None
    layer = window.viewer.layers["Steel: fake-cubic"]
    window.map.slider.setValue(60)
    result = window.session.classify.presenter.result
    np.testing.assert_array_equal(layer.data, result.labels("space_group", threshold=0.6))
    assert window.map.threshold_label.text() == "60 %"
    box = window.map.level_box
    box.setCurrentIndex(box.findData("crystal_system"))
    box.activated.emit(box.currentIndex())
    assert window.state.level == "crystal_system"
    assert window.column(0)[0] == "cubic"
    np.testing.assert_array_equal(layer.data, result.labels("crystal_system", threshold=0.6))


def test_the_state_moves_the_widgets_too(window, scan):
    window.open(scan)
    window.classify()
    window.state.threshold = 0.25
    window.state.level = "laue_class"
    window.state.batch_size = 9
    window.state.device = "cpu"
    assert window.map.slider.value() == 25
    assert window.map.level_box.currentText() == "Laue class"
    assert window.map.batch_box.value() == 9
    assert window.map.device_box.currentText() == "CPU"
    item = window.map.device_box.model().item(2)
    assert not item.isEnabled()
    assert window.map.device_box.itemData(2, Qt.ItemDataRole.ToolTipRole) == "No GPU here."


def test_progress_and_cancel(window, scan, fake_models):
    window.open(scan)
    window.state.batch_size = 2
    fake_models.gate.clear()
    window.press(window.map.classify_button)
    window.until(lambda: window.state.map_name)
    assert is_shown(window.map.progress)
    assert is_shown(window.map.cancel_button)
    assert not window.map.classify_button.isEnabled()
    window.press(window.map.cancel_button)
    window.until(lambda: window.state.job is JobState.CANCELLED)
    assert "Cancelled after" in window.map.message.text()
    assert not is_shown(window.map.cancel_button)
    assert window.map.classify_button.isEnabled()


def test_closing_the_dock_cancels_the_job(window, scan, fake_models):
    window.open(scan)
    fake_models.gate.clear()
    window.press(window.map.classify_button)
    window.until(lambda: window.state.map_name)
    runner = window.session.classify.runner
    window.map_frame.destroyOnClose()
    assert runner.wait(10)
    assert runner.state is JobState.CANCELLED
    assert window.state.job is JobState.CANCELLED
    again = MapDock(window.viewer)
    window.viewer.window.add_dock_widget(again, name="map")
    assert again.map_title.text() == "Steel: fake-cubic"
    assert again.layer_box.currentText() == "Steel"


@pytest.mark.parametrize("way", ["viewer", "window"])
def test_closing_the_window_cancels_the_job(make_napari_viewer, qtbot, fake_models, scan, way):
    window = Window(make_napari_viewer(), qtbot)
    window.open(scan)
    fake_models.gate.clear()
    window.press(window.map.classify_button)
    window.until(lambda: window.state.map_name)
    runner = window.session.classify.runner
    if way == "viewer":
        window.viewer.close()
    else:
        window.map_frame.deleteLater()  # what Qt does with the docks of a closed window
        window.until(lambda: runner.cancel_token.is_cancelled)
    assert runner.wait(10)


def test_two_viewers_share_nothing(make_napari_viewer, qtbot, scan, make_scan):
    one, two = (Window(make_napari_viewer(), qtbot) for _ in range(2))
    one.open(scan)
    two.open(make_scan(name="Other"))
    one.state.threshold = 0.9
    two.press(two.map.classify_button)
    one.press(one.map.classify_button)
    for window in (one, two):
        window.until(lambda w=window: w.state.job is JobState.COMPLETED)
    assert [layer.name for layer in one.viewer.layers if "fake" in layer.name][-1].startswith(
        "Steel"
    )
    assert two.state.map_name == "Other: fake-cubic"
    assert two.state.threshold == 0
    assert one.map.map_title.text() == "Steel: fake-cubic"
    two.map_frame.destroyOnClose()
    assert one.state.job is JobState.COMPLETED


def test_the_pattern_under_the_cursor(window, scan, fake_models):
    window.open(scan)
    pattern = window.session.pattern_state
    window.viewer.cursor.position = (0.5, 0.75)
    window.until(lambda: pattern.view is not None)
    assert (pattern.view.scan_y, pattern.view.scan_x) == (1, 3)
    np.testing.assert_array_equal(pattern.view.measured, scan.pattern(1, 3))
    np.testing.assert_array_equal(pattern.view.network, scan.pattern(1, 3).astype(np.float32) - 100)
    assert len(fake_models.predicted) == 1
    assert pattern.view.bars[0].number == 221
    assert window.pattern.where.text() == "Row 1, column 3"
    assert window.pattern.verdict.text().endswith("(221), confidence 72 %")


def test_the_bars_agree_with_the_map(window, scan, fake_models):
    window.open(scan)
    window.classify()
    fake_models.predicted.clear()
    pattern = window.session.pattern_state
    window.viewer.cursor.position = (1.0, 0.25)
    window.until(lambda: pattern.view is not None and pattern.view.scan_y == 2)
    result = window.session.classify.presenter.result
    assert pattern.view.bars[0].number == result.labels()[2, 1]
    assert pattern.view.bars[0].probability == pytest.approx(result.confidence()[2, 1])
    assert not fake_models.predicted
    assert "runner-up" in window.map.hover.text()
    window.state.level = "crystal_system"
    window.until(lambda: pattern.view.bars[0].symbol == "cubic")
    window.viewer.cursor.position = (1.0, 1.0)
    window.until(lambda: pattern.view.scan_x == 4)
    assert "constant" in pattern.view.verdict
    assert pattern.view.bars == ()
    assert pattern.view.network is None


def test_a_pinned_pixel_stays(window, scan):
    window.open(scan)
    pattern = window.session.pattern_state
    pattern.pinned = (0, 2)
    window.until(lambda: pattern.view is not None)
    assert window.pattern.where.text() == "Row 0, column 2, pinned"
    assert is_shown(window.pattern.follow_button)
    window.viewer.cursor.position = (1.0, 0.0)
    window.qtbot.wait(150)
    assert pattern.view.scan_x == 2
    window.press(window.pattern.follow_button)
    assert pattern.pinned is None
    window.viewer.cursor.position = (1.0, 0.25)
    window.until(lambda: (pattern.view.scan_y, pattern.view.scan_x) == (2, 1))


def test_why_shows_where_the_network_looked(window, scan):
    window.open(scan)
    window.classify()
    window.press(window.pattern.why_button)
    window.viewer.cursor.position = (1.0, 0.5)
    window.until(lambda: window.pattern.state.view is not None)
    window.until(lambda: window.pattern.state.view.reasons is not None)
    with_veil = window.pattern.network.grab().toImage()
    window.press(window.pattern.why_button)
    window.until(lambda: window.pattern.state.view.reasons is None)
    assert with_veil != window.pattern.network.grab().toImage()


def test_a_deleted_scan_takes_its_pattern_with_it(window, scan):
    layer = window.open(scan)
    pattern = window.session.pattern_state
    pattern.pinned = (0, 2)
    window.until(lambda: pattern.view is not None)
    window.viewer.layers.remove(layer)
    assert pattern.view is None
    assert pattern.pinned is None
    assert is_shown(window.map.empty)


def test_both_themes_are_readable(window, scan):
    window.open(scan)
    for theme in ("dark", "light"):
        window.viewer.theme = theme
        colors = window.pattern.bars.colors
        for one, other in (
            (colors.text, colors.background),
            (colors.faint, colors.background),
            (colors.alert, colors.background),
            (colors.accent_text, colors.accent),
        ):
            assert contrast(one, other) > 4.5, (theme, one.name(), other.name())


def contrast(one, other):
    """WCAG 2.1 contrast ratio."""

    def luminance(color):
        parts = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.getRgbF()[:3]
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_menu_command_opens_the_dock_with_the_layer_chosen(
    make_napari_viewer, make_patterns, scan, npe2pm, repository
):
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_file(repository / "napari.yaml"))
    viewer = make_napari_viewer()
    data, keywords, _ = navigation_layer(scan, scan.navigation_image())
    viewer.add_image(data, **keywords)
    viewer.add_image(make_patterns(), name="stack")
    viewer.layers.selection.active = viewer.layers["Steel"]
    classify_layer(viewer)
    state = session_of(viewer).map_state
    assert state.layer == "Steel"
    viewer.layers.selection.active = viewer.layers["stack"]
    classify_layer(viewer)
    assert state.layer == "stack"
    assert len(viewer.window.dock_widgets) == 1
