"""Locks that the system gives back when a process ends, even when it is killed."""

from __future__ import annotations

import errno
import io
import logging
import sys

_log = logging.getLogger(__name__)

_UNSUPPORTED = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)

if sys.platform == "win32":
    import msvcrt

    _FAR = 2**62
    """A byte beyond every content: such locks keep others from reading there."""

    def try_lock(file: io.FileIO) -> bool:
        """Lock an open file; return False if another process holds it."""
        place = file.tell()
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(place)
        return True

    def unlock(file: io.FileIO) -> None:
        """Give the lock back."""
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(file: io.FileIO) -> bool:
        """Lock an open file; return False if somebody else holds it.

        Where the file system knows no locks, nothing is locked, and that is logged.
        """
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            _log.warning("%s can't be locked here (%s); start no second run", file.name, error)
        return True

    def unlock(file: io.FileIO) -> None:
        """Give the lock back."""
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
