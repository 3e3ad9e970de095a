from __future__ import annotations

import errno
import json
import os

import h5py
import numpy as np
import pytest

from napari_spacegroup.crystal import LEVELS, level_name
from napari_spacegroup.errors import ResultError
from napari_spacegroup.infer import PixelStatus, SpaceGroupMap, load_map, whole_file

FACTS = {
    "step": (0.25, 0.5),
    "step_unit": "um",
    "model_name": "ebsd-cubic",
    "scan_name": "Ni grün",
    "equivalence_sets": [(229, 221)],
    "finest_level": "laue_class",
    "provenance": {
        "seed": np.int64(3),
        "spec": {"batch": (1, 2)},
        "none": None,
        "nan": float("nan"),
        "path": os.sep,
    },
}


def same(a, b):
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    np.testing.assert_array_equal(a.status, b.status)
    for name in ("classes", *FACTS):
        assert getattr(a, name) == getattr(b, name), name


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 5), (40, 70)])
def test_round_trip(random_map, tmp_path, shape):
    result = random_map(shape, (230, 62, 225, 194), **FACTS)
    path = result.save(tmp_path / "map.h5")
    loaded = load_map(path)
    same(result, loaded)
    assert loaded.provenance["nan"] is None
    assert loaded.provenance["spec"] == {"batch": [1, 2]}
    loaded.save(path)  # over our own map
    same(result, load_map(path))
    assert [p.name for p in tmp_path.iterdir()] == ["map.h5"]


def test_an_unfinished_map_goes_on_after_loading(tmp_path):
    result = SpaceGroupMap.empty((2, 2), (225, 229))
    row = np.float32([[0.25, 0.75]])
    result.merge(1, row, np.zeros(1, np.uint8))
    assert result.step is None
    loaded = load_map(result.save(tmp_path / "map.h5"))
    assert loaded.n_done == 1
    assert loaded.step is None
    loaded.merge(0, row, np.zeros(1, np.uint8))
    assert loaded.labels().tolist() == [[229, 229], [0, 0]]


def test_h5py_alone_reads_everything(random_map, tmp_path):
    classes = (230, 62, 225, 194)
    result = random_map((20, 30), classes, **FACTS)
    with h5py.File(result.save(tmp_path / "map.h5")) as file:
        assert file.attrs["format"] == "napari-spacegroup map"
        assert file.attrs["format_version"] == 1
        assert file["map"].attrs["step"].tolist() == [0.25, 0.5]
        assert file["map"].attrs["step_unit"] == "um"
        assert file["classes/number"][()].tolist() == list(classes)
        symbols = file["classes/symbol"].asstr()[()].tolist()
        assert symbols == [level_name(c, "space_group") for c in classes]
        assert json.loads(file["provenance"].asstr()[()])["seed"] == 3
        assert json.loads(file["classes"].attrs["equivalence_sets"]) == [[221, 229]]
        np.testing.assert_array_equal(file["map/status"][()], result.status)
        assert file["map/status"].attrs["meaning_0"] == "ok"
        assert "constant" in file["map/status"].attrs[f"meaning_{PixelStatus.CONSTANT}"]
        for level in LEVELS:
            np.testing.assert_array_equal(file[f"map/labels/{level}"][()], result.labels(level))
            np.testing.assert_array_equal(
                file[f"map/confidence/{level}"][()], result.confidence(level)
            )
            labels = file[f"classes/levels/{level}/label"][()].tolist()
            assert labels == list(result.level_classes(level))
        datasets = []
        file["map"].visititems(lambda _, item: datasets.append(item))
        for item in datasets:
            if isinstance(item, h5py.Dataset):
                assert {"units", "axes", "description"} <= set(item.attrs), item.name


@pytest.mark.parametrize("content", ["text", "hdf5", "directory"])
def test_a_foreign_file_is_left_alone(random_map, tmp_path, content):
    path = tmp_path / "precious.h5"
    if content == "text":
        path.write_text("my thesis")
    elif content == "hdf5":
        with h5py.File(path, "w") as file:
            file["patterns"] = np.zeros(3)
    else:
        path.mkdir()
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(ResultError, match=r"not a map|is a folder"):
        random_map().save(path)
    assert before is None or path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["precious.h5"]


def test_a_full_disk_keeps_the_old_map(random_map, tmp_path, monkeypatch):
    old = random_map(seed=1)
    path = old.save(tmp_path / "map.h5")

    class Full(whole_file.SteadyFile):
        def check(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("napari_spacegroup.infer.map_file.SteadyFile", Full)
    with pytest.raises(ResultError, match=r"could not write .*map.h5: No space left"):
        random_map(seed=2).save(path)
    same(old, load_map(path))
    assert [p.name for p in tmp_path.iterdir()] == ["map.h5"]


def test_an_error_of_hdf5_itself_is_ours_too(random_map, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError("can't write data")

    monkeypatch.setattr(h5py.Group, "create_dataset", broken)
    with pytest.raises(ResultError, match="can't write data"):
        random_map().save(tmp_path / "map.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(random_map, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ResultError, match="Permission denied"):
        random_map().save(tmp_path / "map.h5")


def test_files_that_are_no_maps(random_map, tmp_path):
    path = random_map((30, 30)).save(tmp_path / "map.h5")
    with pytest.raises(ResultError, match="there is no file"):
        load_map(tmp_path / "other.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResultError, match="truncated"):
        load_map(path)
    path.write_bytes(b"not hdf5")
    with pytest.raises(ResultError, match="can't be read as a map"):
        load_map(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["data"] = 1
    with pytest.raises(ResultError, match="but no map"):
        load_map(path)


def test_damaged_and_newer_maps(random_map, tmp_path):
    path = random_map().save(tmp_path / "map.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(ResultError, match=r"layout version 99.*update"):
        load_map(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 1
        del file["map/status"]
    with pytest.raises(ResultError, match="damaged"):
        load_map(path)
