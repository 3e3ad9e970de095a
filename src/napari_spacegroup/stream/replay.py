"""A finished scan, given out as if it were being taken."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..patterns.scan import PatternScan
from .order import RASTER, OrderKind, ScanOrder, as_order
from .slots import SLAB_BYTES
from .source import Arrival, ScanInfo, SourceState, closed_error, nothing


class ReplaySource:
    """Patterns of a finished scan at a chosen rate.

    Nothing is judged: what the scan holds is given out, and pixels that it lacks
    (``scan.present``) are left out.

    Parameters
    ----------
    scan
        Any scan.
    rate
        Patterns per second; None gives as many as are asked for.
    order
        In which order pixels come.
    clock
        Returns seconds; tests give their own.

    Raises
    ------
    ScanError
        If the rate is not positive, or the order is ``any`` or does not fit the scan.
    """

    def __init__(
        self,
        scan: PatternScan,
        rate: float | None = None,
        *,
        order: ScanOrder | OrderKind | NDArray[np.int64] | list[int] = RASTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        order = as_order(order)
        if (rate is not None and not rate > 0) or order.kind == "any":
            raise ScanError(
                f"rate is {rate}, order {order.kind!r}; need a rate above 0, or None, and an order "
                "that says what comes next."
            )
        self.scan = scan
        self.rate = rate
        self._clock = clock
        pixels = order.pixel_of(np.arange(order.length(scan.scan_shape)), scan.scan_shape)
        if pixels.max(initial=-1) >= scan.n_patterns:
            raise ScanError(
                f"the order names pixel {pixels.max()}, the scan has {scan.n_patterns}; need "
                "pixels of this scan."
            )
        if scan.present is not None:
            pixels = pixels[scan.present.ravel()[pixels]]
        self._pixels = pixels
        self._given = 0
        self._begun: float | None = None
        self._is_closed = False

    @property
    def info(self) -> ScanInfo:
        """Return what the scan knows."""
        scan = self.scan
        return ScanInfo(
            scan.pattern_shape, scan.dtype, scan.scan_shape, len(self._pixels), scan.technique,
            scan.step, scan.step_unit, scan.static_background, scan.geometry,
        )  # fmt: skip

    def open(self) -> None:
        """Start the clock, if it does not run yet."""
        if self._begun is None:
            self._begun = self._clock()

    def poll(self, max_patterns: int | None = None) -> Arrival:
        """Return the patterns that are due; see :class:`LiveSource`."""
        if self._is_closed:
            raise closed_error(self.scan.name)
        self.open()
        due = len(self._pixels)
        if self.rate is not None and self._begun is not None:
            due = min(due, int((self._clock() - self._begun) * self.rate))
        pattern_bytes = int(np.prod(self.scan.pattern_shape)) * self.scan.dtype.itemsize
        limit = max(1, SLAB_BYTES // max(1, pattern_bytes))
        if max_patterns is not None:
            limit = max(1, min(limit, max_patterns))
        indices = self._pixels[self._given : min(due, self._given + limit)]
        if len(indices) == 0:
            is_over = self._given == len(self._pixels)
            return nothing(self.info, SourceState.ENDED if is_over else SourceState.IDLE)
        patterns = np.empty((len(indices), *self.scan.pattern_shape), dtype=self.scan.dtype)
        # Runs of neighbours are read at once, forwards or (snake) backwards.
        breaks = np.flatnonzero(np.abs(np.diff(indices)) != 1) + 1
        turns = np.flatnonzero(np.diff(np.sign(np.diff(indices)))) + 1
        start = 0
        for stop in [*np.unique(np.concatenate([breaks, turns])).tolist(), len(indices)]:
            part = indices[start:stop]
            low, high = int(part.min()), int(part.max()) + 1
            patterns[start:stop] = self._read(low, high)[part - low]
            start = stop
        self._given += len(indices)
        backlog = max(0, due - self._given)
        return Arrival(indices.copy(), patterns, SourceState.GROWING, backlog=backlog)

    def close(self) -> None:
        """Refuse further polls."""
        self._is_closed = True

    def _read(self, start: int, stop: int) -> NDArray[np.generic]:
        source = self.scan.source
        if source is None:
            raise ScanError(f"The scan {self.scan.name!r} has no source; read it again.")
        return source.read(start, stop)
