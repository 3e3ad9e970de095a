"""A map before its first pixel: what is checked, decided and taken over first."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CalibrationSpec, ClassifySpec
from ..errors import ModelError, ScanError
from ..jobs import CancelToken, Done, Event, Log, Partial, Progress
from ..patterns.scan import PatternScan
from .centers import CenterFinder
from .journal import Journal, JournalHeader, Record
from .network import Classifier, finest_level
from .pixel_status import status_remarks
from .provenance import as_plain, map_provenance
from .spacegroup_map import SpaceGroupMap
from .view import (
    CALIBRATION_KEY,
    PatternView,
    note_view,
    restored_view,
    told_calibration,
    view_of_scan,
)
from .witness import ScanWitness

COPPER = 1.54184
"""Mean wavelength of Cu Kα [Å], Hölzer et al. (1997), weights 2 to 1."""

BATCH_BYTES = 128 * 2**20
"""Largest batch as float32; large patterns come in smaller batches than asked for."""


@dataclass
class MapStart:
    """A map before its first new batch, and what is left to do.

    Parameters
    ----------
    result
        The map, with what a journal held.
    view
        How the patterns are seen.
    size
        Patterns in a batch.
    is_todo
        Which batches are not done, shape ``(batch,)``.
    witness
        Remembers what was read, to notice a file that changes.
    done, total
        Patterns that are done, and that there are.
    journal
        Gets what is done, or None.
    begun
        When it began [s].
    """

    result: SpaceGroupMap
    view: PatternView
    size: int
    is_todo: NDArray[np.bool_]
    witness: ScanWitness
    done: int
    total: int
    journal: Journal | None = None
    begun: float = field(default_factory=time.monotonic)

    def checksums(self, start: int, patterns: NDArray[Any]) -> NDArray[np.uint32] | None:
        """Return what the journal remembers of patterns; None without one."""
        return None if self.journal is None else self.witness.look(start, patterns)

    def take(
        self,
        start: int,
        probabilities: NDArray[np.float32],
        status: NDArray[np.uint8],
        checksums: NDArray[np.uint32] | None,
    ) -> Iterator[Event]:
        """Take in the answer to one batch, and tell of it."""
        self.result.merge(start, probabilities, status)
        if self.journal is not None and checksums is not None:
            problem = self.journal.problem
            self.journal.write(Record(start, probabilities, status, checksums))
            if self.journal.problem and not problem:
                yield Log(self.journal.problem)
        self.done += len(status)
        yield Partial(start, probabilities, status)
        yield Progress(self.done, self.total, "Classifying")

    def end(self) -> Iterator[Event]:
        """Tell what a person should know of the map, and hand it over."""
        is_whole = self.done == self.total
        if self.journal is not None and is_whole:
            self.witness.check()
        self.result.provenance["seconds"] = round(time.monotonic() - self.begun, 3)
        yield from map(Log, status_remarks(self.result.status))
        yield Done(self.result, is_cancelled=not is_whole)


def start_map(
    scan: PatternScan,
    model: Classifier,
    spec: ClassifySpec,
    token: CancelToken,
    *,
    into: SpaceGroupMap | None,
    journal: Journal | None,
    pattern_center: tuple[float, float, float] | None,
    like: Mapping[str, Any] | None,
) -> Generator[Event, None, MapStart]:
    """Check what was asked, decide how patterns are seen, and take over what is done."""
    begun = time.monotonic()
    result = empty_map(scan, model) if into is None else into
    _check_fit(scan, model, result)
    result.provenance.update(_provenance(scan, model, spec))
    size = fitting_batch(scan, spec.batch_size)
    header = _header(result, model, size, pattern_center, like, told_calibration(scan, model))
    view: PatternView | None = None
    if journal is not None:
        facts = asdict(header)
        del facts["view"]
        journal.check(**facts)
        if journal.header is not None:
            stored = journal.header.view
            view = restored_view(stored, scan.static_background, scan.geometry, scan.pattern_shape)
            view = replace(view, axis=scan.axis)
    if view is None:
        if isinstance(model, CenterFinder) and model.needs_pattern_center:
            yield Log("Looking at the pattern center")
        view = view_of_scan(scan, model, pattern_center=pattern_center, like=like)
    view, remark = with_wavelength(view, model)
    if remark:
        yield Log(remark)
    note_view(result, view)
    if view.center is not None:
        yield Log(view.center.sentence())
    done, total = 0, scan.n_patterns
    is_todo = np.ones(-(-total // size), bool)
    witness = ScanWitness(scan)
    if journal is not None:
        journal.begin(replace(header, view=view.as_plain()))
        for record in journal.records():
            result.merge(record.start, record.probabilities, record.status)
            witness.remember(record.start, record.checksums)
            if is_todo[record.start // size]:
                done += len(record.status)
            is_todo[record.start // size] = False
            if token.is_cancelled:
                break
            yield Partial(record.start, record.probabilities, record.status)
        if done:
            yield Log(f"{done} of {total} patterns were classified before; going on with the rest")
            yield Progress(done, total, "Classifying")
    return MapStart(result, view, size, is_todo, witness, done, total, journal, begun)


def with_wavelength(view: PatternView, model: Classifier) -> tuple[PatternView, str]:
    """Return a view whose profiles have a wavelength, and what a person should know of it.

    Most files of columns do not say it, and most of them were measured with copper: that is
    assumed for X-rays, and said. For neutrons there is no usual wavelength.
    """
    axis = view.axis
    contract = getattr(model.card, "input", None)
    if axis is None or axis.kind != "two_theta" or axis.wavelength is not None:
        return view, ""
    if getattr(contract, "radiation", "") != "xray" or axis.radiation == "neutron":
        return view, ""
    remark = (
        f"The wavelength is not given; Cu Kα ({COPPER:g} Å) is assumed. Give it if it was another "
        "one: read(path, wavelength=...), or --wavelength"
    )
    return replace(view, axis=replace(axis, wavelength=COPPER)), remark


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
        finest_level=finest_level(model.card),
    )


def fitting_batch(scan: PatternScan, batch_size: int) -> int:
    """Return how many patterns make a batch: at most ``batch_size``, and 128 MiB as float32."""
    return batch_of(scan.pattern_shape, batch_size)


def batch_of(pattern_shape: tuple[int, int], batch_size: int) -> int:
    """Return the same for a pattern shape alone."""
    return max(1, min(batch_size, BATCH_BYTES // (4 * pattern_shape[0] * pattern_shape[1])))


def check_technique(name: str, technique: str, model: Classifier) -> Iterator[Event]:
    """Say where a scan does not tell how it was measured.

    Raises
    ------
    ModelError
        If the model is for another technique.
    """
    wanted = model.card.technique
    if technique == "unknown":
        yield Log(f"{name} does not say how it was measured; taking it for {wanted}")
    elif technique != wanted:
        raise ModelError(
            f"the scan {name!r} is {technique}, the model {model.card.name!r} is for "
            f"{wanted}; choose a model for {technique}"
        )


def _header(
    result: SpaceGroupMap,
    model: Classifier,
    size: int,
    pattern_center: tuple[float, float, float] | None,
    like: Mapping[str, Any] | None,
    calibration: CalibrationSpec | None,
) -> JournalHeader:
    request = as_plain({"pattern_center": pattern_center, "like": like})
    if calibration is not None:
        request[CALIBRATION_KEY] = calibration.model_dump(mode="json")
    fingerprint = str(result.provenance["scan"]["fingerprint"])
    key = model.card.sha256 or model.card.name
    return JournalHeader("classify", fingerprint, key, result.classes, size, request, {})


def _check_fit(scan: PatternScan, model: Classifier, result: SpaceGroupMap) -> None:
    if result.scan_shape != scan.scan_shape or result.classes != tuple(model.classes):
        raise ScanError(
            f"the map to fill has {result.scan_shape} pixels and classes {result.classes}, the "
            f"scan {scan.scan_shape} and the model {tuple(model.classes)}; start a new map"
        )


def _provenance(scan: PatternScan, model: Classifier, spec: ClassifySpec) -> dict[str, Any]:
    return map_provenance(
        spec,
        model,
        {
            "name": scan.name,
            "path": None if scan.path is None else str(scan.path),
            "technique": scan.technique,
            "shape": list(scan.data.shape),
            "dtype": str(scan.dtype),
            "fingerprint": scan.fingerprint(),
        },
    )
