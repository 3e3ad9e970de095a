"""Processes that die in the middle of the work: the second half of the cases of ``faults.py``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from fault_cases import (
    CENTER,
    CHUNK,
    CLASSES,
    IMAGES,
    NAMES,
    SEED,
    Bench,
    Case,
    compared,
    guarded,
    needs_reader,
    passes,
    records,
    target,
)

import napari_spacegroup as nsg
from napari_spacegroup.config import TrainSpec
from napari_spacegroup.errors import ResultError, SchedulerLostError
from napari_spacegroup.infer import load_map
from napari_spacegroup.jobs import Log, Partial
from napari_spacegroup.jobs.dask_executor import DaskExecutor
from napari_spacegroup.learn import MasterRecord, MasterSet
from napari_spacegroup.simulate.lambert import lambert_directions

GRID = (12, 20)
COUNT = GRID[0] * GRID[1]
CHUNKS = COUNT // CHUNK
WORKERS = ((3, ("classify",)), (1, ("classify", "follow")))
"""How many workers there are, and which verbs lose one of them."""
WAIT = 120.0
"""Longest that anything here waits for another process [s]."""

COUNTED = """
import os, sys
from napari_spacegroup.models.model import Model
handle = os.open(os.environ["FAULTS_TALLY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
plain = Model.predict
def predict(self, patterns, **options):
    os.write(handle, f"begun {len(patterns)}\\n".encode())
    answer = plain(self, patterns, **options)
    os.write(handle, f"done {len(patterns)}\\n".encode())
    return answer
Model.predict = predict
from napari_spacegroup.cli import main
sys.exit(main())
"""
"""The command line, and a line in a file before and after each pass of the network."""


def command(bench: Bench, verb: str, path: Path, layout: str, out: Path) -> subprocess.Popen[bytes]:
    """Start the command line in a process of its own."""
    arguments = [verb, str(target(path, layout)), "--model", str(bench.model_path), "--out",
                 str(out), "--batch-size", str(CHUNK), "--device", "cpu", "--pattern-center",
                 *map(str, CENTER)]  # fmt: skip
    if verb == "follow":
        arguments += ["--until-idle", "60"]
        arguments += ["--scan-shape", *map(str, GRID)] if layout in IMAGES else []
    log = (path.parent / "log").open("ab")
    environment = os.environ | {"FAULTS_TALLY": str(path.parent / "tally")}
    with log:
        return subprocess.Popen(
            [sys.executable, "-c", COUNTED, *arguments], stdout=log, stderr=log, env=environment
        )


def kill_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Kill ``follow`` and ``classify`` at a random moment, and give the same command again."""
    rng = np.random.default_rng(SEED)
    assert bench.model is not None
    for verb in ("follow", "classify"):
        for layout in layouts:
            moment, delay = int(rng.integers(1, CHUNKS - 8)), float(rng.uniform(0, 0.03))
            skipped = needs_reader("kill", verb, layout) if verb == "classify" else None
            yield skipped or guarded("kill", verb, layout, lambda v=verb, la=layout, m=moment,
                d=delay: kill_case(bench, v, la, m, d))  # fmt: skip


def kill_case(bench: Bench, verb: str, layout: str, moment: int, delay: float) -> Case:
    """Kill one run after some chunks and a little while, and run it again to the end."""
    folder = bench.place()
    path, out, tally = folder / NAMES[layout], folder / "map.h5", folder / "tally"
    microscope = bench.microscope(path, layout, grid=GRID)
    microscope.advance(4 * CHUNK if verb == "follow" else COUNT)
    first = command(bench, verb, path, layout, out)
    deadline = time.monotonic() + WAIT
    while passes(tally)[1] < moment:
        if first.poll() is not None or time.monotonic() > deadline:
            log = (folder / "log").read_text(errors="replace")[-300:]
            first.kill()
            raise RuntimeError(f"the first run ended before it was killed: {log}")
        if verb == "follow" and tally.exists() and microscope.position < COUNT - CHUNK:
            microscope.advance(3)
        time.sleep(0.002)
    time.sleep(delay)
    first.send_signal(signal.SIGSTOP)  # the moment of death; the lock is still held
    refused = refusal(bench, verb, path, layout, out)
    first.kill()
    first.wait(WAIT)
    kept, begun = records(out)[0], passes(tally)[0]
    microscope.advance(COUNT)
    microscope.writer.close()
    second = command(bench, verb, path, layout, out)
    status = second.wait(WAIT)
    if status:
        raise RuntimeError((folder / "log").read_text(errors="replace")[-300:])
    numbers = compared(load_map(out), bench.truth(layout, GRID))
    total = passes(tally)[0]
    numbers |= {
        "chunks": CHUNKS, "kept": kept, "begun_before": begun, "begun_after": total - begun,
        "twice": total - CHUNKS, "is_second_refused": "another process" in refused,
    }  # fmt: skip
    passed = numbers["is_exact"] and numbers["twice"] <= 1 and numbers["is_second_refused"]
    passed = passed and begun - kept <= 1 and not out.with_name("map.h5.partial").exists()
    cell = f"{kept} kept, {numbers['twice']} twice"
    return Case("kill", verb, layout, passed, cell, refused, numbers)


def refusal(bench: Bench, verb: str, path: Path, layout: str, out: Path) -> str:
    """Return what a second process on the same output is told."""
    try:
        if verb == "follow":
            bench.follow(path, layout, GRID, out=out)
        else:
            bench.classify(target(path, layout), out=out)
    except ResultError as error:
        return str(error).replace(f"{path.parent}{os.sep}", "")
    return "was not refused"


def worker_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Kill dask workers while they classify or follow."""
    rng = np.random.default_rng(SEED)
    for count, verbs in WORKERS:
        executor = DaskExecutor(workers=count)
        try:
            for verb in verbs:
                name = f"{verb}, {'one of three' if count > 1 else 'the only one'}"
                for layout in layouts:
                    moment, victim = int(rng.integers(1, 11)), int(rng.integers(count))
                    executor = ready(executor, count)
                    skipped = needs_reader("worker", name, layout) if verb == "classify" else None
                    facts = (executor, name, layout, moment, victim)
                    yield skipped or guarded(
                        "worker", name, layout, lambda f=facts: worker_case(bench, *f)
                    )
        finally:
            executor.close()


def ready(executor: DaskExecutor, count: int) -> DaskExecutor:
    """Return the executor with all its workers, or a new one where dask brought one not back."""
    try:
        executor.client.wait_for_workers(count, timeout=WAIT)
    except TimeoutError:
        print("dask did not start a killed worker again; taking new ones", flush=True)
        executor.close()
        executor = DaskExecutor(workers=count)
        executor.client.wait_for_workers(count, timeout=WAIT)
    return executor


def worker_case(
    bench: Bench, executor: DaskExecutor, name: str, layout: str, moment: int, victim: int
) -> Case:  # fmt: skip
    """Kill one worker after some chunks have arrived."""
    verb = name.split(",")[0]
    folder = bench.place()
    path, tally = folder / NAMES[layout], folder / "tally"
    microscope = bench.microscope(path, layout, grid=GRID)
    microscope.advance(COUNT if verb == "classify" else 4 * CHUNK)
    processes = list(executor.client.run(os.getpid).values())
    arrived: list[int] = []
    begun: list[int] = []

    def listen(event: Any) -> None:
        microscope.advance(CHUNK // 2)
        if isinstance(event, Partial):
            arrived.append(event.start)
            if len(arrived) == moment:
                os.kill(processes[victim], signal.SIGKILL)
                begun.append(passes(tally)[0])

    options = {"model": bench.counting(tally), "device": "cpu", "executor": executor,
               "on_event": listen}  # fmt: skip
    if verb == "classify":
        result = bench.classify(target(path, layout), **options)
    else:
        result = bench.follow(path, layout, GRID, out=folder / "map.h5", until_idle=60, **options)
    numbers = compared(result, bench.truth(layout, GRID))
    total = passes(tally)[0]
    numbers |= {
        "chunks": CHUNKS, "arrived": moment, "begun_before": begun[0], "twice": total - CHUNKS,
        "processes_lost": sum(not psutil.pid_exists(p) for p in processes),
    }  # fmt: skip
    passed = numbers["wrong"] == 0 and numbers["in_map"] == COUNT
    passed = passed and numbers["largest_difference"] < 1e-5 and numbers["processes_lost"] == 1
    passed = passed and (verb == "classify" or numbers["twice"] <= 1)
    cell = f"{numbers['in_map']}/{COUNT}, {numbers['twice']} twice"
    return Case("worker", name, layout, passed, cell, "", numbers)


def scheduler_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Kill the scheduler while workers classify into a file."""
    name = "the scheduler"
    layout = "up2" if "up2" in layouts else layouts[0]
    yield guarded("scheduler", name, layout, lambda: scheduler_case(bench, name, layout))


def scheduler_case(bench: Bench, name: str, layout: str) -> Case:
    """Kill the scheduler after five batches, and finish without it."""
    path = bench.written(layout, GRID)
    out, tally = path.parent / "map.h5", path.parent / "tally"
    file = path.parent / "scheduler.json"
    here = str(Path(__file__).parent)
    paths = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False", "PYTHONPATH": paths}
    common = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard",
              "--dashboard-address", "127.0.0.1:0"]  # fmt: skip
    processes = []
    with (path.parent / "log").open("wb") as log:
        for module, more in (
            ("dask_scheduler", ["--port", "0"]),
            ("dask_worker", ["--no-nanny", "--nthreads", "2", "--death-timeout", "60"]),
        ):
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.{module}", *common, *more],
                    stdout=log, stderr=log, env=environment,
                )
            )  # fmt: skip
    message, arrived = "", []
    try:
        deadline = time.monotonic() + WAIT
        while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        executor = DaskExecutor(address)
        executor.client.wait_for_workers(1, timeout=WAIT)

        def listen(event: Any) -> None:
            if isinstance(event, Partial):
                arrived.append(event.start)
                if len(arrived) == 5:
                    processes[0].kill()

        try:
            bench.classify(target(path, layout), out=out, executor=executor, on_event=listen)
        except SchedulerLostError as error:
            message = str(error).replace(address, "tcp://…")
        finally:
            executor.close()
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait(WAIT)
    kept, is_saved = records(out)[0], out.exists()
    bench.classify(target(path, layout), out=out, model=bench.counting(tally))
    numbers = compared(load_map(out), bench.truth(layout, GRID))
    numbers |= {"chunks": CHUNKS, "arrived": len(arrived), "kept": kept,
                "begun_after": passes(tally)[0]}  # fmt: skip
    passed = "went away" in message and not is_saved and kept == len(arrived) >= 5
    passed = passed and numbers["wrong"] == 0 and numbers["begun_after"] == CHUNKS - kept
    return Case("scheduler", name, layout, passed, f"{kept} kept, 0 twice", message, numbers)


def training_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Kill the worker that trains, between two checkpoints."""
    del layouts
    yield guarded("training", "the worker that trains", "", lambda: training_case(bench))


def training_case(bench: Bench) -> Case:
    """Train twice, once with a kill, and compare the weights."""
    folder = bench.place()
    spec = TrainSpec.from_mapping(
        {
            "masters": [toy_masters(folder / "set.npz")], "name": "toy", "appearance": 0.0,
            "network": {"width": 8}, "device": "cpu",
            "schedule": {"steps": 6, "batch_size": 4, "evaluate_every": 2},
        }
    )  # fmt: skip
    said, killed = [], []
    executor = DaskExecutor()

    def listen(event: Any) -> None:
        said.append(event.message)
        if isinstance(event, Log) and "held-out" in event.message and not killed:
            killed.extend(executor.client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    try:
        whole = nsg.train(spec, folder / "whole", executor=executor)
        again = nsg.train(spec, folder / "killed", executor=executor, on_event=listen)
    finally:
        executor.close()
    other = again.network.state_dict()
    worst, is_close = 0.0, True
    for key, value in whole.network.state_dict().items():
        mine, theirs = other[key].double(), value.double()
        worst = max(worst, float((mine - theirs).abs().max()))
        is_close &= bool(np.allclose(mine, theirs, rtol=1e-4, atol=1e-5))
    steps = [message for message in said if message.startswith("step ")]
    numbers = {
        "steps": again.card.training["steps"], "largest_weight_difference": worst,
        "temperature": [whole.card.temperature, again.card.temperature],
        "is_close": is_close, "told": any("died" in message for message in said),
        "validations": [step.split(":")[0] for step in steps],
    }  # fmt: skip
    off = abs(again.card.temperature / whole.card.temperature - 1)
    passed = is_close and numbers["told"] and numbers["steps"] == 6 and off < 1e-4
    cell = f"largest difference of a weight {worst:.1e}"
    return Case("training", "the worker that trains", "", passed, cell, "", numbers)


def toy_masters(path: Path) -> Path:
    """Write master patterns of bands alone, along the axes or the diagonals of a cube."""
    cubes = np.eye(3)
    diagonals = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
    directions = lambert_directions(20)[:1]

    def bands(normals: np.ndarray, width: float) -> np.ndarray:
        units = normals / np.linalg.norm(normals, axis=1)[:, None]
        return (np.abs(directions @ units.T) < width).sum(-1).astype(np.float32)

    arrays, made = [], []
    for index in range(4):
        arrays += [bands(cubes, 0.1 + 0.01 * index), bands(diagonals, 0.03 + 0.005 * index)]
        for letter, group in (("A", CLASSES[0]), ("B", CLASSES[4])):
            made.append(MasterRecord(f"{letter}{index}", group, prototype=f"{letter}{index}"))
    MasterSet.from_arrays(arrays, made, size=41).save(path)
    return path
