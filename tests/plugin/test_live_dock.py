"""The dock Live: a scan that is being written, its map, and every way that it ends."""

from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt

from napari_spacegroup.config import SimulatedMicroscopeSpec
from napari_spacegroup.infer import PixelStatus, load_map
from napari_spacegroup.jobs import JobState
from napari_spacegroup.plugin.layers import validate_map_layer
from napari_spacegroup.plugin.live_state import LiveState, format_of
from napari_spacegroup.plugin.session import session_of
from napari_spacegroup.plugin.state import Choice
from napari_spacegroup.stream import SimulatedMicroscope
from napari_spacegroup.workflows.live_status import LiveStatus

GRID, FRAME = (6, 10), (24, 28)
CLASSES = (221, 225, 227, 229)


class Card:
    name, technique, equivalence_sets = "fake", "ebsd", ()
    sha256, package_version = "ab" * 32, "0"


class Model:
    classes, card, device = CLASSES, Card(), "cpu"

    def to(self, device):  # noqa: ARG002
        return self

    def predict(self, patterns, *, static_background=None, mask=None):  # noqa: ARG002
        found = np.full((len(patterns), len(CLASSES)), 0.1, np.float32)
        found[np.arange(len(patterns)), patterns[:, 0, 0].astype(int) % len(CLASSES)] = 0.7
        return found


def patterns_of(start: int, stop: int, generation: int = 0) -> np.ndarray:
    rng = np.random.default_rng(start + 1000 * generation)
    stack = rng.integers(50, 200, (stop - start, *FRAME)).astype(np.uint16)
    stack[:, 0, 0] = 100 + np.arange(start, stop) // GRID[1]
    return stack


@pytest.fixture
def microscope(tmp_path):
    spec = SimulatedMicroscopeSpec(
        phases=(tmp_path,), format="up2", scan_shape=GRID, pattern_shape=FRAME, step=0.25
    )
    made = SimulatedMicroscope(spec, tmp_path / "scan.up2", patterns_of, dtype=np.dtype("u2"))
    yield made
    made.writer.close()


@pytest.fixture
def live(make_napari_viewer, fake_models, npe2pm, repository, monkeypatch, tmp_path):
    """A viewer with the dock; the path is chosen, nothing is started."""
    from napari_spacegroup.workflows import follow_events

    monkeypatch.setattr(type(fake_models), "load", lambda *_: Model())
    monkeypatch.setattr(
        type(fake_models),
        "follow",
        lambda _, path, model, **options: follow_events(path, model, batch_size=16, **options),
        raising=False,
    )
    npe2pm.register(PluginManifest.from_file(repository / "napari.yaml"))
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-spacegroup", "Live")
    session = session_of(viewer)
    session.live_state.path = str(tmp_path / "scan.up2")
    return viewer, dock, session


def press(qtbot, button) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.gui
def test_a_scan_from_before_its_file_to_its_end(live, microscope, qtbot, tmp_path):
    viewer, dock, session = live
    state = session.live_state

    def until(condition):
        qtbot.waitUntil(lambda: bool(condition()), timeout=30_000)

    until(lambda: session.map_state.models)
    assert "EDAX up2, not there yet" in dock.path_hint.text()
    assert dock.start_button.isEnabled()
    press(qtbot, dock.start_button)
    until(lambda: "Waiting for the first patterns" in dock.message.text())
    assert not dock.path_edit.isEnabled()
    assert "being followed" in session.map_state.why_not_classify
    layer = viewer.layers["scan.up2: fake"]  # made while there is time, still empty
    assert layer.data.shape == (1, 1)
    assert validate_map_layer(layer) == []
    microscope.advance(30)
    until(lambda: state.status is not None and state.status.shown >= 29)
    assert viewer.layers["scan.up2: fake"] is layer
    assert validate_map_layer(layer) == []
    until(lambda: layer.data.ravel()[25] == CLASSES[(100 + 2) % 4])
    confidence = viewer.layers["scan.up2: fake, confidence"]
    assert not confidence.data.any(), "a hidden layer is not painted while the scan runs"
    confidence.visible = True
    assert confidence.data.ravel()[25] == pytest.approx(0.7)
    confidence.visible = False
    assert tuple(layer.scale) == (0.25, 0.25)
    assert dock.facts[0][1].text().endswith("of 60 pixels")
    assert "s  (99 %" in dock.facts[3][1].text()

    press(qtbot, dock.pause_button)
    until(lambda: dock.pause_button.text() == "Resume")
    shown = state.status.shown
    microscope.advance(10)
    qtbot.wait(400)
    assert state.status.shown <= shown + 1
    press(qtbot, dock.pause_button)
    until(lambda: state.status.shown >= 39)
    microscope.advance(20)
    until(lambda: state.job.is_final)
    assert state.job is JobState.COMPLETED, state.message
    assert "saved as scan.up2.map.h5" in dock.message.text()
    assert dock.panel.legend.rowCount() == 4
    rows = np.repeat(np.array(CLASSES)[(100 + np.arange(GRID[0])) % 4], GRID[1]).reshape(GRID)
    np.testing.assert_array_equal(layer.data, rows)
    np.testing.assert_allclose(confidence.data, 0.7, rtol=1e-6)
    np.testing.assert_array_equal(load_map(tmp_path / "scan.up2.map.h5").labels(), rows)
    assert dock.start_button.isEnabled()
    assert not session.map_state.is_live


@pytest.mark.gui
def test_stop_saves_and_says_what_is_missing(live, microscope, qtbot, tmp_path):
    _, dock, session = live
    state = session.live_state
    qtbot.waitUntil(lambda: bool(session.map_state.models), timeout=30_000)
    microscope.advance(30)
    press(qtbot, dock.start_button)
    qtbot.waitUntil(lambda: state.status is not None and state.status.shown >= 29, timeout=30_000)
    press(qtbot, dock.stop_button)
    qtbot.waitUntil(lambda: state.job.is_final, timeout=30_000)
    assert state.job is JobState.CANCELLED
    assert "Stopped. The map is saved" in state.message
    assert "no pattern for this pixel" in state.message
    saved = load_map(tmp_path / "scan.up2.map.h5")
    assert (saved.status == PixelStatus.MISSING).sum() in (30, 31)
    assert not (saved.status == PixelStatus.PENDING).any()


@pytest.mark.gui
def test_stopping_before_the_first_pattern_leaves_no_empty_layer(live, qtbot):
    viewer, dock, session = live
    qtbot.waitUntil(lambda: bool(session.map_state.models), timeout=30_000)
    press(qtbot, dock.start_button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
    press(qtbot, dock.stop_button)
    qtbot.waitUntil(lambda: session.live_state.job.is_final, timeout=30_000)
    assert list(viewer.layers) == []
    assert "before the first pattern" in session.live_state.message


@pytest.mark.gui
def test_closing_the_dock_ends_the_job(live, microscope, qtbot):
    viewer, dock, session = live
    qtbot.waitUntil(lambda: bool(session.map_state.models), timeout=30_000)
    microscope.advance(30)
    press(qtbot, dock.start_button)
    qtbot.waitUntil(lambda: session.live_state.job is JobState.RUNNING, timeout=30_000)
    viewer.window.remove_dock_widget(dock)
    dock.close_session()  # what the dock does when Qt takes it away, which may be later
    assert session.live_state.job is JobState.CANCELLED
    assert not session.map_state.is_live


def test_the_state_says_what_a_path_is(tmp_path):
    state = LiveState()
    assert "Give the file or folder" in state.why_not_start
    state.path = str(tmp_path / "scan.docx")
    assert "can't be followed" in state.why_not_start
    state.path = str(tmp_path / "missing" / "scan.up2")
    assert "There is no folder" in state.why_not_start
    state.path = str(tmp_path)
    assert state.why_not_start == ""
    assert format_of(state.path).detail == "folder of images or powder profiles, there already"
    assert state.output == tmp_path.with_name(tmp_path.name + ".map.h5")
    state.rows, state.columns = 3, 0
    assert state.scan_shape is None
    assert isinstance(state.chosen("if_behind"), Choice)


def test_the_facts_are_readable():
    state = LiveState()
    assert state.facts == ()
    nan = float("nan")
    state.status = LiveStatus("growing", "", 5, 4, 0, 60, 9.6, 8.2, 7, 0, nan, nan, 0)
    assert [text for _, text, _ in state.facts] == [
        "4 of 60 pixels", "10/s read, 8/s classified", "7 patterns", "–",
    ]  # fmt: skip
    state.status = LiveStatus("growing", "", 5, 4, 0, 0, 9.6, 8.2, 7, 3, 0.1, 0.2, 2)
    assert [name for name, _, _ in state.facts][-2:] == ["Left out", "Withheld"]
    state.status = LiveStatus("growing", "", 5, 4, 0, 0, 9.6, 8.2, 7, 3, 0.1, 0.2, 2)
    state.latest = "run_3.xye: cubic 97%, Fm-3m (225) 92%"
    assert [name for name, _, _ in state.facts][1] == "Latest"
    assert len(state.facts) == 7
    assert state.told == {}
    state.wavelength, state.positions = 0.7, True
    assert state.told == {"wavelength": 0.7, "positions": True}


@pytest.mark.gui
def test_a_series_of_profiles_in_the_dock(
    make_napari_viewer, fake_models, monkeypatch, qtbot, tmp_path
):
    from napari_spacegroup.models import load_model
    from napari_spacegroup.patterns import read
    from napari_spacegroup.plugin.live_dock import LiveDock
    from napari_spacegroup.workflows import classify, follow_events

    model = load_model("xrd-symmetry", device="cpu")
    monkeypatch.setattr(type(fake_models), "load", lambda *_: model)
    monkeypatch.setattr(
        type(fake_models),
        "follow",
        lambda _, path, model, **options: follow_events(path, model, **options),
        raising=False,
    )
    viewer = make_napari_viewer()
    dock = LiveDock(viewer)
    viewer.window.add_dock_widget(dock)
    session = session_of(viewer)
    state = session.live_state
    qtbot.waitUntil(lambda: bool(session.map_state.models), timeout=30_000)
    folder = tmp_path / "series"
    folder.mkdir()
    state.path = str(folder)
    dock.told_boxes[0].setValue(1.2)
    dock.idle_box.setValue(2)
    press(qtbot, dock.start_button)
    angle = np.arange(20, 90, 0.05)
    for number, centers in enumerate(((38, 44, 64.5), (30, 43, 53))):
        peaks = sum(np.exp(-0.5 * ((angle - c) / 0.1) ** 2) for c in centers)
        np.savetxt(folder / f"run_{number}.xy", np.column_stack([angle, 40 + 900 * peaks]))
    qtbot.waitUntil(lambda: state.latest.startswith("run_1.xy: "), timeout=60_000)
    qtbot.waitUntil(lambda: state.job.is_final, timeout=60_000)
    assert state.job is JobState.COMPLETED, state.message
    saved = load_map(tmp_path / "series.map.h5")
    assert saved.scan_shape == (1, 2)
    alone = read(folder / "run_0.xy", wavelength=1.2)
    expected = classify(alone, model, positions=False).probabilities[0, 0]
    np.testing.assert_allclose(saved.probabilities[0, 0], expected, atol=1e-6)
    layer = viewer.layers[f"series: {model.card.name}"]
    assert layer.data.shape == (1, 2)
    assert validate_map_layer(layer) == []
    dock.close_session()
