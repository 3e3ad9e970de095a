"""Unfinished maps on disk: what is classified is written at once, chunk by chunk.

Beside the output stands ``map.h5.partial``: a header that says what is classified by what,
then one record of fixed size per finished chunk, each with a checksum. Whoever kills the
process loses the chunk that was being computed, and no more. When the map is whole it is
saved and the journal goes. The journal is also the lock: the system lets go of it when the
process ends, however it ends.

Layout, little endian: ``NSGPART1``, length and CRC-32 of the header (uint32 each), header
(JSON); per record ``start`` (int64), ``count`` and ``is_final`` (uint32), then for as many
pixels as a chunk has: status (uint8), CRC-32 of the pattern (uint32), probabilities
(float32 per class); at last the CRC-32 of the record.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultError
from .file_lock import try_lock, unlock
from .pixel_status import PixelStatus

_log = logging.getLogger(__name__)

MAGIC = b"NSGPART1"
SUFFIX = ".partial"
SYNC_SECONDS = 1.0
"""How often the system is asked to bring the journal to the disk, against power cuts."""

_HEAD = struct.Struct("<qII")
_SIZES = struct.Struct("<II")


@dataclass(frozen=True)
class JournalHeader:
    """What an unfinished map belongs to; a run goes on only where all of it is the same.

    Parameters
    ----------
    verb
        ``"classify"`` or ``"follow"``.
    scan
        What tells the scan from others.
    model
        Checksum of the weights, or the model's name where there is none.
    classes
        Space group of each probability.
    chunk
        Pixels per record.
    request
        What else was asked and changes the map, such as a given pattern center.
    view
        How the patterns are looked at, see :class:`~.view.PatternView`.
    """

    verb: str
    scan: str
    model: str
    classes: tuple[int, ...]
    chunk: int
    request: dict[str, Any]
    view: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Record:
    """The answers of one chunk.

    Parameters
    ----------
    start
        Row-major index of its first pixel.
    probabilities, status
        Shapes ``(n, class)`` float32 and ``(n,)`` uint8, as in a ``Partial``.
    checksums
        CRC-32 of each pattern, 0 where it was not taken; shape ``(n,)``, uint32.
    is_final
        Whether the chunk was classified as a whole.
    """

    start: int
    probabilities: NDArray[np.float32]
    status: NDArray[np.uint8]
    checksums: NDArray[np.uint32]
    is_final: bool = True


class Journal:
    """The unfinished map that belongs to an output.

    Open it before the work, so that a second process is refused at once. Use it in a
    ``with`` block: without :meth:`discard` it stays, for the next run.

    Parameters
    ----------
    out
        Where the map will be saved.
    anew
        Whether to throw an unfinished map away instead of going on with it.

    Raises
    ------
    ResultError
        If another process works on this output, there is no such folder, it can't be
        written to, or what stands there is no journal.
    """

    def __init__(self, out: str | Path, *, anew: bool = False) -> None:
        self.out = Path(out)
        self.path = self.out.with_name(self.out.name + SUFFIX)
        if self.out.is_dir():
            raise ResultError(f"{self.out} is a folder; give the name of a file in it")
        self._file = _open_locked(self.path, self.out)
        self._first = self._end = 0
        self._record_bytes = 0
        self._synced = time.monotonic()
        self._unsaved: dict[int, Record] = {}
        self.problem = ""
        self.header: JournalHeader | None = None
        try:
            self._read_header()
            if anew:
                self.header = None
                self._file.truncate(0)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def check(self, **facts: Any) -> None:
        """Make sure that the unfinished map, if there is one, has these header fields.

        Raises
        ------
        ResultError
            If it has others.
        """
        if self.header is None:
            return
        known = asdict(self.header)
        plain = json.loads(json.dumps(facts))
        for name, wanted in plain.items():
            found = json.loads(json.dumps(known[name]))
            if found != wanted:
                raise ResultError(
                    f"{self.path} is an unfinished map with another {name} ({_short(found)}, now "
                    f"{_short(wanted)}); finish it with what it was begun with, choose another "
                    "output, or start anew and lose it"
                )

    def begin(self, header: JournalHeader) -> None:
        """Write the header of a new journal; does nothing for one that is gone on with.

        Raises
        ------
        ResultError
            If it can't be written.
        """
        if self.header is not None:
            return
        content = json.dumps(asdict(header)).encode()
        start = MAGIC + _SIZES.pack(len(content), zlib.crc32(content)) + content
        try:
            self._file.seek(0)
            self._file.truncate(0)
            _write_all(self._file, start)
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ResultError(
                f"could not write {self.path}: {error.strerror or error}; free some space or "
                "choose another output"
            ) from error
        self._lay_out(header, len(start))

    def records(self) -> Iterator[Record]:
        """Give what is there, the latest of each chunk last; damaged records are left out."""
        if self.header is None:
            return
        position, damaged = self._first, 0
        while position + self._record_bytes <= self._end:
            self._file.seek(position)
            block = _read_all(self._file, self._record_bytes)
            position += self._record_bytes
            record = self._parse(block)
            if record is None:
                damaged += 1
            else:
                yield record
        if damaged:
            _log.warning("%s: %d chunks are damaged and are done again", self.path, damaged)

    def write(self, record: Record) -> None:
        """Write a chunk, so that a kill after this can't lose it.

        A disk that is full raises nothing: :attr:`problem` says so, the chunk stays in
        memory, and the next call tries again.
        """
        self._unsaved[record.start] = record
        for start in list(self._unsaved):
            try:
                self._append(self._unsaved[start])
            except OSError as error:
                problem = (
                    f"could not write {self.path}: {error.strerror or error}; the work goes on, "
                    "but what is new is in memory alone until there is space again"
                )
                if not self.problem:
                    _log.warning("%s", problem)
                self.problem = problem
                return
            del self._unsaved[start]
        if self.problem:
            _log.info("%s can be written again", self.path)
        self.problem = ""

    def discard(self) -> None:
        """Remove the journal: the map is saved, or nobody wants it."""
        if os.name == "posix":
            self.path.unlink(missing_ok=True)  # before the lock is free
            self.close()
        else:  # an open file can't be removed there
            self.close()
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it; an empty one is removed, any other stays."""
        if self._file.closed:
            return
        is_empty = self.header is None
        if is_empty and os.name == "posix":
            self.path.unlink(missing_ok=True)
        unlock(self._file)
        self._file.close()
        if is_empty and os.name != "posix":
            self.path.unlink(missing_ok=True)

    def _append(self, record: Record) -> None:
        block = self._block(record)
        try:
            self._file.seek(self._end)
            _write_all(self._file, block)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError:
            self._file.truncate(self._end)  # no half record in the way of the next one
            raise
        self._end += len(block)

    def _block(self, record: Record) -> bytes:
        chunk, n_class = self._shape()
        count = len(record.status)
        status = np.full(chunk, PixelStatus.PENDING, np.uint8)
        status[:count] = record.status
        checksums = np.zeros(chunk, "<u4")
        checksums[:count] = record.checksums
        probabilities = np.zeros((chunk, n_class), "<f4")
        probabilities[:count] = record.probabilities
        content = _HEAD.pack(record.start, count, int(record.is_final)) + b"".join(
            values.tobytes() for values in (status, checksums, probabilities)
        )
        return content + zlib.crc32(content).to_bytes(4, "little")

    def _parse(self, block: bytes) -> Record | None:
        if zlib.crc32(block[:-4]) != int.from_bytes(block[-4:], "little"):
            return None
        chunk, n_class = self._shape()
        start, count, is_final = _HEAD.unpack_from(block)
        place = _HEAD.size
        status = np.frombuffer(block, np.uint8, chunk, place)
        checksums = np.frombuffer(block, "<u4", chunk, place + chunk)
        values = np.frombuffer(block, "<f4", chunk * n_class, place + 5 * chunk)
        return Record(
            start,
            values.reshape(chunk, n_class)[:count].astype(np.float32),
            status[:count].copy(),
            checksums[:count].astype(np.uint32),
            bool(is_final),
        )

    def _shape(self) -> tuple[int, int]:
        if self.header is None:
            raise ResultError(f"{self.path} has no header yet; begin it first")
        return self.header.chunk, len(self.header.classes)

    def _lay_out(self, header: JournalHeader, first: int) -> None:
        self.header = header
        self._record_bytes = _HEAD.size + header.chunk * (5 + 4 * len(header.classes)) + 4
        size = self._file.seek(0, os.SEEK_END)
        self._first = first
        whole = max(0, size - first) // self._record_bytes
        self._end = first + whole * self._record_bytes
        if self._end < size:
            self._file.truncate(self._end)

    def _read_header(self) -> None:
        if self._file.seek(0, os.SEEK_END) == 0:
            return
        self._file.seek(0)
        start = _read_all(self._file, len(MAGIC) + _SIZES.size)
        if not start.startswith(MAGIC[: len(start)]):
            self.header = _FOREIGN
            raise ResultError(
                f"{self.path} is no unfinished map of this package; move it away, or choose "
                "another output"
            )
        if len(start) < len(MAGIC) + _SIZES.size:
            return  # killed in the first moment: nothing to go on with
        length, checksum = _SIZES.unpack(start[len(MAGIC) :])
        content = _read_all(self._file, length)
        if zlib.crc32(content) != checksum:
            return
        values = json.loads(content)
        header = JournalHeader(**{**values, "classes": tuple(values["classes"])})
        self._lay_out(header, len(start) + length)


_FOREIGN = JournalHeader("", "", "", (), 0, {}, {})
"""Keeps a file that is not ours from being removed as an empty one."""


def _open_locked(path: Path, out: Path) -> io.FileIO:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            file = io.FileIO(handle, "r+b")
            is_ours = try_lock(file)
        except FileNotFoundError as error:
            raise ResultError(
                f"there is no folder {path.absolute().parent} for {out.name}; make it first"
            ) from error
        except OSError as error:
            raise ResultError(
                f"could not write {path}: {error.strerror or error}; choose another output"
            ) from error
        if not is_ours:
            file.close()
            raise ResultError(
                f"another process is working on {out} (it holds {path.name}); wait for it, stop "
                "it, or choose another output"
            )
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()  # whoever held it finished and removed it in between: take the new one


def _write_all(file: io.FileIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        written = file.write(left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def _read_all(file: io.FileIO, size: int) -> bytes:
    parts = []
    while size > 0:
        part = file.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
