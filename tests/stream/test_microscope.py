"""The simulated microscope itself: sample, patterns, truth, rate."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_spacegroup.cli import main
from napari_spacegroup.config import FaultSpec, KinematicSpec, SimulatedMicroscopeSpec
from napari_spacegroup.errors import PhaseError, ResultError, SpecError
from napari_spacegroup.jobs import CancelToken
from napari_spacegroup.simulate import MasterPattern
from napari_spacegroup.stream import WrittenState, open_source
from napari_spacegroup.stream.polycrystal import (
    PatternMaker,
    PatternStore,
    grow_polycrystal,
    read_phases,
)

NICKEL = """data_Ni
_cell_length_a 3.5236
_cell_length_b 3.5236
_cell_length_c 3.5236
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_IT_number 225
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 Ni 0 0 0
"""


@pytest.fixture
def phases(tmp_path: Path) -> Path:
    folder = tmp_path / "cifs"
    folder.mkdir()
    iron = NICKEL.replace("3.5236", "2.8665").replace("225", "229").replace("F m", "I m")
    (folder / "nickel.cif").write_text(NICKEL)
    (folder / "iron.cif").write_text(iron.replace("Ni", "Fe"))
    return folder


def small_spec(folder: Path, **fields) -> SimulatedMicroscopeSpec:
    values = {
        "phases": (folder,), "scan_shape": (5, 6), "pattern_shape": (24, 30), "grains": 6,
        "master": KinematicSpec(half_size=20, d_min=1.2),
    }  # fmt: skip
    return SimulatedMicroscopeSpec(**{**values, **fields})


def masters(count: int) -> list[MasterPattern]:
    random = np.random.default_rng(0)
    cell = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)
    return [
        MasterPattern(
            random.random((1, 2, 31, 31), dtype=np.float32), np.array([20.0]), np.ones(1),
            f"p{n}", 200 + n, cell, n == 0,
        )
        for n in range(count)
    ]  # fmt: skip


def test_every_phase_has_a_grain() -> None:
    crystal = grow_polycrystal((30, 40), 12, 5, seed=1)
    assert crystal.grain.shape == (30, 40)
    assert set(crystal.phase_of_grain) == set(range(5))
    np.testing.assert_allclose(np.linalg.norm(crystal.orientations, axis=1), 1)
    again = grow_polycrystal((30, 40), 12, 5, seed=1)
    np.testing.assert_array_equal(again.phase, crystal.phase)
    np.testing.assert_array_equal(again.orientations, crystal.orientations)


def test_patterns_are_those_of_the_projector(tmp_path: Path) -> None:
    import torch

    from napari_spacegroup.simulate.projector import DetectorGeometry, project

    spec = small_spec(tmp_path, noise=0, background=0, blur=0, format="up2")
    crystal = grow_polycrystal(spec.scan_shape, 6, 2, seed=1)
    both = masters(2)
    patterns = PatternMaker(spec, crystal, both)(np.arange(30), (0, 0))
    assert patterns.dtype == np.uint16
    for pixel in (0, 13, 29):
        grain = crystal.grain.ravel()[pixel]
        sheets = both[crystal.phase_of_grain[grain]].weighted()
        sheets = sheets[: 1 if crystal.phase_of_grain[grain] == 0 else 2]
        geometry = DetectorGeometry.fixed(spec.pattern_shape, spec.pattern_center)
        rotation = torch.as_tensor(crystal.orientations[grain], dtype=torch.float32)[None]
        expected = project(torch.as_tensor(sheets)[None], geometry, rotation)[0].numpy()
        assert np.corrcoef(expected.ravel(), patterns[pixel].ravel())[0, 1] > 0.9999


def test_patterns_do_not_depend_on_the_blocks(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, scan_shape=(20, 30), format="up1")
    maker = PatternMaker(spec, grow_polycrystal((20, 30), 6, 2, seed=1), masters(2))
    pixels = np.arange(600)[::-1].copy()
    store, late = PatternStore(maker, pixels), PatternStore(maker, pixels)
    assert store.prepare() == 600
    whole = store.get(0, 600)
    assert len(np.unique(whole.reshape(600, -1), axis=0)) == 600
    for start, stop in ((0, 1), (250, 260), (511, 600)):
        np.testing.assert_array_equal(late.get(start, stop), whole[start:stop])
    assert not np.array_equal(late.get(0, 3, generation=1), whole[:3])
    assert whole.min() >= 1
    assert 60 < whole.mean() < 200


def test_command_writes_scan_and_truth(phases: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_SPACEGROUP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "spec.yaml").write_text(small_spec(phases).to_yaml())
    out = tmp_path / "scan.up2"
    arguments = ["microscope", "--spec", str(tmp_path / "spec.yaml"), "--out", str(out)]
    arguments += ["--fault", "skip:7:2", "--fault", "pause:9:0.01", "--scan-order", "snake"]
    assert main(arguments) == 0
    assert "per second" in capsys.readouterr().err
    source = open_source(out, order="snake")
    arrival = source.poll()
    # Numbers 7 and 8 of the second row, which runs from the right.
    assert set(range(30)) - set(arrival.indices.tolist()) == {9, 10}
    with h5py.File(f"{out}.truth.h5") as truth:
        assert set(np.unique(truth["space_group"])) == {225, 229}
        assert truth["state"][1].tolist() == [1, 1, 1, 3, 3, 1]
        np.testing.assert_allclose(truth["pattern_center"], [0.5, 0.25, 0.6])
        from orix.quaternion import Rotation

        back = Rotation.from_euler(truth["euler"][:], degrees=True).data
        turned = np.abs((back * truth["quaternion"][:]).sum(-1))
        np.testing.assert_allclose(turned, 1, atol=1e-9)


def test_orders_that_cannot_be_met(phases: Path, tmp_path: Path, capsys) -> None:
    assert main(["microscope", "--phases", str(phases), "--out", str(tmp_path / "a.h5")]) == 2
    assert "ends in .up2" in capsys.readouterr().err
    assert main(["microscope", "--out", "a.up2"]) == 2
    assert "phases" in capsys.readouterr().err
    assert main(["microscope", "--phases", "x", "--out", "a.up2", "--fault", "fire:3"]) == 2
    assert "KIND:AT" in capsys.readouterr().err
    with pytest.raises(PhaseError, match="no CIF file"):
        read_phases([tmp_path / "cifs" / ".."])
    with pytest.raises(SpecError, match="before number 0"):
        FaultSpec.from_text("repeat:0")
    with pytest.raises(SpecError, match="come after the last"):
        small_spec(phases).replace(faults=(FaultSpec.from_text("stop:30"),))
    with pytest.raises(SpecError, match="1600 pixels"):
        small_spec(phases).replace(format="ebsp")


def test_real_rate_and_cancel(stage) -> None:
    rig = stage("up1", "pause:20:0.05")
    microscope = rig.microscope
    microscope.spec = microscope.spec.replace(rate=200.0)
    report = microscope.run()
    assert report.is_finished
    assert report.written == 28
    # 27 intervals of 5 ms; a busy machine may take longer, never shorter.
    assert report.seconds >= 0.12
    assert report.rate <= 28 / 0.12


def test_cancel_ends_a_pause(stage) -> None:
    rig = stage("hdf5", "pause:20:1000")
    cancel = CancelToken()
    thread = rig.microscope.start(cancel)
    while rig.microscope.position < 20:
        thread.join(0.01)
    cancel.cancel()
    thread.join(20)
    assert not thread.is_alive()
    assert rig.microscope.state.sum() == 20 * WrittenState.WHOLE
    follower = rig.follow()
    follower.poll(3)
    assert len(follower.patterns) == 20


def test_states_of_faults(stage) -> None:
    rig = stage("zarr", "repeat:4:2", "skip:8", "garbage:10:2", "truncate:15")
    rig.microscope.advance(100)
    state = rig.microscope.state.tolist()
    assert state == [1, 1, 1, 1, 2, 2, 1, 1, 3, 1, 4, 4, 1, 1, 1, 5, *[0] * 12]
    assert not rig.microscope.is_finished


def test_unwritable_place(stage) -> None:
    rig = stage("up1")
    rig.path.mkdir()
    with pytest.raises(ResultError, match="could not write"):
        rig.microscope.advance(1)
