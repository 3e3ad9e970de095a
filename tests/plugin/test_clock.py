"""Timers of the main thread outlive an owner that is dropped on another thread, and no longer."""

from __future__ import annotations

import gc
import threading

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QTimer

from napari_spacegroup.plugin.bridge import Bridge
from napari_spacegroup.plugin.clock import Clock

pytestmark = pytest.mark.gui


class Owner:
    """Has a bridge that is about to deliver, and a clock that is about to ring."""

    def __init__(self):
        self.rung, self.values = 0, []
        self.bridge = Bridge(self.values_came)
        self.clock = Clock(self.ring)

    def ring(self):
        self.rung += 1

    def values_came(self, values):
        self.values += values


def on_another_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def timers():
    """Return how many the application has, without those that only wait to be deleted."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return len(QCoreApplication.instance().findChildren(QTimer))


def test_it_rings_once_and_can_be_started_again(qtbot):
    owner = Owner()
    assert owner.clock.remaining is None
    owner.clock.start(10_000)
    assert 0 < owner.clock.remaining <= 10_000
    owner.clock.start(1)
    qtbot.waitUntil(lambda: owner.rung == 1, timeout=5_000)
    owner.clock.start(20)
    owner.clock.stop()
    qtbot.wait(60)
    assert owner.rung == 1


def test_a_thread_that_wakes_it_is_answered_on_the_main_thread(qtbot):
    found = []

    class Sleeper:
        def wake(self):
            found.append(threading.current_thread())

    sleeper = Sleeper()
    clock = Clock(sleeper.wake, sleeper.wake)
    on_another_thread(clock.wake)
    assert not found
    qtbot.waitUntil(lambda: bool(found), timeout=5_000)
    assert found == [threading.main_thread()]


@pytest.mark.parametrize("way", ["last reference", "garbage"])
def test_a_running_clock_may_be_dropped_on_any_thread(qtbot, qtlog, way):
    """Qt ends the program when a timer that died on another thread rings."""
    # What earlier tests left behind, windows and their OpenGL contexts, must not die over there.
    gc.collect()
    gc.freeze()
    before = timers()
    owners = [Owner() for _ in range(20)]
    for owner in owners:
        owner.clock.start(30)
        owner.bridge.post("status", is_pressing=False)
    qtbot.wait(1)  # the bridges' clocks run now, too
    assert timers() == before + 40
    if way == "garbage":
        for owner in owners:
            owner.itself = owner
    del owner
    gc.disable()  # or it happens here
    try:
        held = [owners]
        del owners
        on_another_thread(lambda: (held.clear(), gc.collect()))
    finally:
        gc.enable()
        gc.unfreeze()
    qtbot.wait(500)
    assert not [record for record in qtlog.records if "thread" in record.message]
    assert timers() == before
