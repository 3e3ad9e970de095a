"""Patterns handed over in memory, by an acquisition script or a test."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScanError
from .source import Arrival, ScanInfo, SourceState, Withheld, WithheldReason, closed_error, nothing


class MemorySource:
    """Patterns that another thread pushes.

    At most ``capacity`` patterns wait to be polled; :meth:`push` blocks until there is
    room, so that a camera that is faster than its follower is slowed down instead of
    losing patterns.

    Parameters
    ----------
    scan_shape
        (scan_y, scan_x), or None where it is unknown.
    capacity
        Most patterns that wait.
    info
        What else is known; its ``scan_shape`` gives way to the argument.

    Examples
    --------
    >>> source = MemorySource((2, 3))
    >>> source.push(np.ones((2, 4, 5), np.uint8), [0, 4])
    2
    >>> source.poll().indices
    array([0, 4])
    """

    def __init__(
        self,
        scan_shape: tuple[int, int] | None = None,
        *,
        capacity: int = 16_384,
        info: ScanInfo | None = None,
    ) -> None:
        if capacity < 1:
            raise ScanError(f"capacity is {capacity}; need room for at least 1 pattern.")
        self.capacity = capacity
        self._scan_shape = scan_shape
        self._info = info if info is None or scan_shape is None else _shaped(info, scan_shape)
        self._changed = threading.Condition()
        self._parts: deque[tuple[NDArray[np.int64], NDArray[Any]]] = deque()
        self._waiting = 0
        self._next = 0
        self._seen: set[int] = set()
        self._withheld: list[Withheld] = []
        self._is_finished = False
        self._is_closed = False

    @property
    def info(self) -> ScanInfo | None:
        """Return what is known; None before the first push, unless it was given."""
        return self._info

    def open(self) -> None:
        """Do nothing: the source is open from the start."""

    def push(
        self, patterns: ArrayLike, indices: ArrayLike | None = None, timeout: float | None = None
    ) -> int:
        """Hand over patterns; blocks while the source is full.

        Parameters
        ----------
        patterns
            Shape ``(n, detector_y, detector_x)``, or ``(detector_y, detector_x)`` for one.
        indices
            Row-major pixel of each, shape ``(n,)``; by default they follow the last one.
            A pixel that came before is withheld and named.
        timeout
            Longest wait for room [s]; None waits for ever.

        Returns
        -------
        count
            Patterns that were taken: all, or fewer when the time ran out.

        Raises
        ------
        ScanError
            If shape, type or indices do not fit, or the source is closed or finished.
        """
        stack, places = self._checked(np.asarray(patterns), indices)
        deadline = None if timeout is None else time.monotonic() + timeout
        taken = 0
        with self._changed:
            while taken < len(stack):
                if self._is_closed or self._is_finished:
                    raise closed_error("in memory")
                room = self.capacity - self._waiting
                if room <= 0:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                    continue
                part = slice(taken, taken + room)
                taken += self._take(places[part], stack[part])
            return taken

    def finish(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()

    def poll(self, max_patterns: int | None = None) -> Arrival:
        """Return what was pushed since the last poll; see :class:`LiveSource`."""
        with self._changed:
            if self._is_closed:
                raise closed_error("in memory")
            limit = self.capacity if max_patterns is None else max(1, max_patterns)
            indices, patterns = [], []
            count = 0
            while self._parts and count < limit:
                places, stack = self._parts.popleft()
                room = limit - count
                if len(places) > room:
                    self._parts.appendleft((places[room:], stack[room:]))
                    places, stack = places[:room], stack[:room]
                indices.append(places)
                patterns.append(stack)
                count += len(places)
            self._waiting -= count
            self._changed.notify_all()
            withheld, self._withheld = tuple(self._withheld), []
            message = withheld[0].message if withheld else ""
            if not count:
                state = SourceState.IDLE if self._seen else SourceState.WAITING
                if self._is_finished and not self._parts:
                    state = SourceState.ENDED
                return nothing(self._info, state, message, withheld)
            return Arrival(
                np.concatenate(indices), np.concatenate(patterns), SourceState.GROWING, message,
                withheld, self._waiting,
            )  # fmt: skip

    def close(self) -> None:
        """Drop what waits and refuse more; a push that waits is refused too."""
        with self._changed:
            self._is_closed = True
            self._parts.clear()
            self._changed.notify_all()

    def _checked(
        self, patterns: NDArray[Any], indices: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        stack = patterns[None] if patterns.ndim == 2 else patterns
        if stack.ndim != 3 or 0 in stack.shape[1:] or stack.dtype.kind not in "uif":
            raise ScanError(
                f"Got {stack.dtype} of shape {stack.shape}; need numbers of shape (n, y, x)."
            )
        with self._changed:
            if self._info is None:
                shape = (int(stack.shape[1]), int(stack.shape[2]))
                total = None if self._scan_shape is None else int(np.prod(self._scan_shape))
                self._info = ScanInfo(shape, stack.dtype, self._scan_shape, total)
            info = self._info
            if stack.shape[1:] != info.pattern_shape or stack.dtype != info.dtype:
                raise ScanError(
                    f"Got {stack.dtype} of {stack.shape[1:]}; need {info.dtype} of "
                    f"{info.pattern_shape}, as the first patterns were."
                )
            if indices is None:
                places = np.arange(self._next, self._next + len(stack), dtype=np.int64)
            else:
                places = np.array(indices, dtype=np.int64).reshape(-1)
            size = None if info.scan_shape is None else int(np.prod(info.scan_shape))
            outside = (places < 0) | (places >= (np.iinfo(np.int64).max if size is None else size))
            if len(places) != len(stack) or outside.any():
                raise ScanError(
                    f"Got {len(stack)} patterns and {len(places)} indices, {int(outside.sum())} of "
                    f"them outside the scan of {info.scan_shape}; need one pixel of the scan per "
                    "pattern."
                )
            if len(places):
                self._next = int(places[-1]) + 1
        # A copy: the caller's buffer is the camera's, and is filled again.
        return np.array(stack, order="C"), places

    def _take(self, places: NDArray[np.int64], stack: NDArray[Any]) -> int:
        fresh = np.ones(len(places), dtype=bool)
        for i, pixel in enumerate(places.tolist()):
            if pixel in self._seen:
                fresh[i] = False
                words = f"pixel {pixel} was pushed again; the first pattern stays"
                self._withheld.append(Withheld(pixel, WithheldReason.REPEATED, words))
            self._seen.add(pixel)
        if fresh.any():
            self._parts.append((places[fresh], stack[fresh]))
            self._waiting += int(fresh.sum())
        return len(places)


def _shaped(info: ScanInfo, scan_shape: tuple[int, int]) -> ScanInfo:
    return replace(info, scan_shape=scan_shape, n_patterns=scan_shape[0] * scan_shape[1])
