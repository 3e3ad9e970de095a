"""How a profile is laid out and drawn: readable in any dock, whole names of cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_spacegroup.imaging import ProfileAxis
from napari_spacegroup.plugin.profile_layout import (
    LABELS_APART,
    LEAST_CURVE,
    LEAST_WIDTH,
    TICK,
    Texts,
    arrange,
    axis_labels,
    least_height,
    most_height,
    outline,
)
from napari_spacegroup.plugin.state import Bar, PatternView, TickRow

PLAIN = Texts(line=18, small=15)
CELLS = Texts(line=18, small=15, names=260, rows=3)
ANGLE = np.arange(5.0, 65.0, 0.02)
NAME = "P1̄ (2), 8.179 12.874 14.178 Å α 93.1° β 115.9° γ 91.2°"


def test_a_low_wide_dock_puts_names_and_network_beside_the_curve():
    found = arrange(900, 200, CELLS)
    assert found.has_names_beside
    assert found.curve.width + 10 + CELLS.names < 900
    assert found.curve.height >= LEAST_CURVE
    assert found.network.left > found.curve.width
    assert found.network.bottom <= found.names[0].top
    assert all(box.width >= CELLS.names for box in found.names)


def test_a_narrow_dock_puts_all_below_each_other():
    found = arrange(340, 500, CELLS)
    assert not found.has_names_beside
    assert found.curve.width == found.network.width == 340
    assert found.network.top > found.axis
    assert all(box.width == 340 for box in found.names)
    assert arrange(340, least_height(340, CELLS), CELLS).network is None


@given(
    st.integers(160, 2000), st.integers(0, 900), st.integers(0, 4), st.integers(80, 420)
)  # fmt: skip
def test_nothing_overlaps_or_leaves_the_picture(width, extra, rows, names):
    texts = Texts(18, 15, names if rows else 0, rows)
    height = least_height(width, texts) + extra
    found = arrange(width, height, texts)
    assert found.curve.height >= LEAST_CURVE
    assert found.curve.width >= min(width, LEAST_WIDTH)
    assert found.axis + texts.small <= height
    tops = [found.curve.bottom, *found.rows, found.axis]
    assert all(below >= above for above, below in itertools.pairwise(tops))
    assert all(after - before >= TICK for before, after in itertools.pairwise(found.rows))
    for box in (found.curve, *found.names, *([found.network] if found.network else [])):
        assert box.left >= 0
        assert box.left + box.width <= width
        assert box.top >= 0
        assert box.bottom <= height
    assert most_height(width, texts) > least_height(width, texts)


def test_the_axis_has_round_numbers_where_they_are():
    labels = axis_labels(ANGLE, 600)
    assert [text for _, text in labels] == ["10", "20", "30", "40", "50", "60"]
    for place, text in labels:
        assert place == pytest.approx((float(text) - 5) / 60, abs=1e-3)
    spacings = np.geomspace(6.0, 0.6, 900)  # falling, and not evenly
    places = axis_labels(spacings, 400)
    assert all(b[0] - a[0] >= 0.59 * LABELS_APART / 400 for a, b in itertools.pairwise(places))
    for place, text in places:
        assert spacings[round(place * 900 - 0.5)] == pytest.approx(float(text), rel=0.01)
    assert axis_labels(np.array([0.4, 0.5, 0.6, 0.7]), 300)[0][1] == "0.4"


@pytest.mark.parametrize("width", [50, 333, 4000])
def test_no_peak_is_lost_at_any_width(width):
    counts = np.full(3000, 10.0)
    counts[[700, 2100]] = 110, 35
    points = outline(counts[None], width, is_root=False)
    assert points[:, 1].max() == 1
    assert points[points[:, 1].argmax(), 0] == pytest.approx(700 / 3000, abs=1.0 / width)
    near = np.abs(points[:, 0] - 2100 / 3000) < 1.5 / width
    assert points[near, 1].max() == pytest.approx(0.25)
    assert outline(counts, width, is_root=True)[near, 1].max() == pytest.approx(0.5)


def profile_view(*, ticks=(), network=True):
    counts = 50 + 900 * np.exp(-0.5 * ((ANGLE - 30) / 0.1) ** 2)
    seen = np.full((1, 512), -0.25, np.float32)
    seen[0, 100:400] = 0.1
    bars = (Bar("P1̄", 2, 0.6, (0.8, 0.6, 0.2, 1.0)),)
    return PatternView(
        "Anorthite", 0, 0, counts[None], seen if network else None, "No model yet", bars,
        "P1̄ (2), confidence 60 %", ticks=ticks, is_single=True,
        axis=ProfileAxis(ANGLE, "two_theta", 1.5418), model="xrd-symmetry",
    )  # fmt: skip


def tick_rows():
    places = np.linspace(0.1, 0.9, 20)
    return tuple(TickRow(NAME, places, (0.7, 0.1, 0.2, 1.0)) for _ in range(3))


@pytest.fixture
def dock(make_napari_viewer, qtbot, fake_models):  # noqa: ARG001
    """The dock as a window of its own, which takes any size."""
    from napari_spacegroup.plugin.pattern_dock import PatternDock

    viewer = make_napari_viewer()
    found = PatternDock(viewer)
    qtbot.addWidget(found)
    yield found
    found.close_session()


@pytest.mark.gui
def test_ticks_names_and_what_was_not_measured_are_drawn(qtbot, make_napari_viewer):
    from napari_spacegroup.plugin.profile_view import ProfileView
    from napari_spacegroup.plugin.style import theme_colors

    widget = ProfileView()
    qtbot.addWidget(widget)
    widget.colors = theme_colors(make_napari_viewer())
    widget.resize(900, 200)
    widget.set_view(profile_view())
    plain = widget.grab().toImage()
    gap = widget.layout_now().network
    assert plain.pixelColor(gap.left + 5, gap.bottom - 2) == widget.colors.background
    widget.set_view(profile_view(ticks=tick_rows()))
    assert widget.grab().toImage() != plain
    assert widget.toolTip().count(NAME) == 3
    assert "3000 points" in widget.toolTip()
    assert widget.layout_now().has_names_beside
    widget.set_view(profile_view(network=False))
    assert widget.grab().toImage() != plain


@pytest.mark.gui
@pytest.mark.parametrize("size", [(1280, 214), (880, 214), (340, 620), (700, 700)])
def test_the_dock_gives_a_profile_what_it_needs(dock, qtbot, size):
    dock.state.view = profile_view(ticks=tick_rows())
    dock.resize(*size)
    dock.show()
    is_beside = size[1] < 300
    qtbot.waitUntil(lambda: (dock._answers.x() > dock.profile.x()) == is_beside, timeout=5_000)
    place = dock.profile.layout_now()
    assert not dock._images.isVisible()
    assert place.curve.height >= LEAST_CURVE
    assert place.curve.width >= (LEAST_WIDTH if is_beside else dock.width() - 20)
    assert all(box.width >= dock.profile.texts().names for box in place.names)  # whole
    assert not dock.profile.geometry().intersects(dock._answers.geometry())
    dock.state.view = None
    assert dock.profile.isHidden()


@pytest.mark.gui
@pytest.mark.parametrize("size", [(1280, 214), (524, 834), (340, 620)])
def test_pictures_stay_within_the_dock(dock, qtbot, size, make_scan):
    pattern = make_scan().pattern(0, 0)
    dock.state.view = PatternView("Steel", 0, 0, pattern, pattern.astype(np.float32))
    dock.resize(*size)
    dock.show()
    is_beside = size[1] < 300
    qtbot.waitUntil(lambda: (dock._answers.x() > dock._images.x()) == is_beside, timeout=5_000)
    assert dock._images.x() + dock._images.width() <= dock.width()
    assert not dock._images.geometry().intersects(dock._answers.geometry())
    place = dock.network
    wide = min(place.width(), (place.height() - place.height_for(0)) * 20 / 16)  # 16 × 20 pixels
    assert wide >= 0.45 * min(size[0], size[1])


@pytest.mark.gui
@pytest.mark.usefixtures("fake_models")
def test_a_dock_that_was_high_may_be_low_again(make_napari_viewer, qtbot):
    from qtpy.QtCore import Qt

    from napari_spacegroup.plugin.pattern_dock import PatternDock

    viewer = make_napari_viewer(show=True)
    dock = PatternDock(viewer)
    frame = viewer.window.add_dock_widget(dock, name="pattern")
    window = dock.window()
    window.resize(1300, 900)
    dock.state.view = profile_view(ticks=tick_rows())
    qtbot.waitUntil(lambda: dock.width() > 1000, timeout=5_000)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, frame)
    window.resizeDocks([frame], [340], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: frame.minimumHeight() > 300, timeout=5_000)  # all below each other
    window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, frame)
    qtbot.waitUntil(lambda: 50 < frame.minimumHeight() < 260, timeout=5_000)
    window.resizeDocks([frame], [215], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: frame.height() < 260, timeout=5_000)


@pytest.mark.gui
@pytest.mark.usefixtures("fake_models")
def test_a_profile_has_the_height_of_its_dock_in_every_window(make_napari_viewer, qtbot):
    """napari puts a stretch below a dock, and a stronger one in each further window."""
    from qtpy.QtCore import Qt

    from napari_spacegroup.plugin.pattern_dock import PatternDock

    for _ in range(3):
        viewer = make_napari_viewer(show=True)
        dock = PatternDock(viewer)
        frame = viewer.window.add_dock_widget(dock, name="pattern", area="right")
        window = dock.window()
        window.resize(1300, 900)
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, frame)
        window.resizeDocks([frame], [330], Qt.Orientation.Vertical)
        dock.state.view = profile_view()
        qtbot.waitUntil(lambda d=dock: d.width() > 1000, timeout=5_000)
        qtbot.waitUntil(lambda d=dock: d.profile.geometry().bottom() > d.height() - 25)


@pytest.mark.gui
def test_a_long_hint_goes_below_the_head(dock):
    dock.state.message = ""
    dock.state.view = profile_view()
    dock.session.map_state.model_note = "Model changed to xrd-symmetry, for powder profiles."
    dock.resize(900, 220)
    dock.show()
    assert dock.hint.isHidden()
    assert dock.head_hint.text() == dock.session.map_state.model_note
    dock.resize(300, 600)
    assert dock.head_hint.isHidden()
    assert not dock.hint.isHidden()


@pytest.mark.gui
def test_thin_lines_can_be_seen_in_both_themes(make_napari_viewer):
    from qtpy.QtGui import QColor

    from napari_spacegroup.infer import color
    from napari_spacegroup.plugin.style import contrast, readable, theme_colors

    viewer = make_napari_viewer()
    for theme in ("dark", "light"):
        viewer.theme = theme
        colors = theme_colors(viewer)
        for group in range(1, 231, 7):
            shown = readable(QColor.fromRgbF(*color("space_group", group)), colors)
            assert contrast(shown, colors.background) >= 3
