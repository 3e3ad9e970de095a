"""A timer of the main thread whose owner may be dropped on any thread.

A worker may hold the last reference to what owns a timer, and Python's cyclic garbage
collector runs on whatever thread happens to allocate, so a timer that belongs to Python dies
on any thread. Qt can't stop it there: it warns that timers cannot be stopped from another
thread, goes on, and the main thread then tells an object that is gone that its time is over,
which ends the program. So Qt's timer belongs to the application here, which deletes it on the
main thread, and Python holds only this handle.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from qtpy.QtCore import QCoreApplication, Qt, QTimer, Signal

Method = Callable[[], None]


class Clock:
    """Call a method on the main thread once some time is over.

    Made on the main thread; only :meth:`wake` may be called on other ones.

    Parameters
    ----------
    on_time
        A bound method, kept weakly, called when the time is over.
    on_wake
        A bound method, kept weakly, called soon after :meth:`wake`.
    """

    def __init__(self, on_time: Method, on_wake: Method | None = None) -> None:
        self._timer = _Timer(on_time, on_wake)
        weakref.finalize(self, _delete, self._timer).atexit = False

    @property
    def remaining(self) -> int | None:
        """The time until it rings [ms]; None when it does not run."""
        return int(self._timer.remainingTime()) if self._timer.isActive() else None

    def start(self, wait: int) -> None:
        """Ring after ``wait`` [ms], whether or not it runs already."""
        self._timer.start(wait)

    def stop(self) -> None:
        """Don't ring."""
        self._timer.stop()

    def wake(self) -> None:
        """Have ``on_wake`` called on the main thread; does nothing once the application ended."""
        try:
            self._timer.woken.emit()
        except RuntimeError:
            return  # the application took its timers with it


class _Timer(QTimer):
    """Qt's part of a clock: a child of the application, and thus none of Python's garbage."""

    woken = Signal()

    def __init__(self, on_time: Method, on_wake: Method | None) -> None:
        super().__init__(QCoreApplication.instance())
        self._on_time = weakref.WeakMethod(on_time)
        self._on_wake = None if on_wake is None else weakref.WeakMethod(on_wake)
        self.setSingleShot(True)
        self.setTimerType(Qt.TimerType.PreciseTimer)
        self.timeout.connect(self._ring)
        self.woken.connect(self._wake, Qt.ConnectionType.QueuedConnection)

    def _ring(self) -> None:
        _call(self._on_time)

    def _wake(self) -> None:
        _call(self._on_wake)


def _call(method: weakref.WeakMethod[Method] | None) -> None:
    found = None if method is None else method()
    if found is not None:
        found()


def _delete(timer: QTimer) -> None:
    """Have Qt delete a timer on its own thread; may be called on any."""
    try:
        timer.deleteLater()
    except RuntimeError:
        return  # the application took its timers with it
