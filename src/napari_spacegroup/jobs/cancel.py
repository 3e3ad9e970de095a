"""Asking a job to stop or to wait, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import CancelledError


class CancelToken:
    """A request to stop that can be made once, from any thread, and never taken back.

    A job looks at :attr:`is_cancelled` between batches; code that sleeps registers a
    callback that wakes it up. A job that can wait, such as following a scan, looks at
    :attr:`is_paused` too.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._pause = threading.Event()
        self._leader: CancelToken | None = None
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """Return whether somebody asked to stop."""
        return self._event.is_set()

    @property
    def wants_stop(self) -> bool:
        """Return whether somebody asked to stop, at once and whoever's turn it is."""
        return self._event.is_set()

    @property
    def is_paused(self) -> bool:
        """Return whether the job is asked to wait."""
        return self._pause.is_set() or (self._leader is not None and self._leader.is_paused)

    def pause(self) -> None:
        """Ask the job to wait until :meth:`resume`."""
        self._pause.set()

    def resume(self) -> None:
        """Let the job go on."""
        self._pause.clear()

    def pause_with(self, leader: CancelToken) -> None:
        """Be paused whenever another token is."""
        self._leader = leader

    def take_turn(self) -> None:
        """Wait until the device is free for this job, where several share one."""

    def rest(self) -> None:
        """Tell that the job has nothing to do now; a device that it had may serve others."""

    def cancel(self) -> None:
        """Ask the job to stop; asking twice does nothing more."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` once on cancel, at once if that has happened already.

        Parameters
        ----------
        callback
            Called on the thread that cancels; it must be quick and must not raise.

        Returns
        -------
        forget
            Call it to remove the callback again.
        """
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def raise_if_cancelled(self) -> None:
        """Raise :class:`~napari_spacegroup.errors.CancelledError` after a cancel."""
        if self.is_cancelled:
            raise CancelledError("the job was cancelled; start it again to get a result")

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
