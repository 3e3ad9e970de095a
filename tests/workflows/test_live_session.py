"""When a followed scan shows patterns before their chunk is whole, and when it waits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_spacegroup.config import FollowSpec
from napari_spacegroup.jobs import CancelToken, Partial
from napari_spacegroup.stream import Arrival, SourceState
from napari_spacegroup.workflows import live_patience
from napari_spacegroup.workflows.live_patience import BUSY
from napari_spacegroup.workflows.live_session import LiveSession
from napari_spacegroup.workflows.live_start import Heard
from napari_spacegroup.workflows.live_status import Meter

from .live_fakes import Fake, frames, info_of

CHUNK, MORE = 32, 8
WHOLE_SOON = 100.0
"""Instead of a fraction of a second, which a busy machine may take for anything [s]."""


def shown(seconds_ago: float, *, more: bool = False) -> list[tuple[int, int]]:
    """Return start and size of what is shown of a chunk and a bit, read so long ago."""
    spec = FollowSpec(model="fake", batch_size=CHUNK)
    session = LiveSession(
        Fake(), spec, path=None, like=None, pattern_center=None, journal=None
    )  # fmt: skip
    count = CHUNK + MORE
    arrival = Arrival(np.arange(count), frames()[:count], SourceState.GROWING)
    heard = Heard(arrival, info_of(), time.monotonic() - seconds_ago)
    events = list(session.take(heard, CancelToken(), more=more))
    pieces = [e for e in events if isinstance(e, Partial)]
    return [(p.start, int((p.status == 0).sum())) for p in pieces]


@pytest.fixture
def rates(monkeypatch):
    monkeypatch.setattr(live_patience, "WHOLE_SOON", WHOLE_SOON)

    def be(load: float, rate: float = 10.0) -> None:
        monkeypatch.setattr(Meter, "load", property(lambda _: load))
        monkeypatch.setattr(Meter, "rates", property(lambda _: (rate, rate)))

    return be


def test_an_idle_network_shows_what_has_waited(rates):
    rates(load=0.5 * BUSY)
    assert shown(1.2 * WHOLE_SOON) == [(0, CHUNK), (CHUNK, MORE)]
    assert shown(0.8 * WHOLE_SOON) == [(0, CHUNK)]


def test_a_busy_network_waits_for_whole_chunks(rates):
    rates(load=1.5 * BUSY)
    assert shown(1.2 * WHOLE_SOON) == [(0, CHUNK)]
    assert shown(4 * WHOLE_SOON) == [(0, CHUNK), (CHUNK, MORE)]


def test_a_chunk_that_will_not_be_whole_soon_is_shown_even_so(rates):
    rates(load=1.5 * BUSY, rate=0.01)
    assert shown(1.2 * WHOLE_SOON) == [(0, CHUNK), (CHUNK, MORE)]


def test_load_is_the_share_of_late_spent_on_classifying():
    meter = Meter()
    assert meter.load == 0
    # So many steps that the first half is over WINDOW_SECONDS ago.
    for step in range(41):  # busy all the time at first, then a quarter of it
        seconds = min(step, 20) * 0.1 + max(step - 20, 0) * 0.025
        meter.count(0.1 * step, 100 * step, 90 * step, seconds)
    assert meter.load == pytest.approx(0.25, abs=0.05)
    assert meter.rates == pytest.approx((1000, 900))
