"""A calibration on its way from the scan to map and joint evidence, in Python and by command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

import napari_spacegroup as nsg
from napari_spacegroup.cli import main
from napari_spacegroup.config import CalibrationSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ResultError, ScanError, SpecError
from napari_spacegroup.imaging import SpotContract
from napari_spacegroup.infer.view import calibration_of_map
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spot_images import SpotCamera, draw_spots
from napari_spacegroup.simulate.spot_patterns import zone_quaternions
from napari_spacegroup.simulate.spots import Beam, ReflectionBatch, excite

CLASSES = (221, 225, 227, 229)
SHAPE, COUNT = (150, 210), 4
TOLD = CalibrationSpec(center=(104.2, 74.0), camera_constant=70.0, ellipse=(1.09, 30.0))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    card = ModelCard(
        name="toy", technique="sad", classes=CLASSES, architecture="spotnet",
        options={"width": 16}, input=SpotContract(),
    )  # fmt: skip
    return Model(build("spotnet", 4, width=16), card).save(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Sodium chloride by a camera that makes ellipses."""
    turns = zone_quaternions(COUNT, 0.3, torch.Generator().manual_seed(1))
    one = torch.ones(COUNT)
    batch = ReflectionBatch.of([simulate_reflections(library_phase("NaCl"), 1.3)] * COUNT)
    spots = excite(batch, turns, Beam(200 * one, 0.015 * one, 0.5 * one, 0.03 * one, "gaussian"))
    camera = SpotCamera.fixed(
        COUNT, SHAPE, camera_constant=70.0, ellipticity=0.09, ellipse_angle=math.radians(30)
    )
    images = draw_spots(spots, camera, spots.intensity**0.5).numpy()
    images = (images / images.max(axis=(1, 2), keepdims=True)) ** 0.5
    down, across = np.mgrid[: SHAPE[0], : SHAPE[1]]
    images = images + 1.5 * np.exp(-((across - 104.5) ** 2 + (down - 74.5) ** 2) / 12)
    noise = np.random.default_rng(0).normal(0.05, 0.01, images.shape)
    return (150 * (images + noise)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def scan(pictures):
    return nsg.PatternScan.from_array(pictures[None], technique="sad")


def test_a_scan_is_calibrated_and_stays_the_same_scan(scan):
    told = scan.with_calibration(center=(104, 70), ellipse=(1.05, 10))
    assert scan.calibration is None
    assert told.calibration == CalibrationSpec(center=(104.0, 70.0), ellipse=(1.05, 10.0))
    more = told.with_calibration(camera_constant=99.0)
    assert more.calibration.center == (104.0, 70.0)
    assert more.with_calibration(TOLD).calibration == TOLD
    assert more.crop(0, 1, 0, 2).calibration == more.calibration
    assert more.fingerprint() == scan.fingerprint()
    with pytest.raises(ScanError, match="Column comes first"):
        scan.with_calibration(center=(70.0, 260.0))  # of 210 columns and 150 rows
    with pytest.raises(SpecError, match="ellipse"):
        scan.with_calibration(ellipse=(0.8, 0.0))


def test_read_takes_what_the_file_does_not_say(pictures, tmp_path):
    path = tmp_path / "pattern.png"
    imageio.imwrite(path, pictures[0])
    assert nsg.read(path).calibration is None
    asked = {"camera_constant": 70.0, "center": (104.2, 74.0)}
    assert nsg.read(path, calibration=asked).calibration == CalibrationSpec(**asked)
    assert nsg.read(path, calibration=TOLD).calibration == TOLD
    with pytest.raises(SpecError, match="camera_constant"):
        nsg.read(path, calibration={"camera_constant": -1.0})


def test_the_map_remembers_it_and_the_answer_depends_on_it(scan, model_folder, tmp_path):
    model = nsg.load_model(model_folder)
    bare = nsg.classify(scan, model)
    told = nsg.classify(scan.with_calibration(TOLD), model, out=tmp_path / "map.h5")
    assert np.abs(bare.probabilities - told.probabilities).max() > 1e-3
    direct = model.predict(np.asarray(scan.data[0]), calibration=TOLD)
    np.testing.assert_allclose(told.probabilities.reshape(direct.shape), direct, atol=1e-5)
    stored = nsg.load_map(tmp_path / "map.h5")
    assert calibration_of_map(stored) == TOLD
    assert stored.provenance["calibration"]["ellipse"] == [1.09, 30.0]
    assert calibration_of_map(bare) is None
    assert "calibration" not in bare.provenance
    # Another map of the scan looks at it alike, whatever it was told since.
    alike = nsg.classify(scan, model, like=tmp_path / "map.h5")
    np.testing.assert_array_equal(alike.probabilities, stored.probabilities)
    assert calibration_of_map(alike) == TOLD


def test_the_scale_alone_changes_nothing_that_is_classified(scan, model_folder):
    model = nsg.load_model(model_folder)
    one = nsg.classify(scan, model).probabilities
    other = nsg.classify(scan.with_calibration(camera_constant=12.0), model).probabilities
    np.testing.assert_array_equal(one, other)


def test_an_unfinished_map_goes_on_with_the_same_calibration_alone(scan, model_folder, tmp_path):
    out, cancel = tmp_path / "map.h5", nsg.CancelToken()

    def stop(event):
        if type(event).__name__ == "Partial":
            cancel.cancel()

    told = scan.with_calibration(TOLD)
    nsg.classify(told, model_folder, out=out, batch_size=1, cancel=cancel, on_event=stop)
    assert (tmp_path / "map.h5.partial").exists()
    with pytest.raises(ResultError, match="anew"):
        nsg.classify(scan, model_folder, out=out, batch_size=1)
    whole = nsg.classify(told, model_folder, out=out, batch_size=1)
    np.testing.assert_array_equal(
        whole.probabilities, nsg.classify(told, model_folder, batch_size=1).probabilities
    )


def test_a_model_of_pictures_takes_no_notice():
    rng = np.random.default_rng(0)
    scan = nsg.PatternScan.from_array(rng.integers(0, 255, (1, 2, 60, 60), dtype=np.uint8))
    told = scan.with_calibration(TOLD.replace(center=(30.0, 30.0)))
    result = nsg.classify(told, "ebsd-cubic", pattern_center=(0.5, 0.3, 0.6))
    assert "calibration" not in result.provenance


def test_combine_goes_by_it_too(pictures, model_folder, tmp_path, capsys):
    paths = []
    for number, picture in enumerate(pictures[:2]):
        paths.append(tmp_path / f"{number}.png")
        imageio.imwrite(paths[-1], picture)
    model = nsg.load_model(model_folder)
    bare = nsg.combine(paths, model)
    told = nsg.combine(paths, model, calibration=TOLD)
    on_scans = nsg.combine([nsg.read(path, calibration=TOLD) for path in paths], model)
    np.testing.assert_allclose(told.evidence.each, on_scans.evidence.each)
    assert np.abs(bare.evidence.each - told.evidence.each).max() > 1e-3
    assert not np.allclose(bare.rotation, told.rotation, atol=0.02)
    report = tmp_path / "report.json"
    options = ["--center", "104.2", "74", "--camera-constant", "70", "--ellipse", "1.09", "30"]
    arguments = ["combine", *map(str, paths), "--model", str(model_folder), "--json", str(report)]
    assert main([*arguments, *options]) == 0
    assert json.loads(report.read_text()) == json.loads(json.dumps(told.to_dict()))
    assert main([*arguments, "--ellipse", "0.9", "30"]) == 2
    assert "turn its direction by 90" in capsys.readouterr().err


def test_classify_by_command(scan, pictures, model_folder, tmp_path, capsys):
    path, out = tmp_path / "stack.npy", tmp_path / "map.h5"
    np.save(path, pictures[None])
    arguments = ["classify", str(path), "--model", str(model_folder), "--out", str(out)]
    options = ["--center", "104.2", "74", "--camera-constant", "70", "--ellipse", "1.09", "30"]
    assert main([*arguments, *options]) == 0
    result = nsg.load_map(out)
    assert calibration_of_map(result) == TOLD
    direct = nsg.classify(scan.with_calibration(TOLD), model_folder)
    np.testing.assert_array_equal(result.probabilities, direct.probabilities)
    assert main([*arguments[:-1], str(tmp_path / "found.h5"), "--find-calibration"]) == 0
    found = calibration_of_map(nsg.load_map(tmp_path / "found.h5"))
    assert found.center == pytest.approx((104.5, 74.5), abs=0.5)
    assert "Center found" in capsys.readouterr().err
