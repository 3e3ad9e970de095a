from __future__ import annotations

import threading

import pytest

from napari_spacegroup.errors import CancelledError, ScanError
from napari_spacegroup.jobs import (
    CancelToken,
    Done,
    Failed,
    JobState,
    Log,
    Progress,
    ThreadRunner,
    run_inline,
)

TIMEOUT = 10


def counting(n):
    def job(cancel: CancelToken):
        for i in range(n):
            if cancel.is_cancelled:
                yield Done(i, is_cancelled=True)
                return
            yield Progress(i + 1, n)
        yield Done(n)

    return job


def test_progress_knows_its_fraction():
    assert Progress(1, 4).fraction == 0.25
    assert Progress(3, 0).fraction == 0.0
    assert Progress(9, 4).fraction == 1.0


def test_inline_gives_the_result_and_every_event():
    seen = []
    assert run_inline(counting(3)(CancelToken()), seen.append) == 3
    assert [type(event) for event in seen] == [Progress, Progress, Progress, Done]


def test_inline_raises_what_the_job_raises():
    def broken():
        yield Log("soon")
        raise ScanError("no patterns")

    with pytest.raises(ScanError, match="no patterns"):
        run_inline(broken())
    with pytest.raises(ScanError, match="told"):
        run_inline([Failed(ScanError("told"))])
    with pytest.raises(CancelledError):
        run_inline([Progress(1, 2)])


def test_inline_closes_the_job_when_a_listener_fails():
    closed = []

    def job():
        try:
            yield Progress(0, 1)
        finally:
            closed.append(True)

    def listener(_):
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        run_inline(job(), listener)
    assert closed == [True]


def test_a_run_passes_through_its_states():
    events, states = [], []
    runner = ThreadRunner(counting(2), on_event=events.append, on_state=states.append)
    assert runner.state is JobState.IDLE
    assert runner.start().wait(TIMEOUT)
    assert runner.result == 2
    assert runner.error is None
    assert states == [
        JobState.PREPARING,
        JobState.RUNNING,
        JobState.FINISHING,
        JobState.COMPLETED,
    ]
    assert isinstance(events[-1], Done)
    with pytest.raises(RuntimeError, match="new ThreadRunner"):
        runner.start()


def test_cancel_keeps_what_was_computed():
    token_seen = threading.Event()

    def listener(event):
        if isinstance(event, Progress) and event.done == 3:
            runner.cancel()
            token_seen.set()

    runner = ThreadRunner(counting(10**9), on_event=listener)
    runner.start()
    assert runner.wait(TIMEOUT)
    assert token_seen.is_set()
    assert runner.state is JobState.CANCELLED
    assert runner.result == 3


def test_a_deaf_job_is_closed_by_force(monkeypatch):
    monkeypatch.setattr("napari_spacegroup.jobs.runner.SECONDS_AFTER_CANCEL", 0.2)
    closed = threading.Event()

    def deaf(_):
        try:
            n = 0
            while True:
                n += 1
                yield Progress(n, 0)
        finally:
            closed.set()

    runner = ThreadRunner(deaf, on_event=lambda _: runner.cancel())
    runner.start()
    assert runner.wait(TIMEOUT)
    assert runner.state is JobState.CANCELLED
    assert closed.is_set()


def test_cancel_before_start_and_during_preparation():
    runner = ThreadRunner(counting(1))
    runner.cancel()
    assert runner.state is JobState.CANCELLED

    entered, release = threading.Event(), threading.Event()

    def slow(cancel):
        entered.set()
        release.wait(TIMEOUT)
        cancel.raise_if_cancelled()
        yield Done(1)

    runner = ThreadRunner(slow).start()
    assert entered.wait(TIMEOUT)
    runner.cancel()
    release.set()
    assert runner.wait(TIMEOUT)
    assert runner.state is JobState.CANCELLED
    assert runner.result is None


def test_pause_holds_and_resume_goes_on():
    held, events = threading.Event(), []

    def listener(event):
        events.append(event)
        if len(events) == 2:
            assert runner.pause()
            held.set()

    runner = ThreadRunner(counting(5), on_event=listener)
    assert not runner.resume()
    runner.start()
    assert held.wait(TIMEOUT)
    assert not runner.wait(0.1)
    assert runner.state is JobState.PAUSED
    assert len(events) == 2
    assert runner.resume()
    assert runner.wait(TIMEOUT)
    assert runner.state is JobState.COMPLETED
    assert len(events) == 6


def test_cancel_wakes_a_paused_job():
    held = threading.Event()

    def listener(event):
        if isinstance(event, Progress) and event.done == 1:
            runner.pause()
            held.set()

    runner = ThreadRunner(counting(100), on_event=listener)
    runner.start()
    assert held.wait(TIMEOUT)
    runner.cancel()
    assert runner.wait(TIMEOUT)
    assert runner.state is JobState.CANCELLED
    assert runner.result == 1


def test_a_failure_is_an_event_with_its_traceback(caplog):
    events = []

    def broken(_):
        yield Progress(0, 1)
        raise ZeroDivisionError("physics")

    runner = ThreadRunner(broken, on_event=events.append).start()
    assert runner.wait(TIMEOUT)
    assert runner.state is JobState.FAILED
    assert isinstance(runner.error, ZeroDivisionError)
    assert isinstance(events[-1], Failed)
    assert "ZeroDivisionError: physics" in events[-1].traceback
    assert "a job failed" in caplog.text


def test_a_broken_listener_ends_the_job_too(caplog):
    def listener(_):
        raise ValueError("listener")

    runner = ThreadRunner(counting(3), on_event=listener).start()
    assert runner.wait(TIMEOUT)
    assert runner.state is JobState.FAILED
    assert "listener" in caplog.text


def test_generations_tell_runs_apart():
    assert ThreadRunner(counting(1)).generation < ThreadRunner(counting(1)).generation
