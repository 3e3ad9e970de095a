"""The common half of all sources over storage with a numbered place for every pattern.

A raw file, a dataset and a chunked store differ in how bytes are found; what may be
believed of them is the same, and stands here once:

1. A place that holds nothing but the fill value is empty, not a dark pattern.
2. A pattern is whole when the writer has passed it (a later place is not empty), when the
   file ends with it, or when it looks the same ``settle_seconds`` later and does not end
   in more fill than patterns of this scan do.
3. An empty place that was passed is skipped; it is delivered if it comes late.
4. What was delivered is looked at again (first, last and some between) whenever the
   storage is opened. If it changed, this is another scan.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .judge import are_empty, checksum, fill_tail
from .ledger import Ledger
from .order import RASTER, OrderKind, ScanOrder, as_order
from .sifting import Sifter, damaged, skipped
from .source import (
    Arrival,
    ScanInfo,
    SourceError,
    SourceState,
    Withheld,
    closed_error,
    nothing,
)
from .visit import BadPlacesError, Visit
from .witnesses import Witnesses

logger = logging.getLogger(__name__)

SLAB_BYTES = 64 * 2**20
"""Most bytes of patterns that one poll returns."""

LOOK_BYTES = 2**20
"""How much is read at once where nobody knows how far the writer has come."""

SKIP_BYTES, LATE_BYTES = 256 * 2**20, 8 * 2**20
"""How much of what the writer left out one poll reads, and how much it looks at again."""

TAILS = 8
"""In how many patterns of a poll the fill at their end is counted."""

PATIENCE = 3
"""Polls in a row that may fail to read before the file is called damaged."""


class SlotSource(ABC):
    """A live source over numbered places; see the module for what it believes.

    Parameters
    ----------
    path
        File or folder; it need not exist yet.
    order
        How the beam moves: a name, a list of pixels, or a :class:`ScanOrder`.
    scan_shape
        (scan_y, scan_x) where the file does not say it.
    settle_seconds
        How long the last pattern must stay unchanged where nothing follows it.
    withholds_repeats
        Whether a pattern that equals the one before it is withheld. Switch it off for
        simulated scans without noise.
    clock
        Returns seconds; tests give their own.
    """

    places_are_arrivals = False
    """Whether patterns are numbered as they came (raw files) or lie at their pixel."""

    def __init__(
        self,
        path: str | Path,
        *,
        order: ScanOrder | OrderKind | NDArray[np.int64] | list[int] = RASTER,
        scan_shape: tuple[int, int] | None = None,
        settle_seconds: float = 0.25,
        withholds_repeats: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = Path(path)
        self.order = as_order(order)
        self.asked_shape = scan_shape
        self.settle_seconds = settle_seconds
        self.withholds_repeats = withholds_repeats
        self._clock = clock
        self._is_closed = False
        self.restart()

    # What a format adds.

    @abstractmethod
    def _visit(self) -> AbstractContextManager[Visit]:
        """Open the storage; sets ``self._info`` when the header is whole.

        Raises
        ------
        SourceError
            If there is no scan to read, with the state and a sentence.
        """

    def _ranks(self, slots: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return when each place is written, shape ``(n,)``; None if nobody knows."""
        if self.places_are_arrivals:
            return slots
        shape = None if self._info is None else self._info.scan_shape
        return self.order.rank_of(self._pixels(slots), shape)

    def _pixels(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row-major pixel of each place, -1 for none, shape ``(n,)``."""
        if not self.places_are_arrivals:
            return slots
        return self.order.pixel_of(slots, None if self._info is None else self._info.scan_shape)

    # What a follower asks.

    @property
    def info(self) -> ScanInfo | None:
        """Return what is known about the scan; None before a whole header came."""
        return self._info

    def open(self) -> None:  # noqa: B027 - nothing to do is what formats want
        """Do nothing: the storage is opened for each poll and never held."""

    def close(self) -> None:
        """Refuse further polls."""
        self._is_closed = True

    def restart(self) -> None:
        """Forget everything and begin with whatever stands at the path now."""
        self._info: ScanInfo | None = None
        self._identity: bytes | None = None
        self._ledger = Ledger()
        self._top_rank = -1
        self._longest_tail = 0
        self._is_laid_out = False
        self._probe = 0
        self._failures = 0
        self._last_arrival = 0.0
        self._pending: dict[int, tuple[int, float]] = {}
        self._witnesses = Witnesses()
        self._replaced = ""
        self._sifter = Sifter(self.withholds_repeats)

    def missing(self) -> NDArray[np.int64]:
        """Return the pixels without a pattern, ascending.

        Those of the whole scan where its size is known, else up to the furthest pattern.
        """
        total = None if self._info is None else self._info.n_patterns
        pixels = self._pixels(self._ledger.missing(total))
        return np.sort(pixels[pixels >= 0])

    def poll(self, max_patterns: int | None = None) -> Arrival:
        """Return what is new and whole; see :class:`LiveSource`."""
        if self._is_closed:
            raise closed_error(str(self.path))
        if self._replaced:
            return nothing(self._info, SourceState.REPLACED, self._replaced)
        try:
            with self._visit() as visit:
                arrival = self._take(visit, max_patterns)
        except SourceError as fault:
            if fault.state is SourceState.REPLACED:
                self._replaced = str(fault)
                logger.warning("%s", fault)
            state, message = fault.state, str(fault)
            if state is SourceState.DAMAGED:
                state = self._impatient()
            return nothing(self._info, state, message)
        except FileNotFoundError:
            return self._gone("is not there")
        except OSError as error:
            return self._gone(f"can't be reached ({error.strerror or error})")
        self._failures = 0
        return arrival

    def _gone(self, how: str) -> Arrival:
        if self._info is None:
            return nothing(None, SourceState.WAITING, f"{self.path} {how} yet")
        message = (
            f"{self.path} {how} any more; the {self._ledger.delivered} patterns that had arrived "
            "stay valid. It goes on when the file comes back."
        )
        return nothing(self._info, SourceState.VANISHED, message)

    def _impatient(self) -> SourceState:
        # A file that another program writes may be unreadable for a moment.
        self._failures += 1
        quiet = SourceState.WAITING if self._ledger.delivered == 0 else SourceState.IDLE
        return SourceState.DAMAGED if self._failures >= PATIENCE else quiet

    # One poll.

    def _take(self, visit: Visit, max_patterns: int | None) -> Arrival:
        self._check_same(visit)
        stored = visit.stored
        self._ledger.grow(stored)
        info = self._info
        if info is None or stored == 0:
            return nothing(info, SourceState.WAITING, f"{self.path} holds no pattern yet")
        pattern_bytes = max(1, int(np.prod(info.pattern_shape)) * info.dtype.itemsize)
        limit = max(1, SLAB_BYTES // pattern_bytes)
        if max_patterns is not None:
            limit = max(1, min(limit, max_patterns))
        candidates = self._ledger.open_slots(stored)
        slots, patterns, empties, bad = self._look(visit, candidates, limit, pattern_bytes)
        whole, passed = self._whole(visit, slots, patterns, empties)
        self._check_same(visit)
        withheld = self._settle_empty(passed, bad)
        indices, patterns, found = self._sift(slots[whole], patterns[whole])
        withheld += found
        backlog = 0 if self._is_laid_out else max(0, len(candidates) - len(slots) - len(empties))
        state = SourceState.GROWING if len(indices) or withheld else SourceState.IDLE
        message = withheld[0].message if withheld else ""
        if len(withheld) > 1:
            message += f"; {len(withheld) - 1} more were withheld"
        if state is SourceState.IDLE and self._is_over(stored, info):
            state = SourceState.ENDED
        elif state is SourceState.IDLE and visit.leftover:
            message = (
                f"the pattern after number {stored} is cut: {visit.leftover} bytes of it are there"
            )
        return Arrival(indices, patterns, state, message, tuple(withheld), backlog)

    def _look(
        self, visit: Visit, candidates: NDArray[np.int64], limit: int, pattern_bytes: int
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64], list[BadPlacesError]]:
        """Return filled places, their patterns, empty places, and unreadable ones."""
        step = max(1, LOOK_BYTES // pattern_bytes)
        filled: list[NDArray[np.int64]] = []
        blocks: list[NDArray[Any]] = []
        empties: list[NDArray[np.int64]] = []
        bad: list[BadPlacesError] = []
        count = 0

        def take(slots: NDArray[np.int64]) -> bool:
            nonlocal count
            slots, patterns, empty = self._read(visit, slots, bad)
            filled.append(slots[~empty])
            blocks.append(patterns[~empty])
            empties.append(slots[empty])
            count += int((~empty).sum())
            return bool((~empty).any())

        late = self._ledger.late_slots(visit.stored, max(1, LATE_BYTES // pattern_bytes))
        if len(late):
            take(late)
            empties.clear()
        position, last = 0, min(len(candidates), max(limit, SKIP_BYTES // pattern_bytes))
        while position < last and count < limit:
            block = candidates[position : position + min(step, limit - count)]
            position += len(block)
            if not take(block) and not self._was_passed(block):
                # Laid out in advance: look once further on, in case a stretch was skipped.
                position = self._next_probe(position, len(candidates), step)
                if position < len(candidates):
                    take(candidates[position : position + step])
                break
        self._look_ahead(visit, candidates[position:])
        if not blocks:
            return candidates[:0], self._none(), candidates[:0], bad
        slots = np.concatenate(filled)
        patterns = np.concatenate(blocks)
        rank = self._ranks(slots)
        sorter = np.argsort(slots if rank is None else rank, kind="stable")
        left = np.concatenate(empties) if empties else candidates[:0]
        return slots[sorter], patterns[sorter], left, bad

    def _was_passed(self, slots: NDArray[np.int64]) -> bool:
        """Return whether the writer is known to be further on."""
        return (ranks := self._ranks(slots)) is not None and bool((ranks < self._top_rank).all())

    def _look_ahead(self, visit: Visit, rest: NDArray[np.int64]) -> None:
        """Find out whether the writer has passed what was read, without taking more."""
        for slot in np.unique(rest[[0, -1]]) if len(rest) else rest:
            one = np.array([slot], dtype=np.int64)
            try:
                is_filled = not are_empty(visit.read(one), visit.fill)[0]
            except BadPlacesError:
                continue
            rank = self._ranks(one) if is_filled else None
            if rank is not None:
                self._top_rank = max(self._top_rank, int(rank[0]))

    def _read(
        self, visit: Visit, slots: NDArray[np.int64], bad: list[BadPlacesError]
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.bool_]]:
        try:
            patterns = visit.read(slots)
        except BadPlacesError as fault:
            bad.append(fault)
            slots = slots[~np.isin(slots, fault.slots)]
            patterns = visit.read(slots) if len(slots) else self._none()
        return slots, patterns, are_empty(patterns, visit.fill)

    def _none(self) -> NDArray[Any]:
        if self._info is None:
            return np.empty((0, 0, 0), np.uint8)
        return np.empty((0, *self._info.pattern_shape), self._info.dtype)

    def _next_probe(self, position: int, total: int, step: int) -> int:
        self._probe += 1
        place = position + (self._probe - 1) * step
        if place >= total:
            self._probe = 0
            return position
        return place

    def _whole(
        self,
        visit: Visit,
        slots: NDArray[np.int64],
        patterns: NDArray[Any],
        empties: NDArray[np.int64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which filled places are whole, and which empty ones were passed."""
        ranks = self._ranks(slots)
        if ranks is not None and len(ranks):
            self._top_rank = max(self._top_rank, int(ranks.max()))
        whole = np.zeros(len(slots), bool) if ranks is None else ranks < self._top_rank
        empty_ranks = self._ranks(empties)
        passed = empties[:0] if empty_ranks is None else empties[empty_ranks < self._top_rank]
        if len(passed) < len(empties):
            self._is_laid_out = True
        for i in np.flatnonzero(whole)[-TAILS:]:
            self._longest_tail = max(self._longest_tail, fill_tail(patterns[i], visit.fill))
        pending: dict[int, tuple[int, float]] = {}
        now = self._clock()
        for i in np.flatnonzero(~whole).tolist():
            slot = int(slots[i])
            is_clean = fill_tail(patterns[i], visit.fill) <= self._longest_tail
            if is_clean and self._ends_with(visit, slot):
                whole[i] = True
                continue
            mark = checksum(patterns[i])
            known, since = self._pending.get(slot, (-1, now))
            if known == mark and is_clean and now - since >= self.settle_seconds:
                whole[i] = True
            else:
                pending[slot] = (mark, since if known == mark else now)
        self._pending = pending
        return whole, passed

    def _ends_with(self, visit: Visit, slot: int) -> bool:
        """Return whether the file ends with this place, so that it must be whole."""
        return self.places_are_arrivals and not self._is_laid_out and slot == visit.stored - 1

    def _settle_empty(self, passed: NDArray[np.int64], bad: list[BadPlacesError]) -> list[Withheld]:
        self._ledger.pass_over(passed)
        found = skipped(self._pixels(passed))
        for fault in bad:
            self._ledger.settle(fault.slots, np.zeros(len(fault.slots), dtype=bool))
            found += damaged(self._pixels(fault.slots), str(fault))
        return found

    def _sift(
        self, slots: NDArray[np.int64], patterns: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[Any], list[Withheld]]:
        pixels = self._pixels(slots)
        keep, withheld = self._sifter.sift(pixels, patterns)
        self._ledger.settle(slots, keep)
        if len(slots):
            self._witnesses.remember(slots, patterns)
            self._last_arrival = self._clock()
        return pixels[keep], np.ascontiguousarray(patterns[keep]), withheld

    def _check_same(self, visit: Visit) -> None:
        """Make sure that this is still the scan that was begun."""
        stays = f"The {self._ledger.delivered} patterns that had arrived stay valid"
        if self._identity is not None and visit.identity != self._identity:
            raise SourceError(
                SourceState.REPLACED,
                f"the header of {self.path} changed: another scan was begun in it, or it was "
                f"overwritten. {stays}; follow it anew to get the new scan.",
            )
        self._identity = visit.identity
        self._witnesses.check(visit, str(self.path), stays)

    def _is_over(self, stored: int, info: ScanInfo) -> bool:
        total = info.n_patterns
        if total is None or stored < total or self._ledger.low < total:
            return False
        # Storage may be filled out of order: what was skipped gets a last chance.
        has_gaps = self._ledger.has_gaps
        return not has_gaps or self._clock() - self._last_arrival >= self.settle_seconds
