"""What a source said, and how its patterns are looked at: decided once, or as a journal has it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import FollowSpec
from ..imaging import ProfileAxis
from ..infer.centers import CenterFinder
from ..infer.classifier import Classifier
from ..infer.journal import Journal, JournalHeader
from ..infer.map_start import batch_of
from ..infer.pixel_status import PixelStatus
from ..infer.provenance import as_plain
from ..infer.view import PatternView, restored_view, view_of_first
from ..jobs import Event, Log
from ..stream import Arrival, ScanInfo, WithheldReason


@dataclass(frozen=True, eq=False)
class Heard:
    """What one poll said.

    Parameters
    ----------
    arrival, info
        Of the source; None while it is paused.
    came
        When the patterns may have been written at the earliest [s].
    is_paused
        Whether the source was not asked.
    """

    arrival: Arrival | None
    info: ScanInfo | None
    came: float
    is_paused: bool = False


@dataclass(frozen=True, eq=False)
class Waiting:
    """Patterns that came and are not in a map yet.

    Parameters
    ----------
    indices, patterns
        As in an :class:`~napari_spacegroup.stream.Arrival`.
    came
        When [s].
    axis
        Of profiles that have one of their own; else None.
    """

    indices: NDArray[np.int64]
    patterns: NDArray[Any]
    came: float
    axis: ProfileAxis | None = None


def lost_of(arrival: Arrival) -> Iterator[tuple[NDArray[np.int64], PixelStatus]]:
    """Give the pixels that get no answer from an arrival, ascending, by their status."""
    lost: dict[PixelStatus, set[int]] = {}
    for entry in arrival.withheld:
        is_file = entry.reason is WithheldReason.UNREADABLE
        status = PixelStatus.UNREADABLE if is_file else PixelStatus.MISSING
        if entry.index >= 0:
            lost.setdefault(status, set()).add(entry.index)
    for status, indices in lost.items():
        yield np.array(sorted(indices), dtype=np.int64), status


def chunk_of(info: ScanInfo, model: Classifier, spec: FollowSpec) -> int:
    """Return how many pixels go through the network together.

    One, where each profile has an axis of its own, or takes seconds; else as in ``classify``.
    """
    if info.is_series or getattr(model, "looks_at_positions", False):
        return 1
    return batch_of(info.pattern_shape, spec.batch_size)


def decide_view(
    first: list[Waiting],
    info: ScanInfo,
    model: Classifier,
    spec: FollowSpec,
    *,
    name: str,
    axis: ProfileAxis | None,
    like: Mapping[str, Any] | None,
    pattern_center: tuple[float, float, float] | None,
    journal: Journal | None,
) -> Generator[Event, None, PatternView]:
    """Decide how patterns are looked at; a journal is begun, or made sure to belong to them.

    Parameters
    ----------
    first
        The patterns that came first.
    info, model, spec, name
        What is followed, by what, and what was asked.
    axis
        Of the first profiles, with a wavelength; None for pictures.
    like, pattern_center
        A stored view and a given center, or None.
    journal
        Where finished chunks go, or None.

    Raises
    ------
    ResultError
        If the journal belongs to another request.
    """
    header = _header(info, model, spec, like, pattern_center)
    stored = like
    if journal is not None and journal.header is not None:
        journal.check(
            verb=header.verb, scan=header.scan, model=header.model, classes=header.classes,
            chunk=header.chunk, request=header.request,
        )  # fmt: skip
        stored = journal.header.view
    if stored is not None:
        view = restored_view(stored, info.static_background, info.geometry, info.pattern_shape)
        view = replace(view, axis=axis)
    else:
        if isinstance(model, CenterFinder) and model.needs_pattern_center:
            yield Log("Looking at the pattern center")
        view = view_of_first(
            np.empty((0, 0, 0)) if axis is not None else _in_order(first), model,
            static_background=info.static_background, geometry=info.geometry,
            pattern_center=pattern_center, axis=axis, name=name,
        )  # fmt: skip
    if view.center is not None:
        yield Log(view.center.sentence())
    if journal is not None:
        journal.begin(replace(header, view=view.as_plain()))
    return view


def _in_order(first: list[Waiting]) -> NDArray[Any]:
    indices = np.concatenate([part.indices for part in first])
    patterns = np.concatenate([part.patterns for part in first])
    return patterns[np.argsort(indices, kind="stable")]


def _header(
    info: ScanInfo,
    model: Classifier,
    spec: FollowSpec,
    like: Mapping[str, Any] | None,
    pattern_center: tuple[float, float, float] | None,
) -> JournalHeader:
    request: dict[str, Any] = {"pattern_center": pattern_center, "like": like}
    told = {key: getattr(spec, key) for key in ("wavelength", "radiation", "axis", "difc")}
    told = {key: value for key, value in told.items() if value is not None}
    if told:
        request["profiles"] = told
    if getattr(model, "looks_at_positions", False):
        request["positions"] = True
    identity = f"{info.pattern_shape} {info.dtype}"
    if info.is_series:
        identity = "powder profiles, each in a file of its own"
    key = model.card.sha256 or model.card.name
    chunk = chunk_of(info, model, spec)
    return JournalHeader(
        "follow", identity, key, tuple(model.classes), chunk, as_plain(request), {}
    )
