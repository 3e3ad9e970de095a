"""Writing scans as vendors' programs do, and as they do when something goes wrong.

One class per layout, all with the same few verbs; :mod:`.microscope` decides when. The
layouts hold what kikuchipy, rosettasciio and :func:`napari_spacegroup.patterns.read`
read back.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..config.microscope import ScanFormat


@dataclass(frozen=True, eq=False)
class ScanHeader:
    """What a file says about its scan.

    Parameters
    ----------
    scan_shape, pattern_shape
        (y, x).
    dtype
        Type of a detector pixel.
    step
        Distance of the pixels [µm].
    pattern_center
        Bruker's convention.
    sample_tilt
        [degrees].
    voltage
        [kV].
    background
        Static background, shape ``pattern_shape``.
    """

    scan_shape: tuple[int, int]
    pattern_shape: tuple[int, int]
    dtype: np.dtype[Any]
    step: float
    pattern_center: tuple[float, float, float]
    sample_tilt: float
    voltage: float
    background: NDArray[Any]

    @property
    def count(self) -> int:
        """Return the number of patterns."""
        return self.scan_shape[0] * self.scan_shape[1]


class ScanWriter(ABC):
    """A scan that is being written.

    Parameters
    ----------
    path
        File or folder.
    header
        What it says.
    """

    def __init__(self, path: Path, header: ScanHeader) -> None:
        self.path = path
        self.header = header

    @abstractmethod
    def begin(self) -> None:
        """Write the header over whatever is there."""

    @abstractmethod
    def write(self, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Write patterns and hand them to the system, so that another program sees them."""

    @abstractmethod
    def cut(self, pixel: int, pattern: NDArray[Any]) -> None:
        """Write half of a pattern."""

    @abstractmethod
    def spoil(self, pixel: int, raw: bytes) -> None:
        """Write random bytes where a pattern belongs."""

    def skip(self, pixels: NDArray[np.int64]) -> None:
        """Leave patterns out."""
        del pixels

    def close(self) -> None:  # noqa: B027 - most formats hold nothing
        """Let go of the file."""

    def delete(self) -> None:
        """Remove what was written."""
        self.close()
        if self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


class RawWriter(ScanWriter):
    """EDAX up1 and up2 of version 3: patterns in the order in which they come."""

    file: BinaryIO | None = None

    def begin(self) -> None:
        """Write the header over whatever is there."""
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In the same file, as a program does that writes to a name: same inode, cut to 0.
        self.file = self.path.open("wb", buffering=0)
        self.file.write(self._head())

    def _head(self) -> bytes:
        rows, columns = self.header.scan_shape
        height, width = self.header.pattern_shape
        head = struct.pack("<IIII", 3, width, height, 42)
        head += struct.pack("<BIIB", 0, columns, rows, 0)
        return head + struct.pack("<dd", self.header.step, self.header.step)

    def _append(self, raw: bytes) -> None:
        if self.file is None:
            self.file = self.path.open("r+b", buffering=0)
            self.file.seek(0, 2)
        self.file.write(raw)

    def write(self, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Append patterns."""
        del pixels
        self._append(patterns.astype(self.header.dtype.newbyteorder("<")).tobytes())

    def skip(self, pixels: NDArray[np.int64]) -> None:
        """Leave room for patterns."""
        size = int(np.prod(self.header.pattern_shape)) * self.header.dtype.itemsize
        self._append(bytes(size * len(pixels)))

    def cut(self, pixel: int, pattern: NDArray[Any]) -> None:
        """Append half of a pattern."""
        del pixel
        raw = pattern.astype(self.header.dtype.newbyteorder("<")).tobytes()
        self._append(raw[: len(raw) // 2 + 1])

    def spoil(self, pixel: int, raw: bytes) -> None:
        """Append random bytes."""
        del pixel
        self._append(raw)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
        self.file = None


NORDIF_SETTING = """[NORDIF]\t\t
Software version\t3.1.2\t
\t\t
[Microscope]\t\t
Manufacturer\tSimulated\t
Model\tnapari-spacegroup\t
Magnification\t1000\t#
Scan direction\tDirect\t
Accelerating voltage\t{voltage:g}\tkV
Working distance\t20\tmm
Tilt angle\t{tilt:g}\t°
\t\t
[Detector angles]\t\t
Euler 1\t0\t°
Euler 2\t0\t°
Euler 3\t0\t°
Azimuthal\t0\t°
Elevation\t0\t°
\t\t
[Acquisition settings]\t\t
Frame rate\t{rate:g}\tfps
Resolution\t{width}x{height}\tpx
Exposure time\t1000\tµs
Gain\t0\t
\t\t
[Area]\t\t
Top\t0.000 (0)\tµm (px)
Left\t0.000 (0)\tµm (px)
Width\t{area_width:.3f} ({columns})\tµm (px)
Height\t{area_height:.3f} ({rows})\tµm (px)
Step size\t{step:g}\tµm
Number of samples\t{rows}x{columns}\t#
Scan time\t00:00:00\t
"""
"""The blocks of NORDIF's setting file that say what the patterns are."""


class NordifWriter(RawWriter):
    """NORDIF's ``Pattern.dat`` with ``Setting.txt`` and a background image beside it."""

    def begin(self) -> None:
        """Write setting file and background, and begin the patterns anew."""
        import imageio.v3 as imageio

        super().begin()
        header = self.header
        (rows, columns), (height, width) = header.scan_shape, header.pattern_shape
        text = NORDIF_SETTING.format(
            voltage=header.voltage, tilt=header.sample_tilt, rate=1000, width=width,
            height=height, step=header.step, rows=rows, columns=columns,
            area_width=header.step * columns, area_height=header.step * rows,
        )  # fmt: skip
        self.path.with_name("Setting.txt").write_text(text, encoding="latin-1")
        imageio.imwrite(
            self.path.with_name("Background acquisition pattern.bmp"),
            header.background.astype(np.uint8),
        )

    def _head(self) -> bytes:
        return b""


class EbspWriter(RawWriter):
    """Oxford's ebsp of version 2: records as they come, and a table of them."""

    def begin(self) -> None:
        """Write an empty table."""
        super().begin()
        self._end = 8 + 8 * self.header.count

    def _head(self) -> bytes:
        return struct.pack("<q", -2) + bytes(8 * self.header.count)

    def _record(self, pixel: int, pattern: NDArray[Any]) -> bytes:
        y, x = divmod(pixel, self.header.scan_shape[1])
        raw = pattern.astype(self.header.dtype.newbyteorder("<")).tobytes()
        head = struct.pack("<iiii", 0, *pattern.shape, len(raw))
        step = self.header.step
        return head + raw + struct.pack("<?d?d", True, x * step, True, y * step)

    def _enter(self, pixel: int, offset: int) -> None:
        if self.file is not None:
            self.file.seek(8 + 8 * pixel)
            self.file.write(struct.pack("<q", offset))
            self.file.seek(0, 2)

    def write(self, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Append records, then enter them in the table."""
        records = [
            self._record(pixel, pattern)
            for pixel, pattern in zip(pixels.tolist(), patterns, strict=True)
        ]
        self._append(b"".join(records))
        for pixel, record in zip(pixels.tolist(), records, strict=True):
            self._enter(pixel, self._end)
            self._end += len(record)

    def skip(self, pixels: NDArray[np.int64]) -> None:
        """Leave table entries at 0."""

    def cut(self, pixel: int, pattern: NDArray[Any]) -> None:
        """Enter a record of which half is written."""
        record = self._record(pixel, pattern)
        self._append(record[: len(record) // 2])
        self._enter(pixel, self._end)

    def spoil(self, pixel: int, raw: bytes) -> None:
        """Append random bytes as a whole record and enter it."""
        record = (raw * 2)[: len(raw) + 16 + 18]
        self._append(record)
        self._enter(pixel, self._end)
        self._end += len(record)


class ImageWriter(ScanWriter):
    """A folder of images, numbered by scan pixel from 0."""

    def __init__(self, path: Path, header: ScanHeader, suffix: str) -> None:
        super().__init__(path, header)
        self.suffix = suffix

    def begin(self) -> None:
        """Make the folder; images of an earlier scan are overwritten one by one."""
        self.path.mkdir(parents=True, exist_ok=True)

    def file(self, pixel: int) -> Path:
        """Return the image of a pixel."""
        return self.path / f"pattern_{pixel:07d}{self.suffix}"

    def encoded(self, pattern: NDArray[Any]) -> bytes:
        """Return the bytes of an image file."""
        import io

        import imageio.v3 as imageio
        import tifffile

        if self.suffix != ".tif":
            raw: bytes = imageio.imwrite("<bytes>", pattern, extension=self.suffix)
            return raw
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pattern, photometric="minisblack")
        return buffer.getvalue()

    def write(self, pixels: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Write one file per pattern."""
        for pixel, pattern in zip(pixels.tolist(), patterns, strict=True):
            self.file(pixel).write_bytes(self.encoded(pattern))

    def cut(self, pixel: int, pattern: NDArray[Any]) -> None:
        """Write half of an image file."""
        raw = self.encoded(pattern)
        self.file(pixel).write_bytes(raw[: len(raw) // 2])

    def spoil(self, pixel: int, raw: bytes) -> None:
        """Write random bytes as an image file."""
        self.file(pixel).write_bytes(raw)


def writer_for(
    layout: ScanFormat, path: Path, header: ScanHeader, *, is_swmr: bool = True
) -> ScanWriter:
    """Return the writer of a layout; ``is_swmr`` is for HDF5 alone."""
    from .chunked_writers import Hdf5Writer, ZarrWriter

    makers: dict[str, Callable[[], ScanWriter]] = {
        "up1": lambda: RawWriter(path, header),
        "up2": lambda: RawWriter(path, header),
        "nordif": lambda: NordifWriter(_pattern_dat(path), header),
        "ebsp": lambda: EbspWriter(path, header),
        "hdf5": lambda: Hdf5Writer(path, header, is_swmr),
        "zarr": lambda: ZarrWriter(path, header),
    }
    if layout in makers:
        return makers[layout]()
    return ImageWriter(path, header, f".{layout}")


def _pattern_dat(path: Path) -> Path:
    return path if path.suffix.lower() == ".dat" else path / "Pattern.dat"


def emptied(folder: Path) -> None:
    """Remove what a folder holds and the folder itself, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
