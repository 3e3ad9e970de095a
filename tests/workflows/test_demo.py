from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from napari_spacegroup.errors import MissingPartError, ResultError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.infer import load_map
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.workflows import demo, demo_scan, demo_scan_path


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    card = ModelCard(
        name="untrained",
        technique="ebsd",
        classes=(221, 225, 229),
        architecture="resnet18",
        options={"width": 4},
        input=InputContract(shape=(32, 32)),
    )
    return Model(build("resnet18", 3, width=4), card)


def test_three_files_that_agree(model, tmp_path):
    out = tmp_path / "new" / "folder"
    result = demo(out, model=model)
    assert sorted(path.name for path in out.iterdir()) == ["map.h5", "map.png", "report.json"]
    np.testing.assert_array_equal(load_map(out / "map.h5").labels(), result.labels())
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["pixels"] == {"total": 9, "done": 9, "complete": True, "known": 9}
    with Image.open(out / "map.png") as image:
        assert image.width > 1000
    demo(out, model=model)  # a second time over the first


def test_a_folder_that_can_not_be_made(model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultError, match="give another"):
        demo(tmp_path / "file", model=model)


def test_without_kikuchipy(monkeypatch):
    monkeypatch.setattr(demo_scan, "find_spec", lambda _: None)
    with pytest.raises(MissingPartError, match="pip install kikuchipy"):
        demo_scan_path()


def test_the_bundled_model_reads_nickel(tmp_path):
    assert (demo(tmp_path).labels() == 225).all()
