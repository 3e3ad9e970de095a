"""Powder profiles from training to a map: a toy model goes through every verb."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_spacegroup.cli import main
from napari_spacegroup.config import PowderTrainSpec, read_train_spec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError, ResultError, ScanError
from napari_spacegroup.infer import candidates, index_profile, joint_probabilities
from napari_spacegroup.learn import TrainDone, TrainStep, Validation, train_events
from napari_spacegroup.learn.powder import PowderSupply
from napari_spacegroup.models import check_model, load_model
from napari_spacegroup.patterns import from_profiles, read
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.workflows import classify, evaluate
from napari_spacegroup.workflows.answers import Answers, score
from napari_spacegroup.workflows.index_profile import index_scan

NAMES = ("Ni", "Cu", "Al", "Fe", "W", "Si")


@pytest.fixture(scope="module")
def lines() -> LineSet:
    """Three lattices that few lines tell apart, each stretched to several cells."""
    phases = [library_phase(n).scaled(s) for n in NAMES for s in (0.97, 1.0, 1.03, 1.06)]
    return LineSet.from_lines(
        [lines_of_phase(p, 7.0) for p in phases], [p.space_group for p in phases],
        [LineRecord(p.name, f"{p.name} {k}") for k, p in enumerate(phases)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def toy(lines, tmp_path_factory):
    """A small model of three groups, trained for some seconds."""
    folder = tmp_path_factory.mktemp("powder")
    lines.save(folder / "lines.npz")
    (folder / "spec.yaml").write_text(
        "technique: powder\nname: toy\nlines: [lines.npz]\ngrid: {points: 512, background: 31}\n"
        "network: {widths: [16, 32], stem: 8, layers: 1, dropout: 0}\n"
        "conditions: standard\ndevice: cpu\n"
        "schedule: {steps: 150, batch_size: 32, learning_rate: 0.003, evaluate_every: 75}\n"
    )
    torch.set_num_threads(1)
    spec = read_train_spec(folder / "spec.yaml")
    assert isinstance(spec, PowderTrainSpec)
    events = list(train_events(spec, folder / "model", report_every=20))
    return folder / "model", events, folder / "spec.yaml"


def test_it_learns_lattices(toy):
    folder, events, _ = toy
    steps = [e for e in events if isinstance(e, TrainStep)]
    assert steps[-1].loss < steps[0].loss
    assert steps[-1].accuracy > 0.85
    assert all(np.isfinite(e.plane_loss) for e in steps)
    assert any(isinstance(e, Validation) for e in events)
    assert isinstance(events[-1], TrainDone)
    model = load_model(folder)
    assert model.card.technique == "powder"
    assert model.card.input.points == 512
    assert model.classes == (225, 227, 229)
    assert check_model(folder) == []


def test_training_goes_on_from_a_checkpoint(toy, tmp_path, lines):
    spec = read_train_spec(toy[2]).replace(schedule={"steps": 8, "batch_size": 16,
                                                     "evaluate_every": 4})  # fmt: skip
    whole = list(train_events(spec, tmp_path / "whole", held=lines))[-1].model
    part = train_events(spec, tmp_path / "part", held=lines, report_every=1)
    for event in part:
        if isinstance(event, TrainStep) and event.step == 6:
            break
    part.close()
    again = list(train_events(spec, tmp_path / "part", held=lines, resume=True))[-1].model
    for key, value in whole.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[key], value, rtol=1e-3, atol=1e-4)


def test_a_start_keeps_the_rows_of_classes_that_both_have(toy, lines, tmp_path):
    folder, _, file = toy
    spec = read_train_spec(file).replace(
        start=str(folder), classes=(225, 229), schedule={"steps": 1, "learning_rate": 1e-9}
    )
    two = lines.subset(np.flatnonzero(lines.space_groups != 227))
    model = list(train_events(spec, tmp_path, held=two))[-1].model
    before = load_model(folder).network.head.weight
    torch.testing.assert_close(model.network.head.weight, before[[0, 2]], atol=1e-6, rtol=0)


def test_profiles_drawn_once_stay_as_they_are(toy, lines):
    spec = read_train_spec(toy[2]).replace(redraw=False)
    supply = PowderSupply(spec, torch.device("cpu"), held=lines)
    drawn = torch.cat([supply.draw(32).inputs for _ in range(8)])
    assert len(drawn.unique(dim=0)) <= len(lines)
    fresh = PowderSupply(spec.replace(redraw=True), torch.device("cpu"), held=lines)
    assert len(fresh.draw(64).inputs.unique(dim=0)) == 64


def test_no_prototype_stands_on_both_sides(lines):
    from napari_spacegroup.learn.powder import _split

    spec = PowderTrainSpec.from_mapping({"lines": ["x.npz"], "validation_share": 0.4})
    training, held = _split(lines, spec)
    units = [{(g, r.prototype) for g, r in zip(s.space_groups, s.records, strict=True)}
             for s in (training, held)]  # fmt: skip
    assert len(training) + len(held) == len(lines)
    assert len(held) > 0
    assert not units[0] & units[1]


def _measured(lines, row: int, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return angles and counts of a crystal, drawn without the code under test."""
    angle = np.arange(20.0, 110.0, 0.02)
    start, end = lines.starts[row], lines.ends[row]
    theta = np.arcsin(np.clip(lines.q[start:end] / stretch * 1.54184 / (4 * np.pi), 0, 0.999))
    strength = lines.xray[start:end] * (1 + np.cos(2 * theta) ** 2) / np.sin(theta) ** 2
    profile = sum(
        s * np.exp(-0.5 * ((angle - p) / 0.06) ** 2)
        for s, p in zip(strength, np.degrees(2 * theta), strict=True)
    )
    noisy = np.random.default_rng(row).poisson(3000 * profile / profile.max() + 60)
    return angle, noisy.astype(float)


def test_a_map_of_profiles(toy, lines, tmp_path):
    rows = [0, 13, 20, 1, 14, 21]
    angle = _measured(lines, 0)[0]
    stack = np.stack([_measured(lines, r)[1] for r in rows]).reshape(2, 3, -1)
    scan = from_profiles(stack, two_theta=angle, wavelength=1.54184, radiation="xray")
    network = {"model": load_model(toy[0]), "positions": False}
    result = classify(scan, **network, out=tmp_path / "map.h5", batch_size=4)
    truth = lines.space_groups[rows].reshape(2, 3)
    assert (result.labels("space_group") == truth).mean() >= 5 / 6
    # d and q of the same profiles give the same map.
    other = from_profiles(stack, q=scan.axis.q())
    np.testing.assert_allclose(
        classify(other, **network).probabilities, result.probabilities, atol=1e-4
    )
    wrong = from_profiles(stack, q=scan.axis.q(), radiation="neutron")
    with pytest.raises(ModelError, match="neutrons"):
        classify(wrong, load_model(toy[0]))
    with pytest.raises(ModelError, match="needs its axis"):
        classify(stack[:, :, None], load_model(toy[0]))


def test_from_a_file_on_the_command_line(toy, lines, tmp_path, capsys):
    angle, counts = _measured(lines, 13)
    np.savetxt(tmp_path / "iron.xye", np.column_stack([angle, counts, np.sqrt(counts)]))
    arguments = ["classify", str(tmp_path / "iron.xye"), "--model", str(toy[0]), "--out",
                 str(tmp_path / "map.h5"), "--json", str(tmp_path / "report.json")]  # fmt: skip
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert "Cu Kα (1.54184 Å) is assumed" in told.err
    assert "crystal system: cubic 100.0%" in told.out
    assert json.loads((tmp_path / "report.json").read_text())
    assert main([*arguments, "--wavelength", "1.54184", "--anew"]) == 0
    assert "assumed" not in capsys.readouterr().err
    scan = read(tmp_path / "iron.xye", wavelength=1.54184)
    result = classify(scan, load_model(toy[0]))
    ranked = candidates(result)
    assert ranked[0].label == result.labels("space_group")[0, 0] == 229
    assert [c.label for c in ranked[1:]] in ([225, 227], [227, 225])
    assert sum(c.probability for c in ranked) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ResultError, match="outside"):
        candidates(result, (0, 1))
    arguments = ["evaluate", str(toy[0]), "--scan", str(tmp_path / "iron.xye"), "--truth", "229",
                 "--wavelength", "1.54184", "--json", str(tmp_path / "e.json")]  # fmt: skip
    assert main(arguments) == 0
    assert json.loads((tmp_path / "e.json").read_text())["accuracy"]["space_group"] == 1.0


def test_evaluate_with_phases(toy):
    phases = [library_phase(n) for n in NAMES]
    for condition in ("clean", "standard", "hard"):
        report = evaluate(toy[0], phases=phases, condition=condition, patterns_per_phase=8)
        assert report["n"] == 48
        assert report["made"]["condition"] == condition
        assert report["accuracy"]["crystal_system"] == 1.0
        if condition == "standard":
            assert report["accuracy"]["space_group"] > 0.8


def test_five_likeliest():
    from napari_spacegroup.imaging import ProfileContract
    from napari_spacegroup.models import ModelCard

    classes = tuple(range(1, 9))
    card = ModelCard(name="x", technique="powder", classes=classes, architecture="profilenet",
                     input=ProfileContract())  # fmt: skip
    probabilities = np.tile(np.arange(8, 0, -1.0, np.float32) / 36, (4, 1)).astype(np.float32)
    report = score(Answers(tuple("abcd"), np.array([1, 5, 6, 100]), probabilities), card)
    assert report["top_5"] == 0.5


def test_a_few_profiles_are_weighed_with_their_cells(toy, lines):
    angle, counts = _measured(lines, 13)
    scan = from_profiles(counts, two_theta=angle, wavelength=1.54184, radiation="xray")
    model = load_model(toy[0])
    alone = classify(scan, model, positions=False)
    both = classify(scan, model)
    assert not alone.provenance["model"]["looks_at_positions"]
    assert both.provenance["model"]["looks_at_positions"]
    index = index_profile(scan.axis, np.asarray(scan.pattern(0, 0)).ravel())
    expected = joint_probabilities(index, model.classes, alone.probabilities[0, 0])
    np.testing.assert_allclose(both.probabilities[0, 0], expected, atol=1e-5)
    assert np.abs(both.probabilities - alone.probabilities).max() > 1e-3


def test_the_verb_index(lines, tmp_path, capsys):
    angle, counts = _measured(lines, 13)
    np.savetxt(tmp_path / "iron.xy", np.column_stack([angle, counts]))
    report = tmp_path / "index.json"
    assert main(["index", str(tmp_path / "iron.xy"), "--json", str(report)]) == 0
    told = capsys.readouterr()
    assert "cubic" in told.out
    assert "Cu Kα (1.54184 Å) is assumed" in told.err
    stored = json.loads(report.read_text())
    assert stored["cells"][0]["family"] == "cubic"
    assert stored["wavelength"] == pytest.approx(1.54184)
    assert sum(row["probability"] for row in stored["space_groups"]) <= 1 + 1e-9
    with pytest.raises(ScanError, match="powder profiles"):
        index_scan(np.zeros((3, 20, 20)))
    with pytest.raises(ScanError, match="no pixel"):
        index_scan(read(tmp_path / "iron.xy"), (1, 0))
