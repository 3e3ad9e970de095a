"""The one way from a worker thread to the main thread.

Workers post, the main thread gets what came together, at most fifteen times a second, and
less often where drawing is slow (no GPU, a large map): that is also how often layers
repaint. The queue is bounded: a worker that is faster than the window waits, it never drops
a piece of a map.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer

from .clock import Clock

REPAINTS_PER_SECOND = 15

REST, LONGEST_REST = 4.0, 0.4
"""After a repaint the window has this many times its duration for other things, and for the
worker on a machine with few cores; at most so long [s]."""

COMPANY_SECONDS = 0.3
"""How long a value that can wait waits for one that can't, to be drawn with it."""

CAPACITY = 64


class Bridge:
    """Carry values from any thread to a method that runs on the main thread.

    It may be dropped on any thread, too: a worker often holds it last.

    Parameters
    ----------
    deliver
        A bound method, kept weakly, called on the main thread with a list of values.
    per_second
        How often at most; more than the layers' repaints only where a delivery is small.
    """

    def __init__(
        self, deliver: Callable[[list[Any]], None], per_second: float = REPAINTS_PER_SECOND
    ) -> None:
        self._pace = 1 / per_second
        self._deliver = weakref.WeakMethod(deliver)
        self._changed = threading.Condition()
        self._values: list[Any] = []
        self._is_open, self._is_pressing = True, False
        self._last = self._cost = 0.0
        self._clock = Clock(self._flush, self._schedule)

    def post(self, value: Any, *, may_wait: bool = True, is_pressing: bool = True) -> None:
        """Hand over a value from any thread; wait while the queue is full.

        Parameters
        ----------
        value
            Anything; dropped after :meth:`close`.
        may_wait
            False where the caller holds a lock that the main thread may want.
        is_pressing
            False for what can wait a little to be drawn with what can't: drawing the window
            twice takes twice as long.
        """
        with self._changed:
            if may_wait and threading.current_thread() is not threading.main_thread():
                self._changed.wait_for(lambda: len(self._values) < CAPACITY or not self._is_open)
            if not self._is_open:
                return
            self._values.append(value)
            is_pressing |= len(self._values) > CAPACITY // 2  # or the worker waits for nothing
            if len(self._values) == 1 or (is_pressing and not self._is_pressing):
                self._clock.wake()
            self._is_pressing |= is_pressing

    def drop(self) -> None:
        """Forget what waits, so that a worker that waits for room goes on."""
        with self._changed:
            self._values.clear()
            self._is_pressing = False
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what waits and take nothing more."""
        with self._changed:
            self._is_open = False
            self._values.clear()
            self._changed.notify_all()
        self._clock.stop()

    def _schedule(self) -> None:
        pace = max(self._pace, min(REST * self._cost, LONGEST_REST))
        rest = self._last + pace - time.monotonic()
        with self._changed:
            rest = rest if self._is_pressing else max(rest, COMPANY_SECONDS)
        wait = max(0, round(1000 * rest))
        remaining = self._clock.remaining
        if remaining is None or remaining > wait:
            self._clock.start(wait)

    def _flush(self) -> None:
        self._last = time.monotonic()
        with self._changed:
            values, self._values = self._values, []
            self._is_pressing = False
            self._changed.notify_all()
        deliver = self._deliver()
        if deliver is not None and values:
            deliver(values)
            # Comes when what was painted is drawn, too.
            QTimer.singleShot(0, self._note_cost)

    def _note_cost(self) -> None:
        """Remember how long the window took for the last delivery, drawing included."""
        self._cost = 0.5 * self._cost + 0.5 * (time.monotonic() - self._last)
