"""Workers and schedulers that die, and sockets that must not be open to others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from napari_spacegroup.errors import SchedulerLostError, WorkerLostError
from napari_spacegroup.jobs import Done, Failed, Log, Progress, Task, dask_pieces
from napari_spacegroup.jobs.dask_executor import DaskExecutor


def kill_the_counter(file):
    while not (words := file.read_text().split()):  # it is being written this moment
        time.sleep(0.01)
    os.kill(int(words[0]), signal.SIGKILL)


def test_everything_listens_on_the_loopback_address_without_a_dashboard(dask_executor, toys):
    list(dask_executor.run(Task(toys.count, (1,))))
    here = psutil.Process()
    sockets = [
        connection.laddr
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(sockets) >= 3
    assert {address.ip for address in sockets} <= {"127.0.0.1", "::1"}
    assert not {address.port for address in sockets} & {8787}
    assert "distributed.dashboard.scheduler" not in sys.modules


def test_a_killed_worker_resumes_where_the_job_can(dask_executor, toys, tmp_path):
    file = tmp_path / "count"
    options = {"pause": 0.02, "file": str(file)}
    seen, logs = [], []
    for event in dask_executor.run(Task(toys.count_on, (40,), options, again={"resume": True})):
        if isinstance(event, Progress):
            seen.append(event.done)
            if len(seen) == 3:
                kill_the_counter(file)
        elif isinstance(event, Log):
            logs.append(event.message)
    assert isinstance(event, Done)
    assert event.result == 40
    assert "from 0" in logs[0]
    assert "died" in logs[1]
    assert logs[2] != "from 0"
    assert len(seen) == len(set(seen)), "something was done twice"


def test_a_worker_that_is_slow_to_start_again_is_waited_for(toys, tmp_path):
    """dask gives a lost worker up after a while (15 s): less than a crowded machine needs."""
    import dask

    file = tmp_path / "count"
    executor = DaskExecutor()
    seen, is_killed = [], False
    with dask.config.set({"distributed.deploy.lost-worker-timeout": 0.01}):
        task = Task(toys.count_on, (30,), {"pause": 0.02, "file": str(file)},
                    again={"resume": True})  # fmt: skip
        for event in executor.run(task):
            if isinstance(event, Progress):
                seen.append(event.done)
                if not is_killed:
                    is_killed = True
                    kill_the_counter(file)
    executor.close()
    assert isinstance(event, Done)
    assert event.result == 30


def test_a_job_does_not_wait_for_ever_for_the_last_worker(monkeypatch):
    present = {"tcp://127.0.0.1:1": {}}
    client = SimpleNamespace(scheduler_info=lambda **_: {"workers": present})
    monkeypatch.setattr(dask_pieces, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(dask_pieces, "ALONE_SECONDS", 0.05)
    never = SimpleNamespace(scheduler_info=lambda **_: {"workers": {}})
    waiting = dask_pieces.Company(never)
    company = dask_pieces.Company(client)
    assert company.problem() is None
    present.clear()
    assert company.problem() is None
    time.sleep(0.1)
    assert isinstance(company.problem(), WorkerLostError)
    assert waiting.problem() is None  # a queue may be as long as it is


def test_an_executor_that_lost_its_worker_for_good_starts_another(toys):
    executor = DaskExecutor()
    first = executor.client
    executor._cluster.scale(0)
    for _ in range(200):
        if not executor._cluster.workers:
            break
        time.sleep(0.05)
    *_, event = executor.run(Task(toys.count, (3,), {}))
    assert isinstance(event, Done)
    assert executor.client is not first
    executor.close()


def test_a_killed_worker_is_told_where_the_job_cannot(dask_executor, toys, tmp_path):
    file = tmp_path / "count"
    killed = False
    for event in dask_executor.run(Task(toys.count, (400,), {"pause": 0.02, "file": str(file)})):
        if isinstance(event, Progress) and not killed:
            killed = True
            kill_the_counter(file)
    assert isinstance(event, Failed)
    assert isinstance(event.error, WorkerLostError)
    assert "start it again" in str(event.error)


def test_only_lost_pieces_are_done_again(dask_executor, toys, tmp_path):
    found = []
    pieces = ((number, str(tmp_path)) for number in range(60))
    for answer in dask_executor.spread(toys.square, pieces, shared=(0,)):
        found.append(answer)
        if len(found) == 10:
            pid = int((tmp_path / "0").read_text())
            os.kill(pid, signal.SIGKILL)
    assert found == [number**2 for number in range(60)]
    twice = [n for n in range(60) if len((tmp_path / f"{n}").read_text().split()) > 1]
    # What was handed over before the kill is never done again; what waits in the worker is.
    assert not [n for n in twice if n < 10]
    assert len(twice) <= 10


@pytest.fixture
def remote(tmp_path):
    """A scheduler and a worker in processes of their own."""
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    address_file = tmp_path / "scheduler.json"
    log = (tmp_path / "log").open("w")
    common = {"stdout": log, "stderr": log, "env": environment}
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
         "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file",
         str(address_file)], **common,
    )  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--host", "127.0.0.1", "--no-nanny",
         "--nthreads", "2", "--scheduler-file", str(address_file), "--no-dashboard",
         "--dashboard-address", "127.0.0.1:0", "--death-timeout", "90"], **common,
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while not address_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    import json

    yield json.loads(Path(address_file).read_text())["address"], scheduler
    for process in (worker, scheduler):
        process.kill()
        process.wait(10)
    log.close()


def test_a_scheduler_that_dies_is_told_and_what_arrived_stays(remote, toys):
    address, scheduler = remote
    executor = DaskExecutor(address)
    try:
        assert list(executor.spread(toys.square, [(2,), (3,)], shared=(0,))) == [4, 9]
        seen = []
        for event in executor.run(Task(toys.count, (10_000,), {"pause": 0.02})):
            if isinstance(event, Progress):
                seen.append(event.done)
            if len(seen) == 3:
                scheduler.kill()
        assert isinstance(event, Failed)
        assert isinstance(event.error, SchedulerLostError)
        assert address in str(event.error)
        assert seen[:3] == [1, 2, 3]
    finally:
        executor.close()


def test_a_scheduler_that_dies_ends_a_spread(remote, toys):
    address, scheduler = remote
    executor = DaskExecutor(address)
    found = []

    def listen():
        for answer in executor.spread(toys.square, ((n,) for n in range(10_000)), shared=(0,)):
            found.append(answer)
            if len(found) == 5:
                scheduler.kill()

    try:
        with pytest.raises(SchedulerLostError, match="went away"):
            listen()
    finally:
        executor.close()
    assert found[:5] == [0, 1, 4, 9, 16]


def test_an_address_without_a_scheduler(monkeypatch):
    monkeypatch.setattr("napari_spacegroup.jobs.dask_executor.CONNECT_SECONDS", 0.5)
    with pytest.raises(SchedulerLostError, match="no dask scheduler at tcp://127"):
        _ = DaskExecutor("tcp://127.0.0.1:9").client


def test_a_worker_that_starts_too_late_is_told_apart_from_certificates(monkeypatch):
    def late(_self):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(DaskExecutor, "_start", late)
    executor = DaskExecutor()
    with pytest.raises(SchedulerLostError, match=r"did not start .* try again") as caught:
        _ = executor.client
    assert "certificates" not in str(caught.value)
