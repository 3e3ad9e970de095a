"""Growing flat files: EDAX up1 and up2, NORDIF ``Pattern.dat``.

The headers are read by the readers of :mod:`napari_spacegroup.patterns`, once the file
holds one whole pattern; from then on only bytes are read. The file is opened for each
poll and never held.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import struct
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..patterns.options import ReadOptions
from .order import ScanOrder
from .slots import SlotSource
from .source import ScanInfo, SourceError, SourceState
from .visit import runs

logger = logging.getLogger(__name__)

EDAX_OLD_HEADER = 16
EDAX_HEADER = 42
"""Bytes of the header of version 1 and of version 3 and later."""


@dataclass(frozen=True)
class RawLayout:
    """Where the patterns of a flat file lie.

    Parameters
    ----------
    offset
        Position of the first one [bytes].
    pattern_shape
        (detector_y, detector_x).
    dtype
        Type of one detector pixel, byte order included.
    total
        Number of patterns, or None.
    """

    offset: int
    pattern_shape: tuple[int, int]
    dtype: np.dtype[Any]
    total: int | None

    @property
    def record(self) -> int:
        """Return the bytes of one pattern."""
        return int(np.prod(self.pattern_shape)) * self.dtype.itemsize


class RawVisit:
    """A flat file, open for reading.

    Parameters
    ----------
    file
        Open in binary mode.
    layout
        Where its patterns lie.
    identity
        What must not change.
    """

    fill = 0.0

    def __init__(self, file: BinaryIO, layout: RawLayout, identity: bytes) -> None:
        self.file = file
        self.layout = layout
        self.identity = identity
        size = max(0, os.fstat(file.fileno()).st_size - layout.offset)
        whole, self.leftover = divmod(size, layout.record)
        self.stored = whole if layout.total is None else min(whole, layout.total)
        if self.stored < whole or self.stored == layout.total:
            self.leftover = 0

    def read(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Return the patterns in ascending places, shape ``(n, y, x)``."""
        shape = self.layout.pattern_shape
        out = np.empty((len(slots), *shape), dtype=self.layout.dtype)
        for at, start, stop in runs(slots):
            self.file.seek(self.layout.offset + start * self.layout.record)
            part = out[at : at + stop - start]
            raw = self.file.read(part.nbytes)
            got = len(raw)
            if got == part.nbytes:
                part[...] = np.frombuffer(raw, dtype=self.layout.dtype).reshape(part.shape)
            else:
                raise SourceError(
                    SourceState.DAMAGED,
                    f"the file ended while patterns {start} to {stop} were read: {got} of "
                    f"{part.nbytes} bytes. What had arrived stays valid.",
                )
        return out.astype(self.layout.dtype.newbyteorder("="), copy=False)


class RawSource(SlotSource):
    """A growing flat file; the formats say where its patterns lie."""

    places_are_arrivals = True
    _layout: RawLayout | None = None

    def restart(self) -> None:
        """Forget everything and begin with whatever stands at the path now."""
        super().restart()
        self._layout = None

    def _visit(self) -> AbstractContextManager[RawVisit]:
        return self._opened()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[RawVisit]:
        with self.path.open("rb") as file:
            if self._layout is None:
                self._layout, self._info = self._begin(file)
            yield RawVisit(file, self._layout, self._identity_of(file, self._layout))

    @abstractmethod
    def _begin(self, file: BinaryIO) -> tuple[RawLayout, ScanInfo]:
        """Return layout and what the header says.

        Raises
        ------
        SourceError
            If the header is not whole yet.
        """

    def _identity_of(self, file: BinaryIO, layout: RawLayout) -> bytes:
        file.seek(0)
        return file.read(layout.offset)

    def _waiting(self, what: str) -> SourceError:
        return SourceError(SourceState.WAITING, f"{self.path} {what} yet")


class EdaxSource(RawSource):
    """A growing EDAX ``.up1`` (8 bit) or ``.up2`` (16 bit) file.

    Version 1 knows neither size nor step: give ``scan_shape`` to get a map instead of a
    line. On a hexagonal grid the pixels of row ``r`` lie in row ``r`` of a rectangular
    map, of which every second row ends one pixel early.

    Notes
    -----
    That the header counts the columns of the *longer* rows of a hexagonal grid is what
    EDAX's ``NCOLS_ODD`` means; no hexagonal file was at hand to confirm it.
    """

    def _begin(self, file: BinaryIO) -> tuple[RawLayout, ScanInfo]:
        from ..patterns.binary import read_edax_binary

        head = file.read(EDAX_HEADER)
        if len(head) < EDAX_OLD_HEADER:
            raise self._waiting("has no whole header")
        version, width, height, offset = struct.unpack_from("<IIII", head)
        if version > 1 and len(head) < EDAX_HEADER:
            raise self._waiting("has no whole header")
        item = 1 if self.path.suffix.lower() == ".up1" else 2
        record = width * height * item
        size = os.fstat(file.fileno()).st_size
        if version in (0, 2) or version > 1000 or record == 0 or offset < EDAX_OLD_HEADER:
            raise SourceError(
                SourceState.DAMAGED,
                f"{self.path} begins with version {version}, patterns of {height} x {width} at "
                f"byte {offset}; need the header of an EDAX file of version 1, 3 or later.",
            )
        if size < offset + record:
            raise self._waiting("has no whole pattern")
        options = ReadOptions()
        with _not_yet(self.path):
            scan = read_edax_binary(self.path, options)
        is_hexagonal = version > 1 and head[25] != 0
        shape, total = self.asked_shape, None
        if is_hexagonal:
            columns, rows = struct.unpack_from("<II", head, 17)
            shape = (rows, columns)
            self.order = ScanOrder("hexagonal") if self.order.kind == "raster" else self.order
        elif version > 1:
            shape = self.asked_shape or (None if scan.n_patterns == 1 else scan.scan_shape)
        if shape is not None:
            total = self.order.length(shape)
        layout = RawLayout(offset, (height, width), np.dtype("u1" if item == 1 else "<u2"), total)
        return layout, ScanInfo(
            (height, width), scan.dtype, shape, total, "ebsd", scan.step, scan.step_unit,
            is_hexagonal=is_hexagonal,
        )  # fmt: skip


class NordifSource(RawSource):
    """A growing NORDIF ``Pattern.dat`` with ``Setting.txt`` beside it.

    Parameters
    ----------
    path
        ``Pattern.dat``, or its folder.
    pattern_size
        (detector_y, detector_x), needed with ``scan_shape`` where there is no setting
        file.
    **options
        As for :class:`~napari_spacegroup.stream.slots.SlotSource`.
    """

    def __init__(
        self, path: str | Path, *, pattern_size: tuple[int, int] | None = None, **options: Any
    ) -> None:
        path = Path(path)
        self.pattern_size = pattern_size
        super().__init__(path / "Pattern.dat" if path.suffix == "" else path, **options)

    @property
    def setting_file(self) -> Path:
        """Return where the setting file stands."""
        return self.path.with_name("Setting.txt")

    def _has_settings(self) -> bool:
        """Return whether the setting file is there up to the line that says the scan's size."""
        try:
            text = self.setting_file.read_text(encoding="latin-1")
        except FileNotFoundError:
            return False
        return re.search(r"Number of samples\t\d+x\d+\t.*\n", text) is not None

    def _begin(self, file: BinaryIO) -> tuple[RawLayout, ScanInfo]:
        from ..patterns.binary import read_nordif

        known = self.asked_shape is not None and self.pattern_size is not None
        if not known and not self._has_settings():
            raise self._waiting("has no whole Setting.txt beside it")
        if os.fstat(file.fileno()).st_size == 0:
            raise self._waiting("has no pattern")
        options = ReadOptions(scan_size=self.asked_shape, pattern_size=self.pattern_size)
        with _not_yet(self.path):
            scan = read_nordif(self.path, options)
        total = self.order.length(scan.scan_shape)
        layout = RawLayout(0, scan.pattern_shape, np.dtype(np.uint8), total)
        return layout, ScanInfo(
            scan.pattern_shape, scan.dtype, scan.scan_shape, total, "ebsd", scan.step,
            scan.step_unit, scan.static_background, scan.geometry,
        )  # fmt: skip

    def _identity_of(self, file: BinaryIO, layout: RawLayout) -> bytes:
        del file, layout
        # The setting file is rewritten when the scan ends (its duration), so that only
        # the patterns themselves can tell this scan from another.
        return b""


@contextlib.contextmanager
def _not_yet(path: Path) -> Iterator[None]:
    """Turn a reader's complaint about a file that has just begun into patience."""
    try:
        yield
    except (ScanError, ValueError, IndexError, KeyError) as error:
        logger.debug("%s: %s", path, error)
        raise SourceError(SourceState.DAMAGED, f"{path} can't be read yet: {error}") from error
