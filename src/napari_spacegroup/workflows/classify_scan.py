"""``classify``: a scan and a model give a map."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import CancelledError
from ..infer.classifier import Classifier, classify_events
from ..infer.journal import Journal
from ..infer.map_file import load_map
from ..infer.powder_model import with_positions
from ..infer.spacegroup_map import SpaceGroupMap
from ..infer.view import stored_view
from ..jobs import CancelToken, Event, Executor, Task, as_executor, run_inline
from ..jobs.executor import Kind
from ..patterns.read import read
from ..patterns.scan import PatternScan

ScanLike: TypeAlias = Any
"""A :class:`PatternScan`, a path, or patterns as an array, layer or signal."""

__all__ = ["as_model", "as_scan", "classify", "load_map", "map_report", "view_of_map"]


def classify(
    scan: ScanLike,
    model: Classifier | str | Path,
    *,
    device: str | None = None,
    batch_size: int = 256,
    pattern_center: tuple[float, float, float] | None = None,
    like: SpaceGroupMap | str | Path | None = None,
    out: str | Path | None = None,
    anew: bool = False,
    positions: bool | None = None,
    executor: Executor | Kind | None = None,
    scheduler: str | None = None,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> SpaceGroupMap:
    """Return the map of space groups of a scan.

    With ``out`` the map is saved there, and until it is whole each finished batch stands in
    ``out.partial``: the same call again goes on where a killed one stopped.

    Parameters
    ----------
    scan
        A :class:`~napari_spacegroup.patterns.PatternScan`; the path of one; or patterns of
        shape ``(detector_y, detector_x)``, ``(n, ...)`` or ``(scan_y, scan_x, ...)`` as any
        array, napari layer, or hyperspy or kikuchipy signal.
    model
        A model, its bundled name, or its folder.
    device
        Torch device, or ``"auto"`` for a GPU where there is one. None leaves a loaded
        model where it is, and means ``"auto"`` for one that is loaded here.
    batch_size
        Patterns in one pass.
    pattern_center
        x, y (from the top), z in Bruker's convention, taken as it is for every pixel; None
        takes the file's, checked and refined, or finds one.
    like
        A map of the same scan, or its file: screen and pattern center are taken from it, so
        that both maps are equal.
    out
        Where to save the map, whole or not at all.
    anew
        Throw an unfinished map of ``out`` away instead of going on with it.
    positions
        Of powder profiles: whether cells are looked for that explain where the lines stand, and
        weighed with the network's answer. Some ten seconds a profile; None does so where there
        are at most :data:`~napari_spacegroup.infer.powder_model.MOST_PROFILES`.
    executor
        Where it runs: an :class:`~napari_spacegroup.jobs.Executor`, ``"inline"``,
        ``"thread"`` or ``"dask"``. The labels are the same everywhere.
    scheduler
        Address of a dask scheduler; see :func:`napari_spacegroup.jobs.as_executor`.
    cancel
        Stops within one batch.
    on_event
        Called with each event of :func:`~napari_spacegroup.infer.classify_events`.

    Returns
    -------
    result
        After a cancel, pixels that were not reached are ``PENDING`` in it, and it is not
        saved; ``out.partial`` stays.

    Raises
    ------
    ScanError
        If this is no scan, it holds no patterns, it can't be read to its end, or it was
        replaced meanwhile.
    ModelError
        If there is no such model, or it is for another technique.
    SpecError
        If the batch size, the device or the pattern center makes no sense.
    ResultError
        If ``out`` can't be written, another process works on it, or its unfinished map is
        one of another scan or model.
    WorkerLostError, SchedulerLostError
        If the workers are gone; with ``out``, what had arrived is kept.
    CancelledError
        If it was cancelled before the first batch was done.

    Examples
    --------
    >>> result = classify("scan.h5", "ebsd-cubic")  # doctest: +SKIP
    >>> result.labels("laue_class", threshold=0.8)  # doctest: +SKIP
    """
    patterns = as_scan(scan)
    stored = None if like is None else view_of_map(like)
    with contextlib.ExitStack() as stack:
        journal = None
        if out is not None:
            journal = stack.enter_context(Journal(out, anew=anew))
        chosen, is_ours = as_executor(executor, scheduler)
        if is_ours:
            stack.callback(chosen.close)
        chosen.open()
        loaded = as_model(model, device if chosen.shares_memory else "cpu")
        events = classify_on(
            chosen, patterns, loaded, cancel=cancel, batch_size=batch_size, device=device,
            pattern_center=pattern_center, like=stored, journal=journal, positions=positions,
        )  # fmt: skip
        result: SpaceGroupMap = run_inline(events, on_event)
        if result.n_done == 0:
            raise CancelledError("cancelled before the first batch was done; nothing is lost")
        if out is not None and journal is not None and result.is_complete:
            result.save(out)
            journal.discard()
    return result


def classify_on(
    executor: Executor,
    scan: PatternScan,
    model: Classifier,
    *,
    cancel: CancelToken | None = None,
    positions: bool | None = None,
    **options: Any,
) -> Iterator[Event]:
    """Return the events of classifying a scan on an executor, wherever that is.

    Parameters
    ----------
    executor, cancel, positions
        As for :func:`classify`.
    scan, model, **options
        Of :func:`~napari_spacegroup.infer.classify_events`; the model lies on the CPU where
        the executor does not share memory.
    """
    looked = with_positions(model, scan.n_patterns, positions)
    if looked is not model:
        # A cell takes seconds: one profile at a time, so that a cancel need not wait for all.
        model, options = looked, options | {"batch_size": 1}
    if executor.shares_memory:
        return executor.run(Task(classify_events, (scan, model), options, "classify"), cancel)
    from ..infer.pieces import spread_events

    return spread_events(scan, model, executor, cancel=cancel, **options)


def view_of_map(like: SpaceGroupMap | str | Path) -> Mapping[str, Any]:
    """Return how the patterns of a map were looked at.

    Raises
    ------
    ResultError
        If it is no map, or does not say it.
    """
    result = like if isinstance(like, SpaceGroupMap) else load_map(like)
    return stored_view(result.provenance, result.scan_name if result is like else str(like))


def map_report(
    result: SpaceGroupMap, level: str = "space_group", threshold: float = 0.0
) -> dict[str, Any]:
    """Return a summary of a map that JSON can hold; its keys stand in ``docs/map_file.md``."""
    return result.report(level, threshold)


def as_scan(scan: ScanLike) -> PatternScan:
    """Return what stands for a scan as a :class:`~napari_spacegroup.patterns.PatternScan`.

    Of bare patterns the screen is looked for, as ``read`` does for files: corners beyond a
    round screen would mislead the network.

    Raises
    ------
    ScanError
        If it is none.
    """
    if isinstance(scan, PatternScan):
        return scan
    if isinstance(scan, str | Path):
        return read(scan)
    bare = PatternScan.from_array(scan)
    return bare if bare.mask is not None else replace(bare, mask=bare.detect_mask())


def as_model(model: Classifier | str | Path, device: str | None = None) -> Classifier:
    """Return a model; a name or a folder is loaded, onto a GPU where there is one.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    if isinstance(model, str | Path):
        from ..models import load_model

        return load_model(model, device=device or "auto")
    return model
