"""The model follows the scan: with a napari model and no window, then in the docks themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_spacegroup.jobs import JobState
from napari_spacegroup.patterns import PatternScan, from_profiles
from napari_spacegroup.plugin.aide import Aide
from napari_spacegroup.plugin.classify import ClassifyController
from napari_spacegroup.plugin.combine_model import CombineModel
from napari_spacegroup.plugin.combine_state import CombineState, EvidenceRow
from napari_spacegroup.plugin.inspect_pattern import PatternController
from napari_spacegroup.plugin.layers import navigation_layer
from napari_spacegroup.plugin.live_state import LiveState
from napari_spacegroup.plugin.model_follower import ModelFollower
from napari_spacegroup.plugin.model_state import EBSD, PatternKind
from napari_spacegroup.plugin.state import Choice, MapState, PatternState

SPOTS, XRAY = PatternKind("sad"), PatternKind("powder", "xray")
MODELS = (
    Choice("ebsd-cubic", "ebsd-cubic", kind=EBSD),
    Choice("ebsd-m3m", "ebsd-m3m", kind=EBSD),
    Choice("neutron-symmetry", "neutron-symmetry", kind=PatternKind("powder", "neutron")),
    Choice("sad-cubic", "sad-cubic", kind=SPOTS),
    Choice("xrd-symmetry", "xrd-symmetry", kind=XRAY),
)
ANGLE = np.arange(10.0, 90.0, 0.1)
COUNTS = 50 + 900 * np.exp(-0.5 * ((ANGLE - 30) / 0.2) ** 2)


def profile(name="quartz", radiation="unknown"):
    return from_profiles(
        COUNTS, two_theta=ANGLE, wavelength=1.54184, radiation=radiation, name=name
    )


def pictures(technique, name, shape=(2, 3)):
    data = np.random.default_rng(0).integers(60, 200, (*shape, 16, 20), dtype=np.uint8)
    return PatternScan.from_array(data, technique=technique, name=name)


class Bench:
    def __init__(self, provider):
        self.viewer, self.state, self.live = ViewerModel(), MapState(), LiveState()
        self.aide = Aide(lambda _: None)
        self.classify = ClassifyController(self.viewer, self.state, provider, None)
        self.pattern = PatternController(
            self.viewer, PatternState(), self.state, self.classify.presenter, provider, self.aide
        )
        self.models = ModelFollower(self.viewer, self.state, self.live, self.pattern)
        self.models.take_models(MODELS)

    def open(self, scan):
        data, keywords, _ = navigation_layer(scan, np.zeros(scan.scan_shape, np.float32))
        return self.viewer.add_image(data, **keywords)

    def select(self, layer):
        self.viewer.layers.selection.active = layer
        return self.state.model


@pytest.fixture
def bench(provider):
    return Bench(provider)


def test_opening_a_scan_chooses_a_model_and_says_so(bench):
    assert bench.state.model == "ebsd-cubic"
    bench.open(pictures("ebsd", "steel"))
    assert (bench.state.model, bench.state.model_note) == ("ebsd-cubic", "")
    bench.open(profile())
    assert bench.state.model == "xrd-symmetry"
    assert bench.state.model_note == "Model changed to xrd-symmetry, for powder profiles."
    bench.open(profile("lbco", "neutron"))
    assert bench.state.model == "neutron-symmetry"
    assert bench.state.model_note.endswith("for neutron profiles.")
    bench.open(pictures("sad", "spots"))
    assert bench.state.model == "sad-cubic"
    assert not bench.state.why_not_classify


def test_selecting_goes_back_and_forth(bench):
    steel, quartz = bench.open(pictures("ebsd", "steel")), bench.open(profile())
    assert bench.select(steel) == "ebsd-cubic"
    bench.state.model = "ebsd-m3m"  # by hand
    assert bench.state.model_note == ""
    assert bench.select(quartz) == "xrd-symmetry"
    assert bench.select(steel) == "ebsd-m3m"
    assert bench.select(None) == "ebsd-m3m"
    bench.state.layer = "quartz"  # in the box
    assert bench.state.model == "xrd-symmetry"


def test_a_stack_of_another_plugin_changes_nothing(bench):
    bench.state.model = "sad-cubic"
    stack = bench.viewer.add_image(np.zeros((2, 3, 16, 16), np.uint8), name="stack")
    assert (bench.state.model, bench.state.model_note) == ("sad-cubic", "")
    bench.open(profile())
    assert bench.state.model == "xrd-symmetry"
    assert bench.select(stack) == "sad-cubic"
    photograph = bench.viewer.add_image(np.zeros((16, 16), np.uint8), name="photograph")
    assert bench.select(photograph) == "sad-cubic"


def test_the_map_of_a_scan_brings_its_model_and_the_scan(bench, result):
    from napari_spacegroup.plugin.layers import LayerFrame

    steel = bench.open(replace(pictures("ebsd", "Steel", result.scan_shape)))
    bench.classify.presenter.lay_out_in(result, LayerFrame.of_layer(steel), "Steel")
    of_steel = bench.classify.presenter.layer
    bench.open(profile())
    assert bench.state.layer == "quartz"
    assert bench.select(of_steel) == "ebsd-cubic"
    assert bench.state.layer == "Steel"


def test_a_map_is_shown_at_the_finest_level_that_its_model_tells_apart(bench, result):
    from napari_spacegroup.plugin.layers import VIEW_KEY, LayerFrame

    steel = bench.open(replace(pictures("ebsd", "Steel", result.scan_shape)))
    result.finest_level = "laue_class"
    presenter = bench.classify.presenter
    presenter.lay_out_in(result, LayerFrame.of_layer(steel), "Steel")
    assert bench.state.level == "laue_class"
    assert presenter.layer.metadata[VIEW_KEY].level == "laue_class"
    bench.state.level = "crystal_system"  # somebody wants less: that stays
    presenter.lay_out_in(result, LayerFrame.of_layer(steel), "Steel")
    assert bench.state.level == "crystal_system"


def test_a_job_keeps_its_model_until_it_ends(bench):
    quartz, steel = bench.open(profile()), bench.open(pictures("ebsd", "steel"))
    assert bench.state.model == "ebsd-cubic"
    bench.state.job = JobState.RUNNING
    assert bench.select(quartz) == "ebsd-cubic"
    bench.state.job = JobState.COMPLETED
    assert bench.state.model == "xrd-symmetry"
    bench.state.is_live = True
    assert bench.select(steel) == "xrd-symmetry"
    bench.state.is_live = False
    assert bench.state.model == "ebsd-cubic"


def test_a_live_file_of_known_technique_counts_too(bench, tmp_path):
    bench.open(profile())
    bench.live.path = str(tmp_path / "scan.h5")  # may hold anything
    assert bench.state.model == "xrd-symmetry"
    bench.live.path = str(tmp_path / "scan.up2")
    assert bench.state.model == "ebsd-cubic"
    assert bench.state.model_note.endswith("for EBSD patterns.")


def test_a_scan_that_is_open_when_models_are_found(provider):
    bench = Bench(provider)
    bench.models.take_models(())
    bench.open(profile())
    assert bench.state.model == ""
    bench.models.take_models(MODELS)
    assert bench.state.model == "xrd-symmetry"
    bench.state.model = "neutron-symmetry"
    bench.models.take_models(MODELS[1:])  # a list that is read again
    assert bench.state.model == "neutron-symmetry"


class Evidence:
    """The model of the dock *Combine* beside those of the others."""

    def __init__(self, bench):
        self.bench, self.state = bench, CombineState()
        self.model = CombineModel(self.state, bench.models)

    def add(self, kind):
        key = len(self.state.rows)
        self.state.rows = (*self.state.rows, EvidenceRow(key, str(key)))
        return self.model.read(kind)


def test_evidence_keeps_its_model_while_the_others_look_elsewhere(bench):
    evidence = Evidence(bench)
    assert evidence.state.models == MODELS
    bench.open(pictures("sad", "spots"))
    assert evidence.state.model == "sad-cubic"
    assert evidence.state.model_note == bench.state.model_note
    assert not evidence.add(SPOTS)
    bench.open(profile())
    assert (bench.state.model, evidence.state.model) == ("xrd-symmetry", "sad-cubic")
    bench.state.model = "ebsd-m3m"  # by hand, and not for these
    assert evidence.state.model == "sad-cubic"
    evidence.state.rows = ()
    evidence.model.clear()
    assert evidence.state.model == "ebsd-m3m"


def test_evidence_gets_a_model_of_its_technique(bench):
    evidence = Evidence(bench)
    assert evidence.add(SPOTS)
    assert evidence.state.model == "sad-cubic"
    assert "spot patterns" in evidence.state.model_note
    assert bench.state.model == "ebsd-cubic"
    assert not evidence.add(EBSD)  # the first decides
    assert evidence.state.model == "sad-cubic"


def test_photographs_as_evidence_follow_the_user_alone(bench):
    evidence = Evidence(bench)
    bench.state.model = "sad-cubic"
    evidence.add(PatternKind())
    bench.open(pictures("ebsd", "steel"))
    assert (bench.state.model, evidence.state.model) == ("ebsd-cubic", "sad-cubic")
    bench.state.model = "ebsd-m3m"
    assert evidence.state.model == "ebsd-m3m"


def test_a_choice_in_combine_counts_for_the_others_where_it_suits(bench):
    evidence = Evidence(bench)
    bench.open(profile())
    evidence.state.model = "sad-cubic"
    assert bench.state.model == "xrd-symmetry"
    evidence.state.model = "ebsd-m3m"
    bench.open(pictures("ebsd", "steel"))
    assert bench.state.model == "ebsd-m3m"
    evidence.state.model = "ebsd-cubic"
    assert bench.state.model == "ebsd-cubic"


@pytest.mark.gui
def test_the_docks_choose_and_say_so(make_napari_viewer, qtbot, fake_models, monkeypatch):
    from napari_spacegroup.plugin.combine_dock import CombineDock
    from napari_spacegroup.plugin.live_dock import LiveDock
    from napari_spacegroup.plugin.map_dock import MapDock
    from napari_spacegroup.plugin.pattern_dock import PatternDock

    monkeypatch.setattr(fake_models, "models", lambda: MODELS)
    viewer = make_napari_viewer()
    pattern = PatternDock(viewer)
    docks = [MapDock(viewer), LiveDock(viewer), CombineDock(viewer)]
    for dock in (pattern, *docks):
        viewer.window.add_dock_widget(dock)
    state = pattern.session.map_state
    qtbot.waitUntil(lambda: state.model == "ebsd-cubic", timeout=15_000)

    def open_scan(scan):
        data, keywords, _ = navigation_layer(scan, np.zeros(scan.scan_shape, np.float32))
        return viewer.add_image(data, **keywords)

    def choose(box, model):
        box.setCurrentIndex(box.findData(model))
        box.activated.emit(box.currentIndex())

    quartz = open_scan(profile())
    qtbot.waitUntil(lambda: pattern.state.view is not None, timeout=15_000)
    for dock in docks:
        assert dock.model_box.currentText() == "xrd-symmetry"
        assert "changed to xrd-symmetry" in dock.note.text()
        assert not dock.note.isHidden()
    assert "changed to xrd-symmetry" in pattern.hint.text()
    qtbot.waitUntil(lambda: bool(pattern.state.view.bars), timeout=15_000)
    steel = open_scan(pictures("ebsd", "steel"))
    assert state.model == "ebsd-cubic"
    choose(docks[0].model_box, "ebsd-m3m")
    assert docks[0].note.isHidden()
    viewer.layers.selection.active = quartz
    viewer.layers.selection.active = steel
    assert docks[0].model_box.currentText() == "ebsd-m3m"
    assert docks[0].classify_button.isEnabled(), docks[0].classify_button.toolTip()
    choose(docks[0].model_box, "sad-cubic")  # against the technique: the button says why not
    assert "spot patterns" in docks[0].classify_button.toolTip()
