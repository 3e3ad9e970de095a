"""The bundled powder models: sound, small, and right where a beginner's eye would be."""

from __future__ import annotations

import pytest

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.models import check_model, find_model, load_model
from napari_spacegroup.patterns import read
from napari_spacegroup.workflows import classify, evaluate

NAMES = ("Ni", "Al", "Cu", "Fe", "W", "Si")


@pytest.mark.parametrize("name", ["xrd-symmetry", "neutron-symmetry"])
def test_it_is_sound_small_and_honest(name):
    assert check_model(name) == []
    folder = find_model(name)
    assert sum(p.stat().st_size for p in folder.iterdir()) < 6e6
    card = load_model(name).card
    assert len(card.classes) == 230
    assert len(card.equivalence_sets) == 11
    assert card.training["patterns"] > 10_000
    assert set(card.metrics) == {
        f"held-out synthetic crystals, {c}" for c in ("clean", "standard", "hard")
    }


@pytest.mark.parametrize("name", ["xrd-symmetry", "neutron-symmetry"])
def test_simple_metals_are_cubic(name):
    phases = [library_phase(n) for n in NAMES]
    report = evaluate(name, phases=phases, patterns_per_phase=8)
    assert report["accuracy"]["crystal_system"] > 0.8
    assert report["top_5"] > 0.5


def test_a_measured_rock_salt(shared_data):
    scan = read(shared_data / "powder" / "xrd_autoanalyzer" / "LiF.xy", wavelength=1.54184)
    result = classify(scan, "xrd-symmetry")
    assert result.labels("space_group").tolist() == [[225]]
