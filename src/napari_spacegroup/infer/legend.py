"""The legend of a map: one row per class that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..crystal.levels import level_index, level_name, level_names
from .colors import color
from .level import as_level
from .pixel_status import PixelStatus

if TYPE_CHECKING:
    from .spacegroup_map import SpaceGroupMap

UNKNOWN = "unknown"


@dataclass(frozen=True)
class LegendRow:
    """One class of a map.

    Parameters
    ----------
    label
        As in :meth:`SpaceGroupMap.labels`; 0 is unknown.
    symbol
        Name of the class, such as ``"Fm-3m"``; ``"unknown"`` for 0.
    system
        Crystal system; empty for unknown.
    share
        Of the pixels computed so far, 0 to 1.
    mean_confidence
        Over the pixels of this class; 0 for unknown.
    color
        RGBA, 0 to 1; transparent for unknown.
    inseparable_from
        Space groups that the technique can't tell from this one, itself included; empty
        where there is none, and at other levels than space group.
    """

    label: int
    symbol: str
    system: str
    share: float
    mean_confidence: float
    color: tuple[float, float, float, float]
    inseparable_from: tuple[int, ...] = ()


def legend(result: SpaceGroupMap, level: str, threshold: float) -> list[LegendRow]:
    """Return one row per class that the map shows, by falling share.

    Parameters
    ----------
    result
        The map. Pixels that are still pending count nowhere.
    level, threshold
        As in :meth:`SpaceGroupMap.labels`.

    Returns
    -------
    rows
        Unknown pixels, if any, come last.
    """
    labels = result.labels(level, threshold=threshold).ravel()
    is_done = result.status.ravel() != PixelStatus.PENDING
    counts = np.bincount(labels[is_done])
    sums = np.bincount(labels[is_done], weights=result.confidence(level).ravel()[is_done])
    n_done = max(1, int(counts.sum()))
    names = level_names(as_level(level))
    rows = []
    for label in np.flatnonzero(counts).tolist():
        share = float(counts[label]) / n_done
        if label == 0:
            rows.append(LegendRow(0, UNKNOWN, "", share, 0.0, color(level, 0)))
            continue
        confidence = float(sums[label] / counts[label])
        group = result.inseparable_from(label) if level == "space_group" else ()
        rows.append(
            LegendRow(
                label,
                names[label - 1],
                crystal_systems(result.classes, level, label),
                share,
                confidence,
                color(level, label),
                group if len(group) > 1 else (),
            )
        )
    return sorted(rows, key=lambda row: (row.label == 0, -row.share, row.label))


def crystal_systems(classes: tuple[int, ...], level: str, label: int) -> str:
    """Return the crystal system of a class, or all of them, among some space groups."""
    systems = [
        level_name(number, "crystal_system")
        for number in sorted(classes)
        if level_index(number, as_level(level)) == label
    ]
    return ", ".join(dict.fromkeys(systems))
