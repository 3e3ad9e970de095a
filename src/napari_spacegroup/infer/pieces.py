"""A scan in pieces: the same fixed batches as on one machine, on as many workers as there are.

A piece is one batch of :func:`~.classifier.classify_events`, so that the network sees the
very same arrays wherever it runs, and a lost worker costs the batches that it was at. Where
the workers can open the scan's own file, patterns never pass through the scheduler.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ClassifySpec
from ..errors import SpaceGroupError
from ..jobs import CancelToken, Event, Executor, Priority
from ..jobs.turns import TURNS
from ..patterns.read import read
from ..patterns.scan import PatternScan
from .classifier import Classifier, checked_batches, predict_chunk
from .journal import Journal
from .map_start import check_technique, start_map
from .spacegroup_map import SpaceGroupMap
from .view import PatternView


@dataclass(frozen=True, eq=False)
class ScanFacts:
    """What a worker needs of a scan, besides patterns.

    Parameters
    ----------
    view
        How patterns are shown to the model.
    size
        Patterns in a batch.
    device
        Torch device on the worker.
    path
        The file that the workers read, or None where patterns come with the piece.
    """

    view: PatternView
    size: int
    device: str
    path: Path | None


@dataclass(frozen=True, eq=False)
class Piece:
    """The answer to one batch.

    Parameters
    ----------
    start
        Row-major index of its first pattern.
    probabilities
        Shape ``(n, class)``.
    status
        Shape ``(n,)``.
    device
        Where it was computed.
    """

    start: int
    probabilities: NDArray[np.float32]
    status: NDArray[np.uint8]
    device: str


def spread_events(
    scan: PatternScan,
    model: Classifier,
    executor: Executor,
    *,
    batch_size: int = 256,
    device: str | None = None,
    cancel: CancelToken | None = None,
    into: SpaceGroupMap | None = None,
    pattern_center: tuple[float, float, float] | None = None,
    like: Mapping[str, Any] | None = None,
    journal: Journal | None = None,
    priority: Priority = Priority.BATCH,
) -> Iterator[Event]:
    """Classify a scan on the workers of an executor, and tell what happens.

    Parameters
    ----------
    scan, model, batch_size, cancel, into, pattern_center, like, journal
        As for :func:`~.classifier.classify_events`, with the same labels as outcome.
    executor
        Where batches are computed.
    device
        Torch device on the workers; None means ``"auto"``.
    priority
        Among the jobs of the workers.

    Yields
    ------
    event
        As :func:`~.classifier.classify_events`, in the order of the scan.

    Raises
    ------
    ModelError, ScanError, SpecError, ResultError
        As there.
    WorkerLostError, SchedulerLostError
        If the work can't go on; what had arrived is in ``into`` and in the journal.
    """
    device = device or "auto"
    spec = ClassifySpec.from_mapping(
        {
            "model": model.card.name,
            "batch_size": batch_size,
            "device": device,
            "pattern_center": pattern_center,
        },
        "classify",
    )
    yield from check_technique(scan.name, scan.technique, model)
    token = CancelToken() if cancel is None else cancel
    begun = yield from start_map(
        scan, model, spec, token, into=into, journal=journal, pattern_center=pattern_center,
        like=like,
    )  # fmt: skip
    view, size = begun.view, begun.size
    # A journal holds a checksum of every pattern, so that they have to come through here.
    path = _path_for_workers(scan, executor, token) if journal is None else None
    checksums: dict[int, Any] = {}

    def read_here() -> Iterator[tuple[Any, ...]]:
        for start, patterns, status in checked_batches(scan, size, view, begun.is_todo):
            checksums[start] = begun.checksums(start, patterns)
            # A copy: a view would take its whole slab along.
            yield start, patterns.copy(), status

    pieces = (
        read_here()
        if path is None
        else ((int(number) * size,) for number in np.flatnonzero(begun.is_todo))
    )
    facts = ScanFacts(view, size, device, path)
    answers = executor.spread(
        classify_piece, pieces, shared=(facts, model), priority=priority, cancel=token
    )
    for piece in answers:
        begun.result.provenance["device"] = piece.device
        yield from begun.take(
            piece.start, piece.probabilities, piece.status, checksums.pop(piece.start, None)
        )
    yield from begun.end()


def classify_piece(
    facts: ScanFacts,
    model: Classifier,
    start: int,
    patterns: NDArray[Any] | None = None,
    status: NDArray[np.uint8] | None = None,
) -> Piece:
    """Return the answer to one batch; runs on a worker.

    Parameters
    ----------
    facts
        Of the scan.
    model
        The network; it is moved to the device of ``facts`` and stays there.
    start
        Row-major index of the first pattern.
    patterns, status
        Shape ``(n, detector_y, detector_x)`` and ``(n,)``; None reads them from the scan's
        own file.

    Raises
    ------
    ScanError
        If the patterns can't be read.
    """
    if patterns is None or status is None:
        patterns, status = _read_piece(facts, start)
    with TURNS.turn(Priority.BATCH):
        model = model.to(facts.device)
        probabilities = predict_chunk(model, facts.view, start, patterns, status)
    return Piece(start, probabilities, status, str(model.device))


def scan_print(path: Path) -> str:
    """Return a hash of all that decides what a file's patterns are; empty if there is none."""
    try:
        return _print_of(_open(path))
    except (SpaceGroupError, OSError):
        return ""


def _path_for_workers(scan: PatternScan, executor: Executor, cancel: CancelToken) -> Path | None:
    """Return the scan's file if the workers find the very same patterns in it."""
    if scan.path is None or executor.shares_memory:
        return None
    path = scan.path.resolve()
    found = list(executor.spread(scan_print, [(path,)], cancel=cancel))
    return path if found and found[0] == _print_of(scan) else None


def _print_of(scan: PatternScan) -> str:
    digest = hashlib.blake2b(scan.fingerprint().encode(), digest_size=16)
    digest.update(repr((scan.scan_shape, scan.pattern_shape, str(scan.dtype))).encode())
    for array in (scan.mask, scan.static_background, scan.present):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def _open_version(path: Path, version: tuple[int, int]) -> PatternScan:
    del version  # another file under the same name is another entry
    return read(path)


def _open(path: Path) -> PatternScan:
    status = path.stat()
    return _open_version(path, (status.st_size, status.st_mtime_ns))


def _read_piece(facts: ScanFacts, start: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    if facts.path is None:
        raise ValueError(f"the piece at {start} came without patterns and without a file")
    scan = _open(facts.path)
    is_todo = np.zeros(-(-scan.n_patterns // facts.size), bool)
    is_todo[start // facts.size] = True
    ((_, patterns, status),) = checked_batches(scan, facts.size, facts.view, is_todo)
    return patterns, status
