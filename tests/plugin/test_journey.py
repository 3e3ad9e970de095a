"""From File > Open Sample to a saved map, with a real network and the real job."""

from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt

from napari_spacegroup.imaging import InputContract
from napari_spacegroup.infer import load_map
from napari_spacegroup.jobs import JobState
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.plugin.layers import validate_map_layer
from napari_spacegroup.plugin.sample import SHAPE, simulate_polycrystal
from napari_spacegroup.plugin.session import session_of

CLASSES = (221, 225, 229)


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """An untrained network: its answers mean nothing, its path is the real one."""
    card = ModelCard(
        name="untrained",
        technique="ebsd",
        classes=CLASSES,
        architecture="resnet18",
        options={"width": 4},
        input=InputContract(shape=(32, 32)),
    )
    model = Model(build("resnet18", len(CLASSES), width=4), card)
    model.save(tmp_path / "models" / "untrained")
    (tmp_path / "models" / "broken").mkdir()
    (tmp_path / "models" / "broken" / "card.json").write_text("{}")
    monkeypatch.setenv("NAPARI_SPACEGROUP_MODELS", str(tmp_path / "models"))
    return model


@pytest.mark.gui
@pytest.mark.usefixtures("small_model")
def test_sample_classify_save_open(make_napari_viewer, qtbot, npe2pm, repository, tmp_path):
    npe2pm.register(PluginManifest.from_file(repository / "napari.yaml"))
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-spacegroup", "Space-group map")
    _, pattern = viewer.window.add_plugin_dock_widget("napari-spacegroup", "Pattern")
    session = session_of(viewer)
    state = session.map_state

    def until(condition):
        qtbot.waitUntil(lambda: bool(condition()), timeout=60_000)

    until(lambda: state.models and len(state.devices) > 1)
    names = [choice.key for choice in state.models]
    state.model = "untrained"
    assert state.chosen("model").detail == "EBSD: 221 225 229"
    broken = state.models[names.index("broken")]
    assert "is no model card" in broken.problem
    state.device = "cpu"
    qtbot.mouseClick(dock.sample_button, Qt.MouseButton.LeftButton)
    until(lambda: "Nickel" in viewer.layers)
    assert "3 × 3 patterns" in dock.layer_hint.text()
    qtbot.mouseClick(dock.classify_button, Qt.MouseButton.LeftButton)
    until(lambda: state.job.is_final)
    assert state.job is JobState.COMPLETED, state.message
    layer = viewer.layers["Nickel: untrained"]
    assert validate_map_layer(layer) == []
    assert np.isin(layer.data, CLASSES).all()
    viewer.cursor.position = (3.0, 1.5)
    until(lambda: session.pattern_state.view is not None)
    view = session.pattern_state.view
    assert (view.scan_y, view.scan_x) == (2, 1)
    assert view.network.shape == (32, 32)
    assert view.bars[0].number == layer.data[2, 1]
    assert pattern.verdict.text() == view.verdict
    path = tmp_path / "map.h5"
    session.classify.presenter.save(path)
    np.testing.assert_array_equal(load_map(path).labels(), layer.data)
    viewer.layers.clear()
    viewer.open(path, plugin="napari-spacegroup")
    assert [one._type_string for one in viewer.layers] == ["image", "labels"]
    until(lambda: state.map_name == "Nickel: untrained")
    assert [row.share for row in state.legend]


def test_the_simulated_sample_has_grains_and_dead_patterns():
    scan = simulate_polycrystal()
    assert scan.scan_shape == SHAPE
    patterns = np.asarray(scan.data)
    assert not patterns[:4, -6:].any()
    assert patterns[4:].std(axis=(2, 3)).min() > 10
    assert len(np.unique(patterns[10, 10])) > 50
