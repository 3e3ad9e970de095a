"""Training on spot patterns: from reflections to a model that reads pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_spacegroup.config import SpotTrainSpec, read_train_spec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError, ScanError
from napari_spacegroup.learn import TrainDone, supply_of, train_events
from napari_spacegroup.models import read_model
from napari_spacegroup.models.spotnet import feature_count
from napari_spacegroup.simulate.reflections import ReflectionSet, simulate_reflections


def reflection_set(*names: str) -> ReflectionSet:
    crystals = []
    for name in names:
        phase = library_phase(name)
        rotations = {tuple(np.ravel(op.rot)) for op in phase.operations.sym_ops}
        matrices = np.array([np.reshape(r, (3, 3)) for r in sorted(rotations)]) // 24
        found = simulate_reflections(phase, 1.1)
        crystals.append((found, np.linalg.inv(phase.structure_matrix), matrices))
    return ReflectionSet.from_reflections(crystals)


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    reflection_set("Si", "Fe", "NaCl", "Mg").save(folder / "train.npz")
    reflection_set("Ge", "W").save(folder / "test.npz")
    return folder


def spec_of(sets: Path, **changes) -> SpotTrainSpec:
    values = {
        "sets": [sets / "train.npz"], "validation": [sets / "test.npz"], "classes": [227, 229],
        "network": {"width": 32}, "pool": 128, "fresh_share": 0.01,
        "schedule": {"steps": 60, "batch_size": 64, "evaluate_every": 60},
    }  # fmt: skip
    return SpotTrainSpec.from_mapping({**values, **changes})


def test_a_set_gives_back_every_reflection(sets):
    """Stored by symmetry, read as computed; magnesium is hexagonal."""
    stored = ReflectionSet.load(sets / "train.npz")
    for index, name in enumerate(("Si", "Fe", "NaCl", "Mg")):
        direct, read = simulate_reflections(library_phase(name), 1.1), stored[index]
        one = {tuple(h): f for h, f in zip(direct.hkl.tolist(), direct.factor, strict=True)}
        two = {tuple(h): f for h, f in zip(read.hkl.tolist(), read.factor, strict=True)}
        assert one.keys() == two.keys()
        np.testing.assert_allclose([two[h] for h in one], list(one.values()), rtol=1e-3)
        order = [read.hkl.tolist().index(h) for h in direct.hkl.tolist()]
        np.testing.assert_allclose(read.g[order], direct.g, atol=1e-6)
        assert read.volume == pytest.approx(direct.volume, rel=1e-5)


def test_a_broken_set_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(ScanError, match="no reflection set"):
        ReflectionSet.load(tmp_path / "x.npz")


def test_training_learns_and_the_model_reads_pictures(sets, tmp_path):
    from napari_spacegroup.config import sad_condition
    from napari_spacegroup.simulate.spot_patterns import draw_patterns

    *_, done = train_events(spec_of(sets), tmp_path)
    assert isinstance(done, TrainDone)
    model = read_model(tmp_path)
    assert model.card.technique == "sad"
    assert model.classes == (227, 229)
    held = ReflectionSet.load(sets / "test.npz")
    pictures = draw_patterns(
        [held[i % 2] for i in range(48)],
        sad_condition("clean").replace(zone_share=1.0),
        torch.Generator().manual_seed(3),
    )
    probabilities = model.predict(pictures)
    assert probabilities.shape == (48, 2)
    truth = np.arange(48) % 2
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.6


def test_a_network_for_any_crystal_learns_hexagonal_from_cubic(sets, tmp_path):
    """Mg (194) and Fe (229) at any orientation, tried on Ti and W."""
    from napari_spacegroup.config import sad_condition
    from napari_spacegroup.simulate.spot_patterns import draw_patterns

    reflection_set("Ti", "W").save(tmp_path / "test.npz")
    spec = spec_of(
        sets, validation=[tmp_path / "test.npz"], classes=[194, 229], pool=256,
        network={"architecture": "latticenet", "width": 32, "depth": 1},
        schedule={"steps": 120, "batch_size": 64, "evaluate_every": 120, "learning_rate": 0.003},
    )  # fmt: skip
    *_, done = train_events(spec, tmp_path / "model")
    assert isinstance(done, TrainDone)
    model = read_model(tmp_path / "model")
    assert model.card.architecture == "latticenet"
    held = ReflectionSet.load(tmp_path / "test.npz")
    pictures = draw_patterns(
        [held[i % 2] for i in range(64)],
        sad_condition("clean").replace(zone_share=1.0),
        torch.Generator().manual_seed(3),
    )
    right = model.predict(pictures).argmax(axis=1) == np.arange(64) % 2
    assert right.mean() > 0.75


def test_crystals_are_drawn_as_often_as_asked(sets):
    from napari_spacegroup.learn.spots import Crystals, load_sets

    reflection_set("Si", "Ge", "Fe").save(sets / "uneven.npz")
    crystals = Crystals(load_sets((sets / "uneven.npz",)), (227, 229))
    generator = torch.Generator().manual_seed(1)
    labels = crystals.labels[crystals.random(4000, generator, balanced=0.0)]
    assert float(labels.float().mean()) == pytest.approx(
        float(crystals.labels.float().mean()), abs=0.04
    )
    labels = crystals.labels[crystals.random(4000, generator)]
    assert float(labels.float().mean()) == pytest.approx(0.5, abs=0.04)


def test_drawn_patterns_fill_the_pool(sets, tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 2, feature_count())).astype(np.float16)
    groups = rng.choice([225, 227, 229], 200)
    np.savez(tmp_path / "part-1-0000.npz", features=features, space_groups=groups)
    supply = supply_of(spec_of(sets, drawn=[tmp_path]), torch.device("cpu"))
    batch = supply.draw(64)
    assert batch.features.shape == (64, feature_count())
    assert set(batch.labels.tolist()) == {0, 1}
    np.savez(tmp_path / "part-1-0001.npz", features=features[..., :5], space_groups=groups)
    with pytest.raises(ModelError, match="draw them anew"):
        supply_of(spec_of(sets, drawn=[tmp_path]), torch.device("cpu"))


def test_a_class_without_structure_is_refused(sets):
    with pytest.raises(ModelError, match="no reflections of space groups"):
        supply_of(spec_of(sets, classes=[227, 230]), torch.device("cpu"))


def test_the_recipe_for_all_systems_is_a_valid_spec(repository: Path):
    spec = read_train_spec(repository / "recipes" / "sad-symmetry" / "train.yaml")
    assert isinstance(spec, SpotTrainSpec)
    assert spec.network.architecture == "latticenet"


def test_the_recipe_is_a_valid_spec(repository: Path):
    spec = read_train_spec(repository / "recipes" / "sad-cubic" / "train.yaml")
    assert isinstance(spec, SpotTrainSpec)
    assert spec.sets[0].is_file()


def test_no_prototype_stands_on_both_sides(repository: Path):
    """By the key of the recipe: Wyckoff multiplicities without letters."""
    import importlib.util

    folder = repository / "recipes" / "sad-cubic"
    loaded = importlib.util.spec_from_file_location("recipe", folder / "reflections.py")
    recipe = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(recipe)
    keys = {}
    for side in ("train", "calibration", "test"):
        records = ReflectionSet.load(folder / "sets" / f"{side}.npz").records
        keys[side] = {recipe.prototype_key({"proto": r.prototype}) for r in records}
    assert not keys["train"] & keys["calibration"]
    assert not keys["train"] & keys["test"]
    assert not keys["calibration"] & keys["test"]


def test_thick_crystals_are_trained_on_and_change_the_features(sets, tmp_path):
    from napari_spacegroup.simulate.atoms import CrystalAtoms, save_atoms

    names = {"Si": 227, "Fe": 229}
    atoms = {name: CrystalAtoms.from_phase(library_phase(name)) for name in names}
    save_atoms(tmp_path / "atoms.npz", atoms)
    part = ReflectionSet.load(sets / "train.npz").subset([0, 1])
    records = [replace(r, identifier=n) for r, n in zip(part.records, names, strict=True)]
    replace(part, records=tuple(records)).save(tmp_path / "train.npz")

    def features(share: float, known: bool) -> torch.Tensor:
        spec = spec_of(
            tmp_path, validation=[sets / "test.npz"], pool=64,
            atoms=[tmp_path / "atoms.npz"] if known else [],
            microscope={"thick_share": share, "zone_share": 1.0},
        )  # fmt: skip
        supply = supply_of(spec, torch.device("cpu"))
        return supply.draw(64).features

    assert torch.equal(features(0.0, True), features(0.0, False))
    assert bool(torch.isfinite(features(0.5, True)).all())
    assert not torch.equal(features(1.0, True), features(1.0, False))
