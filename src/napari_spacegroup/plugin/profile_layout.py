"""Where the parts of a powder profile stand in a picture of any size; no Qt.

A profile is wide: with room to the side the network's view and the names of cells go there, and
the curve has the height; else all stands below each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TICK = 9
"""Height of the tick of a line [pixel]."""
GAP = 10
LEAST_CURVE = 92
"""Lowest curve that can be read [pixel]."""
LEAST_WIDTH = 280
"""Narrowest curve that leaves room to the side for something else [pixel]."""
LABELS_APART = 56
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Box:
    """A rectangle [pixel].

    Attributes
    ----------
    left, top, width, height
        Its first column and row, and its size.
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height


@dataclass(frozen=True)
class Texts:
    """How large what is written is [pixel].

    Attributes
    ----------
    line, small
        Height of a line of the captions, and of names and numbers.
    names
        Width of the longest name of a cell.
    rows
        How many cells there are.
    """

    line: int
    small: int
    names: int = 0
    rows: int = 0


@dataclass(frozen=True)
class ProfileLayout:
    """Where everything stands.

    Attributes
    ----------
    curve
        The measured curve; its caption stands above.
    rows
        Top of the ticks of each cell.
    names
        Where the names may be written: beside the ticks, or below each row of them.
    axis
        Top of the numbers of the axis.
    network
        The curve that the network sees, its caption above; None where there is no room for it.
    """

    curve: Box
    rows: tuple[int, ...]
    names: tuple[Box, ...]
    axis: int
    network: Box | None

    @property
    def has_names_beside(self) -> bool:
        """Whether the names stand to the right of their ticks."""
        return bool(self.names) and self.names[0].left > self.curve.left


def least_height(width: int, texts: Texts) -> int:
    """Return the height that a readable curve of this width needs, with its ticks [pixel]."""
    is_beside = _side(width, 0, texts) > 0
    return _head(texts) + LEAST_CURVE + _strip(texts, is_beside) + _foot(texts)


def most_height(width: int, texts: Texts) -> int:
    """Return the height at which both curves below each other stop to gain [pixel]."""
    curves = round(1.1 * width)
    return 2 * _head(texts) + curves + _strip(texts, False) + _foot(texts) + GAP


def arrange(width: int, height: int, texts: Texts) -> ProfileLayout:
    """Return the layout of a picture of this size [pixel]."""
    side = _side(width, height, texts)
    head, foot = _head(texts), _foot(texts)
    strip = _strip(texts, side > 0)
    free = max(height - head - foot - strip, 20)
    network: Box | None = None
    wide = width
    if side:
        wide = width - side - GAP
        below = strip if texts.rows else -foot
        network = Box(wide + GAP, head, side, max(height - head - foot - below, 20))
    elif free - head - GAP >= 1.6 * LEAST_CURVE:
        free -= head + GAP
        high = free - round(0.32 * free)
        top = head + high + strip + foot + GAP + head
        network = Box(0, top, width, free - high)
        free = high
    curve = Box(0, head, wide, free)
    tops = tuple(curve.bottom + 4 + i * _row(texts, side > 0) for i in range(texts.rows))
    names = tuple(_name(top, curve, side, texts) for top in tops)
    return ProfileLayout(curve, tops, names, curve.bottom + strip, network)


def _head(texts: Texts) -> int:
    """Return the height of a caption."""
    return texts.line + 4


def _foot(texts: Texts) -> int:
    """Return the height of the numbers of the axis."""
    return texts.small + 4


def _row(texts: Texts, is_beside: bool) -> int:
    """Return the height of one cell's row: its ticks, and its name where that stands below."""
    return max(texts.small, TICK) + 2 if is_beside else TICK + texts.small + 8


def _strip(texts: Texts, is_beside: bool) -> int:
    return texts.rows * _row(texts, is_beside) + 4 * bool(texts.rows)


def _side(width: int, height: int, texts: Texts) -> int:
    """Return the width of what stands beside the curve; 0 where all stands below each other."""
    wanted = max(texts.names + 4 if texts.rows else 0, min(round(0.3 * width), 340))
    is_flat = width >= 1.5 * height
    return wanted if is_flat and width - wanted - GAP >= LEAST_WIDTH else 0


def _name(top: int, curve: Box, side: int, texts: Texts) -> Box:
    if side:
        middle = top - (texts.small - TICK) // 2
        return Box(curve.width + GAP, middle, side, texts.small)
    return Box(0, top + TICK, curve.width, texts.small)


def axis_labels(values: NDArray[np.floating], width: int) -> list[tuple[float, str]]:
    """Return round numbers of an axis, and where they stand on it.

    Parameters
    ----------
    values
        Of the columns, strictly rising or falling, shape ``(n,)``.
    width
        Of the curve [pixel]; numbers keep apart.

    Returns
    -------
    labels
        Fraction of the curve from its left edge, and the number.
    """
    low, high = float(min(values[0], values[-1])), float(max(values[0], values[-1]))
    rough = (high - low) / max(width / LABELS_APART, 1.0)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in STEPS if s * size >= 0.999 * rough)
    numbers = step * np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    order = np.argsort(values)
    columns = np.interp(numbers, values[order], order.astype(float))
    places = (columns + 0.5) / len(values)
    labels: list[tuple[float, str]] = []
    for place, number in sorted(zip(places.tolist(), numbers.tolist(), strict=True)):
        if not labels or (place - labels[-1][0]) * width >= 0.6 * LABELS_APART:
            labels.append((place, f"{number + 0.0:.6g}"))
    return labels


def outline(values: NDArray[np.generic], width: int, *, is_root: bool) -> NDArray[np.float64]:
    """Return a curve to draw, from 0 to 1 in both directions, up and to the right.

    Where there are more columns than pixels, each pixel shows the lowest and the highest value
    of its columns, so that no peak is lost.

    Parameters
    ----------
    values
        Shape ``(1, n)`` or ``(n,)``.
    width
        Of the picture [pixel].
    is_root
        Whether to draw square roots, which lifts weak peaks above strong ones.

    Returns
    -------
    points
        x and y, shape ``(m, 2)``.
    """
    line = np.nan_to_num(np.asarray(values, np.float64).ravel())
    line = line - line.min()
    line = np.sqrt(line) if is_root else line
    line = line / max(line.max(), 1e-12)
    places = (np.arange(len(line)) + 0.5) / len(line)
    if len(line) <= 2 * width:
        return np.column_stack([places, line])
    edges = np.linspace(0, len(line), width + 1).astype(int)[:-1]
    spans = np.stack([np.minimum.reduceat(line, edges), np.maximum.reduceat(line, edges)], 1)
    spans[1::2] = spans[1::2, ::-1]  # down and up in turn
    return np.column_stack([np.repeat((np.arange(width) + 0.5) / width, 2), spans.ravel()])
