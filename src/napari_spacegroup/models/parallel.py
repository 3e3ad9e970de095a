"""A batch shared among the cores, a piece on each, instead of every operation shared.

Small operations gain little from two threads, and threads that wait for each other at each
of them lose all that a busy core costs one of them. Pieces of fixed size wait for nobody, and
no answer depends on how many cores there are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

PIECE = 32
"""Patterns in one piece: on a machine of eight cores a batch of 256 keeps them all busy."""

_pools: dict[int, ThreadPoolExecutor] = {}
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

    Raises
    ------
    ValueError
        If a tensor has another length.
    """
    lengths = [len(t) for t in tensors if t is not None]
    if any(length not in (1, count) for length in lengths):
        raise ValueError(f"got {lengths} rows for {count} patterns; need that number each, or 1")
    pieces = [
        [t if t is None or len(t) != count else t[first : first + PIECE] for t in tensors]
        for first in range(0, max(count, 1), PIECE)
    ]
    threads = torch.get_num_threads()
    futures = [] if threads < 2 else _submitted(threads, work, pieces)
    parts = [future.result() for future in futures] or [work(*piece) for piece in pieces]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _submitted(
    threads: int, work: Callable[..., Tensor], pieces: Sequence[Sequence[Tensor | None]]
) -> list[Future[Tensor]]:
    """Return the futures of the pieces; none where no threads take them."""
    futures: list[Future[Tensor]] = []
    try:
        pool = _pool(threads)
        for piece in pieces:
            futures.append(pool.submit(work, *piece))
    except RuntimeError:  # no thread is to be had, or the interpreter ends
        for future in futures:
            future.cancel()
        return []
    return futures


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads within which an operation is not shared further."""
    with _lock:
        if threads not in _pools:
            _pools[threads] = _made(threads)
        return _pools[threads]


def _made(threads: int) -> ThreadPoolExecutor:
    all_here = threading.Barrier(threads)
    found: list[int] = []

    def begin() -> None:
        # What all later threads begin with. A thread takes it over with its first operation,
        # which would undo what is set before.
        found.append(torch.get_num_threads())
        torch.set_num_threads(1)
        all_here.wait()

    pool = ThreadPoolExecutor(threads, "napari-spacegroup-pieces", initializer=begin)
    try:
        for future in [pool.submit(int) for _ in range(threads)]:
            future.result()
    except RuntimeError:
        all_here.abort()
        pool.shutdown(wait=False)
        raise
    finally:
        if found:  # from a thread of its own: it is also set for the thread that sets it
            restore = threading.Thread(target=torch.set_num_threads, args=(max(found),))
            restore.start()
            restore.join()
    return pool


def _forget() -> None:
    """Start anew in a forked process, which has none of its parent's threads."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
