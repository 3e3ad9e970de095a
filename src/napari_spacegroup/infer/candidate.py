"""The ranked list of one pixel: what a powder profile is mostly asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..crystal.levels import level_names
from ..errors import ResultError
from .level import as_level
from .pixel_status import PixelStatus

if TYPE_CHECKING:
    from .spacegroup_map import SpaceGroupMap


@dataclass(frozen=True)
class Candidate:
    """One class that a pixel may have.

    Parameters
    ----------
    label
        Number in its level, from 1; of a space group the one in the Tables.
    symbol
        Its name.
    probability
        Calibrated, of all classes of the level.
    """

    label: int
    symbol: str
    probability: float


def candidates(
    result: SpaceGroupMap,
    pixel: tuple[int, int] = (0, 0),
    *,
    level: str = "space_group",
    count: int = 5,
) -> tuple[Candidate, ...]:
    """Return the likeliest classes of a pixel, the first one first.

    Parameters
    ----------
    result
        A map.
    pixel
        (y, x).
    level
        One of :data:`~napari_spacegroup.crystal.LEVELS`.
    count
        How many at most.

    Returns
    -------
    found
        Nothing where the pixel is unknown.

    Raises
    ------
    ResultError
        If the pixel lies outside the map.
    """
    scan_y, scan_x = result.scan_shape
    y, x = pixel
    if not (0 <= y < scan_y and 0 <= x < scan_x):
        raise ResultError(
            f"pixel {pixel} is outside the map of {scan_y} x {scan_x}; need (y, x) inside it"
        )
    if result.status[y, x] != PixelStatus.OK:
        return ()
    labels, matrix = result.aggregate(level)
    probabilities = result.probabilities[y, x] @ matrix
    names = level_names(as_level(level))
    order = np.argsort(-probabilities, kind="stable")[:count].tolist()
    return tuple(
        Candidate(int(labels[k]), names[labels[k] - 1], float(probabilities[k])) for k in order
    )
