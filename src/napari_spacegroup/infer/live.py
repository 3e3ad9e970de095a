"""A map that grows while patterns come in, in whatever order.

The same chunks of neighbouring pixels go through the network in one pass as in
:func:`~.classifier.classify_events`, so the map of a followed scan is the one that
``classify`` gives, bit for bit. A chunk is classified for good when it is whole; until
then its new patterns are classified on their own, so that they can be seen at once. Knows
neither files nor windows: :mod:`napari_spacegroup.workflows` brings the patterns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, ScanError
from ..jobs import Partial
from .classifier import Classifier, predict_chunk
from .journal import Record
from .live_chunk import Chunk, LiveCounts
from .pixel_status import PixelStatus, pattern_status
from .spacegroup_map import SpaceGroupMap
from .view import PatternView
from .witness import checksum

if TYPE_CHECKING:
    from ..imaging import ProfileAxis

HOLD_BYTES = 256 * 2**20
"""Most bytes of patterns that wait for the rest of their chunk."""


@dataclass(eq=False)
class LiveMap:
    """A map, and the chunks that are not whole yet.

    Parameters
    ----------
    model, view
        The network, and what it is told about the patterns.
    result
        The map to fill; :meth:`lay_out` puts another in its place.
    chunk
        Pixels in one pass.
    total
        Pixels of the scan, or None where nobody knows.
    write
        Called with each chunk that changed; see :class:`~.journal.Journal`.
    clock
        Returns seconds.
    refused
        Pixels whose own axis the model can't read, and why.
    """

    model: Classifier
    view: PatternView
    result: SpaceGroupMap
    chunk: int
    total: int | None = None
    write: Callable[[Record], None] | None = None
    clock: Callable[[], float] = time.monotonic
    counts: LiveCounts = field(default_factory=LiveCounts)
    refused: list[tuple[int, str]] = field(default_factory=list)
    _open: dict[int, Chunk] = field(default_factory=dict)
    _final: dict[int, NDArray[np.uint32]] = field(default_factory=dict)
    _held: int = 0

    def lay_out(self, result: SpaceGroupMap, total: int | None) -> None:
        """Go on in a map of another size, with what is known so far."""
        size = min(result.status.size, self.result.status.size)
        flat = self.result.status.reshape(-1)[:size]
        rows = self.result.probabilities.reshape(-1, len(result.classes))[:size]
        result.merge(0, rows, flat)
        result.provenance.update(self.result.provenance)
        self.result, self.total = result, total
        for start, chunk in self._open.items():
            length = self._length(start)
            if length < len(chunk.status):  # the end of the scan became known
                for name in ("patterns", "status", "is_shown", "checksums"):
                    setattr(chunk, name, getattr(chunk, name)[:length])

    def recall(self, record: Record) -> Partial:
        """Take in a chunk that an earlier run classified; what is final is not done again."""
        self.result.merge(record.start, record.probabilities, record.status)
        if record.is_final:
            self._final[record.start] = record.checksums
            self.counts.final += len(record.status)
        self.counts.classified = self.result.n_done
        return Partial(record.start, record.probabilities, record.status)

    def put(
        self,
        indices: NDArray[np.int64],
        patterns: NDArray[Any],
        came: float,
        keep: NDArray[np.bool_] | None = None,
        axis: ProfileAxis | None = None,
    ) -> None:
        """Take in patterns that came.

        Parameters
        ----------
        indices
            Row-major pixel of each, none twice, shape ``(n,)``.
        patterns
            Shape ``(n, detector_y, detector_x)``.
        came
            When [s].
        keep
            Which to classify now, shape ``(n,)``; the others are counted and left out.
        axis
            Of these profiles alone, where the pixels do not share one; a chunk is one pixel
            then.

        Raises
        ------
        ScanError
            If a pattern is not the one that the unfinished map was made from.
        """
        self.counts.read += len(indices)
        starts = indices // self.chunk * self.chunk
        for start in np.unique(starts).tolist():
            mine = starts == start
            places = indices[mine] - start
            block = patterns[mine]
            sums = np.fromiter((checksum(p) for p in block), np.uint32, len(block))
            if start in self._final:
                self._verify(start, places, sums)
                continue
            chosen = np.ones(len(places), bool) if keep is None else keep[mine]
            chunk = self._chunk(start, block)
            if not chosen.all():
                chunk.is_sampled = True
                self.counts.left_out += int((~chosen).sum())
                places, block, sums = places[chosen], block[chosen], sums[chosen]
            if not len(places):
                continue
            chunk.status[places] = pattern_status(block, self.view.mask)
            chunk.patterns[places] = self.view.without_rim(block)
            chunk.checksums[places] = sums
            chunk.is_shown[places] = False
            chunk.axis = axis
            chunk.came = min(chunk.came, came)

    def forget(self, indices: NDArray[np.int64]) -> None:
        """Let pixels be done again, whose patterns changed after they had come."""
        for start in np.unique(indices // self.chunk * self.chunk).tolist():
            if self._final.pop(start, None) is not None:
                self.counts.final -= self._length(start)

    def give_up(
        self, indices: NDArray[np.int64], status: PixelStatus = PixelStatus.MISSING
    ) -> None:
        """Take note of pixels whose pattern will not come, or only late."""
        for index in indices.tolist():
            start = index // self.chunk * self.chunk
            if start in self._final or not 0 <= index < start + self._length(start):
                continue
            chunk = self._chunk(start, None)
            if chunk.status[index - start] == PixelStatus.PENDING:
                chunk.status[index - start] = status
                chunk.is_shown[index - start] = False
                chunk.came = min(chunk.came, self.clock())

    def whole(self) -> Iterator[tuple[Partial, float]]:
        """Classify the chunks that are whole; give each piece and when its patterns came."""
        for chunk in [c for c in self._open.values() if c.is_whole and not c.is_sampled]:
            came = chunk.came
            piece = self._classify(chunk, is_final=True)
            del self._open[chunk.start]
            self._held -= chunk.patterns.nbytes
            self._final[chunk.start] = chunk.checksums
            self.counts.final += len(chunk.status)
            yield piece, came
        while self._held > HOLD_BYTES and len(self._open) > 1:
            # The beam is everywhere at once: memory is bounded, so the oldest chunk ends as it is.
            chunk = self._open.pop(next(s for s, c in self._open.items() if c.patterns.nbytes))
            self._held -= chunk.patterns.nbytes
            yield self._classify(chunk, is_final=False), chunk.came

    def new(
        self, before: float, *, soon: int = 0, overdue: float = float("inf")
    ) -> Iterator[tuple[Partial, float]]:
        """Show what came before a time and waits for its chunk to become whole.

        A whole chunk is classified anew, in the same batch as in a finished scan; what is
        shown before that costs twice.

        Parameters
        ----------
        before
            A time [s].
        soon
            A chunk that lacks at most so many patterns is waited for, ...
        overdue
            ... unless its patterns came before this [s].
        """
        for chunk in [c for c in self._open.values() if c.came <= before and not c.is_done]:
            lacks = int((chunk.status == PixelStatus.PENDING).sum())
            if 0 < lacks <= soon and chunk.came > overdue:
                continue
            came = chunk.came
            status = np.where(chunk.is_shown, np.uint8(PixelStatus.PENDING), chunk.status)
            yield self._show(chunk, status, is_final=False), came

    def finish(self, *, at_once: bool = False) -> Iterator[Partial]:
        """Classify what is left, and mark pixels that never got a pattern as missing.

        Parameters
        ----------
        at_once
            Somebody wants to stop: what is shown stays as it is, the rest is classified.
        """
        for start in sorted(self._open):
            chunk = self._open[start]
            if at_once and chunk.is_done:
                continue
            if at_once or chunk.is_sampled:
                status = np.where(chunk.is_shown, np.uint8(PixelStatus.PENDING), chunk.status)
                yield self._show(chunk, status, is_final=False)
            else:
                yield self._classify(chunk, is_final=False)

    def mark_missing(self) -> None:
        """Mark the pixels that never got a pattern, unless one was left out to keep up."""
        flat = self.result.status.reshape(-1)
        lost = np.flatnonzero(flat == PixelStatus.PENDING)
        for start, chunk in self._open.items():
            if chunk.is_sampled:
                lost = lost[(lost < start) | (lost >= start + len(chunk.status))]
        blank = np.zeros((len(lost), len(self.result.classes)), np.float32)
        self.result.merge(lost, blank, np.full(len(lost), PixelStatus.MISSING, np.uint8))

    def reopen(self) -> int:
        """Forget the patterns of chunks with left-out ones, to be read again; return how many."""
        sampled = [start for start, chunk in self._open.items() if chunk.is_sampled]
        for start in sampled:
            self._held -= self._open.pop(start).patterns.nbytes
        self.counts.left_out = 0
        return len(sampled)

    @property
    def waits(self) -> bool:
        """Return whether something is held that the map does not show."""
        return any(not chunk.is_done for chunk in self._open.values())

    @property
    def latest_checksums(self) -> bytes:
        """Return what tells the patterns of this map from others."""
        sums = self._final | {start: chunk.checksums for start, chunk in self._open.items()}
        return b"".join(sums[start].tobytes() for start in sorted(sums))

    def _length(self, start: int) -> int:
        return self.chunk if self.total is None else min(self.chunk, self.total - start)

    def _chunk(self, start: int, like: NDArray[Any] | None) -> Chunk:
        chunk = self._open.get(start)
        length = self._length(start)
        if chunk is None:
            chunk = self._open[start] = Chunk.empty(start, length, like)
            self._held += chunk.patterns.nbytes
        elif like is not None and chunk.patterns.shape[1:] != like.shape[1:]:
            self._held -= chunk.patterns.nbytes
            chunk.patterns = np.zeros((length, *like.shape[1:]), like.dtype)
            self._held += chunk.patterns.nbytes
        return chunk

    def _classify(self, chunk: Chunk, *, is_final: bool) -> Partial:
        return self._show(chunk, chunk.status.copy(), is_final=is_final)

    def _show(self, chunk: Chunk, status: NDArray[np.uint8], *, is_final: bool) -> Partial:
        """Classify the pixels whose status is OK, and let the map show them."""
        came = status != PixelStatus.PENDING
        begun = self.clock()
        probabilities = self._predict(chunk, status)
        self.counts.seconds += self.clock() - begun if is_final else 0.0
        before = self.result.status.reshape(-1)[chunk.start : chunk.start + len(status)]
        self.counts.classified += int((came & (before == PixelStatus.PENDING)).sum())
        self.result.merge(chunk.start, probabilities, status)
        chunk.is_shown |= came
        chunk.came = float("inf")
        if chunk.is_sampled:  # all of it is read again at the end: nothing to hold
            self._held -= chunk.patterns.nbytes
            chunk.patterns = chunk.patterns[:, :0, :0].copy()
        if self.write is not None:
            self.write(self._record(chunk, is_final=is_final))
        return Partial(chunk.start, probabilities, status)

    def _predict(self, chunk: Chunk, status: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of a chunk; a profile that the model can't read is marked."""
        view = self.view if chunk.axis is None else replace(self.view, axis=chunk.axis)
        try:
            return predict_chunk(self.model, view, chunk.start, chunk.patterns, status)
        except ModelError as error:
            if chunk.axis is None:
                raise
            self.refused.append((chunk.start, str(error)))
            status[status == PixelStatus.OK] = PixelStatus.UNREADABLE
            return np.zeros((len(status), len(self.model.classes)), np.float32)

    def _record(self, chunk: Chunk, *, is_final: bool) -> Record:
        part = slice(chunk.start, chunk.start + len(chunk.status))
        rows = self.result.probabilities.reshape(-1, len(self.result.classes))[part]
        status = self.result.status.reshape(-1)[part]
        return Record(chunk.start, rows, status, chunk.checksums, is_final)

    def _verify(self, start: int, places: NDArray[np.int64], sums: NDArray[np.uint32]) -> None:
        known = self._final[start][places]
        wrong = np.flatnonzero((known != sums) & (known != 0))
        if len(wrong):
            raise ScanError(
                f"pattern {start + int(places[wrong[0]])} is not the one that the unfinished map "
                "was made from: another scan stands there. Choose another output for it, or start "
                "anew and lose the unfinished map."
            )
        self.counts.verified += len(places)
