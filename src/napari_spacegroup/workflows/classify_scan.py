"""``classify``: a scan and a model give a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import CancelledError
from ..infer.classifier import Classifier, classify_events
from ..infer.map_file import load_map
from ..infer.spacegroup_map import SpaceGroupMap
from ..jobs import CancelToken, Event, run_inline
from ..patterns.read import read
from ..patterns.scan import PatternScan

ScanLike: TypeAlias = Any
"""A :class:`PatternScan`, a path, or patterns as an array, layer or signal."""

__all__ = ["as_model", "as_scan", "classify", "load_map", "map_report"]


def classify(
    scan: ScanLike,
    model: Classifier | str | Path,
    *,
    device: str | None = None,
    batch_size: int = 256,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> SpaceGroupMap:
    """Return the map of space groups of a scan.

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
    cancel
        Stops within one batch.
    on_event
        Called with each event of :func:`~napari_spacegroup.infer.classify_events`.

    Returns
    -------
    result
        After a cancel, pixels that were not reached are ``PENDING`` in it.

    Raises
    ------
    ScanError
        If this is no scan, it holds no patterns, or it can't be read to its end.
    ModelError
        If there is no such model, or it is for another technique.
    SpecError
        If the batch size or the device makes no sense.
    CancelledError
        If it was cancelled before the first batch was done.

    Examples
    --------
    >>> result = classify("scan.h5", "ebsd-cubic")  # doctest: +SKIP
    >>> result.labels("laue_class", threshold=0.8)  # doctest: +SKIP
    """
    patterns = as_scan(scan)
    events = classify_events(
        patterns,
        as_model(model, device),
        batch_size=batch_size,
        device=device,
        cancel=cancel,
    )
    result: SpaceGroupMap = run_inline(events, on_event)
    if result.n_done == 0:
        raise CancelledError("cancelled before the first batch was done; nothing is lost")
    return result


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
