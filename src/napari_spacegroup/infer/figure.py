"""One picture of a map: what the pixels are, how sure that is, and one pattern of them.

Drawn with matplotlib's Agg canvas and without pyplot: it needs no display, and leaves the
caller's figures and settings alone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from ..crystal.levels import level_names
from .colors import color
from .figure_file import INK, QUIET, figure_style, save_figure
from .level import as_level
from .pixel_status import PixelStatus
from .symbols import as_mathtext

if TYPE_CHECKING:
    from ..patterns.scan import PatternScan
    from .legend import LegendRow
    from .spacegroup_map import SpaceGroupMap

_UNKNOWN = (0.85, 0.86, 0.87)
_MOST_ROWS = 12
_ROW_HEIGHT = 0.235  # inch
_TITLES = {
    "space_group": "Space group",
    "extinction_group": "Extinction group",
    "point_group": "Point group",
    "laue_class": "Laue class",
    "bravais_lattice": "Bravais lattice",
    "crystal_system": "Crystal system",
}


def draw_map(
    result: SpaceGroupMap,
    scan: PatternScan | None,
    path: str | Path,
    *,
    level: str = "space_group",
    threshold: float = 0.0,
    pixel: tuple[int, int] | None = None,
) -> Path:
    """Write a picture: map, legend, confidence, and one pattern with its top-5 bars.

    Parameters
    ----------
    result
        The map.
    scan
        Where the pattern comes from; None leaves the pattern out.
    path
        Where to write; ``.png``, ``.pdf`` or ``.svg``.
    level, threshold
        As in :meth:`SpaceGroupMap.labels`.
    pixel
        ``(y, x)`` of the pattern; the pixel of median confidence if not given.

    Returns
    -------
    path
        Where it stands.

    Raises
    ------
    ResultError
        If it can't be written.
    """
    with figure_style():
        figure = _draw(result, scan, level, threshold, pixel or typical_pixel(result, level))
        return save_figure(figure, path)


def typical_pixel(result: SpaceGroupMap, level: str = "space_group") -> tuple[int, int]:
    """Return the pixel whose confidence is the median of those that have an answer."""
    confidence = result.confidence(level).ravel()
    known = np.flatnonzero(result.status.ravel() == PixelStatus.OK)
    index = 0
    if known.size:
        index = int(known[np.argsort(confidence[known], kind="stable")[known.size // 2]])
    return divmod(index, result.scan_shape[1])


def nice_length(extent: float) -> float:
    """Return a length of 1, 2 or 5 times a power of ten, near a quarter of ``extent``."""
    wanted = extent / 4
    power = 10.0 ** math.floor(math.log10(wanted))
    return max(step * power for step in (1, 2, 5) if step * power <= wanted * (1 + 1e-9))


class _Sheet:
    """A page whose parts are placed in inches, from the upper left corner."""

    width = 11.1
    bottom_height = 2.7

    def __init__(self, result: SpaceGroupMap, n_row: int) -> None:
        rows, columns = result.scan_shape
        step_y, step_x = result.step or (1.0, 1.0)
        self.map_height = float(np.clip(3.2 * rows * step_y / (columns * step_x), 1.0, 4.6))
        self.legend_height = _ROW_HEIGHT * n_row
        self.second_row = 0.95 + max(self.map_height + 0.4, self.legend_height) + 0.35
        self.height = self.second_row + self.bottom_height + 0.5
        self.figure = Figure(figsize=(self.width, self.height))
        FigureCanvasAgg(self.figure)

    def heading(self, text: str) -> None:
        """Write the title of the page."""
        x, y = 0.4 / self.width, 1 - 0.38 / self.height
        style: dict[str, Any] = {"fontsize": 13, "fontweight": "bold", "va": "center"}
        self.figure.text(x, y, text, parse_math=False, **style)  # a name may hold dollars

    def top(self, x: float, width: float) -> Axes:
        """Return axes in the first row."""
        return self._axes(x, 0.95, width, self.map_height)

    def legend(self, x: float, width: float) -> Axes:
        """Return axes for the legend, right of the maps; one unit is one row."""
        axes = self._axes(x, 0.72, width, self.legend_height)
        axes.set_xlim(0, 1)
        axes.set_ylim(self.legend_height / _ROW_HEIGHT - 0.5, -0.5)
        return axes

    def bottom(self, x: float, width: float) -> Axes:
        """Return axes in the second row."""
        return self._axes(x, self.second_row, width, self.bottom_height)

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        bottom = self.height - y - height
        box = (x / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)


def _draw(
    result: SpaceGroupMap,
    scan: PatternScan | None,
    level: str,
    threshold: float,
    pixel: tuple[int, int],
) -> Figure:
    rows = result.legend(level, threshold)
    sheet = _Sheet(result, 1 + len(_shown(rows)) + len(_notes(rows, threshold)))
    figure = sheet.figure
    heading = " · ".join(part for part in (result.scan_name, result.model_name) if part)
    sheet.heading(heading or "Map of space groups")
    map_axes, confidence_axes = sheet.top(0.4, 3.2), sheet.top(4.05, 3.2)
    _draw_labels(map_axes, result, level, threshold)
    _draw_confidence(confidence_axes, result, level)
    _draw_legend(sheet.legend(8.0, 2.75), rows, level, threshold)
    pattern_axes, bar_axes = sheet.bottom(0.4, 2.7), sheet.bottom(4.75, 5.95)
    for axes in (map_axes, confidence_axes):
        _mark(axes, pixel)
    _draw_pattern(pattern_axes, scan, pixel)
    _draw_bars(bar_axes, result, level, threshold, pixel)
    return figure


def _draw_labels(axes: Axes, result: SpaceGroupMap, level: str, threshold: float) -> None:
    labels = result.labels(level, threshold=threshold)
    picture = np.empty((*labels.shape, 3))
    picture[...] = _UNKNOWN
    for label in np.unique(labels[labels > 0]).tolist():
        picture[labels == label] = color(level, label)[:3]
    _show_map(axes, result, picture, _TITLES[level])
    _draw_scale_bar(axes, result)


def _draw_confidence(axes: Axes, result: SpaceGroupMap, level: str) -> None:
    values = np.ma.masked_array(result.confidence(level), result.status != PixelStatus.OK)
    colors = mpl.colormaps["cividis"].with_extremes(bad=_UNKNOWN)
    image = _show_map(axes, result, values, "Confidence", cmap=colors, vmin=0.0, vmax=1.0)
    strip = axes.inset_axes((1.03, 0.0, 0.035, 1.0))
    bar = axes.figure.colorbar(image, cax=strip, ticks=(0, 0.25, 0.5, 0.75, 1))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)


def _show_map(axes: Axes, result: SpaceGroupMap, picture: Any, title: str, **options: Any) -> Any:
    step_y, step_x = result.step or (1.0, 1.0)
    image = axes.imshow(picture, interpolation="nearest", aspect=step_y / step_x, **options)
    axes.set_anchor("NW")
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axes.set_xticks([])
    axes.set_yticks([])
    return image


def _draw_scale_bar(axes: Axes, result: SpaceGroupMap) -> None:
    """Draw a bar below the map, where it hides no pixel."""
    columns = result.scan_shape[1]
    step_x, unit = (result.step[1], result.step_unit) if result.step else (1.0, "px")
    length = nice_length(columns * step_x)
    width = length / step_x / columns  # as a share of the axes
    unit = {"um": "µm", "micron": "µm", "": "px", "A": "Å"}.get(unit, unit)
    below = axes.transAxes + ScaledTranslation(0, -0.14, axes.figure.dpi_scale_trans)
    axes.plot((0, width), (0, 0), color=INK, lw=4, solid_capstyle="butt", transform=below)
    axes.lines[-1].set_clip_on(False)
    text = f"{length:g} {unit}"
    axes.text(width + 0.02, 0, text, va="center_baseline", fontsize=9, transform=below)


def _draw_legend(axes: Axes, rows: list[LegendRow], level: str, threshold: float) -> None:
    axes.set_axis_off()
    right: dict[str, Any] = {"ha": "right", "va": "center"}
    for x, text in ((0.73, "share"), (1.0, "confidence")):
        axes.text(x, 0, text, color=QUIET, fontsize=8, **right)
    shown = _shown(rows)
    for y, row in enumerate(shown, start=1):
        face = row.color if row.label else (*_UNKNOWN, 1.0)
        axes.add_patch(Rectangle((0.0, y - 0.36), 0.075, 0.72, facecolor=face, lw=0))
        axes.text(0.115, y, _name(row.label, level), va="center", fontsize=10)
        if row.label and level == "space_group":
            axes.text(0.485, y, f"{row.label}", color=QUIET, fontsize=9, **right)
        axes.text(0.73, y, _percent(row.share), fontsize=10, **right)
        if row.label:
            axes.text(1.0, y, f"{row.mean_confidence:.2f}", fontsize=10, **right)
    for y, note in enumerate(_notes(rows, threshold), start=len(shown) + 1):
        axes.text(0.0, y, note, color=QUIET, fontsize=8, va="center")


def _shown(rows: list[LegendRow]) -> list[LegendRow]:
    """Return the largest classes, and in any case what is unknown."""
    if len(rows) <= _MOST_ROWS:
        return rows
    unknown = [row for row in rows if not row.label]
    return rows[: _MOST_ROWS - 1 - len(unknown)] + unknown


def _notes(rows: list[LegendRow], threshold: float) -> list[str]:
    """Return what stands below the legend."""
    shown, notes = _shown(rows), []
    if len(rows) > len(shown):
        share = sum(row.share for row in rows) - sum(row.share for row in shown)
        notes.append(f"and {len(rows) - len(shown)} more, {_percent(share)} together")
    if threshold > 0:
        notes.append(f"unknown: also confidence below {threshold:.2f}")
    groups = sorted({row.inseparable_from for row in shown if row.inseparable_from})
    notes += ["not separable: " + ", ".join(map(str, group)) for group in groups[:2]]
    return notes


def _mark(axes: Axes, pixel: tuple[int, int]) -> None:
    y, x = pixel
    for size, shade, width in ((11, "white", 3.2), (11, INK, 1.4)):
        axes.plot(x, y, "o", ms=size, mfc="none", mec=shade, mew=width)


def _draw_pattern(axes: Axes, scan: PatternScan | None, pixel: tuple[int, int]) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    y, x = pixel
    axes.set_title(f"Pattern at y {y}, x {x}", loc="left", fontsize=10.5, fontweight="bold")
    if scan is None:
        axes.text(0.5, 0.5, "no scan given", ha="center", va="center", transform=axes.transAxes)
        return
    pattern = _visible(scan.pattern(y, x), scan.static_background)
    finite = pattern[np.isfinite(pattern)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    axes.imshow(pattern, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
    axes.set_anchor("NW")


def _visible(pattern: NDArray[Any], background: NDArray[Any] | None) -> NDArray[np.float64]:
    """Return a pattern without static background and slow shading, so that bands stand out."""
    values = pattern.astype(np.float64)
    if background is not None:
        dark = background.astype(np.float64)
        values = values / np.where(dark > 0.02 * dark.mean(), dark, dark.mean())
    if not np.isfinite(values).all():
        return values
    rows, columns = (_blur_matrix(size, 0.12 * values.shape[0]) for size in values.shape)
    return values - rows @ values @ columns.T


def _blur_matrix(size: int, sigma: float) -> NDArray[np.float64]:
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    smooth: NDArray[np.float64] = kernel / kernel.sum(axis=1, keepdims=True)
    return smooth


def _draw_bars(
    axes: Axes, result: SpaceGroupMap, level: str, threshold: float, pixel: tuple[int, int]
) -> None:
    y, x = pixel
    axes.set_title("What it may be", loc="left", fontsize=10.5, fontweight="bold")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    reason = result.reason(y, x, level, threshold)
    if result.status[y, x] != PixelStatus.OK:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.0, 0.85, f"unknown: {reason}", transform=axes.transAxes, wrap=True)
        return
    classes = result.level_classes(level)
    row = result.probabilities[y, x] @ result.aggregate(level)[1]
    order = np.argsort(-row, kind="stable")[:5]
    for place, index in enumerate(order.tolist()):
        share = float(row[index])
        axes.barh(place, 1.0, color="#f1f2f4", height=0.62)
        axes.barh(place, share, color=color(level, classes[index])[:3], height=0.62)
        axes.text(1.02, place, _percent(share), va="center", fontsize=10)
    axes.set_yticks(
        range(len(order)), [_name(classes[i], level, True) for i in order], fontsize=10.5
    )
    axes.set_ylim(4.6, -0.6)
    axes.set_xlim(0, 1.16)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1.0), ("0", "25 %", "50 %", "75 %", "100 %"), fontsize=8)
    if reason:
        axes.text(0.0, 4.55, f"unknown: {reason}", color=QUIET, fontsize=8.5)


def _name(label: int, level: str, with_number: bool = False) -> str:
    if label == 0:
        return "unknown"
    symbol = level_names(as_level(level))[label - 1]
    if level != "space_group":
        return as_mathtext(symbol)
    text = as_mathtext(symbol, label)
    return f"{text}  ({label})" if with_number else text


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"
