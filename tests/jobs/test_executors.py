"""The same events from every executor, cancel, and what one process does about two jobs."""

from __future__ import annotations

import os
import threading
import time

import pytest

from napari_spacegroup.errors import SpecError
from napari_spacegroup.jobs import (
    CancelToken,
    Done,
    Failed,
    InlineExecutor,
    Priority,
    Progress,
    Task,
    ThreadExecutor,
    as_executor,
)
from napari_spacegroup.jobs.dask_executor import DaskExecutor
from napari_spacegroup.jobs.giving_way import NICENESS
from napari_spacegroup.jobs.turns import PoliteToken, Turns

KINDS = ("inline", "thread", "dask")


@pytest.fixture(params=KINDS)
def executor(request):
    if request.param == "dask":
        return request.getfixturevalue("dask_executor")
    return {"inline": InlineExecutor, "thread": ThreadExecutor}[request.param]()


def test_the_same_events_in_order(executor, toys):
    events = list(executor.run(Task(toys.count, (300,))))
    assert [e.done for e in events[:-1]] == list(range(1, 301))
    assert isinstance(events[-1], Done)
    assert events[-1].result == 300


def test_the_same_answers_in_order(executor, toys):
    pieces = ((number,) for number in range(30))
    found = list(executor.spread(toys.square, pieces, shared=(7,)))
    assert found == [7 + number**2 for number in range(30)]


def test_cancel_answers_within_one_batch_and_gives_what_there_is(executor, toys):
    token = CancelToken()
    seen = []
    for event in executor.run(Task(toys.count, (10_000,), {"pause": 0.1}), token):
        seen.append(event)
        if len(seen) == 2:
            token.cancel()
            asked = time.monotonic()
    assert time.monotonic() - asked < 2
    assert isinstance(seen[-1], Done)
    assert seen[-1].is_cancelled
    assert 2 <= seen[-1].result <= 2 + 10


def test_cancel_ends_a_spread(executor, toys):
    token = CancelToken()
    found = []
    for answer in executor.spread(
        toys.square, ((n,) for n in range(10_000)), shared=(0,), cancel=token
    ):
        found.append(answer)
        if len(found) == 3:
            token.cancel()
    assert found[:3] == [0, 1, 4]
    assert len(found) < 10


def test_a_closed_listener_cancels_the_job(executor, toys, tmp_path):
    file = tmp_path / "count"
    events = executor.run(Task(toys.count, (10_000,), {"pause": 0.02, "file": str(file)}))
    next(events)
    events.close()
    deadline = time.monotonic() + 10
    last = ""
    while time.monotonic() < deadline:
        now = file.read_text()
        if now == last:
            break
        last = now
        time.sleep(0.2)
    assert int(last.split()[1]) < 500


@pytest.mark.parametrize("kind", ["thread", "dask"])
def test_an_error_comes_as_the_last_event(kind, toys, request):
    executor = request.getfixturevalue("dask_executor") if kind == "dask" else ThreadExecutor()
    *_, last = executor.run(Task(toys.broken))
    assert isinstance(last, Failed)
    assert isinstance(last.error, ValueError)
    assert "on purpose" in last.traceback


def test_an_error_that_cannot_be_sent_is_told_in_words(dask_executor, toys):
    *_, last = dask_executor.run(Task(toys.breaks_badly))
    assert isinstance(last, Failed)
    assert "UnsendableError: words" in str(last.error)


def test_inline_raises_what_the_job_raises(toys):
    with pytest.raises(ValueError, match="on purpose"):
        list(InlineExecutor().run(Task(toys.broken)))


def test_a_local_worker_leaves_the_cores_and_the_memory_to_others(dask_executor, toys):
    *_, done = dask_executor.run(Task(toys.environment))
    assert int(done.result["GOMP_SPINCOUNT"]) < 100_000  # unset it is 300,000: milliseconds
    assert "MALLOC_TRIM_THRESHOLD_" not in done.result  # dask's own: every tensor faults


@pytest.mark.skipif(os.name == "nt", reason="Windows has classes of priority, not numbers")
def test_a_local_worker_can_give_way_to_the_window(dask_executor, toys):
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    *_, done = dask_executor.run(Task(toys.priority))
    assert done.result == mine
    polite = DaskExecutor(gives_way=True)
    try:
        *_, done = polite.run(Task(toys.priority))
    finally:
        polite.close()
    assert done.result == max(mine, NICENESS)


def test_the_worker_stays_warm(dask_executor, toys):
    list(dask_executor.run(Task(toys.count, (1,))))
    assert dask_executor.is_warm
    started = time.monotonic()
    list(dask_executor.run(Task(toys.count, (1,))))
    assert time.monotonic() - started < 1


def test_a_slow_listener_loses_nothing(dask_executor, toys):
    done = []
    for event in dask_executor.run(Task(toys.count, (3000,))):
        if isinstance(event, Progress):
            done.append(event.done)
        if len(done) == 1:
            time.sleep(0.5)
    assert done == list(range(1, 3001))


def test_which_executor_is_meant(monkeypatch):
    monkeypatch.delenv("NAPARI_SPACEGROUP_SCHEDULER", raising=False)
    assert isinstance(as_executor()[0], InlineExecutor)
    assert isinstance(as_executor("thread")[0], ThreadExecutor)
    mine = InlineExecutor()
    assert as_executor(mine) == (mine, False)
    assert as_executor(scheduler="tcp://127.0.0.1:1")[0].address == "tcp://127.0.0.1:1"
    monkeypatch.setenv("NAPARI_SPACEGROUP_SCHEDULER", "tls://127.0.0.1:2")
    assert as_executor()[0].address == "tls://127.0.0.1:2"
    assert isinstance(as_executor("inline")[0], InlineExecutor)
    with pytest.raises(SpecError, match="choose inline"):
        as_executor("cluster")
    with pytest.raises(SpecError, match="one of them"):
        as_executor("thread", "tcp://127.0.0.1:1")


def test_live_passes_training_and_one_computes_at_a_time():
    turns, seen, guard = Turns(), [], threading.Lock()
    live_may_end = threading.Event()

    def work(name, priority, batches, is_held):
        token = PoliteToken(turns, priority)
        for _ in range(batches):
            assert not token.is_cancelled
            assert guard.acquire(blocking=False), "two jobs compute at once"
            time.sleep(0.005)
            seen.append(name)
            guard.release()
            if is_held:
                started.set()
        if is_held:
            live_may_end.wait(5)
        token.leave()

    started = threading.Event()
    training = threading.Thread(target=work, args=("train", Priority.TRAIN, 40, False))
    training.start()
    while not seen:
        time.sleep(0.001)
    live = threading.Thread(target=work, args=("live", Priority.LIVE, 5, True))
    live.start()
    assert started.wait(5)
    time.sleep(0.05)
    standing = seen.count("train")
    time.sleep(0.1)
    assert seen.count("train") == standing, "training went on beside live"
    live_may_end.set()
    training.join(5)
    live.join(5)
    assert seen.count("train") == 40
    first, last = seen.index("live"), len(seen) - 1 - seen[::-1].index("live")
    assert "train" not in seen[first:last]


def test_a_job_that_waits_for_its_turn_can_be_cancelled():
    turns = Turns()
    holder = PoliteToken(turns, Priority.LIVE)
    assert not holder.is_cancelled
    waiting = PoliteToken(turns, Priority.TRAIN)
    threading.Timer(0.1, waiting.cancel).start()
    assert waiting.is_cancelled
    waiting.leave()
    holder.leave()
    assert turns.n_waiting == 0
