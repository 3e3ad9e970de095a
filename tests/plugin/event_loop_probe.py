"""How long the window's main thread is held: the gaps between ticks of a short timer."""

from __future__ import annotations

import time

import numpy as np
from qtpy.QtCore import Qt, QTimer


class EventLoopProbe:
    """Measures stalls of Qt's event loop in a ``with`` block.

    Parameters
    ----------
    interval
        Of the timer [ms]; a gap counts by how much it is longer.
    """

    def __init__(self, interval: int = 5) -> None:
        self.interval = interval
        self._gaps: list[float] = []
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(interval)
        self._timer.timeout.connect(self._tick)

    def __enter__(self) -> EventLoopProbe:
        self._last = time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.stop()

    def _tick(self) -> None:
        now = time.perf_counter()
        self._gaps.append(1000 * (now - self._last) - self.interval)
        self._last = now

    def stall(self, percentile: float = 99.0) -> float:
        """Return a percentile of the stalls [ms]."""
        return float(np.percentile(np.maximum(self._gaps, 0), percentile))

    def __len__(self) -> int:
        return len(self._gaps)
