"""A batch shared among the cores, a piece on each, instead of every operation shared.

Small operations gain little from two threads, and threads that wait for each other at each
of them lose all that a busy core costs one of them. Pieces of fixed size wait for nobody, and
no answer depends on how many cores there are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

PIECE = 64
"""Patterns in one piece."""

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
_lock = threading.Lock()


def in_pieces(work: Callable[..., Tensor], count: int, *tensors: Tensor | None) -> Tensor:
    """Return ``work`` of the tensors, done piece by piece on as many threads as torch may use.

    Parameters
    ----------
    work
        Called with a piece of each tensor, on another thread; what grad mode and such it wants
        it sets itself.
    count
        Patterns.
    *tensors
        First axis ``count``, or 1 for what all pieces share; None stays None.

    Returns
    -------
    result
        The answers in their order, first axis ``count``.
    """
    pieces = [
        [t if t is None or len(t) != count else t[first : first + PIECE] for t in tensors]
        for first in range(0, count, PIECE)
    ]
    threads = torch.get_num_threads()
    if len(pieces) < 2 or threads < 2:
        return _joined([work(*piece) for piece in pieces] or [work(*tensors)])
    return _joined(list(_pool(threads).map(lambda piece: work(*piece), pieces)))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads within which an operation is not shared further."""
    key = (os.getpid(), threads)  # a forked process has none of its parent's threads
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            all_here = threading.Barrier(threads)

            def begin() -> None:
                torch.get_num_threads()  # or the first operation would undo what comes next
                torch.set_num_threads(1)
                all_here.wait()

            pool = ThreadPoolExecutor(threads, "napari-spacegroup-pieces", initializer=begin)
            for future in [pool.submit(lambda: None) for _ in range(threads)]:
                future.result()
            # What a thread sets is also the beginning of every later thread.
            torch.set_num_threads(threads)
            _pools[key] = pool
    return pool
