"""The navigation image of a large scan, streamed in the background while the window is up.

A file of tens of gigabytes opens at once: its overview starts out empty and fills in row by
row. A small one, or one that brings its overview along, is computed on the spot.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..jobs import CancelToken, Done, Event, Progress, ThreadRunner

if TYPE_CHECKING:
    from ..patterns import PatternScan
    from .bridge import Bridge

LARGE_BYTES = 256 * 2**20

_running: list[Overview] = []


def overview(scan: PatternScan) -> NDArray[np.float32]:
    """Return the navigation image of a scan, complete or about to fill in.

    Returns
    -------
    image
        Shape ``scan.scan_shape``; NaN where it is still to come.
    """
    n_bytes = scan.n_patterns * int(np.prod(scan.pattern_shape)) * scan.dtype.itemsize
    if n_bytes <= LARGE_BYTES or scan.navigation is not None or not _has_window():
        return scan.navigation_image()
    image = np.full(scan.scan_shape, np.nan, dtype=np.float32)
    _running.append(Overview(scan, image))
    return image


class Overview:
    """Fills one image; ends when it is full, its layer is gone, or the program quits."""

    def __init__(self, scan: PatternScan, image: NDArray[np.float32]) -> None:
        from qtpy.QtWidgets import QApplication

        from .bridge import Bridge

        self._image = weakref.ref(image)
        self._bridge = Bridge(self._deliver)
        self._runner = ThreadRunner(
            lambda cancel: _means(scan, cancel, self._bridge),
            on_event=self._bridge.post,
            name="overview",
        )
        QApplication.instance().aboutToQuit.connect(self.close)
        self._runner.start()

    def close(self) -> None:
        """Stop; what is computed stays."""
        self._runner.cancel()
        self._bridge.close()
        if self in _running:
            _running.remove(self)

    def _deliver(self, values: list[Any]) -> None:
        image = self._image()
        if image is None:
            self.close()
            return
        for value in values:
            if isinstance(value, tuple):
                start, means = value
                image.reshape(-1)[start : start + len(means)] = means
        _repaint(image)
        if any(isinstance(value, Done) for value in values):
            self.close()


def _means(scan: PatternScan, cancel: CancelToken, bridge: Bridge) -> Iterator[Event]:
    for start, means in scan.navigation_blocks():
        if cancel.is_cancelled:
            break
        bridge.post((start, means))
        yield Progress(start + len(means), scan.n_patterns, "Overview")
    yield Done(None, is_cancelled=cancel.is_cancelled)


def _repaint(image: NDArray[np.float32]) -> None:
    import napari

    viewer = napari.current_viewer()
    for layer in viewer.layers if viewer is not None else ():
        if layer.data is image:
            known = image[np.isfinite(image)]
            if known.size and known.max() > known.min():
                layer.contrast_limits = (float(known.min()), float(known.max()))
            layer.refresh()


def _has_window() -> bool:
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() is not None
