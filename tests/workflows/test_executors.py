"""The verbs give the same result wherever they run, and outlive their workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_spacegroup.config import SimulateSpec, TrainSpec
from napari_spacegroup.config.master import KinematicSpec
from napari_spacegroup.crystal.library import library_phase
from napari_spacegroup.errors import CancelledError, SpecError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.jobs import CancelToken, Log, Partial, Progress
from napari_spacegroup.jobs.dask_executor import DaskExecutor
from napari_spacegroup.learn import MasterRecord, MasterSet
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.simulate.lambert import lambert_directions
from napari_spacegroup.stream import MemorySource
from napari_spacegroup.workflows import classify, follow, simulate, simulate_phases, train
from napari_spacegroup.workflows.live_status import LiveStatus

from .live_fakes import write_up2

CLASSES = (221, 223, 225, 227, 229, 230)


@pytest.fixture(scope="module")
def one_worker():
    executor = DaskExecutor()
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def three_workers():
    executor = DaskExecutor(workers=3)
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def model(scan_file) -> Model:
    torch.manual_seed(0)
    card = ModelCard(
        name="untrained",
        technique="ebsd",
        classes=CLASSES,
        architecture="resnet18",
        options={"width": 4},
        input=InputContract(shape=(32, 32)),
    )
    network = build(card.architecture, len(CLASSES), **card.options)
    made = Model(network, card)
    patterns = np.load(scan_file).reshape(-1, 40, 48)
    with torch.no_grad():
        # Every class gets its share of the patterns: one label everywhere would prove little.
        logits = made.network(made.prepare(patterns))
        network.head.weight.div_(logits.std(0)[:, None])
        network.head.bias.copy_(-((logits - network.head.bias).mean(0) / logits.std(0)))
    return made


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory) -> Path:
    patterns = np.random.default_rng(0).integers(0, 255, (6, 11, 40, 48)).astype(np.uint8)
    patterns[2, 3] = 7
    path = tmp_path_factory.mktemp("scan") / "scan.npy"
    np.save(path, patterns)
    return path


@pytest.fixture(scope="module")
def reference(scan_file, model):
    return classify(scan_file, model, batch_size=8, device="cpu")


@pytest.mark.parametrize("where", ["thread", "one_worker", "three_workers"])
@pytest.mark.parametrize("source", ["file", "memory"])
def test_the_same_map_everywhere(where, source, scan_file, model, reference, request):
    executor = where if where == "thread" else request.getfixturevalue(where)
    scan = scan_file if source == "file" else np.load(scan_file)
    starts = []
    result = classify(
        scan,
        model,
        batch_size=8,
        device="cpu",
        executor=executor,
        on_event=lambda e: starts.append(e.start) if isinstance(e, Partial) else None,
    )
    assert len(np.unique(reference.labels())) > 2
    np.testing.assert_array_equal(result.labels(), reference.labels())
    np.testing.assert_array_equal(result.status, reference.status)
    np.testing.assert_allclose(result.probabilities, reference.probabilities, atol=1e-5)
    assert starts == list(range(0, 66, 8))
    if source == "file":
        assert result.provenance["scan"] == reference.provenance["scan"]


def test_cancel_keeps_what_there_is(scan_file, model, one_worker):
    token = CancelToken()

    def listen(event):
        if isinstance(event, Progress):
            token.cancel()

    result = classify(
        scan_file, model, batch_size=2, executor=one_worker, cancel=token, on_event=listen
    )
    assert 2 <= result.n_done <= 4
    cancelled = CancelToken()
    cancelled.cancel()
    with pytest.raises(CancelledError):
        classify(scan_file, model, executor=one_worker, cancel=cancelled)


def worker_processes(executor) -> list[int]:
    return list(executor.client.run(os.getpid).values())


def test_a_killed_worker_costs_only_its_pieces(
    scan_file, model, reference, three_workers, tmp_path
):
    killed = []

    def listen(event):
        if isinstance(event, Partial) and not killed:
            killed.append(worker_processes(three_workers)[0])
            os.kill(killed[0], signal.SIGKILL)

    out = tmp_path / "map.h5"
    result = classify(
        scan_file, model, batch_size=8, device="cpu", executor=three_workers, on_event=listen,
        out=out,
    )  # fmt: skip
    assert killed
    assert result.is_complete
    assert out.exists()
    np.testing.assert_array_equal(result.labels(), reference.labels())


def bands(normals: np.ndarray, width: float) -> np.ndarray:
    directions = lambert_directions(20)[:1]
    angles = np.abs(directions @ (normals / np.linalg.norm(normals, axis=1)[:, None]).T)
    return (angles < width).sum(-1).astype(np.float32)


@pytest.fixture(scope="module")
def masters_file(tmp_path_factory) -> Path:
    cubes = np.eye(3)
    diagonals = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
    arrays, records = [], []
    for index in range(4):
        arrays += [bands(cubes, 0.1 + 0.01 * index), bands(diagonals, 0.03 + 0.005 * index)]
        records += [
            MasterRecord(f"A{index}", 221, prototype=f"a{index}"),
            MasterRecord(f"B{index}", 229, prototype=f"b{index}"),
        ]
    path = tmp_path_factory.mktemp("masters") / "set.npz"
    MasterSet.from_arrays(arrays, records, size=41).save(path)
    return path


def train_spec(masters: Path, steps: int) -> TrainSpec:
    return TrainSpec.from_mapping(
        {
            "masters": [masters],
            "name": "toy",
            "appearance": 0.0,
            "network": {"width": 8},
            "schedule": {"steps": steps, "batch_size": 4, "evaluate_every": 2},
            "device": "cpu",
        }
    )


def test_training_outlives_its_worker_and_ends_the_same(masters_file, one_worker, tmp_path):
    """Killed between two checkpoints: the weights of an unbroken run, to rounding."""
    spec = train_spec(masters_file, 6)
    whole = train(spec, tmp_path / "whole", executor=one_worker)
    said, killed = [], []

    def listen(event):
        said.append(event.message)
        if isinstance(event, Log) and "held-out" in event.message and not killed:
            killed.extend(worker_processes(one_worker))
            os.kill(killed[0], signal.SIGKILL)

    again = train(spec, tmp_path / "killed", executor=one_worker, on_event=listen)
    assert killed
    assert any("died" in message for message in said)
    assert again.card.training["steps"] == 6
    steps = [message for message in said if message.startswith("step ")]
    assert steps[0].startswith("step 2:")
    assert steps[-1].startswith("step 6:")
    for key, value in whole.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[key], value, rtol=1e-4, atol=1e-5)
    assert again.card.temperature == pytest.approx(whole.card.temperature, rel=1e-3)


def test_training_on_a_thread_and_inline_is_the_same(masters_file, tmp_path):
    spec = train_spec(masters_file, 4)
    models = {
        kind: train(spec, tmp_path / kind, executor=kind).network.state_dict()
        for kind in ("inline", "thread")
    }
    for key, value in models["inline"].items():
        torch.testing.assert_close(models["thread"][key], value, rtol=1e-4, atol=1e-5)


def test_a_new_training_does_not_go_on_from_an_old_checkpoint(masters_file, tmp_path):
    train(train_spec(masters_file, 3), tmp_path)
    model = train(train_spec(masters_file, 2), tmp_path)
    assert model.card.training["steps"] == 2
    assert (tmp_path / "checkpoint.before.safetensors").exists()


def test_phases_are_simulated_on_the_workers(three_workers, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SPACEGROUP_CACHE", str(tmp_path / "cache"))
    names = ("Ni", "Fe", "Si")
    phases = [library_phase(name) for name in names]
    monkeypatch.setattr(simulate_phases, "_read_phases", lambda _: phases)
    spec = SimulateSpec(phases=(tmp_path,), master=KinematicSpec(half_size=20, d_min=1.0))
    seen = []
    out = simulate(spec, tmp_path / "set.npz", executor=three_workers, on_event=seen.append)
    masters = MasterSet.load(out)
    assert [record.name for record in masters.records] == list(names)
    assert seen[-1].done == 3


@pytest.fixture(scope="module")
def raw_scan(scan_file) -> Path:
    path = scan_file.with_name("scan.up2")
    write_up2(path, np.load(scan_file).reshape(-1, 40, 48), shape=(6, 11))
    return path


@pytest.mark.parametrize("where", ["thread", "one_worker"])
def test_following_gives_the_same_map_everywhere(where, raw_scan, model, request):
    executor = where if where == "thread" else request.getfixturevalue(where)
    reference = classify(raw_scan, model, batch_size=8, device="cpu")
    result = follow(raw_scan, model, batch_size=8, device="cpu", executor=executor, until_idle=20)
    np.testing.assert_array_equal(result.labels(), reference.labels())
    np.testing.assert_array_equal(result.status, reference.status)


def test_following_outlives_its_worker(raw_scan, model, one_worker, tmp_path):
    patterns = np.load(raw_scan.with_suffix(".npy")).reshape(-1, 40, 48)
    growing, out = tmp_path / "scan.up2", tmp_path / "map.h5"
    write_up2(growing, patterns, 30, shape=(6, 11))
    logs = []

    def listen(event):
        if isinstance(event, Log):
            logs.append(event.message)
        if isinstance(event, Partial) and growing.stat().st_size < raw_scan.stat().st_size:
            os.kill(worker_processes(one_worker)[0], signal.SIGKILL)
            with growing.open("ab") as file:
                file.write(patterns[30:].astype("<u2").tobytes())

    result = follow(
        growing, model, batch_size=8, device="cpu", executor=one_worker, out=out, until_idle=60,
        on_event=listen,
    )  # fmt: skip
    assert any("died" in line for line in logs)
    reference = classify(raw_scan, model, batch_size=8, device="cpu")
    np.testing.assert_array_equal(result.labels(), reference.labels())
    assert out.exists()


@pytest.mark.parametrize("where", ["thread", "one_worker"])
def test_following_elsewhere_can_be_paused(where, raw_scan, model, tmp_path, request):
    executor = where if where == "thread" else request.getfixturevalue(where)
    patterns = np.load(raw_scan.with_suffix(".npy")).reshape(-1, 40, 48)
    growing, token = tmp_path / "scan.up2", CancelToken()
    write_up2(growing, patterns, 30, shape=(6, 11))
    read: list[tuple[float, int]] = []
    paused_at = []

    def listen(event):
        if not isinstance(event, LiveStatus):
            return
        read.append((time.monotonic(), event.read))
        if event.read >= 29 and not paused_at:
            paused_at.append(time.monotonic())
            token.pause()
        elif paused_at and time.monotonic() > paused_at[0] + 1:
            if growing.stat().st_size < raw_scan.stat().st_size:
                with growing.open("ab") as file:
                    file.write(patterns[30:].astype("<u2").tobytes())
            elif time.monotonic() > paused_at[0] + 3:
                token.resume()

    result = follow(
        growing, model, batch_size=8, device="cpu", executor=executor, cancel=token, on_event=listen
    )
    during = [count for when, count in read if when < paused_at[0] + 3]
    assert max(during) <= 30  # the rest lay there for two seconds
    assert result.is_complete


def test_what_another_process_cannot_reach_is_refused(model, one_worker):
    with pytest.raises(SpecError, match="files and folders only"):
        follow(MemorySource(), model, executor=one_worker)
