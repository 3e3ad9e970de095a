"""Files that are written whole or not at all.

A result replaces an older one in a single step, after its bytes reached the disk. If the
disk fills up, the older one stays and nothing half-written is left.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from ..errors import ResultError

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[io.BufferedRandom]:
    """Give a file to write to, which takes its name only when the block ends well.

    Parameters
    ----------
    path
        Final place; what stands there is replaced.

    Yields
    ------
    file
        A new file in the same folder, open for reading and writing.

    Raises
    ------
    ResultError
        If the folder does not exist, or the file can't be written: full disk, no
        permission. What stood at ``path`` is untouched then.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ResultError(f"{path} is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise ResultError(f"the folder {target.parent} does not exist; make it, or save elsewhere")
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with draft.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except ResultError:
        raise
    except OSError as error:
        raise ResultError(
            f"could not write {path}: {error.strerror or error}; free some space or save "
            "elsewhere (what stood there before, if anything, is untouched)"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    _sync_folder(target.parent)


class SteadyFile:
    """A file whose writes never seem to fail: the first failure is kept for later.

    HDF5 can't close a file whose disk is full: it crashes the process when the handle is
    collected. So it writes here. After a failure the writes go to memory, where HDF5 finds
    them again, and :meth:`check` raises the failure once HDF5 is done or before it
    writes more.

    Parameters
    ----------
    file
        Where to write, without a buffer in between; it stays open.
    """

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self._size = 0
        self._position = 0
        self._lost: list[tuple[int, bytes]] = []
        self.error: OSError | None = None

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self.error is not None:
            raise self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def write(self, data: bytes | memoryview) -> int:
        """Write at the place, or keep it in memory after a failure."""
        content = bytes(data)
        if self.error is None:
            try:
                self._file.seek(self._position)
                left = memoryview(content)
                while left:
                    left = left[self._file.write(left) or 0 :]
            except OSError as error:
                self.error = error
        if self.error is not None:
            self._lost.append((self._position, content))
        self._position += len(content)
        self._size = max(self._size, self._position)
        return len(content)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer from the place on; what was never written is zero."""
        view = memoryview(buffer).cast("B")
        start, end = self._position, self._position + len(view)
        self._file.seek(start)
        content = bytearray((self._file.read(len(view)) or b"").ljust(len(view), b"\0"))
        for place, lost in self._lost:
            first, last = max(start, place), min(end, place + len(lost))
            if first < last:
                content[first - start : last - start] = lost[first - place : last - place]
        view[:] = content
        self._position = end
        return len(view)

    def read(self, size: int) -> bytes:
        """Return bytes from the place on."""
        content = bytearray(size)
        self.readinto(memoryview(content))
        return bytes(content)

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file."""
        size = self._position if size is None else size
        if self.error is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self.error = error
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, where the system can."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        _log.debug("cannot open %s to flush it", folder)
        return
    try:
        os.fsync(handle)
    except OSError:
        _log.debug("this file system does not flush folders: %s", folder)
    finally:
        os.close(handle)
