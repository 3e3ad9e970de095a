"""Array-likes over files: flat binary records and HDF5 datasets.

Both open their file when they are read, not before, and both survive pickling, so that
a scan can travel to another process. Neither holds patterns. Profiles, which have no rows,
are seen through :class:`ProfileRows`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RawFileArray:
    """Equal records in a flat binary file, seen as ``(n, detector_y, detector_x)``.

    Reads with seek and read instead of a memory map, whose pages would count as this
    process's memory until the system needs them elsewhere.

    Parameters
    ----------
    path
        The file.
    count
        Number of records to expose; fewer may be in the file.
    pattern_shape
        (detector_y, detector_x).
    dtype
        Type of one detector pixel.
    offset
        Position of the first record [bytes].
    header_bytes, footer_bytes
        Bytes before and after the pattern in each record.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        pattern_shape: tuple[int, int],
        dtype: np.dtype[Any],
        offset: int = 0,
        header_bytes: int = 0,
        footer_bytes: int = 0,
    ) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.shape = (count, *pattern_shape)
        self.offset = offset
        self.record = np.dtype(
            [
                ("header", f"V{header_bytes}"),
                ("pattern", self.dtype, pattern_shape),
                ("footer", f"V{footer_bytes}"),
            ]
        )

    @property
    def stored(self) -> int:
        """Return how many whole records the file holds now, at most ``shape[0]``."""
        available = self.path.stat().st_size - self.offset
        return int(max(0, min(self.shape[0], available // self.record.itemsize)))

    def __getitem__(self, key: slice) -> NDArray[Any]:
        start, stop, _ = key.indices(self.shape[0])
        with self.path.open("rb") as file:
            file.seek(self.offset + start * self.record.itemsize)
            records = np.fromfile(file, dtype=self.record, count=max(0, stop - start))
        patterns: NDArray[Any] = records["pattern"]
        return patterns


class Hdf5Array:
    """A dataset of an HDF5 file that is opened when it is first read.

    Survives pickling (each process opens the file itself) and keeps one handle per
    object; :meth:`close` gives it back early.

    Parameters
    ----------
    path
        The file.
    dataset
        Name of the dataset.
    """

    def __init__(self, path: Path, dataset: str) -> None:
        self.path = path
        self.dataset = dataset
        self._lock = threading.RLock()
        self._file: Any = None
        self._open: Any = None
        handle = self._handle()
        self.shape: tuple[int, ...] = tuple(handle.shape)
        self.dtype: np.dtype[Any] = handle.dtype
        self.chunks: tuple[int, ...] | None = handle.chunks

    def _handle(self) -> Any:
        import h5py

        with self._lock:
            if self._open is None:
                # 32 MiB hold any usual chunk, so that single patterns out of a large
                # compressed chunk do not unpack it again each time.
                self._file = h5py.File(self.path, "r", rdcc_nbytes=32 * 2**20)
                self._open = self._file[self.dataset]
            return self._open

    def __getitem__(self, key: Any) -> NDArray[Any]:
        with self._lock:  # so that nobody closes it in between
            values: NDArray[Any] = self._handle()[key]
        return values

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_lock"] = state["_file"] = state["_open"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = self._open = None


class ProfileRows:
    """An array of profiles, seen as one of patterns of a single row.

    Parameters
    ----------
    array
        Shape ``(n, columns)`` or ``(scan_y, scan_x, columns)``; anything that slices.
    """

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = with_row(array.shape)
        self.dtype = array.dtype
        chunks = getattr(array, "chunks", None)
        self.chunks = None if chunks is None else with_row(chunks)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.array[key])[..., None, :]

    def __getattr__(self, name: str) -> Any:
        """Return what the array itself has: its name, its fill value, its close."""
        if name == "array":  # not unpickled yet
            raise AttributeError(name)
        return getattr(self.array, name)


def with_row(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of profiles with their single row before the columns."""
    return (*shape[:-1], 1, shape[-1])
