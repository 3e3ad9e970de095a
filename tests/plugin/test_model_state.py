"""Which model a scan gets by itself, and what the user's own choice is worth."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from napari_spacegroup.patterns import PatternScan, from_profiles
from napari_spacegroup.plugin.live_state import format_of
from napari_spacegroup.plugin.model_state import (
    EBSD,
    PICTURES,
    ModelMemory,
    PatternKind,
    kind_of_model,
    kind_of_scan,
    why_not,
)
from napari_spacegroup.plugin.state import Choice, MapState

SPOTS = PatternKind("sad")
XRAY, NEUTRON = PatternKind("powder", "xray"), PatternKind("powder", "neutron")
PROFILE = PatternKind("powder")
MODELS = (
    Choice("/mine/steel", "steel", kind=EBSD, is_own=True),
    Choice("ebsd-cubic", "ebsd-cubic", kind=EBSD),
    Choice("ebsd-m3m", "ebsd-m3m", kind=EBSD),
    Choice("neutron-symmetry", "neutron-symmetry", kind=NEUTRON),
    Choice("sad-broken", "sad-broken", problem="is no model card"),
    Choice("sad-cubic", "sad-cubic", kind=SPOTS),
    Choice("xrd-symmetry", "xrd-symmetry", kind=XRAY),
)


class Desk:
    """A memory, the model that is chosen now, and somebody who looks and chooses."""

    def __init__(self, first="ebsd-cubic", models=MODELS):
        self.memory, self.model, self.models = ModelMemory(), first, models
        self.memory.start(first)

    def look_at(self, key, kind):
        self.key, self.kind = key, kind
        self.model = self.memory.model_for(key, kind, self.models, self.model)
        return self.model

    def choose(self, model):
        self.model = model
        self.memory.choose(model, self.models, self.key, self.kind)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        (EBSD, "ebsd-cubic"),
        (SPOTS, "sad-cubic"),
        (XRAY, "xrd-symmetry"),
        (NEUTRON, "neutron-symmetry"),
        (PROFILE, "xrd-symmetry"),
    ],
)
@pytest.mark.parametrize("first", ["ebsd-cubic", "sad-cubic", "neutron-symmetry"])
def test_a_scan_gets_a_model_of_its_technique(kind, model, first):
    desk = Desk(first)
    found = desk.look_at("a", kind)
    is_open = kind == PROFILE and first == "neutron-symmetry"  # it was there, and it suits
    assert found == ("neutron-symmetry" if is_open else model)


def test_where_the_technique_is_not_known_nothing_changes():
    desk = Desk()
    assert desk.look_at("stack", PICTURES) == "ebsd-cubic"
    desk.choose("sad-cubic")
    assert desk.look_at("other stack", PICTURES) == "sad-cubic"
    desk.choose("ebsd-m3m")
    assert desk.look_at("stack", PICTURES) == "ebsd-m3m"
    desk = Desk()
    desk.look_at("spots", SPOTS)
    assert desk.look_at("photograph", PICTURES) == "sad-cubic"


def test_pictures_do_not_keep_a_model_of_profiles():
    desk = Desk()
    desk.look_at("profile", XRAY)
    assert desk.look_at("photograph", PICTURES) == "ebsd-cubic"
    desk.look_at("profile", XRAY)
    desk.choose("xrd-symmetry")  # the user means it
    assert desk.look_at("photograph", PICTURES) == "xrd-symmetry"


def test_back_and_forth_gives_the_same_model_each_time():
    desk = Desk()
    layers = {"steel": EBSD, "rutile": PROFILE, "lbco": NEUTRON, "spots": SPOTS, "quartz": XRAY}
    before = {key: desk.look_at(key, kind) for key, kind in layers.items()}
    rng = np.random.default_rng(0)
    for key in rng.choice(list(layers), 40):
        assert desk.look_at(key, layers[key]) == before[key]


def test_a_choice_that_suits_is_never_taken_away():
    desk = Desk()
    desk.look_at("steel", EBSD)
    desk.choose("ebsd-m3m")
    assert desk.look_at("steel", EBSD) == "ebsd-m3m"
    assert desk.look_at("profile", XRAY) == "xrd-symmetry"
    assert desk.look_at("copper", EBSD) == "ebsd-m3m"
    desk.choose("/mine/steel")
    assert desk.look_at("profile", XRAY) == "xrd-symmetry"
    assert desk.look_at("steel", EBSD) == "/mine/steel"


def test_a_choice_against_the_technique_holds_for_that_scan_alone():
    desk = Desk()
    desk.look_at("a", XRAY)
    desk.choose("neutron-symmetry")
    assert desk.look_at("b", XRAY) == "xrd-symmetry"
    assert desk.look_at("a", XRAY) == "neutron-symmetry"
    desk.choose("xrd-symmetry")  # and is taken back
    desk.look_at("n", NEUTRON)
    assert desk.look_at("a", XRAY) == "xrd-symmetry"


def test_a_choice_for_pictures_comes_back_after_a_scan_of_known_technique():
    desk = Desk()
    desk.look_at("photograph", PICTURES)
    desk.choose("sad-cubic")
    assert desk.look_at("steel", EBSD) == "ebsd-cubic"
    assert desk.look_at("photograph", PICTURES) == "sad-cubic"


def test_a_choice_made_elsewhere_counts_when_its_technique_comes():
    desk = Desk()
    desk.look_at("profile", XRAY)
    desk.memory.remember("ebsd-m3m")
    assert desk.look_at("profile", XRAY) == "xrd-symmetry"
    assert desk.look_at("steel", EBSD) == "ebsd-m3m"


def test_the_packages_models_go_before_trained_ones_unless_those_stand_there():
    assert Desk("sad-cubic").look_at("steel", EBSD) == "ebsd-cubic"
    assert Desk("/mine/steel").look_at("steel", EBSD) == "/mine/steel"


def test_without_a_model_of_the_technique_nothing_changes():
    desk = Desk(models=MODELS[:3])
    assert desk.look_at("profile", XRAY) == "ebsd-cubic"
    desk = Desk(models=(*MODELS[:3], MODELS[4]))
    assert desk.look_at("spots", SPOTS) == "ebsd-cubic"  # the only one can't be read


def test_a_model_that_says_nothing_suits_all():
    plain = Choice("fake", "fake")
    desk = Desk("fake", (plain, *MODELS))
    assert desk.look_at("spots", SPOTS) == "fake"


def test_what_patterns_are_comes_from_the_scan_and_the_card():
    pictures = PatternScan.from_array(np.zeros((1, 1, 16, 16), np.uint8))
    assert kind_of_scan(pictures) == PICTURES
    spots = PatternScan.from_array(np.zeros((1, 1, 16, 16), np.uint8), technique="sad")
    assert kind_of_scan(spots) == SPOTS
    profile = from_profiles(np.arange(200.0), two_theta=np.arange(200) / 2, radiation="neutron")
    assert kind_of_scan(profile) == NEUTRON
    card = SimpleNamespace(technique="powder", input=SimpleNamespace(radiation="xray"))
    assert kind_of_model(card) == XRAY
    card = SimpleNamespace(technique="ebsd", input=SimpleNamespace())
    assert kind_of_model(card) == EBSD
    assert kind_of_model(None) is None
    assert format_of("scan.up2").kind == EBSD
    assert format_of("scan.h5").kind is None  # any of them


def test_the_reason_names_both_kinds():
    assert why_not("ebsd-cubic", EBSD, XRAY) == (
        "ebsd-cubic is for EBSD patterns, not for X-ray profiles: choose a model for those."
    )
    assert "pictures" in why_not("xrd-symmetry", XRAY, PICTURES)
    assert not why_not("xrd-symmetry", XRAY, PROFILE)
    assert not why_not("fake", None, XRAY)
    state = MapState(layers=(Choice("a", "a", kind=SPOTS),), layer="a", models=MODELS)
    state.model = "ebsd-cubic"
    assert "spot patterns" in state.why_not_classify
    state.model = "sad-cubic"
    assert not state.why_not_classify


def test_the_state_knows_neither_qt_nor_napari_nor_torch():
    code = (
        "import sys, napari_spacegroup.plugin.model_state\n"
        "bad = {'qtpy', 'PySide6', 'PyQt6', 'napari', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
