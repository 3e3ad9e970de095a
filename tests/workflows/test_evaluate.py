"""``evaluate`` and ``simulate``: scores on answers of known truth, files and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.config import EvaluateSpec, SimulateSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import PhaseError, SpecError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.models import ModelCard, load_model
from napari_spacegroup.workflows import evaluate, simulate
from napari_spacegroup.workflows.evaluate_model import Answers, evaluation_spec, score

CLASSES = (221, 225, 229)
CARD = ModelCard(
    name="toy", technique="ebsd", classes=CLASSES, architecture="bandnet",
    input=InputContract(), equivalence_sets=((221, 225), (221, 229)),
)  # fmt: skip

NICKEL = """data_Ni
_cell_length_a 3.524
_cell_length_b 3.524
_cell_length_c 3.524
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_IT_number 225
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 Ni 0 0 0
"""


def _answers(truth: list[int], chosen: list[int], names: list[str]) -> Answers:
    probabilities = np.full((len(truth), 3), 0.1, np.float32)
    for row, group in enumerate(chosen):
        probabilities[row, CLASSES.index(group)] = 0.8
    return Answers(tuple(names), np.array(truth), probabilities)


def test_scores_of_known_answers():
    report = score(_answers([225, 225, 229, 221], [225, 221, 229, 229], list("aabc")), CARD)
    accuracy = report["accuracy"]
    assert accuracy["space_group"] == 0.5
    # 221 for a 225, and 229 for a 221, stay inside a set.
    assert accuracy["equivalence_set"] == 1.0
    assert accuracy["bravais_lattice"] == 0.5
    assert accuracy["laue_class"] == accuracy["crystal_system"] == 1.0
    assert report["mean_set_size"] == pytest.approx((2 + 3 + 2 + 2) / 4)
    assert report["per_phase"]["a"]["answers"] == {"221": 1, "225": 1}
    assert report["per_class"]["225"] == {"recall": 0.5, "precision": 1.0, "n": 2}
    assert report["balanced_accuracy"] == pytest.approx((0.5 + 1 + 0) / 3)


def test_a_group_that_the_model_lacks_is_an_error_and_named():
    report = score(_answers([216, 225], [225, 225], ["zinc blende", "nickel"]), CARD)
    assert report["accuracy"]["space_group"] == 0.5
    assert report["accuracy"]["bravais_lattice"] == 1.0
    assert report["unknown_to_model"] == ["zinc blende"]


def test_measured_patterns_of_one_phase():
    from napari_spacegroup.workflows import demo_scan_path

    report = evaluate(load_model("ebsd-cubic"), scan=demo_scan_path(), truth=225)
    assert report["n"] == 9
    assert report["made"]["kind"] == "measured"
    assert 0 <= report["ece"] <= 1


def test_what_evaluate_refuses(tmp_path):
    model = load_model("ebsd-cubic")
    with pytest.raises(SpecError, match="either phases or scan"):
        evaluate(model)
    with pytest.raises(PhaseError, match="no CIF"):
        evaluate(model, phases=tmp_path)
    with pytest.raises(SpecError, match="truth"):
        evaluate(model, scan=np.ones((2, 60, 60)), truth=231)
    with pytest.raises(SpecError, match="belongs to spot patterns"):
        evaluate(model, phases=[library_phase("Ni")], thick_share=0.5)
    with pytest.raises(SpecError, match="as thick as it is"):
        EvaluateSpec.from_mapping(
            {"model": "sad-cubic", "scan": "a.blo", "truth": 225, "thick_share": 1.0}
        )


def test_thick_crystals_are_told_in_the_report():
    options = {"phases": [library_phase("Si"), library_phase("Fe")], "patterns_per_phase": 4}
    thin = evaluate("sad-cubic", **options)
    thick = evaluate("sad-cubic", thick_share=1.0, **options)
    assert thin["made"]["range"]["thick_share"] == 0
    assert "Bloch" not in thin["made"]["simulator"]
    assert thick["made"]["range"]["thick_share"] == 1
    assert "100% thick crystals by Bloch waves" in thick["made"]["simulator"]


def test_larger_cells_are_simulated_more_coarsely():
    nickel = evaluation_spec(library_phase("Ni"), 20.0)
    spinel = evaluation_spec(library_phase("Ni").scaled(2.4), 20.0)
    assert nickel.d_min < spinel.d_min


def test_simulate_writes_a_set_that_training_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SPACEGROUP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "Ni.cif").write_text(NICKEL)
    master = {"method": "kinematic", "half_size": 30, "d_min": 1.0}
    spec = SimulateSpec.from_mapping({"phases": [tmp_path / "Ni.cif"], "master": master})
    simulate(spec, tmp_path / "set.npz")
    loaded = MasterSet.load(tmp_path / "set.npz")
    assert loaded.records[0].space_group == 225
    assert loaded.patterns.shape == (1, 1, 61, 61)
    patterns = spec.replace(output={"kind": "ebsd", "patterns_per_phase": 3})
    simulate(patterns, tmp_path / "patterns.npz")
    with np.load(tmp_path / "patterns.npz") as content:
        assert content["patterns"].shape == (3, 60, 60)
        assert content["space_groups"].tolist() == [225] * 3
    with pytest.raises(SpecError, match=r"\.npz"):
        simulate(patterns, tmp_path / "patterns.h5")
