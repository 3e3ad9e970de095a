"""Pictures of explanations: one pattern with what decided, and the mean on crystal directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from ..crystal.levels import level_name, level_names
from .explain import ZONE_AXES, Explanation
from .figure_file import figure_style, save_figure
from .sphere import SphereImportance
from .symbols import as_mathtext

INK, BAND, WARM = "#ffffff", "#ffffff", "inferno"

AXIS_MARKERS = {"2": ("d", 6), "3": ("^", 6), "4": ("s", 5), "6": ("h", 6)}
"""Of axes of symmetry by their order, as in the International Tables, and the size in points."""


def draw_explanation(
    found: Explanation, path: str | Path, sphere: SphereImportance | None = None
) -> Path:
    """Write a picture: the pattern, where the model looked, and the same on the sphere.

    Parameters
    ----------
    found
        Of one pattern.
    path
        Where to write; ``.png``, ``.pdf`` or ``.svg``.
    sphere
        The mean over many patterns; without it the one pattern's own sector is drawn.

    Returns
    -------
    path
        Where it stands.

    Raises
    ------
    ResultError
        If it can't be written.
    """
    shown = sphere if sphere is not None else SphereImportance.of(found)
    with figure_style():
        figure = Figure(figsize=(10.2 if shown is not None else 6.8, 3.9))
        FigureCanvasAgg(figure)
        columns = 3 if shown is not None else 2
        axes = figure.subplots(1, columns, gridspec_kw={"wspace": 0.08})
        _pattern(axes[0], found)
        axes[0].set_title("As the network sees it", loc="left")
        _pattern(axes[1], found)
        _heat(axes[1], found)
        axes[1].set_title(_title(found), loc="left")
        if shown is not None:
            _triangle(axes[2], shown)
            count = "this pattern" if shown.count == 1 else f"mean of {shown.count} patterns"
            axes[2].set_title(f"In crystal directions, {count}", loc="left")
        return save_figure(figure, path, bbox_inches="tight")


def _title(found: Explanation) -> str:
    if found.method != "self_symmetry":
        symbol = as_mathtext(level_names("space_group")[found.space_group - 1])
        return f"What speaks for {symbol} ({found.space_group}), {found.probability:.0%}"
    laue = level_name(found.space_group, "laue_class")
    shares = zip(found.classes, found.probabilities, strict=True)
    total = sum(float(p) for g, p in shares if level_name(g, "laue_class") == laue)
    return f"What falls onto itself in {as_mathtext(laue)}, {total:.0%}"


def _pattern(axes: Axes, found: Explanation) -> None:
    low, high = np.nanpercentile(found.seen, (1, 99))
    axes.imshow(found.seen, cmap="gray", vmin=low, vmax=high)
    axes.set_axis_off()


def _heat(axes: Axes, found: Explanation) -> None:
    level = np.nan_to_num(found.heat) ** 0.5
    axes.imshow(level, cmap=WARM, alpha=np.clip(0.15 + 0.85 * level, 0, 0.85), vmin=0, vmax=1)
    for trace in found.bands:
        (x, y), (u, v) = trace.start, trace.stop
        axes.plot([x, u], [y, v], color=BAND, linewidth=0.4, alpha=0.55)
    taken: list[tuple[float, float]] = []
    apart = 0.07 * max(found.pattern.shape)
    for mark in found.zone_axes:
        if any(np.hypot(mark.x - x, mark.y - y) < apart for x, y in taken):
            continue
        taken.append((mark.x, mark.y))
        shape, size = AXIS_MARKERS.get(mark.name, ("o", 3))
        axes.plot(mark.x, mark.y, shape, markersize=size, mfc="none", mec=INK, mew=0.8)
        axes.annotate(
            mark.name, (mark.x, mark.y), (3, 3), textcoords="offset points", color=INK,
            fontsize=6.5,
        )  # fmt: skip
    axes.set_xlim(-0.5, found.pattern.shape[1] - 0.5)
    axes.set_ylim(found.pattern.shape[0] - 0.5, -0.5)


def _triangle(axes: Axes, shown: SphereImportance) -> None:
    side = len(shown.importance)
    step = np.linspace(0, 1, side)
    down, across = np.meshgrid(step, step, indexing="ij")
    x, y = _projected(np.stack([np.ones_like(down), down, across], -1))
    values = np.nan_to_num(shown.importance)
    top = float(np.nanpercentile(shown.importance[across <= down], 99))
    mesh = axes.pcolormesh(x, y, values, cmap=WARM, vmin=0, vmax=max(top, 1e-9), shading="gouraud")
    # The square is its own mirror image: one half is shown, with a straight edge.
    edge = np.linspace(0, 1, 50)
    rim = np.stack([np.ones(50), edge, np.zeros(50)], -1), np.stack([np.ones(50)] * 2 + [edge], -1)
    back = np.stack([np.ones(50), edge[::-1], edge[::-1]], -1)
    outline = np.stack(_projected(np.concatenate([*rim, back])), -1)
    triangle = Polygon(outline, closed=True, fill=False, edgecolor="#22262b", linewidth=0.8)
    axes.add_patch(triangle)
    mesh.set_clip_path(triangle)
    for family in ZONE_AXES:
        low, middle, high = sorted(family)
        u, v = _projected(np.array([high, middle, low], float))
        axes.plot(u, v, "o", markersize=4, mfc="none", mec="#39c5cf", mew=1.2)
        is_below = low == 0
        axes.annotate(
            f"[{low}{middle}{high}]", (u, v), (0, -11) if is_below else (0, 5),
            textcoords="offset points", fontsize=7, ha=_side(low, middle, high),
        )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_axis_off()
    bar = axes.figure.colorbar(mesh, ax=axes, shrink=0.7, pad=0.1)
    bar.set_label("importance (1: even)")


def _projected(directions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the stereographic projection of x >= y >= z, [100] at the origin."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return unit[..., 1] / (1 + unit[..., 0]), unit[..., 2] / (1 + unit[..., 0])


def _side(low: int, middle: int, high: int) -> str:
    """Return on which side of its point a label has room: outside the triangle."""
    if low == 0:
        return "center"
    return "right" if low == middle and middle < high else "left"
