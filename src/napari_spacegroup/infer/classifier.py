"""From a scan to a map: patterns are read ahead while the network works.

Constant memory whatever the size of the scan: besides the map itself, four batches are
alive at most (two read ahead, one being checked, one in the network). With a journal,
what was classified before a kill is not classified again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ClassifySpec
from ..errors import ModelError, ScanError, SpaceGroupError
from ..jobs import CancelToken, Event, Prefetcher
from ..patterns.scan import PatternScan
from .journal import Journal
from .map_start import check_technique, start_map
from .network import Classifier as Classifier
from .network import ClassifierCard as ClassifierCard
from .pixel_status import PixelStatus, pattern_status
from .spacegroup_map import SpaceGroupMap
from .view import PatternView

READ_AHEAD = 2
"""Batches that wait or are being read while the network works on another."""


def classify_events(
    scan: PatternScan,
    model: Classifier,
    *,
    batch_size: int = 256,
    device: str | None = None,
    cancel: CancelToken | None = None,
    into: SpaceGroupMap | None = None,
    pattern_center: tuple[float, float, float] | None = None,
    like: Mapping[str, Any] | None = None,
    journal: Journal | None = None,
) -> Iterator[Event]:
    """Classify a scan, and tell what happens.

    Parameters
    ----------
    scan
        Read once, in row-major order, on a second thread.
    model
        The network.
    batch_size
        Patterns in one pass; fewer where 128 MiB would be exceeded.
    device
        Torch device to move the model to; None leaves it where it is.
    cancel
        Answered within one batch; what is computed stays.
    into
        A map to fill instead of a new one, so that its owner keeps what was computed
        whatever happens. Its shape and classes must fit.
    pattern_center
        Taken as it is for every pixel, Bruker's convention; None takes the file's, checked
        and refined, or finds one. Models that need none ignore it.
    like
        ``provenance["view"]`` of another map of this scan, to look at the patterns alike.
    journal
        Gets every finished batch; what it holds already is not done again.

    Yields
    ------
    event
        A ``Partial`` and a ``Progress`` per batch, ``Log`` where a person should know
        something, at last a ``Done`` with the :class:`SpaceGroupMap`.

    Raises
    ------
    ModelError
        If the model is for another technique, or its answer has the wrong shape.
    ScanError
        If a pattern can't be read, or, with a journal, the scan was replaced meanwhile.
    SpecError
        If the batch size, the device or the pattern center makes no sense.
    ResultError
        If the journal belongs to another scan or model, or ``like`` does not fit.
    """
    spec = ClassifySpec.from_mapping(
        {
            "model": model.card.name,
            "batch_size": batch_size,
            "device": device or "auto",
            "pattern_center": pattern_center,
        },
        "classify",
    )
    yield from check_technique(scan.name, scan.technique, model)
    if device is not None:
        model = model.to(device)
    token = CancelToken() if cancel is None else cancel
    begun = yield from start_map(
        scan, model, spec, token, into=into, journal=journal, pattern_center=pattern_center,
        like=like,
    )  # fmt: skip
    view = begun.view
    batches = checked_batches(scan, begun.size, view, begun.is_todo)
    with Prefetcher(batches, depth=READ_AHEAD, cancel=token) as read:
        for start, patterns, status in read:
            if token.is_cancelled:
                break
            checksums = begun.checksums(start, patterns)
            probabilities = predict_chunk(model, view, start, patterns, status)
            del patterns  # the next one is on its way: no batch more than needed
            yield from begun.take(start, probabilities, status, checksums)
    yield from begun.end()


def checked_batches(
    scan: PatternScan,
    size: int,
    view: PatternView | None = None,
    is_todo: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.uint8]]]:
    """Yield first index, patterns and status of each batch; runs on the reader thread.

    Without a view the screen is the scan's own; ``is_todo`` says which batches, shape ``(n,)``.
    """
    view = PatternView(scan.static_background, scan.mask) if view is None else view
    present = None if scan.present is None else scan.present.ravel()
    done = 0
    try:
        for start, patterns in _batches(scan, size, is_todo):
            done = start
            status = pattern_status(patterns, view.mask)
            if present is not None:
                status[~present[start : start + len(status)]] = PixelStatus.MISSING
            yield start, view.without_rim(patterns), status
            done = start + len(status)
    except SpaceGroupError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, LookupError) as error:
        raise ScanError(
            f"the patterns of {scan.name!r} from number {done} on can't be read ({error}); "
            "check that the file is whole and at hand, then classify again"
        ) from error


def _batches(
    scan: PatternScan, size: int, is_todo: NDArray[np.bool_] | None
) -> Iterator[tuple[int, NDArray[Any]]]:
    if is_todo is None or is_todo.all():
        yield from scan.batches(size)
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_todo, [False]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        yield from scan.batches(size, start=first * size, stop=last * size)


def predict_chunk(
    model: Classifier,
    view: PatternView,
    start: int,
    patterns: NDArray[Any],
    status: NDArray[np.uint8],
) -> NDArray[np.float32]:
    """Return the probabilities of neighbouring pixels, in one pass of the network.

    Parameters
    ----------
    model, view
        The network, and what it is told about the patterns.
    start
        Row-major index of the first pixel.
    patterns
        Shape ``(n, detector_y, detector_x)``.
    status
        Shape ``(n,)``; those that are not OK are left out. One whose answer is not finite
        is marked in it.

    Returns
    -------
    probabilities
        Shape ``(n, class)``, zero where there are none. Their last bits may depend on which
        patterns went through the network together.
    """
    n_class = len(model.classes)
    probabilities = np.zeros((len(status), n_class), np.float32)
    is_ok = status == PixelStatus.OK
    if not is_ok.any():
        return probabilities
    options: dict[str, Any] = {}
    if view.center is not None:
        centers = view.center.of(start, start + len(status))
        options["pattern_center"] = centers if centers.ndim == 1 else centers[is_ok]
    if view.axis is not None:
        options["axis"] = view.axis
    if view.calibration is not None:
        options["calibration"] = view.calibration
    answer = model.predict(
        patterns if is_ok.all() else patterns[is_ok],
        static_background=view.static_background,
        mask=view.mask,
        **options,
    )
    if answer.shape != (np.count_nonzero(is_ok), n_class):
        raise ModelError(
            f"model {model.card.name!r} answered with shape {answer.shape} to "
            f"{np.count_nonzero(is_ok)} patterns; its card names {n_class} classes: check the model"
        )
    probabilities[is_ok] = answer
    is_lost = ~np.isfinite(probabilities).all(axis=1)
    status[is_lost] = PixelStatus.NOT_FINITE
    probabilities[is_lost] = 0
    return probabilities
