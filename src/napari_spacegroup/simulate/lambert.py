"""The square Lambert grid that master patterns are stored on.

The mapping is the equal-area one of Roşca (2010), Astron. Astrophys. 520, A63, as
EMsoft and kikuchipy use it. Numpy for the simulators, torch for the projector.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def lambert_directions(half_size: int) -> NDArray[np.float64]:
    """Return the direction of every grid point of both hemispheres.

    Parameters
    ----------
    half_size
        The grid is ``n = 2 * half_size + 1`` on a side.

    Returns
    -------
    directions
        Unit vectors, shape ``(2, n, n, 3)``; upper hemisphere first, rows along y from
        -1 to 1, columns along x from -1 to 1.

    References
    ----------
    Callahan & De Graef (2013), Microsc. Microanal. 19, 1255, eqs. 8 and 9.
    """
    line = np.linspace(-1.0, 1.0, 2 * half_size + 1) * math.sqrt(math.pi / 2)
    y, x = np.meshgrid(line, line, indexing="ij")
    wide = np.abs(y) <= np.abs(x)
    major = np.where(wide, x, y)
    minor = np.where(wide, y, x)
    safe = np.where(major == 0, 1.0, major)
    angle = math.pi * minor / (4 * safe)
    radius = 2 * major / math.pi * np.sqrt(np.maximum(math.pi - major**2, 0.0))
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    z = 1 - 2 * major**2 / math.pi
    upper = np.stack([np.where(wide, along, across), np.where(wide, across, along), z], axis=-1)
    lower = upper * np.array([1.0, 1.0, -1.0])
    return np.stack([upper, lower])
