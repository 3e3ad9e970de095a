"""Growing Oxford ``.ebsp``: records in the order in which they came, and a table of them.

The table at the beginning has one entry per scan pixel: the position of its record, 0
until it is written. Its length stands nowhere; it ends where the first record begins,
which is the smallest entry. kikuchipy's reader needs the finished table, so a growing
one is read here; both agree on finished files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .slots import SlotSource
from .source import ScanInfo, SourceError, SourceState
from .visit import BadPlacesError, BrokenPlaces, Visit

TABLE_WINDOW = 65_536
"""Entries that are read beyond the last known record in one poll."""

LARGEST_SIDE = 16_384
"""No detector has more pixels along a side; more means that this is no record."""


@dataclass(frozen=True)
class EbspLayout:
    """Where tables and records lie.

    Parameters
    ----------
    version
        0 to 6, as kikuchipy reads them.
    count
        Entries in the table.
    record
        Type of one record: header, pattern, footer.
    """

    version: int
    count: int
    record: np.dtype[Any]

    @property
    def table_start(self) -> int:
        """Return the position of the table [bytes]."""
        return table_start(self.version)


def table_start(version: int) -> int:
    """Return the position of the table [bytes] in a file of that version."""
    return 0 if version == 0 else 9 if version > 3 else 8


def header_type(version: int) -> list[tuple[str, str]]:
    """Return the fields before the pattern in a record."""
    names = ["is_compressed", "rows", "columns", "bytes"]
    return [(n, "<i4") for n in (["map_x", "map_y"] if version >= 5 else []) + names]


def footer_type(version: int) -> list[tuple[str, str]]:
    """Return the fields after the pattern in a record that has beam positions."""
    if version == 0:
        return []
    if version == 1:
        return [("beam_x", "<f8"), ("beam_y", "<f8")]
    return [("has_beam_x", "u1"), ("beam_x", "<f8"), ("has_beam_y", "u1"), ("beam_y", "<f8")]


class EbspVisit:
    """An ebsp file, open for reading.

    Parameters
    ----------
    file
        Open in binary mode.
    layout
        Where things lie.
    identity
        What must not change.
    offsets
        Position of each record, 0 where there is none, shape ``(count,)``.
    broken
        Remembers records that can't be read.
    """

    fill = 0.0

    def __init__(
        self,
        file: BinaryIO,
        layout: EbspLayout,
        identity: bytes,
        offsets: NDArray[np.int64],
        broken: BrokenPlaces,
    ) -> None:
        self.file = file
        self.layout = layout
        self.identity = identity
        self.offsets = offsets
        self.stored = layout.count
        self.size = os.fstat(file.fileno()).st_size
        self.broken = broken
        first = layout.table_start + 8 * layout.count
        self.leftover = max(0, self.size - first) % layout.record.itemsize

    def read(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Return the patterns of ascending table entries, shape ``(n, y, x)``."""
        layout = self.layout.record["pattern"]
        base, shape = layout.subdtype or (layout, ())
        out = np.zeros((len(slots), *shape), dtype=base.newbyteorder("="))
        bad = []
        for i in np.argsort(self.offsets[slots]):
            record = self.record(int(slots[i]))
            if record is None:
                continue
            if self._is_sound(record):
                out[i] = record["pattern"]
            elif self.broken.is_hopeless(int(slots[i]), self.size):
                bad.append(slots[i])
        if bad:
            raise BadPlacesError(np.array(bad), "its record in the file is damaged")
        return out

    def record(self, slot: int) -> Any:
        """Return the record of a table entry, None where there is none or not all of it."""
        offset = int(self.offsets[slot])
        kind = self.layout.record
        if offset == 0 or offset + kind.itemsize > self.size:
            return None
        self.file.seek(offset)
        raw = self.file.read(kind.itemsize)
        if len(raw) < kind.itemsize or not any(raw[: kind.fields["pattern"][1]]):  # type: ignore[index]
            return None
        footer = len(raw) - np.dtype(footer_type(self.layout.version)).itemsize
        if self.layout.version > 1 and not any(raw[footer:]):
            return None  # room that is being filled: what comes last is not there yet
        return np.frombuffer(raw, dtype=kind)[0]

    def _is_sound(self, record: Any) -> bool:
        base, shape = self.layout.record["pattern"].subdtype or (None, ())
        size = 0 if base is None else int(np.prod(shape)) * base.itemsize
        head = (record["is_compressed"], record["rows"], record["columns"], record["bytes"])
        if tuple(int(v) for v in head) != (0, *shape, size):
            return False
        if self.layout.version <= 1:
            return True
        return bool(record["has_beam_x"] == 1 and record["has_beam_y"] == 1)


class EbspSource(SlotSource):
    """A growing uncompressed Oxford ``.ebsp``.

    Patterns may come in any order; the table says where they belong. Without
    ``scan_shape`` the length of a row is found from the beam positions once the second
    row has begun; until then ``info.scan_shape`` is None and pixels count along a line.
    """

    _layout: EbspLayout | None = None

    def restart(self) -> None:
        """Forget everything and begin with whatever stands at the path now."""
        super().restart()
        self._layout = None
        self._offsets = np.zeros(0, np.int64)
        self._broken = BrokenPlaces(self.settle_seconds, self._clock)

    def _visit(self) -> AbstractContextManager[EbspVisit]:
        return self._opened()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[EbspVisit]:
        with self.path.open("rb") as file:
            if self._layout is None:
                self._layout = self._begin(file)
                base, shape = self._layout.record["pattern"].subdtype  # type: ignore[misc]
                self._info = ScanInfo(
                    (shape[0], shape[1]), np.dtype(base).newbyteorder("="), self.asked_shape,
                    self._layout.count, "ebsd",
                )  # fmt: skip
            layout = self._layout
            file.seek(0)
            identity = file.read(layout.table_start)
            self._read_table(file, layout)
            visit = EbspVisit(file, layout, identity, self._offsets, self._broken)
            if self._info is not None and self._info.scan_shape is None:
                self._learn_grid(visit, self._info)
            yield visit

    def _ranks(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        # What the table does not name may come at any time: nothing has passed it.
        offsets = self._offsets[slots]
        return np.where(offsets == 0, np.iinfo(np.int64).max, offsets)

    def _ends_with(self, visit: Visit, slot: int) -> bool:
        # The record and its footer lie in the file, and the footer is what it must be.
        return isinstance(visit, EbspVisit) and visit.record(slot) is not None

    def _read_table(self, file: BinaryIO, layout: EbspLayout) -> None:
        if len(self._offsets) != layout.count:
            self._offsets = np.zeros(layout.count, np.int64)
        start = self._ledger.low
        known = int(np.flatnonzero(self._offsets)[-1]) if self._offsets.any() else 0
        stop = min(layout.count, known + TABLE_WINDOW)
        while True:
            file.seek(layout.table_start + 8 * start)
            entries = np.frombuffer(file.read(8 * (stop - start)), dtype="<i8")
            first = layout.table_start + 8 * layout.count
            sound = (entries >= first) & ((entries - first) % layout.record.itemsize == 0)
            self._offsets[start : start + len(entries)] = np.where(sound, entries, 0)
            if stop == layout.count or not len(entries) or entries[-1] == 0:
                return
            start, stop = stop, min(layout.count, stop + TABLE_WINDOW)

    def _begin(self, file: BinaryIO) -> EbspLayout:
        head = file.read(8)
        size = os.fstat(file.fileno()).st_size
        if len(head) < 8:
            raise self._waiting("has no whole header")
        number = int(np.frombuffer(head, "<i8")[0])
        version = -number if number < 0 else 0
        if version > 100:
            raise SourceError(
                SourceState.DAMAGED,
                f"{self.path} begins with version {version}; need an Oxford ebsp file.",
            )
        file.seek(table_start(version))
        entries = np.frombuffer(file.read(size)[: (size - table_start(version)) // 8 * 8], "<i8")
        # The table ends where its smallest entry points to.
        if not (entries > 0).any():
            raise self._waiting("names no pattern")
        smallest = np.minimum.accumulate(np.where(entries > 0, entries, np.iinfo(np.int64).max))
        ends = table_start(version) + 8 * np.arange(1, len(entries) + 1)
        count = int(np.argmax(ends >= smallest)) + 1
        first = int(smallest[count - 1])
        if first != ends[count - 1]:
            raise self._waiting("has no whole table")
        record = self._record_type(file, version, first, size)
        positions = entries[:count]
        fits = (positions == 0) | (
            (positions >= first)
            & ((positions - first) % record.itemsize == 0)
            & (positions < first + count * record.itemsize)
        )
        if not fits.all():
            raise self._waiting("has a table without its first record")
        return EbspLayout(version, count, record)

    def _record_type(self, file: BinaryIO, version: int, first: int, size: int) -> np.dtype[Any]:
        kind = np.dtype(header_type(version))
        file.seek(first)
        raw = file.read(kind.itemsize)
        if len(raw) < kind.itemsize or not any(raw):
            raise self._waiting("has no whole pattern")
        head = np.frombuffer(raw, kind)[0]
        rows, columns, count = int(head["rows"]), int(head["columns"]), int(head["bytes"])
        if head["is_compressed"]:
            raise SourceError(
                SourceState.DAMAGED,
                f"{self.path} holds compressed patterns; need uncompressed ones. Switch the "
                "compression off in the vendor's program.",
            )
        sides = 0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE
        if not sides or count not in (rows * columns, 2 * rows * columns):
            raise self._waiting("has no whole record of a pattern")
        item = "u1" if count == rows * columns else "<u2"
        record = np.dtype(
            [*header_type(version), ("pattern", item, (rows, columns)), *footer_type(version)]
        )
        if first + record.itemsize > size:
            raise self._waiting("has no whole pattern")
        return record

    def _learn_grid(self, visit: EbspVisit, info: ScanInfo) -> None:
        """Find the length of a row from where the beam stood."""
        (known,) = np.nonzero(self._offsets)
        if visit.layout.version == 0 or len(known) < 3 or known[0] != 0 or known[1] != 1:
            return
        records = [visit.record(int(slot)) for slot in (0, 1, known[-1])]
        if any(record is None for record in records):
            return
        x = [float(record["beam_x"]) for record in records]
        y = [float(record["beam_y"]) for record in records]
        step = abs(x[1] - x[0])
        if not np.isfinite([*x, *y]).all() or step == 0:
            return
        row, column = round(abs(y[2] - y[0]) / step), round(abs(x[2] - x[0]) / step)
        if row < 1 or (known[-1] - column) % row:
            return
        columns = int(known[-1] - column) // row
        if columns < 1 or visit.layout.count % columns:
            return
        self._info = replace(
            info, scan_shape=(visit.layout.count // columns, columns),
            step=(step, step), step_unit="um",
        )  # fmt: skip

    def _waiting(self, what: str) -> SourceError:
        return SourceError(SourceState.WAITING, f"{self.path} {what} yet")
