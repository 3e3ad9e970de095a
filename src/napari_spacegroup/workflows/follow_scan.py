"""``follow``: a scan that is still being written and a model give a map that grows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..config import FollowSpec
from ..config.follow import AxisColumn, IfBehind, Radiation
from ..errors import CancelledError, ScanError, SpecError
from ..infer.classifier import Classifier
from ..infer.journal import Journal
from ..infer.powder_model import with_positions
from ..infer.spacegroup_map import SpaceGroupMap
from ..jobs import (
    CancelToken,
    Done,
    Event,
    Executor,
    Failed,
    Log,
    Priority,
    Task,
    as_executor,
)
from ..jobs.executor import Kind
from ..stream import LiveSource, open_source
from .classify_scan import as_model, view_of_map
from .live_series import check_radiation, told_of
from .live_session import LiveSession
from .live_status import LiveStatus, MapBegun
from .live_watch import watch

FollowEvent: TypeAlias = Event | LiveStatus | MapBegun

__all__ = ["FollowEvent", "LiveStatus", "MapBegun", "follow", "follow_events"]


def follow(
    source: LiveSource | str | Path,
    model: Classifier | str | Path,
    *,
    out: str | Path | None = None,
    until_idle: float | None = None,
    if_behind: IfBehind = "catch_up",
    device: str | None = None,
    batch_size: int = 256,
    pattern_center: tuple[float, float, float] | None = None,
    like: SpaceGroupMap | str | Path | None = None,
    scan_shape: tuple[int, int] | None = None,
    scan_order: str = "raster",
    wavelength: float | None = None,
    radiation: Radiation | None = None,
    axis: AxisColumn | None = None,
    difc: float | None = None,
    positions: bool = False,
    anew: bool = False,
    cancel: CancelToken | None = None,
    executor: Executor | Kind | None = None,
    scheduler: str | None = None,
    on_event: Callable[[FollowEvent], None] | None = None,
) -> SpaceGroupMap:
    """Return the map of a scan that is still being written.

    Ends when the scan is complete, another scan takes its place, nothing came for
    ``until_idle`` seconds, or somebody cancels. Each of these ends gives a map; pixels that
    never got a pattern are ``MISSING`` in it. The map is the one of
    :func:`~.classify_scan.classify` if both look at the patterns alike: see ``like`` there.

    With ``out`` the map is saved at the end, and until then each finished chunk stands in
    ``out.partial``: the same call again goes on where a killed one stopped.

    Parameters
    ----------
    source
        A file or folder that need not exist yet, or any
        :class:`~napari_spacegroup.stream.LiveSource`.
    model
        A model, its bundled name, or its folder.
    out
        Where to save the map, whole or not at all.
    until_idle
        End when nothing new came for this long [s]; None waits for ever.
    if_behind
        What to do when patterns come faster than they are classified. ``"catch_up"``: all
        of them in their order, later. ``"sample"``: some of the newest, and the rest at
        the end, by reading the scan again.
    device, batch_size, pattern_center, like, anew
        As for :func:`~.classify_scan.classify`. Without a given center it is decided once,
        from the first patterns.
    scan_shape, scan_order
        Where the file does not say them; see :func:`~napari_spacegroup.stream.open_source`.
    wavelength, radiation, axis, difc
        Of powder profiles, where their files do not say them; see
        :func:`~napari_spacegroup.patterns.read`. A model of profiles takes a folder for one that
        fills with files of a profile each.
    positions
        Whether cells are looked for that explain where the lines of each profile stand, as in
        :func:`~.classify_scan.classify`: some ten seconds a profile.
    cancel
        Ends within one batch, with what is there. While it is paused
        (:meth:`~napari_spacegroup.jobs.CancelToken.pause`) nothing is read.
    executor, scheduler
        Where it runs; see :func:`napari_spacegroup.jobs.as_executor`. On dask the worker
        reads the scan and writes ``out``, so both must be paths that it can reach; with
        ``out`` a new worker goes on where a dead one stopped.
    on_event
        Called with each event of :func:`follow_events`.

    Raises
    ------
    ScanError
        If nothing came within ``until_idle``, the path can't be followed, or another scan
        stands there than the one that the unfinished map was made from.
    ModelError
        If there is no such model, or it is for another technique.
    SpecError
        If a number makes no sense.
    ResultError
        If ``out`` can't be written, another process works on it, or its unfinished map was
        made with another model or by ``classify``.
    CancelledError
        If it was cancelled before the first pattern came.

    Examples
    --------
    >>> result = follow("scan.up2", "ebsd-cubic", out="map.h5", until_idle=30)  # doctest: +SKIP
    """
    chosen, is_ours = as_executor(executor, scheduler)
    options: dict[str, Any] = {
        "out": out, "until_idle": until_idle, "if_behind": if_behind, "device": device,
        "batch_size": batch_size, "pattern_center": pattern_center,
        "like": None if like is None else view_of_map(like), "scan_shape": scan_shape,
        "scan_order": scan_order, "wavelength": wavelength, "radiation": radiation, "axis": axis,
        "difc": difc, "positions": positions, "anew": anew,
    }  # fmt: skip
    loaded = as_model(model, device if chosen.shares_memory else "cpu")
    try:
        running: Any = follow_on(chosen, source, loaded, cancel=cancel, **options)
        with contextlib.closing(running) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise event.error
                if on_event is not None:
                    on_event(event)
                if isinstance(event, Done):
                    result: SpaceGroupMap = event.result
                    return result
    finally:
        if is_ours:
            chosen.close()
    raise CancelledError("following ended before it had a map; start it again")


def follow_on(
    executor: Executor,
    source: LiveSource | str | Path,
    model: Classifier,
    *,
    cancel: CancelToken | None = None,
    **options: Any,
) -> Iterator[Event]:
    """Return the events of following a scan on an executor, wherever that is.

    Parameters
    ----------
    executor, cancel
        As for :func:`follow`.
    source, model, **options
        Of :func:`follow_events`; a path and a model on the CPU where the executor does not
        share memory.

    Raises
    ------
    SpecError
        If the source lives in this process and the executor elsewhere.
    """
    again = None
    if not executor.shares_memory:
        if not isinstance(source, str | Path):
            raise SpecError(
                f"got a {type(source).__name__} to follow on a dask worker, which reaches files "
                "and folders only; give a path, or the executor inline or thread"
            )
        source = Path(source).absolute()
        if options.get("out") is not None:
            options["out"] = Path(options["out"]).absolute()
            again = {"anew": False}
    task = Task(follow_events, (source, model), options, "follow", Priority.LIVE, again=again)
    return executor.run(task, cancel)


def follow_events(
    source: LiveSource | str | Path,
    model: Classifier,
    *,
    out: str | Path | None = None,
    until_idle: float | None = None,
    if_behind: IfBehind = "catch_up",
    device: str | None = None,
    batch_size: int = 256,
    pattern_center: tuple[float, float, float] | None = None,
    like: Mapping[str, Any] | None = None,
    scan_shape: tuple[int, int] | None = None,
    scan_order: str = "raster",
    wavelength: float | None = None,
    radiation: Radiation | None = None,
    axis: AxisColumn | None = None,
    difc: float | None = None,
    positions: bool = False,
    anew: bool = False,
    cancel: CancelToken | None = None,
) -> Generator[FollowEvent, None, None]:
    """Follow a scan, and tell what happens; takes and raises what :func:`follow` does.

    Yields
    ------
    event
        ``MapBegun`` when the shape of the map is known and whenever it changes, a
        ``Partial`` per piece (one that comes again replaces the first), ``LiveStatus`` and
        ``Progress`` four times a second, ``Log`` where a person should know something, at
        last a ``Done`` with the map, which is saved by then.
    """
    spec = FollowSpec.from_mapping(
        {
            "model": model.card.name,
            "batch_size": batch_size,
            "device": device or "auto",
            "pattern_center": pattern_center,
            "until_idle": until_idle,
            "if_behind": if_behind,
            "scan_shape": scan_shape,
            "scan_order": scan_order,
            "wavelength": wavelength,
            "radiation": radiation,
            "axis": axis,
            "difc": difc,
            "positions": positions,
        },
        "follow",
    )
    check_radiation(model, spec)
    token = CancelToken() if cancel is None else cancel
    path = Path(source) if isinstance(source, str | Path) else getattr(source, "path", None)
    if isinstance(source, str | Path):
        options = {} if scan_shape is None else {"scan_shape": spec.scan_shape}
        live: LiveSource = open_source(
            source, technique=model.card.technique, told=told_of(spec), order=spec.scan_order,
            **options,
        )  # fmt: skip
    else:
        live = source
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | Path):
            stack.callback(live.close)
        journal = None if out is None else stack.enter_context(Journal(out, anew=anew))
        if device is not None:
            model = model.to(device)
        model = with_positions(model, 1, positions)
        session = LiveSession(
            model, spec, path=path, like=like, pattern_center=pattern_center, journal=journal
        )
        yield from watch(session, live, spec, token)
        yield from session.finish(at_once=token.is_cancelled)
        restart = getattr(live, "restart", None)
        if session.left_out and restart is not None and not token.is_cancelled:
            yield Log(f"Coming back to {session.left_out} patterns that were left out to keep up")
            restart()
            session.come_back()
            yield from watch(session, live, spec, token)
            yield from session.finish(at_once=token.is_cancelled)
        _check_begun(session, path, spec, token)
        result = session.conclude()
        yield from session.remarks()
        if out is not None and journal is not None:
            result.save(out)
            journal.discard()
        yield session.status()
        yield Done(result, is_cancelled=token.is_cancelled)


def _check_begun(
    session: LiveSession, path: Path | None, spec: FollowSpec, token: CancelToken
) -> None:
    if session.has_begun:
        return
    if token.is_cancelled:
        raise CancelledError("stopped before the first pattern came; nothing is lost")
    where = "the source" if path is None else str(path)
    said = f" ({session.message})" if session.message else ""
    wait = "" if spec.until_idle is None else f" within {spec.until_idle:g} s"
    raise ScanError(
        f"no pattern came from {where}{wait}{said}; check the path, and that the scan runs"
    )
