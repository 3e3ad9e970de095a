"""Measured in a window while it works: stalls of its main thread, and when a pixel appears."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer

LONG = 0.05
"""A gap that is looked into [s]."""


class StallProbe:
    """Measures stalls of Qt's event loop: gaps between ticks of a timer, beyond its interval.

    Parameters
    ----------
    interval
        Of the timer [ms].
    is_curious
        Whether to note, during long gaps, which of our lines or whose call the main thread is at.
    """

    def __init__(self, interval: int = 5, *, is_curious: bool = False) -> None:
        self.interval, self._gaps, self._busy, self._ticks = interval, [], [], []
        self.culprits: Counter[str] = Counter()
        self._last = self._begun = self._worked = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(interval)
        self._timer.timeout.connect(self._tick)
        self._is_over = threading.Event()
        self._is_curious = is_curious

    def __enter__(self) -> StallProbe:
        self._last = self._begun = time.perf_counter()
        self._worked = time.thread_time()
        self._timer.start()
        if self._is_curious:
            main = threading.get_ident()
            threading.Thread(target=self._watch, args=(main,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.stop()
        self._is_over.set()

    def facts(self) -> dict[str, Any]:
        """Return stalls [ms], how long the main thread computed in them, and the worst ones.

        A stall without computing is one where the thread waited: for a core, or the GIL.
        """
        gaps = np.maximum(self._gaps, 0)
        worst = np.argsort(gaps)[::-1][:10]
        return {
            "p99_ms": float(np.percentile(gaps, 99)),
            "p99_busy_ms": float(np.percentile(self._busy, 99)),
            "median_ms": float(np.median(gaps)),
            "worst_ms": float(gaps.max()),
            "ticks": len(gaps),
            "worst": [
                (round(self._ticks[i], 2), round(float(gaps[i]), 1), round(self._busy[i], 1))
                for i in worst
            ],
            "culprits": self.culprits.most_common(12),
        }

    def _tick(self) -> None:
        now, worked = time.perf_counter(), time.thread_time()
        self._gaps.append(1000 * (now - self._last) - self.interval)
        self._busy.append(1000 * (worked - self._worked))
        self._ticks.append(now - self._begun)
        self._last, self._worked = now, worked

    def _watch(self, main: int) -> None:
        while not self._is_over.wait(0.01):
            if time.perf_counter() - self._last > LONG:
                frames = traceback.extract_stack(sys._current_frames()[main])
                ours = [f for f in frames if "napari_spacegroup" in f.filename]
                shown = [*ours[-1:], *frames[-2:]]
                places = (f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in shown)
                self.culprits[" > ".join(places)] += 1


class PaintProbe:
    """When each pixel of a Labels layer was first drawn.

    Parameters
    ----------
    viewer
        Its canvas is listened to.
    layer
        Gives the layer, or None before there is one.
    """

    def __init__(self, viewer: Any, layer: Callable[[], Any]) -> None:
        self._layer = layer
        self.times = np.zeros(0)
        self.draws = 0
        viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(
            self._on_draw, position="last"
        )

    def _on_draw(self, *_: Any) -> None:
        layer = self._layer()
        if layer is None:
            return
        now, shown = time.monotonic(), np.asarray(layer.data).ravel() != 0
        if len(self.times) != len(shown):
            self.times = np.full(len(shown), np.nan)
        self.draws += 1
        self.times[shown & np.isnan(self.times)] = now


WATCH = """
import json, sys, time
from pathlib import Path
path, size, seen = Path(sys.argv[1]), int(sys.argv[2]), []
while not seen or seen[-1][1] < size:
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        found = 0
    if found and (not seen or found > seen[-1][1]):
        seen.append((time.monotonic(), found))
    time.sleep(0.001)
print(json.dumps(seen))
"""


class SizeProbe:
    """When a file reached each size; watched by a process of its own, with the same clock.

    Parameters
    ----------
    path
        The file, which need not exist yet.
    size
        Where it ends [bytes].
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        self._process = subprocess.Popen(
            [sys.executable, "-c", WATCH, str(path), str(size)], stdout=subprocess.PIPE, text=True
        )

    def written(self, count: int, record: int) -> np.ndarray:
        """Return when the last byte of each of the patterns was there [s], shape ``(n,)``.

        Parameters
        ----------
        count
            Number of patterns; they end with the file.
        record
            Bytes of one.
        """
        import json

        seen = np.array(json.loads(self._process.communicate(timeout=30)[0]))
        ends = self.size - record * np.arange(count - 1, -1, -1)
        return seen[np.searchsorted(seen[:, 1], ends), 0]
