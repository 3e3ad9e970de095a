"""Writing scans into chunks: HDF5 in kikuchipy's layout, and zarr version 2."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .writers import ScanHeader, ScanWriter, emptied

CHUNK_BYTES = 64 * 1024
"""About what one chunk holds: a few patterns."""

LOCK_SECONDS = 10.0
"""How long the writer waits for a reader to let go of the file."""

DATASET = "Scan 1/EBSD/Data/patterns"


def patterns_per_chunk(header: ScanHeader) -> int:
    """Return how many patterns of one row a chunk holds."""
    size = int(np.prod(header.pattern_shape)) * header.dtype.itemsize
    return max(1, min(header.scan_shape[1], CHUNK_BYTES // size))


class Hdf5Writer(ScanWriter):
    """kikuchipy's h5ebsd layout.

    Parameters
    ----------
    path, header
        As for :class:`ScanWriter`.
    is_swmr
        Whether the file stays open for single-writer, multiple-reader access; otherwise
        it is opened and closed for each write.
    """

    def __init__(self, path: Path, header: ScanHeader, is_swmr: bool = True) -> None:
        super().__init__(path, header)
        self.is_swmr = is_swmr
        self._file: h5py.File | None = None

    def begin(self) -> None:
        """Write all groups and an empty dataset."""
        self.close()
        header = self.header
        (rows, columns), (height, width) = header.scan_shape, header.pattern_shape
        file = self._opened("w")
        file["manufacturer"] = np.array([b"kikuchipy"])
        file["version"] = np.array([b"0.11.0"])
        fields: dict[str, Any] = {
            "n_rows": rows, "n_columns": columns, "pattern_height": height,
            "pattern_width": width, "step_y": header.step, "step_x": header.step,
            "binning": 1, "detector_pixel_size": 1.0, "elevation_angle": 0.0,
            "azimuth_angle": 0.0, "sample_tilt": header.sample_tilt,
        }  # fmt: skip
        fields |= {f"pc{a}": v for a, v in zip("xyz", header.pattern_center, strict=True)}
        for name, value in fields.items():
            file[f"Scan 1/EBSD/Header/{name}"] = np.array([value])
        file["Scan 1/EBSD/Header/static_background"] = header.background
        sem = {"beam_energy": header.voltage, "magnification": 1000, "working_distance": 20.0}
        for name, value in sem.items():
            file[f"Scan 1/SEM/Header/{name}"] = np.array([value])
        file["Scan 1/SEM/Header/microscope"] = np.array([b"simulated"])
        file.create_dataset(
            DATASET,
            (header.count, height, width),
            header.dtype,
            chunks=(patterns_per_chunk(header), height, width),
        )
        if self.is_swmr:
            file.swmr_mode = True
            self._file = file
        else:
            file.close()

    def write(self, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Write patterns at their pixels."""
        if self._file is not None:
            self._put(self._file, pixels, patterns)
            return
        with self._opened("r+") as file:
            self._put(file, pixels, patterns)

    def _opened(self, mode: str) -> h5py.File:
        """Open the file; a follower that looks in holds it for a moment."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                return h5py.File(self.path, mode, libver="latest")
            except OSError as error:
                # A reader in another process locks it, one in this process shares it.
                is_busy = isinstance(error, BlockingIOError) or "already open" in str(error)
                if not is_busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.002)

    def _put(self, file: h5py.File, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        dataset = file[DATASET]
        if len(pixels) and (np.diff(pixels) == 1).all():
            dataset[int(pixels[0]) : int(pixels[-1]) + 1] = patterns
        else:
            for pixel, pattern in zip(pixels.tolist(), patterns, strict=True):
                dataset[pixel] = pattern
        dataset.flush()

    def cut(self, pixel: int, pattern: NDArray[Any]) -> None:
        """Write a pattern, close the file, and cut it off in the middle of the pattern."""
        self.write(np.array([pixel], dtype=np.int64), pattern[None])
        self.close()
        place, inside = divmod(pixel, patterns_per_chunk(self.header))
        with h5py.File(self.path, "r") as file:
            chunk = (place * patterns_per_chunk(self.header), 0, 0)
            start = file[DATASET].id.get_chunk_info_by_coord(chunk).byte_offset
        os.truncate(self.path, start + inside * pattern.nbytes + pattern.nbytes // 2)

    def spoil(self, pixel: int, raw: bytes) -> None:
        """Write random bytes as a pattern."""
        random = np.frombuffer(raw, self.header.dtype).reshape(1, *self.header.pattern_shape)
        self.write(np.array([pixel], dtype=np.int64), random)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None


class ZarrWriter(ScanWriter):
    """A zarr version 2 array of shape ``(scan_y, scan_x, y, x)``, not compressed.

    Each chunk is written beside its place and moved there, as the zarr library does; a
    chunk that fills is replaced again and again.
    """

    def begin(self) -> None:
        """Remove what is there and write the metadata."""
        emptied(self.path)
        self.path.mkdir(parents=True)
        header = self.header
        self.chunk = (1, patterns_per_chunk(header), *header.pattern_shape)
        self._little = header.dtype.newbyteorder("<") if header.dtype.itemsize > 1 else header.dtype
        values = {
            "zarr_format": 2, "shape": [*header.scan_shape, *header.pattern_shape],
            "chunks": list(self.chunk), "dtype": self._little.str, "compressor": None,
            "fill_value": 0, "filters": None, "order": "C",
        }  # fmt: skip
        self._replace(self.path / ".zarray", json.dumps(values, indent=2).encode())

    def file(self, pixel: int) -> Path:
        """Return the chunk of a pixel."""
        y, x = divmod(pixel, self.header.scan_shape[1])
        return self.path / f"{y}.{x // self.chunk[1]}.0.0"

    def write(self, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Put patterns into their chunks."""
        chunks: dict[Path, list[int]] = {}
        for i, pixel in enumerate(pixels.tolist()):
            chunks.setdefault(self.file(pixel), []).append(i)
        for path, members in chunks.items():
            values = np.zeros(self.chunk, self._little)
            if path.exists() and path.stat().st_size == values.nbytes:
                values = np.fromfile(path, self._little).reshape(self.chunk)
            places = pixels[members] % self.header.scan_shape[1] % self.chunk[1]
            values[0, places] = patterns[members]
            self._replace(path, values.tobytes())

    def cut(self, pixel: int, pattern: NDArray[Any]) -> None:
        """Write a chunk and cut it in half."""
        self.write(np.array([pixel], dtype=np.int64), pattern[None])
        path = self.file(pixel)
        os.truncate(path, path.stat().st_size // 2)

    def spoil(self, pixel: int, raw: bytes) -> None:
        """Write random bytes as a pattern into its chunk."""
        random = np.frombuffer(raw, self._little).reshape(1, *self.header.pattern_shape)
        self.write(np.array([pixel], dtype=np.int64), random)

    def _replace(self, path: Path, raw: bytes) -> None:
        draft = path.with_name(f"{path.name}.partial")
        draft.write_bytes(raw)
        draft.replace(path)
