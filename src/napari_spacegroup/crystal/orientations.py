"""Orientations to draw patterns at: uniform over all rotations, or one per fundamental zone.

Quaternions are ``(w, x, y, z)`` with w at least 0. Which frame a rotation maps to which is
the projector's business; a uniform distribution is the same either way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError
from .symmetry import standard_setting


def random_orientations(count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return unit quaternions that are uniform over all rotations.

    Four independent normal numbers, normalised, are uniform on the unit sphere in four
    dimensions, and so on SO(3).

    Parameters
    ----------
    count
        How many, at least 0.
    generator
        Source of randomness; the same state gives the same orientations.

    Returns
    -------
    orientations
        Shape ``(count, 4)``.

    References
    ----------
    Shoemake, K. (1992). Uniform random rotations. Graphics Gems III, 124-132.

    Examples
    --------
    >>> random_orientations(2, np.random.default_rng(1)).shape
    (2, 4)
    """
    if count < 0:
        raise ValueError(f"got a count of {count} orientations; give 0 or more")
    quaternions = generator.standard_normal((count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    return np.where(quaternions[:, :1] < 0, -quaternions, quaternions)


def rotation_matrices(orientations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrices that rotate vectors actively by these quaternions.

    Parameters
    ----------
    orientations
        Shape ``(..., 4)``, unit length. The passive matrix is the transpose.

    Returns
    -------
    matrices
        Shape ``(..., 3, 3)``.
    """
    w, x, y, z = np.moveaxis(np.asarray(orientations, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def fundamental_zone_orientations(space_group: int, resolution: float) -> NDArray[np.float64]:
    """Return an even grid of orientations in the fundamental zone of a space group.

    Parameters
    ----------
    space_group
        Number, 1 to 230; the proper point group of its Laue class sets the zone.
    resolution
        Typical angle between neighbours [degrees], above 0.

    Returns
    -------
    orientations
        Shape ``(n, 4)``.

    Raises
    ------
    MissingPartError
        If orix is not installed.
    PhaseError
        If there is no such space group.
    """
    standard_setting(space_group)
    if not resolution > 0:
        raise ValueError(f"got a resolution of {resolution}°; give an angle above 0")
    try:
        from orix.sampling import get_sample_fundamental
    except ImportError as error:
        raise MissingPartError(
            "fundamental-zone sampling needs orix, which is not installed; pip install orix"
        ) from error
    rotations = get_sample_fundamental(resolution=resolution, space_group=space_group)
    quaternions = np.asarray(rotations.data, np.float64).reshape(-1, 4)
    return np.where(quaternions[:, :1] < 0, -quaternions, quaternions)
