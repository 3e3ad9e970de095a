"""One followed scan: from what a source says to pieces of a map.

Waits for enough patterns to decide how they are looked at, lays the map out (and anew when
the scan turns out to be larger), and keeps the books that a person wants to see.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import FollowSpec
from ..infer.centers import CenterFinder
from ..infer.classifier import Classifier
from ..infer.journal import Journal, Record
from ..infer.live import LiveMap
from ..infer.map_start import check_technique
from ..infer.pixel_status import PixelStatus, status_remarks
from ..infer.spacegroup_map import SpaceGroupMap
from ..infer.view import note_view
from ..jobs import CancelToken, Event, Log, Partial
from ..stream import Arrival, ScanInfo, SourceState, WithheldReason
from .live_layout import copy_of, empty_live_map, line_shape, live_provenance, pattern_shape_of
from .live_patience import SHOW_AFTER, patience
from .live_series import SeriesBooks
from .live_start import Heard, Waiting, chunk_of, decide_view, lost_of
from .live_status import LiveStatus, MapBegun, Meter

_log = logging.getLogger(__name__)

FIRST, FIRST_SECONDS = 24, 0.3
"""How many patterns the screen is looked for in, and how long to wait for so many [s]."""

FIRST_FOR_CENTER, FIRST_SECONDS_FOR_CENTER = 480, 3.0
"""The same where the pattern center is looked for: it wants more than one grain."""

LINE = 4096
"""Pixels of a first map of a scan whose shape nobody knows."""

SERIES_LINE = 64
"""The same of a series of profiles, which comes slowly."""


class LiveSession:
    """What is known of one followed scan.

    Parameters
    ----------
    model
        The network.
    spec
        What was asked.
    path
        What is followed, or None.
    like
        How the patterns of another map were looked at.
    pattern_center
        A given one, or None.
    journal
        Where finished chunks go, or None.
    """

    def __init__(
        self,
        model: Classifier,
        spec: FollowSpec,
        *,
        path: Path | None,
        like: Mapping[str, Any] | None,
        pattern_center: tuple[float, float, float] | None,
        journal: Journal | None,
    ) -> None:
        self.model, self.spec, self.path = model, spec, path
        self.message = ""
        self.is_over = False
        self.most_patterns = 256
        self._like, self._center, self._journal = like, pattern_center, journal
        self._started = time.monotonic()
        self._books = SeriesBooks(model)
        self._first: list[Waiting] = []
        self._lost: list[tuple[NDArray[np.int64], PixelStatus]] = []
        self._live: LiveMap | None = None
        self._info: ScanInfo | None = None
        self._state = SourceState.WAITING
        self._backlog = 0
        self._top = -1
        self._withheld: Counter[str] = Counter()
        self._said: set[str] = set()
        self._meter = Meter()

    @property
    def has_begun(self) -> bool:
        """Return whether there is a map."""
        return self._live is not None

    @property
    def waits(self) -> bool:
        """Return whether patterns came that the map does not show yet."""
        return bool(self._first) or (self._live is not None and self._live.waits)

    @property
    def name(self) -> str:
        """Return what to call the scan."""
        return "live scan" if self.path is None else self.path.stem

    @property
    def left_out(self) -> int:
        """Return how many patterns were left out to keep up."""
        return 0 if self._live is None else self._live.counts.left_out

    def take(
        self, heard: Heard, token: CancelToken, *, more: bool = False
    ) -> Iterator[Event | MapBegun]:
        """Take in what a poll said; ``more`` says that the next poll has news already."""
        arrival = heard.arrival
        if arrival is not None:
            yield from self._listen(arrival)
            self._info = heard.info
            yield from self._take_patterns(arrival, heard.came)
        begins = self._live is None and self._has_enough()
        if begins:
            yield from self._begin()
        if self._live is None:
            return
        yield from self._fit()
        count = 0 if arrival is None else arrival.count
        for piece, came in self._live.whole():
            yield self._shown(piece, came)
            yield from self._journal_troubles()
            if token.is_cancelled:
                return
        if count == 0 or self._backlog == 0:
            now = time.monotonic()
            wait, soon = patience(self._meter.rates[0], self._meter.load, more=more)
            before = now if count == 0 else now - SHOW_AFTER
            overdue = now - wait
            if begins and more:  # all waited for the pattern center: that is no delay of theirs
                overdue = -float("inf")
            for piece, came in self._live.new(before, soon=soon, overdue=overdue):
                yield self._shown(piece, came)
                if token.is_cancelled:
                    return
        yield from self._journal_troubles()
        counts = self._live.counts
        self._meter.count(time.monotonic(), counts.read, counts.classified, counts.seconds)

    def finish(self, *, at_once: bool) -> Iterator[Event | MapBegun]:
        """Classify what is left."""
        if self._live is None and self._first:
            yield from self._begin()
            yield from self._fit()
        if self._live is None:
            return
        for piece in self._live.finish(at_once=at_once):
            self._books.tell(piece, self._live.result)
            if not at_once:  # whoever wants to stop gets it with the result
                yield piece
        yield from self._journal_troubles()

    def come_back(self) -> None:
        """Get ready to read the scan again, for the patterns that were left out."""
        if self._live is not None:
            self._live.reopen()
        self._books.begin_again()
        self.spec = self.spec.replace(if_behind="catch_up")
        self.is_over = False

    def conclude(self) -> SpaceGroupMap:
        """Return the finished map; pixels without a pattern are marked."""
        if self._live is None:
            raise RuntimeError("there is no map to conclude; nothing has begun")
        live = self._live
        if self._info is None or self._info.scan_shape is None:
            live.lay_out(self._empty((1, max(1, self._top + 1))), self._top + 1)
        live.mark_missing()
        result = live.result
        result.provenance["seconds"] = round(time.monotonic() - self._started, 3)
        digest = hashlib.blake2b(live.latest_checksums, digest_size=16)
        result.provenance["scan"]["fingerprint"] = digest.hexdigest()
        result.provenance["scan"]["shape"] = [*result.scan_shape, *pattern_shape_of(self._info)]
        files = self._books.files(result.status.size)
        if files is not None:
            result.provenance["scan"]["files"] = files
        result.provenance["live"] = {
            "state": self._state.value,
            "withheld": dict(self._withheld),
            "left_out": live.counts.left_out,
        }
        return result

    def remarks(self) -> Iterator[Event]:
        """Say what a person should know of the finished map."""
        if self._live is None:
            return
        found = list(status_remarks(self._live.result.status))
        if self.left_out:
            found.append(f"{self.left_out} patterns were left out to keep up and not come back to")
        counts = {r: n for r, n in self._withheld.items() if r != WithheldReason.UNREADABLE.value}
        if counts:
            parts = ", ".join(f"{count} {reason}" for reason, count in counts.items())
            found.append(f"patterns that were not trusted: {parts}")
        if found:  # one event: a cancelled job has few left
            yield Log(". ".join(found))

    def status(self) -> LiveStatus:
        """Return how it stands."""
        live = self._live
        total = 0
        if self._info is not None and self._info.scan_shape is not None:
            total = self._info.scan_shape[0] * self._info.scan_shape[1]
        waiting = sum(len(part.indices) for part in self._first)
        return LiveStatus(
            self._state.value,
            self.message,
            waiting if live is None else live.counts.read,
            0 if live is None else live.counts.classified,
            0 if live is None else live.counts.final,
            total,
            *self._meter.rates,
            self._backlog,
            self.left_out,
            self._meter.latency(0.5),
            self._meter.latency(0.99),
            self._withheld.total(),
            self._books.take_news(),
        )

    def _listen(self, arrival: Arrival) -> Iterator[Event]:
        self._state, self.message = arrival.state, arrival.message
        is_full = arrival.count >= self.most_patterns
        self._backlog = max(arrival.backlog, arrival.count if is_full else 0)
        self._books.listen(arrival)
        for entry in arrival.withheld:
            self._withheld[entry.reason.value] += 1
            if entry.reason is WithheldReason.UNREADABLE:
                if entry.index < 0:  # else it is told with its pixel
                    yield from self._say(entry.message)
            elif entry.reason.value not in self._said:
                self._said.add(entry.reason.value)
                yield Log(entry.message)
        loud = (SourceState.VANISHED, SourceState.DAMAGED, SourceState.REPLACED)
        if arrival.state in loud:
            yield from self._say(arrival.message)
        self.is_over = arrival.state in (SourceState.ENDED, SourceState.REPLACED)

    def _take_patterns(self, arrival: Arrival, came: float) -> Iterator[Event]:
        for lost, status in lost_of(arrival):
            self._lost.append((lost, status))
            if status is PixelStatus.UNREADABLE:  # its file is there
                self._top = max(self._top, int(lost.max()))
        if arrival.count:
            self._top = max(self._top, int(arrival.indices.max()))
            axis, remark = self._books.axis_of(arrival.axis)
            yield from self._say(remark)
            self._first.append(Waiting(arrival.indices, arrival.patterns, came, axis))

    def _has_enough(self) -> bool:
        count = sum(len(part.indices) for part in self._first)
        if not count:
            return False
        if self._info is not None and self._info.axis is not None:
            return True  # profiles have neither screen nor center
        finds = isinstance(self.model, CenterFinder) and self.model.needs_pattern_center
        is_given = self._center is not None or self._like is not None
        is_given |= self._journal is not None and self._journal.header is not None
        least, seconds = FIRST, FIRST_SECONDS
        if finds and not is_given:
            least, seconds = FIRST_FOR_CENTER, FIRST_SECONDS_FOR_CENTER
        if self._info is not None and self._info.n_patterns is not None:
            least = min(least, self._info.n_patterns)
        waited = time.monotonic() - self._first[0].came
        return self.is_over or count >= least or waited > seconds

    def _begin(self) -> Iterator[Event | MapBegun]:
        info = self._info
        if info is None:
            return
        yield from check_technique(self.name, info.technique, self.model)
        axis, remark = self._books.axis_of(info.axis)
        yield from self._say(remark)
        view = yield from decide_view(
            self._first, info, self.model, self.spec, name=self.name, axis=axis, like=self._like,
            pattern_center=self._center, journal=self._journal,
        )  # fmt: skip
        chunk = chunk_of(info, self.model, self.spec)
        line = SERIES_LINE if info.is_series else LINE
        shape = info.scan_shape or line_shape(max(line, self._top + 1), chunk)
        total = None if info.scan_shape is None else shape[0] * shape[1]
        self.most_patterns = 4 * chunk
        self._live = LiveMap(self.model, view, self._empty(shape), chunk, total, self._write)
        self._live.result.provenance.update(
            live_provenance(info, self.model, self.spec, self.name, self.path)
        )
        note_view(self._live.result, view)
        yield from self._recall(self._live)
        yield MapBegun(copy_of(self._live.result))

    def _recall(self, live: LiveMap) -> Iterator[Event]:
        if self._journal is None:
            return
        records: dict[int, Record] = {}
        for record in self._journal.records():
            known = records.get(record.start)
            if known is None or not known.is_final or record.is_final:
                records[record.start] = record
        if not records:
            return
        last = max(start + len(record.status) for start, record in records.items())
        if last > live.result.status.size:
            live.lay_out(self._empty(line_shape(last, live.chunk)), live.total)
        for record in records.values():
            live.recall(record)
        count = live.result.n_done
        yield Log(f"{count} patterns were classified before; going on with the rest")

    def _fit(self) -> Iterator[MapBegun]:
        """Lay the map out anew if the scan is larger than it, and put the patterns in."""
        live, info = self._live, self._info
        if live is None or info is None:
            return
        shape = live.result.scan_shape
        if info.scan_shape is not None and shape != info.scan_shape:
            shape = info.scan_shape
        elif info.scan_shape is None and self._top >= shape[1]:
            shape = line_shape(max(2 * shape[1], self._top + 1), live.chunk)
        if shape != live.result.scan_shape:
            total = None if info.scan_shape is None else shape[0] * shape[1]
            live.lay_out(self._empty(shape), total)
            yield MapBegun(copy_of(live.result))
        for part in self._first:
            if info.is_series:
                live.forget(self._books.again(part.indices))
            keep = self._sample(len(part.indices))
            live.put(part.indices, part.patterns, part.came, keep, part.axis)
        self._first.clear()
        for lost, status in self._lost:
            live.give_up(lost[lost < live.result.status.size], status)
        self._lost.clear()

    def _sample(self, count: int) -> NDArray[np.bool_] | None:
        """Return which of some new patterns to classify now; None for all."""
        chunk = self.most_patterns // 4
        if self.spec.if_behind == "catch_up" or self._backlog <= 2 * chunk:
            return None
        every = -(-(count + self._backlog) // chunk)
        keep: NDArray[np.bool_] = np.arange(count) % every == 0
        return keep

    def _shown(self, piece: Partial, came: float) -> Partial:
        self._meter.late(time.monotonic() - came, len(piece.status))
        if self._live is not None:
            self._books.refuse(self._live.refused)
            self._live.refused.clear()
            self._books.tell(piece, self._live.result)
        return piece

    def _write(self, record: Record) -> None:
        if self._journal is not None:
            self._journal.write(record)

    def _journal_troubles(self) -> Iterator[Event]:
        yield from self._say("" if self._journal is None else self._journal.problem)

    def _say(self, message: str) -> Iterator[Event]:
        """Say something once."""
        if message and message not in self._said:
            self._said.add(message)
            yield Log(message)

    def _empty(self, shape: tuple[int, int]) -> SpaceGroupMap:
        return empty_live_map(shape, self._info, self.model, self.name)
