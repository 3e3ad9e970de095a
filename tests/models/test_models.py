"""Networks, cards and the zoo: what loads, what is refused and why."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from napari_spacegroup.errors import ModelError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.models import (
    Model,
    ModelCard,
    ResNet,
    build,
    check_model,
    find_model,
    list_models,
    load_model,
)


def _model(**changes) -> Model:
    torch.manual_seed(0)
    options = {"widths": [8, 8, 8, 8]}
    card = ModelCard(
        name="tiny", technique="ebsd", classes=(221, 225, 229), architecture="bandnet",
        options=options, input=InputContract(), **changes,
    )  # fmt: skip
    return Model(build("bandnet", 3, **options), card)


# Table 1 of He et al.: parameters with 1000 classes and three colours, in millions.
@pytest.mark.parametrize(
    ("depth", "millions"), [(18, 11.69), (34, 21.80), (50, 25.56), (101, 44.55), (152, 60.19)]
)
def test_resnets_have_the_published_number_of_parameters(depth, millions):
    network = ResNet(depth, 1000, inputs=3, small_stem=False)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(("dimensions", "shape"), [(1, (2, 1, 301)), (2, (2, 1, 60, 48))])
def test_resnets_take_pictures_and_profiles(dimensions, shape):
    network = ResNet(18, 5, dimensions=dimensions, width=8)
    assert network(torch.randn(shape)).shape == (2, 5)


def test_a_model_survives_saving(tmp_path):
    model = _model(temperature=1.7)
    patterns = np.random.default_rng(0).normal(size=(4, 60, 80)).astype(np.float32)
    model.save(tmp_path / "tiny")
    loaded = load_model(tmp_path / "tiny")
    assert loaded.classes == (221, 225, 229)
    assert loaded.card.temperature == 1.7
    np.testing.assert_allclose(loaded.predict(patterns), model.predict(patterns), atol=1e-6)
    np.testing.assert_allclose(loaded.predict(patterns).sum(1), 1, atol=1e-6)
    assert check_model(tmp_path / "tiny") == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64, np.int32])
def test_any_number_type_is_taken(dtype):
    patterns = np.random.default_rng(0).integers(0, 200, size=(2, 64, 64)).astype(dtype)
    expected = _model().predict(patterns.astype(np.float32))
    np.testing.assert_allclose(_model().predict(patterns), expected, atol=1e-5)


def test_changed_weights_are_refused(tmp_path):
    folder = _model().save(tmp_path / "tiny")
    weights = folder / "weights.safetensors"
    blob = bytearray(weights.read_bytes())
    blob[-1] ^= 1
    weights.write_bytes(bytes(blob))
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(folder)
    assert check_model(folder)


def test_pickles_are_refused(tmp_path):
    import hashlib

    folder = _model().save(tmp_path / "tiny")

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    blob = pickle.dumps(Bomb())
    (folder / "weights.safetensors").write_bytes(blob)
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = hashlib.sha256(blob).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="pickle"):
        load_model(folder)


def test_a_card_with_a_strange_key_is_refused(tmp_path):
    folder = _model().save(tmp_path / "tiny")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"colour": "red"}))
    with pytest.raises(ModelError, match="colour"):
        load_model(folder)


def test_an_unknown_model_names_those_at_hand(tmp_path, monkeypatch):
    _model().save(tmp_path / "mine")
    monkeypatch.setenv("NAPARI_SPACEGROUP_MODELS", str(tmp_path))
    assert "mine" in list_models()
    assert find_model("mine") == tmp_path / "mine"
    with pytest.raises(ModelError, match="mine"):
        load_model("no-such-model")


def test_patterns_of_the_wrong_shape_are_refused():
    with pytest.raises(ModelError, match="rows, columns"):
        _model().predict(np.zeros((60, 60), np.float32))


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ModelError, match="unknown architecture"):
        build("perceptron", 3)
    with pytest.raises(ModelError, match="options"):
        build("resnet18", 3, colour="red")


def test_a_warm_network_answers_as_a_cold_one():
    card = ModelCard(
        name="small", technique="ebsd", classes=(225, 229), architecture="resnet18",
        options={"width": 4}, input=InputContract(shape=(32, 32)),
    )  # fmt: skip
    model = Model(build("resnet18", 2, width=4), card)
    patterns = np.random.default_rng(0).integers(0, 255, (3, 40, 40)).astype(np.uint8)
    before = model.predict(patterns)
    model.warm_up(4)
    np.testing.assert_array_equal(model.predict(patterns), before)


def test_cards_say_what_kind_of_input_they_take(tmp_path):
    from napari_spacegroup.imaging import ProfileContract

    card = _model().card
    stored = json.loads(card.model_dump_json())
    del stored["input"]["kind"]  # cards from before there were other kinds
    assert ModelCard.model_validate(stored).input == InputContract()
    stored["input"] = {"kind": "profile", "points": 512}
    assert ModelCard.model_validate(stored).input == ProfileContract(points=512)
    stored["input"] = {"kind": "taste"}
    (tmp_path / "card.json").write_text(json.dumps(stored))
    with pytest.raises(ModelError, match="taste"):
        ModelCard.load(tmp_path / "card.json")
