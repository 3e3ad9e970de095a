"""How every figure looks and comes onto the disk: one style, no display, whole or not at all."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .whole_file import whole_file

INK = "#22262b"
QUIET = "#6b727b"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#b9bec4",
    "xtick.color": QUIET,
    "ytick.color": INK,
    "axes.linewidth": 0.8,
}


def figure_style() -> AbstractContextManager[None]:
    """Return a context in which figures have the style; draw and save in it."""
    return mpl.rc_context(_STYLE)


def save_figure(figure: Figure, path: str | Path, **options: Any) -> Path:
    """Write a figure; what it is goes by the suffix, ``.png`` without one.

    Parameters
    ----------
    figure
        On an Agg canvas.
    path
        Where to write; ``.png``, ``.pdf`` or ``.svg``.
    **options
        Of matplotlib's ``savefig``.

    Returns
    -------
    path
        Where it stands.

    Raises
    ------
    ResultError
        If it can't be written.
    """
    path = Path(path)
    kind = path.suffix.lstrip(".").lower() or "png"
    with whole_file(path) as file:
        figure.savefig(file, format=kind, dpi=160, facecolor="white", **options)
    return path
