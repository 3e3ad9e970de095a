"""The dock *Train*: choices, a job's events, stop and keep, resume, and the model elsewhere."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_spacegroup.crystal.library import library_phase
from napari_spacegroup.jobs import Done, Failed, JobState, Progress
from napari_spacegroup.learn import TrainStep, Validation
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.plugin.layers import navigation_layer
from napari_spacegroup.plugin.session import session_of
from napari_spacegroup.plugin.state import Choice
from napari_spacegroup.plugin.train_dock import TrainDock
from napari_spacegroup.plugin.train_state import TrainState
from napari_spacegroup.workflows.specialist import Confusion, Stage, StageBegun

pytestmark = pytest.mark.gui

_place = Path(__file__).with_name("event_loop_probe.py")
_spec = importlib.util.spec_from_file_location("event_loop_probe", _place)
_module = importlib.util.module_from_spec(_spec)
sys.modules["event_loop_probe"] = _module
_spec.loader.exec_module(_module)
EventLoopProbe = _module.EventLoopProbe


class FakeExecutor:
    """Plays a training; steps come until ``n_steps`` or a cancel."""

    shares_memory = False

    def __init__(self):
        self.n_steps, self.error, self.tasks = 20, None, []

    def run(self, task, cancel):
        self.tasks.append(task)
        (request,) = task.arguments
        yield StageBegun(Stage.SIMULATE)
        yield Progress(1, 2, "Ni")
        yield StageBegun(Stage.TRAIN)
        if self.error is not None:
            yield Failed(self.error)
            return
        for step in range(1, self.n_steps + 1):
            if cancel.is_cancelled:
                break
            time.sleep(0.005)
            yield TrainStep(step, 10**7, 2.0 / step, 0.1, 1 - 0.9 / step, 0.005 * step)
            if step % 5 == 0:
                yield Validation(step, 0.5, 1.0)
        yield StageBegun(Stage.CHECK)
        yield Confusion((225, 229), np.array([[40, 8], [2, 46]]), False)
        request.out.mkdir(parents=True, exist_ok=True)
        (request.out / "checkpoint.safetensors").write_bytes(b"")
        yield Done(request.out, is_cancelled=cancel.is_cancelled)


@pytest.fixture
def executor():
    return FakeExecutor()


@pytest.fixture
def dock(make_napari_viewer, qtbot, fake_models, executor, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SPACEGROUP_OWN_MODELS", str(tmp_path))
    viewer = make_napari_viewer()
    dock = TrainDock(viewer)
    monkeypatch.setattr(dock.controller, "_executor", lambda: executor)
    viewer.window.add_dock_widget(dock, name="train")
    qtbot.waitUntil(lambda: bool(dock.session.map_state.models), timeout=15_000)
    listed = fake_models.models()

    def models():
        mine = [Choice(str(p.parent), p.parent.name) for p in tmp_path.glob("*/checkpoint*")]
        return (*mine, *listed)

    monkeypatch.setattr(fake_models, "models", models)
    yield dock
    session_of(viewer).close()


def fill(dock):
    dock.controller.add([library_phase("Ni"), library_phase("Fe")])


def wait(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.state.is_busy, timeout=20_000)


def test_the_button_says_what_is_missing(dock):
    assert not dock.train_button.isEnabled()
    assert "Add the phases" in dock.train_button.toolTip()
    dock.controller.add([library_phase("Ni")])
    assert "nothing to tell apart" in dock.train_button.toolTip()
    fill(dock)
    assert dock.train_button.isEnabled()
    assert dock.phase_list.count() == 2
    dock.controller.remove(["Ni"])
    assert not dock.train_button.isEnabled()


def test_from_phases_to_a_model_that_others_can_choose(dock, qtbot, executor):
    fill(dock)
    qtbot.mouseClick(dock.train_button, Qt.MouseButton.LeftButton)
    wait(dock, qtbot)
    state = dock.state
    assert state.job is JobState.COMPLETED
    assert [point.step for point in state.training] == list(range(1, 21))
    assert [point.step for point in state.validation] == [5, 10, 15, 20]
    assert "85% " not in dock.matrix_title.text()
    assert "90% right" in dock.matrix_title.text()
    assert "new orientations" in dock.matrix_title.text()
    keys = lambda: [choice.key for choice in dock.session.map_state.models]  # noqa: E731
    qtbot.waitUntil(lambda: state.finished in keys(), timeout=10_000)
    assert dock.use_button.isVisibleTo(dock)
    (request,) = executor.tasks[0].arguments
    assert [phase.name for phase in request.phases] == ["Ni", "Fe"]
    assert request.spec.schedule.seconds == pytest.approx(600)
    assert executor.tasks[0].again == {"resume": True}


def test_stop_keeps_and_resume_goes_on(dock, qtbot, executor):
    fill(dock)
    executor.n_steps = 10_000
    dock.controller.train()
    qtbot.waitUntil(lambda: len(dock.state.training) > 3, timeout=10_000)
    assert not dock.train_button.isEnabled()
    qtbot.mouseClick(dock.stop_button, Qt.MouseButton.LeftButton)
    wait(dock, qtbot)
    assert "Stopped and kept" in dock.state.message
    assert dock.state.can_resume
    assert dock.resume_button.isEnabled()
    executor.n_steps = 3
    qtbot.mouseClick(dock.resume_button, Qt.MouseButton.LeftButton)
    wait(dock, qtbot)
    assert executor.tasks[-1].options["resume"] is True
    dock.state.name = "another"
    assert not dock.state.can_resume


def test_a_failure_is_said(dock, qtbot, executor):
    fill(dock)
    executor.error = ValueError("no such thing")
    dock.controller.train()
    wait(dock, qtbot)
    assert dock.state.job is JobState.FAILED
    assert "no such thing" in dock.message.text()
    assert dock.train_button.isEnabled()


def test_stored_master_patterns(dock, tmp_path):
    dock.state.source = "masters"
    assert "Choose a file" in dock.train_button.toolTip()
    assert not dock.phase_list.isVisibleTo(dock)
    dock.state.masters = tmp_path / "set.npz"
    assert dock.train_button.isEnabled()


def test_a_broken_cif_is_named(dock, tmp_path):
    (tmp_path / "broken.cif").write_text("data_x\n_cell_length_a wrong\n")
    dock.controller.add_files([tmp_path / "broken.cif"])
    assert "broken.cif" in dock.state.message
    assert dock.state.is_alert
    assert not dock.state.phases


def test_curves_and_matrix_never_hold_the_window(dock, qtbot, executor):
    fill(dock)
    executor.n_steps = 200
    dock.controller.train()
    with EventLoopProbe() as probe:
        wait(dock, qtbot)
    assert len(probe) > 20
    # 50 ms is the aim; a loaded test machine adds its own.
    assert probe.stall(90) < 50


def test_closing_the_dock_ends_the_training(dock, qtbot, executor):
    fill(dock)
    executor.n_steps = 100_000
    dock.controller.train()
    qtbot.waitUntil(lambda: len(dock.state.training) > 1, timeout=10_000)
    dock.session.close_dock(dock._token)
    assert dock.state.job is JobState.CANCELLED


def test_what_the_state_refuses():
    state = TrainState(name="no/slash")
    assert "name" in state.why_not_train
    state.name = "ok"
    state.phases = (library_phase("Mg"), library_phase("Ni"))
    state.network = "sectornet"
    assert "cubic" in state.why_not_train
    state.network = "bandnet"
    assert not state.why_not_train
    assert "no unfinished" in state.why_not_resume


def test_an_open_scan_is_learnt_from_without_labels(dock, executor, qtbot, tmp_path):
    """The menu lists what is open; the choice reaches the spec and can be taken back."""
    path = tmp_path / ("a-scan-with-a-very-long-name-that-no-button-holds" + ".h5")
    scan = PatternScan.from_array(
        np.random.default_rng(0).integers(0, 255, (2, 3, 8, 8)).astype(np.uint8), path=path
    )
    data, options, kind = navigation_layer(scan, np.ones((2, 3), np.float32))
    assert kind == "image"
    dock._viewer().add_image(data, **options)
    dock._fill_scans()
    actions = {action.text(): action for action in dock.scan_button.menu().actions()}
    assert next(iter(actions)) == "None"
    assert list(actions)[-1] == "Other file…"
    actions[options["name"]].trigger()
    assert dock.state.unlabelled == path
    assert "…" in dock.scan_button.text()
    dock.controller.add([library_phase("Ni"), library_phase("Fe")])
    dock.train_button.click()
    qtbot.waitUntil(lambda: dock.state.job.is_final, timeout=15_000)
    (request,) = executor.tasks[0].arguments
    assert request.spec.unlabelled.scans == (path,)
    actions["None"].trigger()
    assert dock.state.unlabelled is None
    assert dock.scan_button.text() == "None"
