"""Many master patterns: events, order, cancel, failures, and real worker processes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_spacegroup.jobs import CancelToken, Done, Progress
from napari_spacegroup.simulate import (
    DynamicalSpec,
    KinematicSpec,
    MasterCache,
    MasterFailed,
    MasterReady,
    simulate_many,
    simulate_master,
)

SPEC = KinematicSpec(half_size=6, d_min=1.5)


def test_events_tell_what_happens(crystals, tmp_path):
    phases = [crystals.phase(name) for name in ("Ni", "Ti", "GaAs")]
    cache = MasterCache(tmp_path)
    cache.fetch(phases[1], SPEC)
    events = list(simulate_many(phases, SPEC, scheduler="synchronous", cache=cache))
    ready = [e for e in events if isinstance(e, MasterReady)]
    assert [(e.index, e.is_cached) for e in ready] == [(1, True), (0, False), (2, False)]
    assert [e.done for e in events if isinstance(e, Progress)] == [0, 1, 2, 3]
    assert isinstance(events[-1], Done)
    assert not events[-1].is_cancelled
    assert [m.phase_name for m in events[-1].result] == ["Ni", "Ti", "GaAs"]
    assert cache.size()[0] == 3


def test_cancel_keeps_what_is_done(crystals):
    cancel = CancelToken()
    phases = [crystals.phase("Ni")] * 4
    seen = []
    for event in simulate_many(phases, SPEC, scheduler="synchronous", cancel=cancel):
        seen.append(event)
        if isinstance(event, MasterReady):
            cancel.cancel()
    assert seen[-1].is_cancelled
    assert [m is not None for m in seen[-1].result] == [True, False, False, False]


def test_one_bad_phase_does_not_stop_the_others(crystals):
    phases = [crystals.phase("Ni"), crystals.phase("Ni").scaled(0.1), crystals.phase("Ti")]
    events = list(simulate_many(phases, SPEC, scheduler="synchronous"))
    failed = [e for e in events if isinstance(e, MasterFailed)]
    assert [(e.index, e.phase_name) for e in failed] == [(1, "Ni")]
    assert "d_min" in str(failed[0].error)
    assert [m is not None for m in events[-1].result] == [True, False, True]


@pytest.fixture(scope="module")
def threads():
    """A client on threads of this process: the cluster's code without its start-up time."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            processes=False,
            n_workers=1,
            threads_per_worker=2,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            protocol="tcp",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_given_client_is_used_and_left_open(crystals, threads):
    phases = [crystals.phase("Ni"), crystals.phase("Ni").scaled(0.1), crystals.phase("Ti")]
    events = list(simulate_many(phases, SPEC, client=threads))
    assert [m is not None for m in events[-1].result] == [True, False, True]
    assert sum(isinstance(e, MasterFailed) for e in events) == 1
    alone = simulate_master(phases[2], SPEC)
    np.testing.assert_array_equal(events[-1].result[2].data, alone.data)
    assert threads.submit(lambda: 7).result() == 7


def test_cancel_answers_while_workers_are_busy(crystals, threads):
    cancel = CancelToken()
    slow = SPEC.replace(half_size=150, d_min=0.6)
    events = simulate_many([crystals.phase("ZrO2")] * 6, slow, client=threads, cancel=cancel)
    assert next(events) == Progress(0, 6, "looking for stored master patterns")
    start = time.monotonic()
    cancel.cancel()
    last = list(events)[-1]
    assert time.monotonic() - start < 2
    assert last.is_cancelled
    assert last.result == [None] * 6


@pytest.mark.slow
def test_worker_processes(crystals):
    pytest.importorskip("de_ebsd")
    spec = DynamicalSpec(
        half_size=5, d_min=1.0, cutoffs=(2, 2.1, 20), energy_bins=1, electrons=1000
    )
    phases = [crystals.phase("Ni"), crystals.phase("Ti")]
    events = list(simulate_many(phases, spec, workers=2))
    for phase, master in zip(phases, events[-1].result, strict=True):
        alone = simulate_master(phase, spec)
        np.testing.assert_allclose(master.data, alone.data, rtol=1e-3)
