"""``explain``: a pattern, a model and a class give what the model looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, ScanError
from ..infer.centers import CenterFinder, scan_center
from ..infer.explain import Explanation, explain_pattern
from ..infer.pixel_status import PixelStatus, pattern_status
from ..infer.sphere import SphereImportance
from ..jobs import CancelToken
from .classify_scan import ScanLike, as_model, as_scan

if TYPE_CHECKING:
    from ..config import ExplainMethod as Method
    from ..models.model import Model

__all__ = ["explain", "explain_many", "explanation_report"]


def explain(
    scan: ScanLike,
    model: Model | str | Path,
    pixel: tuple[int, int] = (0, 0),
    *,
    space_group: int | None = None,
    method: Method = "integrated_gradients",
    device: str | None = None,
) -> Explanation:
    """Return where a model looks on one pattern of a scan.

    Parameters
    ----------
    scan
        As for :func:`~.classify_scan.classify`.
    model
        A model, its bundled name, or its folder.
    pixel
        ``(scan_y, scan_x)``.
    space_group
        The class that is asked about; the likeliest one if not given.
    method
        See :func:`~napari_spacegroup.models.attribution.attribute`.
    device
        Torch device; see :func:`~.classify_scan.classify`.

    Raises
    ------
    ScanError
        If there is no such pixel, or its pattern is constant or not finite.
    ModelError
        If there is no such model, or it does not know the space group.

    Examples
    --------
    >>> found = explain("scan.h5", "ebsd-cubic", (3, 5))  # doctest: +SKIP
    """
    patterns, loaded = as_scan(scan), explainable(model, device)
    rows, columns = patterns.scan_shape
    y, x = pixel
    if not (0 <= y < rows and 0 <= x < columns):
        raise ScanError(f"{patterns.name} has {rows} x {columns} pixels; there is no ({y}, {x})")
    return _explained(patterns, loaded, (y, x), space_group, method)


def explain_many(
    scan: ScanLike,
    model: Model | str | Path,
    *,
    space_group: int | None = None,
    method: Method = "integrated_gradients",
    patterns: int = 64,
    device: str | None = None,
    cancel: CancelToken | None = None,
) -> SphereImportance | None:
    """Return what decides in crystal directions, averaged over patterns of a scan.

    Parameters
    ----------
    scan, model, space_group, method, device
        As for :func:`explain`; without a space group, patterns of the class that the most of
        them are read as count.
    patterns
        How many, spread evenly over the scan.
    cancel
        Stops after the pattern under way, with the mean of those done.

    Returns
    -------
    sphere
        None where the model finds no orientations, or no pattern was read as the class.
    """
    source, loaded = as_scan(scan), explainable(model, device)
    found = list(_spread(source, loaded, space_group, method, patterns, cancel))
    read = [e.classes[int(e.probabilities.argmax())] for e in found]
    if space_group is None and read:
        numbers, counts = np.unique(read, return_counts=True)
        space_group = int(numbers[counts.argmax()])
        found = [e for e, number in zip(found, read, strict=True) if number == space_group]
    return SphereImportance.mean(found)


def explanation_report(found: Explanation, sphere: SphereImportance | None) -> dict[str, Any]:
    """Return a summary that JSON can hold."""
    report: dict[str, Any] = {
        "space_group": found.space_group,
        "probability": round(found.probability, 6),
        "method": found.method,
        "probabilities": {
            str(c): round(float(p), 6)
            for c, p in zip(found.classes, found.probabilities, strict=True)
        },
    }
    if sphere is not None:
        report["patterns"] = sphere.count
        near = sphere.near_zone_axes()
        report["near_zone_axes"] = {name: round(value, 4) for name, value in near.items()}
    return report


def _spread(
    scan: Any,
    model: Model,
    space_group: int | None,
    method: Method,
    count: int,
    cancel: CancelToken | None,
) -> Iterator[Explanation]:
    rows, columns = scan.scan_shape
    for place in np.unique(np.linspace(0, rows * columns - 1, count).astype(int)).tolist():
        if cancel is not None and cancel.is_cancelled:
            return
        try:
            yield _explained(scan, model, divmod(place, columns), space_group, method)
        except ScanError:
            continue  # a dead pattern has nothing to explain


def _explained(
    scan: Any, model: Model, pixel: tuple[int, int], space_group: int | None, method: Method
) -> Explanation:
    pattern = scan.pattern(*pixel)
    status = PixelStatus(int(pattern_status(pattern[None], scan.mask)[0]))
    if status is not PixelStatus.OK:
        raise ScanError(f"the pattern at {pixel} of {scan.name} says nothing: {status.reason}")
    if scan.mask is not None and pattern.dtype.kind == "f":
        pattern = np.where(scan.mask, pattern, pattern.dtype.type(0))
    center = None
    if isinstance(model, CenterFinder) and model.needs_pattern_center:
        place = pixel[0] * scan.scan_shape[1] + pixel[1]
        found = scan_center(scan, model, model.card.sha256).of(place, place + 1)
        center = np.reshape(found, (-1, 3))[0]
    return explain_pattern(
        model, pattern, space_group=space_group, method=method, pattern_center=center,
        static_background=scan.static_background, mask=scan.mask,
    )  # fmt: skip


def explainable(model: Model | str | Path, device: str | None) -> Model:
    """Return a model on its device; a name or a folder is loaded.

    Raises
    ------
    ModelError
        If its network sees no picture, but spots or a profile measured beforehand.
    """
    loaded: Any = as_model(model, device)
    kind = getattr(loaded.card.input, "kind", "image")
    if kind != "image":
        raise ModelError(
            f"the model {loaded.card.name!r} reads {kind}, not pictures, so there is no picture of "
            "what it looks at; choose a model for EBSD"
        )
    moved: Model = loaded.to(device) if device is not None else loaded
    return moved
