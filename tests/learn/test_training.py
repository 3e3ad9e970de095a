"""Training: it learns, it resumes, it stops when told, and splits are fair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.config import NetworkSpec, TrainSpec
from napari_spacegroup.errors import ModelError, ScanError
from napari_spacegroup.jobs import CancelToken
from napari_spacegroup.learn import (
    MasterRecord,
    MasterSet,
    TrainDone,
    TrainStep,
    Validation,
    split_by_prototype,
    train_events,
)
from napari_spacegroup.models import load_model
from napari_spacegroup.simulate.lambert import lambert_directions


def _bands(normals: np.ndarray, width: float, size: int = 41) -> np.ndarray:
    """Return a toy master pattern: one bright band for each normal."""
    directions = lambert_directions((size - 1) // 2)[:1]
    angles = np.abs(directions @ (normals / np.linalg.norm(normals, axis=1)[:, None]).T)
    return (angles < width).sum(-1).astype(np.float32)


@pytest.fixture(scope="module")
def toys() -> MasterSet:
    """Two easy groups: few broad bands against many narrow ones."""
    cubes = np.eye(3)
    diagonals = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
    arrays, records = [], []
    for index in range(4):
        arrays.append(_bands(cubes, 0.10 + 0.01 * index))
        records.append(MasterRecord(f"A{index}", 221, prototype=f"a{index}"))
        arrays.append(_bands(diagonals, 0.03 + 0.005 * index))
        records.append(MasterRecord(f"B{index}", 229, prototype=f"b{index}"))
    return MasterSet.from_arrays(arrays, records, size=41)


def _spec(**schedule) -> TrainSpec:
    return TrainSpec.from_mapping(
        {
            "masters": ["unused.npz"],
            "name": "toy",
            "appearance": 0.0,
            "network": {"width": 8},
            "schedule": {"steps": 30, "batch_size": 32, "learning_rate": 3e-3,
                         "evaluate_every": 10, **schedule},
            "device": "cpu",
        }
    )  # fmt: skip


def test_it_learns_what_is_easy(toys, tmp_path):
    events = list(train_events(_spec(), tmp_path, masters=toys, report_every=10))
    steps = [e for e in events if isinstance(e, TrainStep)]
    assert steps[-1].loss < steps[0].loss - 0.1
    assert steps[-1].accuracy > 0.75
    done = events[-1]
    assert isinstance(done, TrainDone)
    assert not done.is_cancelled
    model = load_model(tmp_path)
    assert model.classes == (221, 229)
    assert model.card.training["steps"] == 30
    held = {r["name"] for r in model.card.training["held_out"]}
    assert held
    assert model.card.training["structures"] + len(held) == len(toys)


def test_a_resumed_run_ends_where_an_unbroken_one_does(toys, tmp_path):
    """Same seed, killed at a checkpoint: the same weights to rounding."""
    torch.set_num_threads(1)
    spec = _spec(steps=12, evaluate_every=6)
    whole = list(train_events(spec, tmp_path / "whole", masters=toys))[-1]
    part = train_events(spec, tmp_path / "part", masters=toys, report_every=1)
    for event in part:
        if isinstance(event, TrainStep) and event.step == 8:
            break
    part.close()
    again = list(train_events(spec, tmp_path / "part", masters=toys, resume=True))[-1]
    assert isinstance(whole, TrainDone)
    assert isinstance(again, TrainDone)
    for key, value in whole.model.network.state_dict().items():
        torch.testing.assert_close(
            again.model.network.state_dict()[key], value, rtol=1e-4, atol=1e-5
        )


def test_cancel_answers_within_one_batch_and_keeps_the_model(toys, tmp_path):
    cancel = CancelToken()
    seen = 0
    for event in train_events(
        _spec(steps=1000), tmp_path, masters=toys, cancel=cancel, report_every=1
    ):
        if isinstance(event, TrainStep):
            seen = event.step
            cancel.cancel()
    assert seen == 1
    assert load_model(tmp_path).card.training["steps"] == 1


def test_a_model_can_be_the_start_of_another(toys, tmp_path):
    list(train_events(_spec(steps=20), tmp_path / "first", masters=toys))
    spec = _spec(steps=1).replace(start=str(tmp_path / "first"))
    loss = {}
    for key, chosen in (("cold", _spec(steps=1)), ("warm", spec)):
        events = train_events(chosen, tmp_path / key, masters=toys, report_every=1)
        loss[key] = next(e.loss for e in events if isinstance(e, TrainStep))
    assert loss["warm"] < loss["cold"]
    other = _spec(steps=1).replace(start=str(tmp_path / "first"), network={"width": 12})
    with pytest.raises(ModelError, match="do not fit"):
        next(train_events(other, tmp_path / "other", masters=toys))


def test_a_class_without_structures_is_refused(toys, tmp_path):
    spec = _spec().replace(classes=(221, 225, 229))
    with pytest.raises(ModelError, match="225"):
        next(train_events(spec, tmp_path, masters=toys))


def test_no_prototype_stands_on_both_sides():
    rng = np.random.default_rng(0)
    records = [
        MasterRecord(f"x{i}", int(rng.choice([221, 225, 229])), prototype=f"p{rng.integers(12)}")
        for i in range(200)
    ]
    for seed in range(5):
        train, held = split_by_prototype(records, 0.2, seed)
        assert len(train) + len(held) == len(records)
        assert len(held)
        for group in (221, 225, 229):
            sides = [
                {records[i].prototype for i in side if records[i].space_group == group}
                for side in (train, held)
            ]
            assert not sides[0] & sides[1]
            assert sides[0], "a class lost all its training structures"


def test_a_set_survives_saving(toys, tmp_path):
    toys.save(tmp_path / "set.npz")
    loaded = MasterSet.load(tmp_path)
    assert loaded.records == toys.records
    torch.testing.assert_close(loaded.patterns, toys.patterns, rtol=2e-3, atol=2e-3)


def test_a_foreign_file_is_no_master_set(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"not a zip file")
    with pytest.raises(ScanError, match=r"x\.npz"):
        MasterSet.load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError, match="no master sets"):
        MasterSet.load(tmp_path / "empty")


def test_the_missing_hemisphere_of_an_inverse_crystal_is_the_turned_one(toys):
    one = toys.patterns[0].numpy()
    both = np.stack([one[0], one[0, ::-1, ::-1]])
    mixed = MasterSet.from_arrays([one, both], toys.records[:2], size=41)
    # The deviation that scales them is taken over twice as many points.
    torch.testing.assert_close(mixed.patterns[0], mixed.patterns[1], rtol=1e-3, atol=1e-3)


def test_a_sector_network_learns_with_templates_of_its_own(toys, tmp_path):
    spec = _spec(steps=40, evaluate_every=40).model_copy(
        update={"network": NetworkSpec(architecture="sectornet", width=4)}
    )
    events = list(train_events(spec, tmp_path, masters=toys, report_every=20))
    steps = [e for e in events if isinstance(e, TrainStep)]
    assert steps[-1].accuracy > 0.85
    model = load_model(tmp_path)
    assert model.needs_pattern_center
    assert model.network.templates.square().sum() > 0
    assert any(isinstance(e, Validation) and e.accuracy > 0.7 for e in events)


def test_effects_can_be_left_out_one_by_one():
    from napari_spacegroup.learn.setup import appearance_of

    spec = _spec().model_copy(update={"appearance": 0.5, "without": ("noise", "spectrum")})
    found = appearance_of(spec)
    assert found.noise == 0
    assert found.spectrum == 0
    assert found.blur > 0
