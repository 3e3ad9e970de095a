"""From a scan to a map: patterns are read ahead while the network works.

Constant memory whatever the size of the scan: besides the map itself, four batches are
alive at most (two read ahead, one being checked, one in the network).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..config import ClassifySpec
from ..errors import ModelError, ScanError, SpaceGroupError
from ..jobs import CancelToken, Done, Event, Log, Partial, Prefetcher, Progress
from ..patterns.scan import PatternScan
from .centers import CenterFinder, ScanCenter, scan_center
from .pixel_status import PixelStatus, pattern_status
from .provenance import now, versions
from .spacegroup_map import SpaceGroupMap

_log = logging.getLogger(__name__)

READ_AHEAD = 2
"""Batches that wait or are being read while the network works on another."""

BATCH_BYTES = 128 * 2**20
"""Largest batch as float32; large patterns come in smaller batches than asked for."""


class ClassifierCard(Protocol):
    """What a map keeps of a model's card."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def technique(self) -> str:
        """What it classifies: ``"ebsd"``, ``"sad"`` or ``"powder"``."""
        ...

    @property
    def equivalence_sets(self) -> tuple[tuple[int, ...], ...]:
        """Space groups that the technique can't tell apart."""
        ...

    @property
    def sha256(self) -> str:
        """Checksum of the weights."""
        ...

    @property
    def package_version(self) -> str:
        """Version of this package that trained it."""
        ...


class Classifier(Protocol):
    """What turns patterns into probabilities; :class:`napari_spacegroup.models.Model` is one."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Space groups, in the order of the last axis of :meth:`predict`."""
        ...

    @property
    def card(self) -> ClassifierCard:
        """Its card."""
        ...

    @property
    def device(self) -> object:
        """Where it computes; its text is a torch device."""
        ...

    def to(self, device: str) -> Classifier:
        """Return it, moved to a device."""
        ...

    def predict(
        self,
        patterns: NDArray[Any],
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Return probabilities ``(n, class)`` for patterns ``(n, rows, columns)``."""
        ...


def classify_events(
    scan: PatternScan,
    model: Classifier,
    *,
    batch_size: int = 256,
    device: str | None = None,
    cancel: CancelToken | None = None,
    into: SpaceGroupMap | None = None,
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
        If a pattern can't be read.
    SpecError
        If the batch size or the device makes no sense.
    """
    started = time.monotonic()
    spec = ClassifySpec.from_mapping(
        {"model": model.card.name, "batch_size": batch_size, "device": device or "auto"},
        "classify",
    )
    yield from _check_technique(scan, model)
    if device is not None:
        model = model.to(device)
    result = empty_map(scan, model) if into is None else into
    _check_fit(scan, model, result)
    result.provenance.update(_provenance(scan, model, spec))
    token = CancelToken() if cancel is None else cancel
    center = None
    if isinstance(model, CenterFinder) and model.needs_pattern_center:
        yield Log("Looking at the pattern center")
        center = scan_center(scan, model, model.card.sha256)
        yield Log(center.sentence())
        result.provenance["pattern_center"] = {
            "mean": [round(float(v), 5) for v in center.centers.reshape(-1, 3).mean(0)],
            "source": center.source,
            "explained": round(center.explained, 4),
        }
    done, total = 0, scan.n_patterns
    with Prefetcher(
        _checked_batches(scan, fitting_batch(scan, batch_size)), depth=READ_AHEAD, cancel=token
    ) as batches:
        for start, patterns, status in batches:
            if token.is_cancelled:
                break
            probabilities = _predict(model, scan, start, patterns, status, center)
            n_pattern = len(status)
            del patterns  # the next one is on its way: no batch more than needed
            result.merge(start, probabilities, status)
            done += n_pattern
            yield Partial(start, probabilities, status)
            yield Progress(done, total, "Classifying")
    result.provenance["seconds"] = round(time.monotonic() - started, 3)
    yield from _remarks(result)
    yield Done(result, is_cancelled=done < total)


def empty_map(scan: PatternScan, model: Classifier) -> SpaceGroupMap:
    """Return the map of a scan before its first pixel."""
    return SpaceGroupMap.empty(
        scan.scan_shape,
        model.classes,
        step=scan.step,
        step_unit=scan.step_unit,
        model_name=model.card.name,
        scan_name=scan.name,
        equivalence_sets=model.card.equivalence_sets,
    )


def fitting_batch(scan: PatternScan, batch_size: int) -> int:
    """Return how many patterns make a batch: at most ``batch_size``, and 128 MiB as float32."""
    pattern_bytes = 4 * scan.pattern_shape[0] * scan.pattern_shape[1]
    return max(1, min(batch_size, BATCH_BYTES // pattern_bytes))


def _checked_batches(
    scan: PatternScan, size: int
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.uint8]]]:
    """Yield first index, patterns and status of each batch; runs on the reader thread."""
    present = None if scan.present is None else scan.present.ravel()
    done = 0
    try:
        for start, patterns in scan.batches(size):
            status = pattern_status(patterns, scan.mask)
            if present is not None:
                status[~present[start : start + len(status)]] = PixelStatus.MISSING
            yield start, _without_rim(patterns, scan.mask), status
            done = start + len(status)
    except SpaceGroupError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, LookupError) as error:
        raise ScanError(
            f"the patterns of {scan.name!r} from number {done} on can't be read ({error}); "
            "check that the file is whole and at hand, then classify again"
        ) from error


def _without_rim(patterns: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return patterns with 0 where NaN outside the screen would spread into the picture."""
    if mask is None or patterns.dtype.kind != "f" or np.isfinite(patterns).all():
        return patterns
    return np.where(mask, patterns, patterns.dtype.type(0))


def _predict(
    model: Classifier,
    scan: PatternScan,
    start: int,
    patterns: NDArray[Any],
    status: NDArray[np.uint8],
    center: ScanCenter | None,
) -> NDArray[np.float32]:
    """Return probabilities, zero where there are none; marks such patterns in ``status``."""
    n_class = len(model.classes)
    probabilities = np.zeros((len(status), n_class), np.float32)
    is_ok = status == PixelStatus.OK
    if not is_ok.any():
        return probabilities
    options: dict[str, Any] = {}
    if center is not None:
        centers = center.of(start, start + len(status))
        options["pattern_center"] = centers if centers.ndim == 1 else centers[is_ok]
    answer = model.predict(
        patterns if is_ok.all() else patterns[is_ok],
        static_background=scan.static_background,
        mask=scan.mask,
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


def _check_technique(scan: PatternScan, model: Classifier) -> Iterator[Event]:
    wanted = model.card.technique
    if scan.technique == "unknown":
        yield Log(f"{scan.name} does not say how it was measured; taking it for {wanted}")
    elif scan.technique != wanted:
        raise ModelError(
            f"the scan {scan.name!r} is {scan.technique}, the model {model.card.name!r} is for "
            f"{wanted}; choose a model for {scan.technique}"
        )


def _check_fit(scan: PatternScan, model: Classifier, result: SpaceGroupMap) -> None:
    if result.scan_shape != scan.scan_shape or result.classes != tuple(model.classes):
        raise ScanError(
            f"the map to fill has {result.scan_shape} pixels and classes {result.classes}, the "
            f"scan {scan.scan_shape} and the model {tuple(model.classes)}; start a new map"
        )


def _provenance(scan: PatternScan, model: Classifier, spec: ClassifySpec) -> dict[str, Any]:
    return {
        "spec": spec.model_dump(mode="json"),
        "seed": None,  # nothing here is random
        "created": now(),
        "versions": versions(),
        "device": str(model.device),
        "model": {
            "name": model.card.name,
            "sha256": model.card.sha256,
            "package_version": model.card.package_version,
        },
        "scan": {
            "name": scan.name,
            "path": None if scan.path is None else str(scan.path),
            "technique": scan.technique,
            "shape": list(scan.data.shape),
            "dtype": str(scan.dtype),
            "fingerprint": scan.fingerprint(),
        },
    }


def _remarks(result: SpaceGroupMap) -> Iterator[Event]:
    counts = np.bincount(result.status.ravel(), minlength=len(PixelStatus))
    for status in PixelStatus:
        if status not in (PixelStatus.OK, PixelStatus.PENDING) and counts[status]:
            yield Log(f"{counts[status]} of {result.status.size} pixels unknown: {status.reason}")
