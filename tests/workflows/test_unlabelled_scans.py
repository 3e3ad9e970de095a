"""Scans without labels that a training spec names: read, checked, handed to training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.config import PowderTrainSpec, read_train_spec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError
from napari_spacegroup.jobs import CancelToken, Done
from napari_spacegroup.learn import TrainStep
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.workflows.train_model import training_events, unlabelled_scans

SPEC = """
technique: powder
name: toy
lines: [lines.npz]
grid: {points: 256, background: 0}
network: {widths: [8, 16], stem: 8, layers: 0, dropout: 0}
conditions: clean
device: cpu
validation_share: 0.01
unlabelled: {scans: [measured.xy], threshold: 0.0, wavelength: 1.5418, most: 3}
schedule: {steps: 4, batch_size: 8, evaluate_every: 4}
"""


@pytest.fixture
def folder(tmp_path):
    phases = [library_phase(name) for name in ("Ni", "Fe", "Si")]
    LineSet.from_lines(
        [lines_of_phase(p, 7.0) for p in phases], [p.space_group for p in phases],
        [LineRecord(p.name, p.name) for p in phases],
    ).save(tmp_path / "lines.npz")  # fmt: skip
    angles = np.linspace(10, 90, 1600)
    counts = 5 + 900 * np.exp(-0.5 * ((angles[:, None] - np.array([44.5, 51.8, 76.4])) / 0.1) ** 2)
    columns = np.stack([angles, *(counts.sum(1) * k for k in (1, 2, 3, 4, 5))], 1)
    np.savetxt(tmp_path / "measured.xy", columns)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def test_they_are_read_beside_the_spec_and_thinned(folder):
    spec = read_train_spec(folder / "spec.yaml")
    (scan,) = unlabelled_scans(spec)
    assert scan.patterns.shape == (3, 1, 1600)
    assert scan.axis is not None
    assert scan.axis.wavelength == pytest.approx(1.5418)
    np.testing.assert_allclose(scan.patterns[2] / scan.patterns[0], 5, rtol=1e-6)


def test_training_learns_from_them(folder):
    torch.set_num_threads(1)
    spec = read_train_spec(folder / "spec.yaml")
    token = CancelToken()
    events = list(
        training_events(spec, folder / "model", cancel=token, resume=False, report_every=2)
    )
    assert all(e.unlabelled_loss > 0 for e in events if isinstance(e, TrainStep))
    assert isinstance(events[-1], Done)


def test_a_spec_without_them_reads_nothing():
    spec = PowderTrainSpec.model_validate({"lines": ["nowhere.npz"]})
    assert unlabelled_scans(spec) == []


def test_a_scan_of_another_technique_is_refused(folder):
    spec = read_train_spec(folder / "spec.yaml")
    other = spec.model_copy(update={"technique": "ebsd"})
    with pytest.raises(ModelError, match="holds powder patterns and the model is for ebsd"):
        unlabelled_scans(other)
