"""Specs: frozen, strict, with units; and the conditions as DESIGN and the docs state them."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from napari_spacegroup import config
from napari_spacegroup.config import (
    ClassifySpec,
    DynamicalSpec,
    EvaluateSpec,
    KinematicSpec,
    SimulateSpec,
    Spec,
    SpotRangeSpec,
    TrainSpec,
    condition_names,
    ebsd_condition,
    sad_condition,
)
from napari_spacegroup.errors import SpecError

SPECS = [
    value
    for name in config.__all__
    if isinstance(value := getattr(config, name), type) and issubclass(value, Spec)
]
VERBS = {
    SimulateSpec: {"phases": ["a.cif"]},
    TrainSpec: {"masters": ["masters"]},
    EvaluateSpec: {"model": "m", "phases": "cifs"},
    ClassifySpec: {"model": "m"},
}


def _is_number(annotation: object) -> bool:
    parts = typing.get_args(annotation) or (annotation,)
    return any(part in (int, float) for part in parts)


@pytest.mark.parametrize("spec", SPECS)
def test_every_field_says_what_it_is(spec: type[BaseModel]) -> None:
    for name, field in spec.model_fields.items():
        if name == "name" and spec is config.EbsdCondition:
            continue
        assert field.description, f"{spec.__name__}.{name} has no sentence"
        assert field.description.endswith("."), name
        if _is_number(field.annotation):
            assert isinstance(field.json_schema_extra, dict), name
            assert field.json_schema_extra["unit"], f"{spec.__name__}.{name} has no unit"


@pytest.mark.parametrize("spec", [s for s in SPECS if s is not config.EbsdCondition])
def test_every_number_has_a_lower_bound(spec: type[BaseModel]) -> None:
    for name, field in spec.model_fields.items():
        if field.annotation in (int, float):
            kinds = {type(m).__name__ for m in field.metadata}
            assert kinds & {"Ge", "Gt"}, f"{spec.__name__}.{name} has no lower bound"


@pytest.mark.parametrize("spec", VERBS)
def test_specs_are_frozen_and_strict(spec: type[Spec]) -> None:
    values = VERBS[spec]
    good = spec.from_mapping(values)
    with pytest.raises(ValidationError):
        good.device = "cpu"
    with pytest.raises(SpecError, match="colour: no such key"):
        spec.from_mapping({**values, "colour": "red"})
    with pytest.raises(SpecError, match="device: got 'tpu'"):
        spec.from_mapping({**values, "device": "tpu"})


@pytest.mark.parametrize("spec", VERBS)
def test_yaml_round_trip(spec: type[Spec], tmp_path: Path) -> None:
    first = spec.from_mapping(VERBS[spec]).anchored(tmp_path)
    (tmp_path / "spec.yaml").write_text(first.to_yaml(), encoding="utf-8")
    assert spec.from_yaml(tmp_path / "spec.yaml") == first


def test_relative_paths_start_at_the_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("phases: [a.cif, /b.cif]\n")
    spec = SimulateSpec.from_yaml(tmp_path / "spec.yaml")
    assert spec.phases == (tmp_path / "a.cif", Path("/b.cif"))


def test_replace_checks_like_a_new_spec() -> None:
    spec = SimulateSpec.from_mapping(VERBS[SimulateSpec])
    assert spec.replace(seed=5).seed == 5
    assert spec.seed == 0
    assert spec.replace(master=KinematicSpec(d_min=1.0)).master.d_min == 1.0
    with pytest.raises(SpecError, match="seed: got -1"):
        spec.replace(seed=-1)


def test_variants_are_told_apart_by_their_literal() -> None:
    spec = SimulateSpec.from_mapping(
        {"phases": ["a"], "master": {"method": "kinematic", "voltage": 15}}
    )
    assert isinstance(spec.master, KinematicSpec)
    assert isinstance(SimulateSpec.from_mapping({"phases": ["a"]}).master, DynamicalSpec)
    with pytest.raises(SpecError, match=r"electrons: no such key"):
        spec.from_mapping({"phases": ["a"], "master": {"method": "kinematic", "electrons": 10}})


@pytest.mark.parametrize(
    ("spec", "values", "words"),
    [
        (TrainSpec, {"classes": [225, 225]}, "twice"),
        (TrainSpec, {"classes": [225]}, "at least two"),
        (TrainSpec, {"classes": [0, 225]}, "greater than or equal to 1"),
        (TrainSpec, {"microscope": {"voltage": [30, 10]}}, "from low to high"),
        (TrainSpec, {"microscope": {"voltage": [10, 300]}}, "5 to 40 kV"),
        (TrainSpec, {"microscope": {"pattern_center_z": [0, 1]}}, "above 0"),
        (TrainSpec, {"microscope": {"sample_tilt": [60, 90]}}, "below 90"),
        (SimulateSpec, {"output": {"kind": "ebsd"}, "master": {"method": "kinematic",
                        "voltage": 30}}, "15 to 25 kV"),
        (SimulateSpec, {"master": {"method": "dynamical", "cutoffs": [8, 4, 50]}}, "must rise"),
        (SimulateSpec, {"master": {"method": "dynamical", "cutoffs": [4, 8, 50],
                        "max_strong": 50}}, "not both"),
        (SimulateSpec, {"master": {"method": "dynamical", "voltage": 5}}, "lose more"),
        (SimulateSpec, {"phases": []}, "at least 1 item"),
        (EvaluateSpec, {"scan": "s.h5"}, "either phases or scan"),
    ],
)  # fmt: skip
def test_physics_is_checked_when_the_spec_is_built(spec, values, words) -> None:
    with pytest.raises(SpecError, match=words):
        spec.from_mapping({**VERBS[spec], **values})


def test_conditions_are_those_of_the_docs(repository: Path) -> None:
    standard, hard, clean = (ebsd_condition(n) for n in ("standard", "hard", "clean"))
    assert standard.model_dump() == {
        "name": "standard",
        "pattern_shape": (60, 60),
        "pattern_center_x": (0.4, 0.6),
        "pattern_center_y": (0.15, 0.45),
        "pattern_center_z": (0.45, 0.75),
        "sample_tilt": (69.0, 71.0),
        "voltage": (15.0, 25.0),
        "has_background": True,
        "blur": 0.5,
        "noise": 1.0,
        "has_circular_screen": False,
    }
    assert hard == standard.replace(name="hard", noise=2.0, has_circular_screen=True)
    assert clean == standard.replace(name="clean", noise=0.0, has_background=False)
    assert condition_names() == ("clean", "standard", "hard")
    text = (repository / "docs" / "conventions.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:5]]
        for line in text.split("## Evaluation conditions for EBSD")[1].split("## ")[0].splitlines()
        if line.startswith("|")
    }
    conditions = (clean, standard, hard)
    assert rows["noise"] == [f"{c.noise:g}" for c in conditions]
    assert rows["blur"] == [f"{c.blur:g}" for c in conditions]
    for name in ("pattern_center_x", "pattern_center_y", "pattern_center_z", "voltage"):
        low, high = getattr(standard, name)
        assert rows[name] == [f"{low:g} to {high:g}"] * 3
    with pytest.raises(SpecError, match="no condition 'easy'; choose one of clean"):
        ebsd_condition("easy")


def test_a_training_spec_is_read_by_its_technique(tmp_path):
    from napari_spacegroup.config import TrainSpec, read_train_spec

    path = tmp_path / "spec.yaml"
    path.write_text("masters: [a.npz]\n")
    spec = read_train_spec(path)
    assert isinstance(spec, TrainSpec)
    assert spec.masters == (tmp_path / "a.npz",)
    path.write_text("technique: tasting\nmasters: [a.npz]\n")
    with pytest.raises(SpecError, match="'tasting'; choose one of ebsd"):
        read_train_spec(path)


def test_sad_conditions_are_those_of_the_docs(repository: Path) -> None:
    text = (repository / "docs" / "conventions.md").read_text(encoding="utf-8")
    section = text.split("## Evaluation conditions for SAD")[1].split("## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines()
            if line.startswith("|")][2:]  # fmt: skip
    assert [row[0] for row in rows] == list(SpotRangeSpec.model_fields)
    for name, *values, unit in rows:
        field = SpotRangeSpec.model_fields[name]
        assert unit == field.json_schema_extra["unit"]
        for condition, written in zip(("clean", "standard", "hard"), values, strict=True):
            value = getattr(sad_condition(condition), name)
            if isinstance(value, tuple):
                separator = " x " if isinstance(value[0], int) else " to "
                value = [f"{v:g}" for v in value]
                assert written.split(separator) == value, name
            else:
                assert written == f"{value:g}", name


def test_an_impossible_spot_range_is_refused() -> None:
    with pytest.raises(SpecError, match="relrod is"):
        SpotRangeSpec.from_mapping({"relrod": (0.0, 0.01)})
    with pytest.raises(SpecError, match="no condition"):
        sad_condition("dirty")
