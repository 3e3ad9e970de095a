"""The dock *Simulate*: search, a job's master pattern, sliders, comparison, and the layer."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_spacegroup.config import KinematicSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.jobs import Done, Failed, JobState, Progress
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.patterns.geometry import Geometry
from napari_spacegroup.plugin.session import session_of
from napari_spacegroup.plugin.simulate_controller import master_spec_for
from napari_spacegroup.plugin.simulate_dock import SimulateDock
from napari_spacegroup.plugin.simulate_layer import SIMULATED_KEY
from napari_spacegroup.plugin.simulate_state import SimulateState
from napari_spacegroup.plugin.state import PatternView
from napari_spacegroup.simulate.masters import MasterPattern
from napari_spacegroup.simulate.single import draw_ebsd

pytestmark = pytest.mark.gui


def master_of(phase, spec):
    """A pattern with structure everywhere: enough to see where each pixel looks."""
    y, x = np.meshgrid(np.linspace(-1, 1, 61), np.linspace(-1, 1, 61), indexing="ij")
    sheet = np.cos(9 * x + 3 * y) + np.cos(14 * y * x) + np.cos(23 * x * x) + 0.5 * np.cos(31 * y)
    data = np.stack([sheet, sheet[::-1]])[None].astype(np.float32)
    return MasterPattern(
        data, np.array([spec.voltage]), np.ones(1), phase.name, phase.space_group, phase.lattice,
        bool(phase.operations.is_centrosymmetric()), spec,
    )  # fmt: skip


class FakeExecutor:
    """Makes master patterns at once, or waits for a cancel."""

    shares_memory = True

    def __init__(self):
        self.tasks, self.waits, self.error = [], False, None

    def run(self, task, cancel):
        phase, spec = task.arguments
        self.tasks.append(task)
        yield Progress(0, 3, f"Simulating {phase.name}")
        while self.waits and not cancel.is_cancelled:
            time.sleep(0.005)
        if cancel.is_cancelled:
            yield Done(None, is_cancelled=True)
        elif self.error is not None:
            yield Failed(self.error)
        else:
            yield Done(master_of(phase, spec))


@pytest.fixture
def executor():
    return FakeExecutor()


@pytest.fixture
def dock(make_napari_viewer, qtbot, fake_models, executor, monkeypatch):  # noqa: ARG001
    viewer = make_napari_viewer()
    dock = SimulateDock(viewer)
    monkeypatch.setattr(dock.controller, "_executor", lambda: executor)
    viewer.window.add_dock_widget(dock, name="simulate")
    qtbot.waitUntil(lambda: bool(dock.session.map_state.models), timeout=15_000)
    yield dock
    session_of(viewer).close()


@pytest.fixture
def drawn(dock, qtbot):
    dock.controller.choose("Ni")
    qtbot.waitUntil(lambda: dock.state.drawn is not None, timeout=20_000)
    return dock


def show_measured(dock, values, **facts):
    dock.session.pattern_state.view = PatternView("Steel", 2, 3, values, **facts)


def test_words_find_phases_and_a_click_takes_one(dock, qtbot):
    assert len(dock.picker.names()) > 600
    dock.picker.search.setText("Fe C 62")
    assert "Fe3C-cementite" in dock.picker.names()
    assert all("Fe" in library_phase(name).formula for name in dock.picker.names())
    dock.picker.search.setText("quartz")
    assert dock.picker.names()[0] == "SiO2-quartz"
    dock.picker.search.setText("no such thing")
    assert dock.picker.names() == []
    dock.picker.search.setText("Ni")
    assert dock.picker.names()[0] == "Ni"
    qtbot.keyClick(dock.picker.search, Qt.Key.Key_Return)
    assert dock.state.phase.name == "Ni"
    assert dock.phase_label.text() == "Ni"
    assert "(225)" in dock.facts_label.text()
    assert dock.picker.list.isHidden()
    qtbot.mouseClick(dock.picker.search, Qt.MouseButton.LeftButton)
    assert not dock.picker.list.isHidden()
    assert "3.524 Å" in dock.facts_label.text()
    qtbot.waitUntil(lambda: dock.state.drawn is not None, timeout=20_000)


def test_a_kinematic_pattern_comes_by_itself_and_follows_the_sliders(drawn, qtbot, executor):
    dock = drawn
    assert dock.state.drawn_of == "Ni, kinematic, 20 kV"
    assert isinstance(executor.tasks[0].arguments[1], KinematicSpec)
    assert not dock.simulate_button.isEnabled()
    assert "up to date" in dock.simulate_button.toolTip()
    before = dock.state.drawn
    dock.sliders["phi1"].slider.setValue(500)
    assert dock.state.view.phi1 == pytest.approx(180.0)
    assert dock.sliders["phi1"].value() == pytest.approx(180.0)
    qtbot.waitUntil(lambda: dock.state.drawn is not before, timeout=5_000)
    expected = draw_ebsd(dock.controller.master.weighted()[:1], dock.state.view)
    qtbot.waitUntil(lambda: np.array_equal(dock.state.drawn, expected), timeout=5_000)
    assert len(executor.tasks) == 1
    dock.sliders["pattern_center_z"].box.setValue(0.81)
    assert dock.state.view.pattern_center_z == pytest.approx(0.81)
    dock.rows_box.setValue(40)
    qtbot.waitUntil(lambda: dock.state.drawn.shape == (40, 120), timeout=5_000)


def test_a_slider_shows_its_pattern_quickly(drawn, qtbot):
    """Median from the move to the new picture in the state; the machine may be busy."""
    dock, times = drawn, []
    for angle in range(10, 21):
        before, start = dock.state.drawn, time.perf_counter()
        dock.sliders["phi2"].box.setValue(angle)
        qtbot.waitUntil(lambda b=before: dock.state.drawn is not b, timeout=5_000)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.25


def test_another_voltage_is_simulated_anew_after_a_rest(drawn, qtbot, executor):
    dock = drawn
    for value in (18, 16, 15):
        dock.voltage.box.setValue(value)
    assert dock.state.is_stale
    assert not dock.send_button.isEnabled()
    qtbot.waitUntil(lambda: dock.state.drawn_of.endswith("15 kV"), timeout=10_000)
    assert len(executor.tasks) == 2
    assert executor.tasks[1].arguments[1].voltage == 15
    assert not dock.state.is_stale


def test_a_dynamical_pattern_waits_for_the_button_and_can_be_cancelled(drawn, qtbot, executor):
    dock = drawn
    dock.state.method = "dynamical"
    assert dock.simulate_button.isEnabled()
    assert "Press Simulate" in dock.message.text()
    executor.waits = True
    qtbot.mouseClick(dock.simulate_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.state.total == 3, timeout=10_000)
    assert dock.cancel_button.isVisibleTo(dock)
    assert "Simulating Ni" in dock.message.text()
    qtbot.mouseClick(dock.cancel_button, Qt.MouseButton.LeftButton)
    assert dock.state.job is JobState.CANCELLED
    assert dock.state.drawn_of == "Ni, kinematic, 20 kV"
    assert dock.simulate_button.isEnabled()
    executor.waits = False
    qtbot.mouseClick(dock.simulate_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.state.drawn_of == "Ni, dynamical, 20 kV", timeout=10_000)


def test_another_phase_takes_the_picture_away_at_once(drawn, executor):
    executor.waits = True
    drawn.controller.choose("Fe")
    assert drawn.state.drawn is None
    assert drawn.drawn.image is None
    assert not drawn.send_button.isEnabled()


def test_a_failed_simulation_says_why(dock, qtbot, executor):
    executor.error = ValueError("no reflection is left")
    dock.controller.choose("Ni")
    qtbot.waitUntil(lambda: dock.state.is_alert, timeout=20_000)
    assert "no reflection is left" in dock.message.text()
    qtbot.waitUntil(lambda: dock.simulate_button.isEnabled(), timeout=5_000)


def test_comparison_with_the_pattern_under_the_cursor(drawn, qtbot):
    dock = drawn
    qtbot.waitUntil(lambda: "Point at a pixel" in dock.match_label.text(), timeout=5_000)
    view = dock.state.view.replace(phi1=200.0, capital_phi=77.0, phi2=31.0)
    measured = 500 + 80 * draw_ebsd(dock.controller.master.weighted()[:1], view)
    show_measured(dock, measured)
    qtbot.waitUntil(lambda: dock.state.match is not None, timeout=5_000)
    assert "row 2, column 3" in dock.measured.caption
    assert dock.state.match < 0.6
    dock.controller.look(phi1=200.0, capital_phi=77.0, phi2=31.0)
    qtbot.waitUntil(lambda: dock.state.match > 0.99, timeout=5_000)
    assert dock.match_label.text() == "Correlation 1.00"
    show_measured(dock, np.ones((30, 60)))
    qtbot.waitUntil(lambda: "30 × 60" in dock.match_label.text(), timeout=5_000)
    assert dock.state.match is None
    assert not dock.search_button.isEnabled()


def test_the_static_background_of_the_scan_is_taken_off(drawn, qtbot):
    dock = drawn
    background = np.random.default_rng(4).uniform(100, 1000, (60, 60))
    dock.controller.look(shape=(60, 60))
    pattern = draw_ebsd(dock.controller.master.weighted()[:1], dock.state.view)
    measured = background * (20 + pattern)
    show_measured(dock, measured)
    qtbot.waitUntil(lambda: dock.state.match is not None, timeout=5_000)
    without = dock.state.match
    show_measured(dock, measured, static_background=background)
    qtbot.waitUntil(lambda: dock.state.match not in (None, without), timeout=5_000)
    assert without < 0.3 < 0.95 < dock.state.match


def test_the_orientation_is_found(drawn, qtbot, monkeypatch):
    dock = drawn
    show_measured(dock, np.random.default_rng(1).normal(size=(60, 60)))
    qtbot.waitUntil(lambda: dock.search_button.isEnabled(), timeout=5_000)
    asked = []

    def find(sheets, number, view, measured, mask):  # noqa: ARG001
        asked.append((number, view, measured.shape, mask))
        return SimpleNamespace(euler=(11.0, 22.0, 33.0), match=0.5)

    monkeypatch.setattr("napari_spacegroup.simulate.orient.find_orientation", find)
    qtbot.mouseClick(dock.search_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.state.view.euler == (11.0, 22.0, 33.0), timeout=10_000)
    assert asked[0][0] == 225
    assert not dock.state.is_searching
    assert dock.sliders["phi2"].value() == pytest.approx(33.0)


def test_the_geometry_of_the_scan_is_taken(drawn, qtbot):
    dock = drawn
    assert not dock.scan_button.isEnabled()
    geometry = Geometry(np.array([0.42, 0.21, 0.66]), 68.0, 3.0, 1.0, 15.0)
    show_measured(dock, np.ones((48, 64)), geometry=geometry)
    qtbot.mouseClick(dock.screen_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(dock.scan_button, Qt.MouseButton.LeftButton)
    view = dock.state.view
    assert view.shape == (48, 64)
    assert view.pattern_center == pytest.approx((0.42, 0.21, 0.66))
    assert (view.sample_tilt, view.detector_tilt, view.azimuthal) == (68.0, 3.0, 1.0)
    assert dock.state.voltage == 15.0
    assert (dock.rows_box.value(), dock.columns_box.value()) == (48, 64)
    qtbot.waitUntil(lambda: dock.state.drawn_of.endswith("15 kV"), timeout=10_000)


def test_a_scan_hands_its_geometry_and_mask_to_the_docks():
    from napari_spacegroup.plugin.inspect_pattern import make_view

    centers = np.full((3, 5, 3), (0.5, 0.3, 0.6))
    centers[1, 2] = (0.4, 0.2, 0.7)
    mask = np.ones((16, 20), bool)
    mask[0] = False
    scan = PatternScan.from_array(
        np.random.default_rng(0).integers(0, 255, (3, 5, 16, 20), np.uint8),
        geometry=Geometry(centers), mask=mask,
    )  # fmt: skip
    view = make_view(scan, (1, 2), None, "", None, "space_group", 0.0)
    assert view.geometry.pattern_center == pytest.approx((0.4, 0.2, 0.7))
    assert view.mask is mask


def test_a_pattern_becomes_a_layer_once(drawn, qtbot):
    dock = drawn
    viewer = dock.viewer
    qtbot.mouseClick(dock.send_button, Qt.MouseButton.LeftButton)
    (layer,) = viewer.layers
    assert layer.name == "Ni, simulated (30.0, 40.0, 20.0)"
    assert np.array_equal(layer.data, dock.state.drawn)
    facts = layer.metadata[SIMULATED_KEY]
    assert facts["space_group"] == 225
    assert facts["master"]["method"] == "kinematic"
    assert facts["view"]["phi1"] == 30.0
    qtbot.mouseClick(dock.send_button, Qt.MouseButton.LeftButton)
    assert len(viewer.layers) == 1
    before = dock.state.drawn
    dock.sliders["phi1"].box.setValue(31.0)
    qtbot.waitUntil(lambda: dock.state.drawn is not before, timeout=5_000)
    qtbot.mouseClick(dock.send_button, Qt.MouseButton.LeftButton)
    assert len(viewer.layers) == 2
    second = viewer.layers[1]
    assert second.extent.world[0, 1] > layer.extent.world[1, 1]
    assert second.scale == pytest.approx(layer.scale)


def test_a_cif_of_ones_own(dock, qtbot, repository, tmp_path):
    dock.controller.open_cif(repository / "tests" / "data" / "cif" / "rutile_rounded.cif")
    assert dock.state.phase.space_group == 136
    assert "rutile_rounded.cif" in dock.facts_label.text()
    qtbot.waitUntil(lambda: dock.state.drawn is not None, timeout=20_000)
    broken = tmp_path / "broken.cif"
    broken.write_text("nothing")
    dock.controller.open_cif(broken)
    assert dock.state.is_alert
    assert dock.state.phase.space_group == 136


def test_closing_the_dock_ends_the_job(dock, qtbot, executor):
    executor.waits = True
    dock.controller.choose("Ni")
    qtbot.waitUntil(lambda: bool(executor.tasks), timeout=10_000)
    runner = dock.controller.runner
    dock.close_session()
    assert runner.wait(10)
    assert dock.state.job is JobState.CANCELLED


def test_the_state_says_what_is_missing():
    state = SimulateState()
    assert "Choose a phase" in state.why_not_simulate
    assert "no pattern" in state.why_not_send
    assert "no pattern" in state.why_not_search


@pytest.mark.parametrize("method", ["kinematic", "dynamical"])
def test_large_cells_are_simulated_more_coarsely(method):
    small, large = (master_spec_for(library_phase(name), method, 15.0) for name in ("Ni", "Cr23C6"))
    assert small.d_min < large.d_min
    assert small.voltage == 15.0
