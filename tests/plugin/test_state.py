from __future__ import annotations

import subprocess
import sys

import pytest

from napari_spacegroup.jobs import JobState
from napari_spacegroup.plugin.state import Choice, MapState, PatternState


def ready():
    return MapState(
        layers=(Choice("a", "a", "3 × 5"), Choice("b", "b", problem="b has 2 dimensions")),
        layer="a",
        models=(Choice("m", "m"),),
        model="m",
    )


def test_an_empty_state_says_what_to_do():
    state = MapState()
    assert "Open Sample" in state.hint
    assert state.why_not_classify == "There is no scan yet."
    assert state.why_no_map
    assert state.why_not_save


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layer": ""}, "Choose a scan"),
        ({"layer": "b"}, "2 dimensions"),
        ({"models": ()}, "No model"),
        ({"model": ""}, "Choose a model"),
        ({"models": (Choice("m", "m", problem="for SAD"),)}, "for SAD"),
        ({"devices": (Choice("auto", "GPU", problem="no GPU"),)}, "no GPU"),
        ({"job": JobState.RUNNING}, "running"),
    ],
)
def test_a_disabled_classify_button_has_a_reason(change, reason):
    state = ready()
    assert state.why_not_classify == ""
    for name, value in change.items():
        setattr(state, name, value)
    assert reason in state.why_not_classify


def test_a_filling_map_can_not_be_saved_yet():
    state = ready()
    state.map_name = "map"
    assert state.why_not_save == ""
    state.job = JobState.RUNNING
    assert "filling" in state.why_not_save


def test_changes_are_announced_once():
    state, heard = ready(), []
    state.events.threshold.connect(heard.append)
    state.threshold = 0.5
    state.threshold = 0.5
    assert heard == [0.5]
    pattern, views = PatternState(), []
    pattern.events.pinned.connect(views.append)
    pattern.pinned = (1, 2)
    assert views == [(1, 2)]


def test_the_state_knows_neither_qt_nor_napari_nor_torch():
    code = (
        "import sys, napari_spacegroup.plugin.state, napari_spacegroup.plugin.aide\n"
        "import napari_spacegroup.plugin.describe\n"
        "bad = {'qtpy', 'PySide6', 'PyQt6', 'napari', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
