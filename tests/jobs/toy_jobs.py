"""Jobs for the tests of executors. They are pickled by value: workers know no test modules."""

from __future__ import annotations

import os
import time
from pathlib import Path

from napari_spacegroup.jobs import Done, Log, Progress


def count(n, *, cancel, start=0, pause=0.0, file=None):
    """Count to n; the file keeps how far it is, and who counts."""
    done = start
    for number in range(start, n):
        if cancel.is_cancelled:
            break
        time.sleep(pause)
        done = number + 1
        if file is not None:
            Path(file).write_text(f"{os.getpid()} {done}")
        yield Progress(done, n)
    yield Done(done, is_cancelled=cancel.is_cancelled)


def count_on(n, *, cancel, resume=False, pause=0.0, file=None):
    """Go on from the file where it was killed."""
    start = int(Path(file).read_text().split()[1]) if resume else 0
    yield Log(f"from {start}")
    yield from count(n, cancel=cancel, start=start, pause=pause, file=file)


def environment(*, cancel):  # noqa: ARG001
    yield Done(dict(os.environ))


def priority(*, cancel):  # noqa: ARG001
    """Say the priority of the thread that works, which a process alone does not tell."""
    yield Done(os.getpriority(os.PRIO_PROCESS, 0))


def broken(*, cancel):  # noqa: ARG001
    yield Progress(0, 1)
    raise ValueError("broken on purpose")


class UnsendableError(Exception):
    def __reduce__(self):
        raise TypeError("no pickle")


def breaks_badly(*, cancel):  # noqa: ARG001
    yield Progress(0, 1)
    raise UnsendableError("words")


def square(offset, number, folder=None):
    """Later numbers are done earlier; the folder counts how often each was done."""
    time.sleep(0.01 * (3 - number % 4))
    if folder is not None:
        with (Path(folder) / f"{number}").open("a") as file:
            file.write(f"{os.getpid()}\n")
    return offset + number**2
