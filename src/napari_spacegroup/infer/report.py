"""A summary of a map that JSON can hold, for a logbook or another program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..crystal.levels import LEVELS, level_names
from .level import as_level
from .pixel_status import PixelStatus
from .whole_file import whole_file

if TYPE_CHECKING:
    from .spacegroup_map import SpaceGroupMap

REPORT_FORMAT = "napari-spacegroup report"
REPORT_VERSION = 1


def report(result: SpaceGroupMap, level: str, threshold: float) -> dict[str, Any]:
    """Return a summary of a map.

    Parameters
    ----------
    result
        The map.
    level, threshold
        What the counts of unknown pixels are about; shares are given for every level.

    Returns
    -------
    summary
        What ``docs/map_file.md`` lists; every value is a plain JSON value.
    """
    is_ok = result.status == PixelStatus.OK
    confidence = result.confidence(level)[is_ok]
    entropy = result.entropy(level)[is_ok]
    return {
        "format": REPORT_FORMAT,
        "format_version": REPORT_VERSION,
        "scan": {
            "name": result.scan_name,
            "shape": list(result.scan_shape),
            "step": None if result.step is None else [float(s) for s in result.step],
            "step_unit": result.step_unit,
        },
        "model": {"name": result.model_name, "classes": list(result.classes)},
        "level": level,
        "threshold": float(threshold),
        "pixels": {
            "total": int(result.status.size),
            "done": result.n_done,
            "complete": result.is_complete,
            "known": int(np.count_nonzero(result.labels(level, threshold=threshold))),
        },
        "unknown": _unknown(result, level, threshold),
        "confidence": _spread(confidence),
        "entropy": _spread(entropy),
        "levels": {name: _rows(result, name, threshold) for name in LEVELS},
        "equivalence_sets": [list(groups) for groups in result.equivalence_sets],
        "provenance": result.provenance,
    }


def save_report(
    result: SpaceGroupMap, path: str | Path, level: str = "space_group", threshold: float = 0.0
) -> Path:
    """Write the summary of a map as JSON, whole or not at all.

    Raises
    ------
    ResultError
        If the file can't be written.
    """
    text = json.dumps(report(result, level, threshold), indent=2, ensure_ascii=False)
    with whole_file(path) as file:
        file.write(text.encode() + b"\n")
    return Path(path)


def _unknown(result: SpaceGroupMap, level: str, threshold: float) -> list[dict[str, Any]]:
    counts = np.bincount(result.status.ravel(), minlength=len(PixelStatus))
    reasons = [
        {"status": status.name.lower(), "reason": status.reason, "count": int(counts[status])}
        for status in PixelStatus
        if status is not PixelStatus.OK and counts[status]
    ]
    known = result.labels(level, threshold=threshold) != 0
    below = int(np.count_nonzero((result.status == PixelStatus.OK) & ~known))
    if below:
        reason = f"confidence below the threshold {threshold:.2f}"
        reasons.append({"status": "below_threshold", "reason": reason, "count": below})
    return reasons


def _spread(values: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, float] | None:
    if values.size == 0:
        return None
    low, median, high = np.percentile(values, [5, 50, 95])
    return {
        "mean": float(values.mean(dtype=np.float64)),
        "median": float(median),
        "percentile_5": float(low),
        "percentile_95": float(high),
    }


def _rows(result: SpaceGroupMap, level: str, threshold: float) -> list[dict[str, Any]]:
    n_class = len(level_names(as_level(level)))
    counts = np.bincount(result.labels(level, threshold=threshold).ravel(), minlength=n_class + 1)
    return [
        {
            "label": row.label,
            "symbol": row.symbol,
            "system": row.system,
            "share": row.share,
            "pixels": int(counts[row.label]),
            "mean_confidence": row.mean_confidence,
            "inseparable_from": list(row.inseparable_from),
        }
        for row in result.legend(level, threshold)
        if row.label
    ]
