"""The way to the main thread: everything arrives, in order, at a pace that the window can bear."""

from __future__ import annotations

import threading
import time

import pytest

from napari_spacegroup.plugin.bridge import (
    CAPACITY,
    COMPANY_SECONDS,
    REPAINTS_PER_SECOND,
    REST,
    Bridge,
)

pytestmark = pytest.mark.gui


class Window:
    """Takes what comes, in as much time as it is told."""

    def __init__(self, seconds=0.0):
        self.seconds, self.values, self.times = seconds, [], []

    def receive(self, values):
        self.times.append(time.monotonic())
        self.values += values
        time.sleep(self.seconds)


def feed(bridge, count, pause=0.0):
    def work():
        for value in range(count):
            bridge.post(value)
            time.sleep(pause)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def rests(window):
    """Return the time from the end of each delivery to the next one."""
    pairs = zip(window.times, window.times[1:], strict=False)
    return [later - earlier - window.seconds for earlier, later in pairs]


def test_nothing_is_lost_and_the_order_stays(qtbot):
    window = Window()
    bridge = Bridge(window.receive)
    thread = feed(bridge, 5 * CAPACITY)
    qtbot.waitUntil(lambda: len(window.values) == 5 * CAPACITY, timeout=10_000)
    thread.join(5)
    assert window.values == list(range(5 * CAPACITY))
    bridge.close()


def test_a_quick_window_gets_at_most_fifteen_deliveries_a_second(qtbot):
    window = Window()
    bridge = Bridge(window.receive)
    thread = feed(bridge, 150, pause=0.005)
    qtbot.waitUntil(lambda: len(window.values) == 150, timeout=10_000)
    thread.join(5)
    spans = rests(window)
    assert len(spans) >= 3
    assert sorted(spans)[len(spans) // 2] > 0.8 / REPAINTS_PER_SECOND
    bridge.close()


def test_a_slow_window_is_left_in_peace(qtbot):
    """After drawing for 50 ms it has REST times as long for the worker, once that is known."""
    window = Window(0.05)
    bridge = Bridge(window.receive)
    thread = feed(bridge, 300, pause=0.005)
    qtbot.waitUntil(lambda: len(window.values) == 300, timeout=10_000)
    thread.join(5)
    late = rests(window)[3:]
    assert late
    assert min(late) > 0.7 * (REST - 1) * window.seconds
    bridge.close()


def test_what_can_wait_comes_with_what_cannot(qtbot):
    window = Window()
    bridge = Bridge(window.receive)
    begun = time.monotonic()
    bridge.post("status", is_pressing=False)
    qtbot.wait(100)
    assert not window.values
    bridge.post("piece")
    bridge.post("progress", is_pressing=False)
    qtbot.waitUntil(lambda: len(window.values) == 3, timeout=5_000)
    assert window.values == ["status", "piece", "progress"]
    assert window.times[-1] - begun < COMPANY_SECONDS
    bridge.close()


def test_what_can_wait_comes_alone_in_the_end(qtbot):
    window = Window()
    bridge = Bridge(window.receive)
    begun = time.monotonic()
    bridge.post("status", is_pressing=False)
    qtbot.waitUntil(lambda: bool(window.values), timeout=5_000)
    assert window.times[0] - begun > 0.9 * COMPANY_SECONDS
    bridge.close()


def test_a_closed_bridge_lets_the_worker_go(qtbot):
    window = Window()
    bridge = Bridge(window.receive)
    thread = feed(bridge, 10 * CAPACITY)
    bridge.close()
    thread.join(5)
    assert not thread.is_alive()
    qtbot.wait(100)
    assert len(window.values) < 10 * CAPACITY
