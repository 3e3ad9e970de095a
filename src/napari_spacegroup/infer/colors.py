"""One fixed colour per symmetry class, distinct for colour-blind readers too.

The same class has the same colour in every map, window and figure. Colours are picked
one after the other, each as far as possible from those before it, seen with normal, red-
weak and green-weak eyes; classes whose numbers are close (221 to 230 are most metals)
are kept apart the most. Black, white and grey are left for what is unknown.

References
----------
Machado, Oliveira & Fernandes (2009), IEEE Trans. Vis. Comput. Graph. 15, 1291: the two
matrices. CIE 15:2004: the colour space.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..crystal.levels import level_names
from .level import as_level

UNKNOWN_COLOR = (0.0, 0.0, 0.0, 0.0)
"""Label 0 shows what is below it."""

_SEEDS = {"space_group": (225, 229, 227, 221, 194, 223, 230, 62, 166, 139, 14)}
"""Picked first, hence best separated: common groups of metals, oxides and minerals."""

_NEAR = 12
_FAR_WEIGHT = 3.0
_FIRST = (0.85, 0.35, 0.1)

_PROTAN = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
_DEUTAN = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def color(level: str, label: int) -> tuple[float, float, float, float]:
    """Return the colour of a symmetry class.

    Parameters
    ----------
    level
        One of :data:`napari_spacegroup.crystal.LEVELS`.
    label
        As in :meth:`SpaceGroupMap.labels`: a space-group number, or the 1-based place in
        ``level_names(level)``; 0 is unknown.

    Returns
    -------
    rgba
        Each 0 to 1; transparent for 0.

    Raises
    ------
    ValueError
        If the level has no such class.
    """
    colors = _palette(level)
    if not 0 <= label <= len(colors):
        raise ValueError(
            f"{level} has no class {label}; its classes are numbered 1 to {len(colors)}"
        )
    if label == 0:
        return UNKNOWN_COLOR
    red, green, blue = colors[label - 1]
    return (float(red), float(green), float(blue), 1.0)


def hex_color(level: str, label: int) -> str:
    """Return the colour of a symmetry class as ``#rrggbb``; grey for unknown."""
    if label == 0:
        return "#808080"
    return "#" + "".join(f"{round(255 * part):02x}" for part in color(level, label)[:3])


def perceived(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return colours as three kinds of eyes see them.

    Parameters
    ----------
    rgb
        Shape ``(n, 3)``, sRGB, 0 to 1.

    Returns
    -------
    lab
        Shape ``(3, n, 3)``: CIELAB for normal, protanopic and deuteranopic eyes.
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.stack([linear, linear @ _PROTAN.T, linear @ _DEUTAN.T]).clip(0, 1)
    xyz = seen @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@lru_cache(maxsize=8)
def _palette(level: str) -> NDArray[np.float64]:
    n_class = len(level_names(as_level(level)))
    candidates = _candidates()
    seen = perceived(candidates)
    order = [number - 1 for number in _SEEDS.get(level, ())]
    n_seed = len(order)
    order += [index for index in range(n_class - 1, -1, -1) if index not in order]
    chosen = np.zeros(n_class, int)
    distance = np.full((len(candidates), n_class), np.inf)  # to the colour of each class
    for step, index in enumerate(order):
        if step == 0:
            pick = int(np.argmin(np.abs(candidates - _FIRST).sum(axis=1)))
        else:
            before = np.array(order[:step])
            is_near = (np.abs(before - index) <= _NEAR) | (step < n_seed)
            weighted = distance[:, before] * np.where(is_near, 1.0, _FAR_WEIGHT)
            pick = int(np.argmax(np.round(weighted.min(axis=1), 6)))
        chosen[index] = pick
        gap = seen - seen[:, pick : pick + 1]
        distance[:, index] = np.sqrt((gap**2).sum(axis=-1)).min(axis=0)
    return candidates[chosen]


def _candidates() -> NDArray[np.float64]:
    """Return a grid of sRGB colours without the pale, the dark, the grey and the glaring."""
    axis = np.linspace(0.05, 1.0, 12)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, a, b = np.moveaxis(perceived(grid)[0], -1, 0)
    chroma = np.hypot(a, b)
    keep = (lightness > 35) & (lightness < 86) & (chroma > 28) & (chroma < 85)
    kept: NDArray[np.float64] = grid[keep]
    return kept
