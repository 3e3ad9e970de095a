"""Where patterns come from: files and arrays read by ranges of scan pixels.

A :class:`PatternSource` gives any contiguous run of patterns without building a task
graph, which is what keeps the memory of a scan of any size constant. The scan's dask
array is a view of the same source, so both always agree.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from .storage import Hdf5Array, ProfileRows

SLAB_BYTES = 64 * 2**20
"""Most bytes that are read at once where the storage does not force more."""

CHUNK_BYTES = 8 * 2**20
"""Size of the chunks of the dask view: a few patterns, so that hovering is quick."""

MIN_FRAME = 8
"""Least side of a bare two-dimensional array that passes for a pattern."""


@runtime_checkable
class PatternSource(Protocol):
    """Patterns of one scan, read by runs of scan pixels in row-major order."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return (scan_y, scan_x, detector_y, detector_x)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of one detector pixel, in native byte order."""
        ...

    @property
    def granularity(self) -> int:
        """Return how many consecutive patterns the storage keeps together."""
        ...

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return patterns ``start`` to ``stop``, shape ``(n, detector_y, detector_x)``.

        Patterns that the storage lacks are 0, or NaN for floating-point data.
        """
        ...


class ArraySource:
    """Patterns in anything that slices like an array.

    Parameters
    ----------
    array
        Shape ``(n, detector_y, detector_x)`` or ``(scan_y, scan_x, detector_y,
        detector_x)``.
    scan_shape
        (scan_y, scan_x) of a stack; None makes it one line.
    order
        Shape ``(scan_y * scan_x,)``: which pattern of the stack belongs to each scan
        pixel, -1 for none. None if they lie row by row.
    stored
        Number of patterns that the stack really holds.
    """

    def __init__(
        self,
        array: Any,
        scan_shape: tuple[int, int] | None = None,
        order: NDArray[np.int64] | None = None,
        stored: int | None = None,
    ) -> None:
        self.array = array
        shape = tuple(int(size) for size in array.shape)
        if len(shape) == 4:
            scan_shape = (shape[0], shape[1])
        elif scan_shape is None:
            scan_shape = (1, shape[0])
        self.order = order
        count = shape[0] if len(shape) == 3 else scan_shape[0] * scan_shape[1]
        self.stored = count if stored is None else min(stored, count)
        self.shape = (*scan_shape, shape[-2], shape[-1])
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        chunks = getattr(array, "chunks", None)
        rows = int(chunks[0]) if chunks and isinstance(chunks[0], int | np.integer) else 1
        self.granularity = max(1, rows * (scan_shape[1] if len(shape) == 4 else 1))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return patterns ``start`` to ``stop``, shape ``(n, detector_y, detector_x)``."""
        if len(self.array.shape) == 4:
            block = read_grid(self.array, self.shape[1], start, stop)
        elif self.order is None:
            block = np.asarray(self.array[start : max(start, min(stop, self.stored))])
        else:
            block = self._read_scattered(self.order[start:stop])
        out = np.array(block, dtype=self.dtype, copy=True, order="C")
        release_pages(self.array)
        missing = (stop - start) - len(out)
        if missing > 0:
            out = np.concatenate([out, self._blank(missing)])
        return out

    def _blank(self, count: int) -> NDArray[Any]:
        fill = np.nan if self.dtype.kind == "f" else 0
        return np.full((count, *self.shape[2:]), fill, dtype=self.dtype)

    def _read_scattered(self, wanted: NDArray[np.int64]) -> NDArray[Any]:
        out = self._blank(len(wanted))
        (present,) = np.nonzero((wanted >= 0) & (wanted < self.stored))
        present = present[np.argsort(wanted[present], kind="stable")]
        # Runs of neighbours in the file are read at once: the order usually changes
        # within a scan row only.
        breaks = np.nonzero(np.diff(wanted[present]) != 1)[0] + 1
        for run in np.split(present, breaks):
            if len(run):
                first, last = int(wanted[run[0]]), int(wanted[run[-1]])
                out[run] = self.array[first : last + 1]
        return out


class DaskSource:
    """Patterns in a dask array ``(scan_y, scan_x, detector_y, detector_x)``."""

    def __init__(self, array: da.Array) -> None:
        self.array = array
        scan_y, scan_x, height, width = (int(size) for size in array.shape)
        self.shape = (scan_y, scan_x, height, width)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        row_bytes = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        rows = int(max(array.chunks[0]))
        if rows * row_bytes <= 4 * SLAB_BYTES:
            self.granularity = rows * self.shape[1]
        elif row_bytes <= 4 * SLAB_BYTES:
            self.granularity = self.shape[1]
        else:
            self.granularity = int(max(array.chunks[1]))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return patterns ``start`` to ``stop``, shape ``(n, detector_y, detector_x)``."""
        block = read_grid(self.array, self.shape[1], start, stop)
        return np.ascontiguousarray(block, dtype=self.dtype)


class CroppedSource:
    """A rectangle of another source."""

    def __init__(self, parent: PatternSource, y0: int, y1: int, x0: int, x1: int) -> None:
        self.parent = parent
        self.origin = (y0, x0)
        self.shape = (y1 - y0, x1 - x0, parent.shape[2], parent.shape[3])
        self.dtype = parent.dtype
        self.granularity = x1 - x0

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return patterns ``start`` to ``stop``, shape ``(n, detector_y, detector_x)``."""
        width = self.shape[1]
        parts = []
        while start < stop:
            y, x = divmod(start, width)
            count = min(width - x, stop - start)
            first = (y + self.origin[0]) * self.parent.shape[1] + x + self.origin[1]
            parts.append(self.parent.read(first, first + count))
            start += count
        if not parts:
            return np.empty((0, *self.shape[2:]), dtype=self.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class SourceView:
    """A source that dask can slice like a four-dimensional array."""

    ndim = 4

    def __init__(self, source: PatternSource) -> None:
        self.source = source
        self.shape = source.shape
        self.dtype = source.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = list(key) if isinstance(key, tuple) else [key]
        keys += [slice(None)] * (4 - len(keys))
        rows, columns = _as_range(keys[0], self.shape[0]), _as_range(keys[1], self.shape[1])
        width = self.shape[1]
        whole = len(columns) == width and columns.step == 1 and rows.step == 1
        if whole and len(rows):
            flat = self.source.read(rows.start * width, rows.stop * width)
            block = flat.reshape(len(rows), width, *self.shape[2:])
        else:
            block = np.empty((len(rows), len(columns), *self.shape[2:]), dtype=self.dtype)
            for i, y in enumerate(rows):
                if len(columns):
                    first, last = min(columns), max(columns)
                    line = self.source.read(y * width + first, y * width + last + 1)
                    block[i] = line[[x - first for x in columns]]
        integer = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in keys[:2])
        out: NDArray[Any] = block[(*integer, *keys[2:])]
        return out


def _as_range(key: Any, size: int) -> range:
    if isinstance(key, slice):
        return range(*key.indices(size))
    index = int(key) + (size if int(key) < 0 else 0)
    return range(index, index + 1)


def read_grid(array: Any, width: int, start: int, stop: int) -> NDArray[Any]:
    """Return a run of scan pixels of a four-dimensional array, row by row.

    Parameters
    ----------
    array
        Shape ``(scan_y, scan_x, detector_y, detector_x)``.
    width
        scan_x.
    start, stop
        Flat indices of the scan pixels.

    Returns
    -------
    patterns
        Shape ``(stop - start, detector_y, detector_x)``.
    """
    y0, x0 = divmod(start, width)
    y1 = -(-stop // width)
    if y1 - y0 <= 1:
        return np.asarray(array[y0, x0 : x0 + stop - start])
    rows = np.asarray(array[y0:y1])
    flat = rows.reshape(-1, *rows.shape[2:])
    patterns: NDArray[Any] = flat[x0 : x0 + stop - start]
    return patterns


def release_pages(array: Any) -> None:
    """Give back the pages of a file-backed memory map after a block was copied out of it."""
    mapped = getattr(array, "_mmap", None) if getattr(array, "mode", "") == "r" else None
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def let_go(source: PatternSource) -> None:
    """Close the HDF5 file behind a source; the next read opens it again.

    HDF5 answers from its cache as long as the file is open, also when another program has
    written over it.
    """
    while isinstance(source, CroppedSource):
        source = source.parent
    array = source.array if isinstance(source, ArraySource) else None
    if isinstance(array, ProfileRows):
        array = array.array
    if isinstance(array, Hdf5Array):
        array.close()


def as_dask(source: PatternSource) -> da.Array:
    """Return the source as a dask array in chunks of at most 8 MiB.

    Parameters
    ----------
    source
        Patterns.

    Returns
    -------
    array
        Shape ``(scan_y, scan_x, detector_y, detector_x)``.
    """
    if isinstance(source, DaskSource):
        return source.array
    scan_y, scan_x, height, width = source.shape
    pattern_bytes = max(1, height * width * source.dtype.itemsize)
    # A very large scan gets larger chunks: the task graph has to stay small too.
    per_chunk = max(1, CHUNK_BYTES // pattern_bytes, scan_y * scan_x // 20_000)
    columns = min(scan_x, per_chunk)
    rows = max(1, min(scan_y, per_chunk // max(1, scan_x)))
    return da.from_array(
        SourceView(source),
        chunks=(rows, columns, height, width),
        name=False,
        asarray=False,
        fancy=False,
        meta=np.empty((0, 0, 0, 0), dtype=source.dtype),
    )


def check_numeric(dtype: Any, what: str) -> None:
    """Refuse data that are not real numbers.

    Raises
    ------
    ScanError
        If the type is complex, boolean, text, colour or an object.
    """
    kind = np.dtype(dtype).kind
    if kind in "uif":
        return
    hint = {
        "c": "take the magnitude, for example np.abs(data)",
        "b": "convert it to uint8 first",
        "V": "convert colour to grey values first",
    }.get(kind, "convert it to numbers first")
    raise ScanError(f"{what} has type {np.dtype(dtype)}; need integer or float patterns: {hint}.")


def scan_shape_of(count: int, scan_size: Sequence[int] | None, what: str) -> tuple[int, int]:
    """Return (scan_y, scan_x) for a stack of patterns.

    Parameters
    ----------
    count
        Number of patterns.
    scan_size
        Wished (scan_y, scan_x), or None for one line.
    what
        Name for the message.

    Raises
    ------
    ScanError
        If there are no patterns or they do not fill the wished grid.
    """
    if count == 0:
        raise ScanError(
            f"{what} holds zero patterns; need at least one. Check that the scan was saved."
        )
    if scan_size is None:
        return (1, count)
    if len(scan_size) != 2 or min(scan_size) < 1 or scan_size[0] * scan_size[1] != count:
        raise ScanError(
            f"{what} holds {count} patterns, scan_size is {tuple(scan_size)}; need (scan_y, "
            f"scan_x) whose product is {count}."
        )
    return (int(scan_size[0]), int(scan_size[1]))


def source_of(values: Any, scan_size: Sequence[int] | None, name: str) -> PatternSource:
    """Return the source of an array of two to four dimensions.

    Raises
    ------
    ScanError
        If it is not real numbers, has other dimensions, or does not fit `scan_size`.
    """
    shape = tuple(int(size) for size in values.shape)
    check_numeric(values.dtype, f"{name!r}")
    if not 2 <= len(shape) <= 4:
        raise ScanError(
            f"{name!r} has shape {shape}; need patterns as (y, x), (n, y, x) or (scan_y, scan_x, "
            "y, x). Select or reshape first."
        )
    if 0 in shape:
        raise ScanError(f"{name!r} has shape {shape}: zero patterns; need at least one.")
    if len(shape) == 2 and min(shape) < MIN_FRAME:
        raise ScanError(
            f"{name!r} has shape {shape}, which looks like a table or a profile; need a pattern of "
            f"at least {MIN_FRAME} x {MIN_FRAME} pixels. Give stacks as (n, y, x)."
        )
    if isinstance(values, da.Array):
        if len(shape) == 4 and scan_size is None:
            return DaskSource(values)
        grid = scan_shape_of(int(np.prod(shape[:-2])), scan_size, repr(name))
        grid = grid if len(shape) == 3 or scan_size is not None else (1, 1)
        return DaskSource(values.reshape((*grid, *shape[-2:])))
    if len(shape) == 4 and scan_size is None:
        return ArraySource(values)
    if len(shape) != 3:
        values = np.asarray(values[...]).reshape(-1, *shape[-2:])
    return ArraySource(values, scan_shape_of(values.shape[0], scan_size, repr(name)))
