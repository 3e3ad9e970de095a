"""The verb with a real, small, untrained network."""

from __future__ import annotations

import dask.array as da
import h5py
import numpy as np
import pytest
import torch

import napari_spacegroup as nsg
from napari_spacegroup import workflows
from napari_spacegroup.errors import CancelledError, ModelError, ScanError, SpecError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.infer import PixelStatus
from napari_spacegroup.jobs import CancelToken, Done, Partial
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.workflows import demo_scan_path

CLASSES = (221, 223, 225, 227, 229, 230)


def small_model(technique="ebsd") -> Model:
    torch.manual_seed(0)
    card = ModelCard(
        name="untrained",
        technique=technique,
        classes=CLASSES,
        architecture="resnet18",
        options={"width": 4},
        input=InputContract(shape=(32, 32)),
    )
    return Model(build(card.architecture, len(CLASSES), **card.options), card)


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


@pytest.fixture
def patterns() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (3, 4, 40, 48)).astype(np.uint8)


def test_every_kind_of_scan_gives_the_same_map(model, patterns, tmp_path):
    reference = nsg.classify(patterns, model)
    np.save(tmp_path / "scan.npy", patterns)
    lazy = da.from_array(patterns, chunks=(1, 2, 40, 48))
    for scan in (tmp_path / "scan.npy", str(tmp_path / "scan.npy"), lazy):
        result = nsg.classify(scan, model)
        np.testing.assert_allclose(result.probabilities, reference.probabilities, atol=1e-5)
    assert nsg.classify(patterns[0], model).scan_shape == (1, 4)
    assert nsg.classify(patterns[0, 0], model).scan_shape == (1, 1)


def test_batches_do_not_change_the_answer(model, patterns):
    reference = nsg.classify(patterns, model)
    result = nsg.classify(patterns, model, batch_size=5)
    np.testing.assert_allclose(result.probabilities, reference.probabilities, atol=1e-5)
    np.testing.assert_array_equal(result.labels(), reference.labels())


def test_a_model_folder_will_do(model, patterns, tmp_path):
    folder = model.save(tmp_path / "model")
    result = nsg.classify(patterns, folder, device="cpu")
    assert result.model_name == "untrained"
    assert len(result.provenance["model"]["sha256"]) == 64
    with pytest.raises(ModelError, match="no model 'perfect'"):
        nsg.classify(patterns, "perfect")


def test_the_measured_nickel_scan(model, tmp_path):
    events = []
    result = nsg.classify(demo_scan_path(), model, on_event=events.append)
    assert result.scan_shape == (3, 3)
    assert (result.step, result.step_unit) == ((1.5, 1.5), "um")
    assert (result.status == PixelStatus.OK).all()
    assert set(np.unique(result.labels())) <= set(CLASSES)
    assert any(isinstance(event, Partial) for event in events)
    assert isinstance(events[-1], Done)
    loaded = nsg.load_map(result.save(tmp_path / "map.h5"))
    np.testing.assert_array_equal(loaded.probabilities, result.probabilities)
    assert workflows.map_report(loaded)["provenance"]["scan"]["technique"] == "ebsd"


def test_bad_scans(model, patterns, tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["something"] = np.zeros(4)
    whole = demo_scan_path().read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "text.h5").write_text("no scan")
    bad = [tmp_path / name for name in ("foreign.h5", "cut.h5", "text.h5", "missing.h5")]
    for scan in (*bad, np.zeros((0, 40, 48)), np.zeros(7), "text", None, patterns.astype(str)):
        with pytest.raises(ScanError):
            nsg.classify(scan, model)


def test_a_model_for_another_technique():
    with pytest.raises(ModelError, match="for powder"):
        nsg.classify(demo_scan_path(), small_model("powder"))


def test_options_are_checked(model, patterns):
    with pytest.raises(SpecError, match="batch_size"):
        nsg.classify(patterns, model, batch_size=0)
    with pytest.raises(ModelError, match="can't be used"):
        nsg.classify(patterns, small_model(), device="cuda:99")


def test_cancel_gives_what_there_is(model, patterns):
    token = CancelToken()

    def listen(event):
        if isinstance(event, Partial):
            token.cancel()

    result = nsg.classify(patterns, model, batch_size=2, cancel=token, on_event=listen)
    assert result.n_done == 2
    assert not result.is_complete


def test_cancel_before_anything_is_an_error(model, patterns):
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        nsg.classify(patterns, model, cancel=token)
