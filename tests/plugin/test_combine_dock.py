"""The dock *Combine*: patterns, layers, regions and files; ticks; the next zone axis."""

from __future__ import annotations

import imageio.v3 as imageio
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_spacegroup.infer.combine import combine_probabilities
from napari_spacegroup.plugin.combine_dock import CombineDock
from napari_spacegroup.plugin.combine_state import CombineState, EvidenceRow
from napari_spacegroup.plugin.layers import LayerFrame, navigation_layer
from napari_spacegroup.plugin.regions import REGION_NAME, region_mask, why_not_patterns
from napari_spacegroup.plugin.session import session_of

pytestmark = pytest.mark.gui

CLASSES = (221, 225, 227, 229)


@pytest.fixture
def dock(make_napari_viewer, qtbot, fake_models):  # noqa: ARG001
    viewer = make_napari_viewer()
    dock = CombineDock(viewer)
    viewer.window.add_dock_widget(dock, name="combine")
    qtbot.waitUntil(lambda: bool(dock.session.map_state.model), timeout=15_000)
    yield dock
    session_of(viewer).close()


@pytest.fixture
def viewer(dock):
    return dock.viewer


@pytest.fixture
def steel(viewer, scan):
    data, keywords, _ = navigation_layer(scan, np.zeros(scan.scan_shape, np.float32))
    layer = viewer.add_image(data, **keywords)
    viewer.layers.selection.active = layer
    return layer


def photograph(index, sure):
    """One picture that the fake model reads as a class, with so many percent."""
    picture = np.full((20, 20), 90, np.uint8)
    picture[5, 5] = 200
    picture[0, :2] = index, sure
    return picture


def settled(dock, qtbot, rows):
    def done():
        state = dock.state
        assert len(state.rows) == rows
        assert not state.is_reading
        ticked = [row for row in state.rows if row.is_ticked and row.count]
        assert all(row.joint is not None for row in ticked)
        assert all(row.joint is None for row in state.rows if row not in ticked)

    qtbot.waitUntil(lambda: _holds(done), timeout=15_000)


def _holds(check):
    try:
        check()
    except AssertionError:
        return False
    return True


def shown(dock):
    table = dock.table
    return [
        tuple(table.item(row, column).text() for column in range(3))
        for row in range(table.rowCount())
    ]


def test_an_empty_dock_says_what_to_do(dock):
    assert dock.empty.isVisibleTo(dock)
    assert not dock.table.isVisibleTo(dock)
    assert not dock.pattern_button.isEnabled()
    assert "pixel" in dock.pattern_button.toolTip()
    assert not dock.region_button.isEnabled()
    assert not dock.layers_button.isEnabled()
    assert dock.files_button.isEnabled()
    assert not dock.tilts.isVisibleTo(dock)


def test_photographs_add_up_and_ticks_ask_nothing(dock, viewer, qtbot, fake_models):
    layers = [
        viewer.add_image(photograph(i, p), name=f"{i}") for i, p in ((0, 60), (1, 70), (1, 80))
    ]
    viewer.layers.selection = set(layers)
    dock.layers_button.click()
    settled(dock, qtbot, 3)
    each = np.full((3, 4), 0.0)
    for row, (index, sure) in enumerate(((0, 0.6), (1, 0.7), (1, 0.8))):
        each[row] = (1 - sure) / 3
        each[row, index] = sure
    expected = combine_probabilities(each, CLASSES)
    assert [row.joint.probability for row in dock.state.rows] == pytest.approx(
        expected.steps.max(axis=1).tolist(), abs=1e-5
    )
    assert [row.alone.number for row in dock.state.rows] == [221, 225, 225]
    assert dock.state.bars[0].number == 225
    assert "from 3 patterns" in dock.verdict.text()
    assert shown(dock)[0][0] == "0"
    asked = fake_models.read
    assert asked == 3
    # Without the first one, of which nothing is asked again.
    dock.table.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    settled(dock, qtbot, 3)
    fewer = combine_probabilities(each[1:], CLASSES).probabilities
    qtbot.waitUntil(lambda: abs(dock.state.bars[0].probability - fewer.max()) < 1e-5, timeout=5_000)
    assert shown(dock)[0][2] == "–"
    assert shown(dock)[0][1].startswith("P")
    assert fake_models.read == asked


def test_the_mean_is_the_papers(dock, viewer, qtbot):
    layers = [viewer.add_image(photograph(i, p), name=f"{i}") for i, p in ((0, 60), (1, 70))]
    viewer.layers.selection = set(layers)
    dock.layers_button.click()
    settled(dock, qtbot, 2)
    dock.state.method = "mean"
    qtbot.waitUntil(
        lambda: dock.state.bars[0].probability == pytest.approx((0.7 + 0.4 / 3) / 2, abs=1e-5),
        timeout=5_000,
    )


def test_the_pinned_pattern_is_added(dock, steel, qtbot):  # noqa: ARG001
    session = dock.session
    session.pattern_state.pinned = (1, 2)
    qtbot.waitUntil(lambda: session.pattern_state.view is not None, timeout=15_000)
    qtbot.waitUntil(dock.pattern_button.isEnabled, timeout=5_000)
    dock.pattern_button.click()
    settled(dock, qtbot, 1)
    row = dock.state.rows[0]
    assert row.name == "Steel (1, 2)"
    assert row.count == 1
    assert row.alone.number == CLASSES[(1 * 5 + 2) % 4]


def test_a_region_is_drawn_and_added(dock, viewer, steel, qtbot):
    dock.region_button.click()
    drawn = viewer.layers[REGION_NAME]
    assert viewer.layers.selection.active is drawn
    assert drawn.mode == "add_polygon_lasso"
    assert dock.region_button.text() == "Add region"
    # Pixels (0, 1) to (1, 3); the scan's step is 0.5 down and 0.25 across.
    drawn.add_rectangles(np.array([[-0.4, 0.6], [-0.4, 3.4], [1.4, 3.4], [1.4, 0.6]]))
    dock.region_button.click()
    settled(dock, qtbot, 1)
    assert dock.state.rows[0].count == 6
    assert dock.state.rows[0].name == "Steel, 6 pixels"
    assert not len(drawn.data)
    assert viewer.layers.selection.active is steel
    assert dock.region_button.text() == "Draw region"


def test_a_region_in_another_frame_means_the_same_pixels(viewer, scan):
    frame = LayerFrame.of_scan(scan)
    corners = np.array([[-0.4, 0.6], [-0.4, 3.4], [1.4, 3.4], [1.4, 0.6]])
    layer = viewer.add_shapes(
        [corners * np.array(frame.scale) / 2.0], shape_type="polygon", scale=(2.0, 2.0)
    )
    mask = region_mask(layer, frame, scan.scan_shape)
    assert np.argwhere(mask).tolist() == [[0, 1], [0, 2], [0, 3], [1, 1], [1, 2], [1, 3]]


def test_files_are_read_and_a_bad_one_says_why(dock, qtbot, tmp_path):
    imageio.imwrite(tmp_path / "good.png", photograph(2, 90))
    (tmp_path / "bad.png").write_bytes(b"nothing")
    dock.controller.add_files([tmp_path / "good.png", tmp_path / "bad.png"])
    settled(dock, qtbot, 2)
    good, bad = dock.state.rows
    assert good.alone.number == 227
    assert "bad.png" in bad.problem
    assert shown(dock)[1][0].startswith("⚠")
    assert dock.state.bars[0].number == 227


def test_dead_patterns_say_nothing(dock, viewer, qtbot):
    layer = viewer.add_image(np.full((20, 20), 3, np.uint8), name="dead")
    viewer.layers.selection.active = layer
    dock.layers_button.click()
    qtbot.waitUntil(lambda: bool(dock.state.rows[0].problem), timeout=15_000)
    assert "constant" in dock.state.rows[0].problem
    assert not dock.state.bars


def test_the_next_axis_follows_the_holder(dock, viewer, qtbot):
    layer = viewer.add_image(photograph(1, 50), name="a")
    viewer.layers.selection.active = layer
    dock.layers_button.click()
    settled(dock, qtbot, 1)
    assert dock.tilts.isVisibleTo(dock)
    assert dock.state.axes
    before = [row.alpha for row in dock.state.axes]
    dock.alpha.setValue(12.0)
    qtbot.waitUntil(lambda: [row.alpha for row in dock.state.axes] != before, timeout=5_000)
    # Out of what the holder reaches: said, not hidden.
    dock.reach.setValue(5.0)
    qtbot.waitUntil(lambda: dock.state.is_alert, timeout=5_000)
    assert "12" in dock.state.message
    dock.alpha.setValue(0.0)
    qtbot.waitUntil(lambda: not dock.state.is_alert, timeout=5_000)


def test_other_techniques_suggest_no_axis(dock, viewer, qtbot, fake_models):
    fake_models.technique = "ebsd"
    layer = viewer.add_image(photograph(1, 50), name="a")
    viewer.layers.selection.active = layer
    dock.layers_button.click()
    settled(dock, qtbot, 1)
    assert not dock.tilts.isVisibleTo(dock)


def test_another_model_reads_all_again(dock, viewer, qtbot, fake_models):
    layer = viewer.add_image(photograph(1, 50), name="a")
    viewer.layers.selection.active = layer
    dock.layers_button.click()
    settled(dock, qtbot, 1)
    asked = fake_models.read
    dock.session.map_state.model = ""
    qtbot.waitUntil(lambda: not dock.state.bars, timeout=5_000)
    dock.session.map_state.model = "fake-cubic"
    settled(dock, qtbot, 1)
    assert fake_models.read == asked + 1
    assert dock.state.bars


def test_lines_are_removed(dock, viewer, qtbot):
    layers = [viewer.add_image(photograph(i, 70), name=f"{i}") for i in range(3)]
    viewer.layers.selection = set(layers)
    dock.layers_button.click()
    settled(dock, qtbot, 3)
    assert not dock.remove_button.isEnabled()
    dock.table.selectRow(1)
    assert dock.remove_button.isEnabled()
    dock.remove_button.click()
    settled(dock, qtbot, 2)
    assert [row.name for row in dock.state.rows] == ["0", "2"]
    dock.clear_button.click()
    qtbot.waitUntil(lambda: not dock.state.bars, timeout=5_000)
    assert dock.empty.isVisibleTo(dock)


def test_a_stack_and_a_colour_photograph_hold_patterns_and_a_map_does_not(viewer, result):
    from napari_spacegroup.plugin.layers import MapView, confidence_layer

    stack = viewer.add_image(np.zeros((4, 20, 20), np.uint8))
    colour = viewer.add_image(np.zeros((20, 20, 3), np.uint8), rgb=True)
    labels = viewer.add_labels(np.zeros((20, 20), int))
    confidence = np.zeros(result.scan_shape, np.float32)
    data, keywords, _ = confidence_layer(
        result, MapView("confidence"), LayerFrame(), confidence, "confidence"
    )
    assert not why_not_patterns(stack)
    assert not why_not_patterns(colour)
    assert why_not_patterns(labels)
    assert why_not_patterns(viewer.add_image(data, **keywords))


def test_a_row_is_read_until_it_has_patterns_or_a_problem():
    assert CombineState(rows=(EvidenceRow(1, "a"),)).is_reading
    assert not CombineState(rows=(EvidenceRow(1, "a", count=1),)).is_reading
    assert not CombineState(rows=(EvidenceRow(1, "a", problem="no"),)).is_reading


def test_spots_are_drawn_where_they_are():
    from napari_spacegroup.plugin.provider import spots_picture

    spots = np.array([[0.25, 0.25, 1.0], [-0.25, 0.1, 0.2], [0.0, 0.0, 0.0]], np.float32)
    picture = spots_picture(spots, side=80)
    assert np.unravel_index(picture.argmax(), (80, 80)) in [(19, 59), (19, 60), (20, 59), (20, 60)]
    assert picture[32, 20] > 0.2  # above the middle, to the left, weaker
    assert picture[40, 40] < 0.01  # strength 0 is no spot
