"""Sentences about a pixel, a scan and a model; no Qt, so that hover, docks and tests agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from .state import Bar

if TYPE_CHECKING:
    from ..crystal.levels import Level
    from ..infer import SpaceGroupMap
    from ..patterns import PatternScan

LEVEL_TITLES = {
    "space_group": "Space group",
    "extinction_group": "Extinction group",
    "point_group": "Point group",
    "laue_class": "Laue class",
    "bravais_lattice": "Bravais lattice",
    "crystal_system": "Crystal system",
}

PLURALS = {
    "extinction_group": "extinction groups",
    "point_group": "point groups",
    "laue_class": "Laue classes",
    "bravais_lattice": "Bravais lattices",
    "crystal_system": "crystal systems",
}


def classes_line(classes: Sequence[int], level: str = "space_group") -> str:
    """Return what a model tells apart, shortly.

    Parameters
    ----------
    classes
        Space groups of the model.
    level
        The finest level that it decides.
    """
    if level in PLURALS:
        from ..crystal.levels import level_name

        count = len({level_name(number, cast("Level", level)) for number in classes})
        return f"{count} {PLURALS[level]}"
    if len(classes) == 230:
        return "all 230 space groups"
    shown = " ".join(str(number) for number in classes[:8])
    return shown if len(classes) <= 8 else f"{len(classes)} groups: {shown} …"


@dataclass(frozen=True)
class PixelReading:
    """What a map says about one pixel at one level.

    Attributes
    ----------
    label
        1-based index of the class, 0 for unknown.
    bars
        At most five candidates, the likeliest first; empty where nothing was computed.
    reason
        Why the pixel is unknown; empty if it is not.
    """

    label: int
    bars: tuple[Bar, ...]
    reason: str = ""


@lru_cache
def level_symbols(level: str) -> tuple[str, ...]:
    """Return the classes of a level as they are printed, with overbars and subscripts."""
    from ..crystal.levels import level_names
    from ..infer import as_unicode

    is_group = level == "space_group"
    return tuple(
        as_unicode(name, number if is_group else None)
        for number, name in enumerate(level_names(level), start=1)
    )


def percent(probability: float) -> str:
    """Return a probability as people read it: never "100 %" unless it is 1."""
    if probability >= 0.9995:
        return "> 99.9 %" if probability < 1 else "100 %"
    if probability >= 0.0995:
        return f"{100 * probability:.0f} %" if probability < 0.995 else "99.5 %"
    return f"{100 * probability:.1f} %"


def rank(
    probabilities: NDArray[np.float32], classes: Sequence[int], level: str, count: int = 5
) -> tuple[Bar, ...]:
    """Return the likeliest classes of one pixel, the first the likeliest.

    Parameters
    ----------
    probabilities
        Shape ``(n,)``, at the level's own classes.
    classes
        1-based index of each within the level.
    """
    from ..infer import color

    names = level_symbols(level)
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple(
        Bar(
            names[int(classes[i]) - 1],
            int(classes[i]),
            float(probabilities[i]),
            color(level, int(classes[i])),
        )
        for i in order
    )


def read_pixel(
    result: SpaceGroupMap, scan_y: int, scan_x: int, level: str, threshold: float = 0.0
) -> PixelReading:
    """Return what a map says about one pixel, without touching the other pixels."""
    reason = result.reason(scan_y, scan_x)
    if reason:
        return PixelReading(0, (), reason)
    finest = result.probabilities[scan_y, scan_x]
    bars = rank(*summed(finest, result.classes, level), level)
    reason = result.reason(scan_y, scan_x, level, threshold)
    return PixelReading(0 if reason else bars[0].number, bars, reason)


def summed(
    finest: NDArray[np.float32], classes: Sequence[int], level: str
) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Return one pixel's probabilities at a level, and the classes they belong to."""
    from ..crystal.levels import aggregate

    labels, matrix = aggregate(classes, cast("Level", level))
    return np.asarray(finest @ matrix, dtype=np.float32), labels


def name_of(bar: Bar, level: str) -> str:
    """Return a class in words: ``Fm-3m (225)`` for space groups, ``m-3m`` at other levels."""
    return f"{bar.symbol} ({bar.number})" if level == "space_group" else bar.symbol


def hover_line(
    result: SpaceGroupMap, scan_y: int, scan_x: int, level: str, threshold: float = 0.0
) -> str:
    """Return symbol, number, confidence and runner-up of a pixel in one line."""
    reading = read_pixel(result, scan_y, scan_x, level, threshold)
    if not reading.bars:
        return f"unknown: {reading.reason}"
    best = reading.bars[0]
    if reading.label:
        text = f"{name_of(best, level)}, confidence {percent(best.probability)}"
    else:
        text = f"unknown: {reading.reason}; best guess {name_of(best, level)}"
    if len(reading.bars) > 1:
        second = reading.bars[1]
        text += f"; runner-up {name_of(second, level)} {percent(second.probability)}"
    if level == "space_group" and reading.label:
        others = [g for g in result.equivalence_set(scan_y, scan_x) if g != best.number]
        if others:
            text += f"; can't be told from {', '.join(str(g) for g in others)}"
    return text


def scan_line(scan: PatternScan) -> str:
    """Return size and step of a scan in one line."""
    rows, columns = scan.scan_shape
    height, width = scan.pattern_shape
    if scan.axis is not None:
        size = "1 profile" if rows * columns == 1 else f"{rows} × {columns} profiles"
        text = f"{size}, {width} points"
    else:
        size = "1 pattern" if rows * columns == 1 else f"{rows} × {columns} patterns"
        text = f"{size}, {height} × {width}"
    if scan.step is not None:
        unit = {"um": "µm", "": "pixel"}.get(scan.step_unit, scan.step_unit)
        text += f", {scan.step[1]:g} {unit}"
    return text


def shape_line(shape: Sequence[int]) -> str:
    """Return the size of a stack that another plugin opened, in one line."""
    scan = " × ".join(str(n) for n in ([1, *shape] if len(shape) == 3 else shape)[:-2])
    return f"{scan} patterns, {shape[-2]} × {shape[-1]}"


def axis_name(axis: Sequence[int]) -> str:
    """Return a zone axis in brackets, negative indices with an overbar."""
    return "[" + " ".join(f"{abs(x)}\u0304" if x < 0 else str(x) for x in axis) + "]"
