"""Orientations to draw patterns at: uniform over all rotations, or one per fundamental zone.

Quaternions are ``(w, x, y, z)`` with w at least 0. Which frame a rotation maps to which is
the projector's business; a uniform distribution is the same either way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError
from .symmetry import operation_arrays, standard_setting


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


def proper_rotations(space_group: int) -> NDArray[np.float64]:
    """Return the rotations of a space group's point group as matrices.

    In Cartesian axes with x along a and z along c* of the standard setting.

    Returns
    -------
    rotations
        Shape ``(n, 3, 3)``; without improper operators, so n is 1 to 24.
    """
    rotations, _ = operation_arrays(standard_setting(space_group).operations())
    proper = np.unique(rotations[np.linalg.det(rotations) > 0], axis=0)
    metric = np.mean(np.swapaxes(rotations, 1, 2) @ rotations, axis=0)  # of some fitting cell
    basis = np.linalg.cholesky(metric).T  # upper triangular: x along a, z along c*
    return np.asarray(basis @ proper @ np.linalg.inv(basis), np.float64)


def fundamental_zone_orientations(space_group: int, resolution: float) -> NDArray[np.float64]:
    """Return an even grid of orientations in the fundamental zone of a space group.

    The zone holds, of all orientations that the group's own rotations make equal, the one
    with the smallest angle; on its faces equal ones can stand twice. The zone that orix
    takes for a space-group number is half as large for the 23 groups of the point groups m,
    -4, -42m, -6 and -62m (orix 0.15), so the grid is from orix and the zone is not.

    Parameters
    ----------
    space_group
        Number, 1 to 230.
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
    rotations = proper_rotations(space_group)
    if not resolution > 0:
        raise ValueError(f"got a resolution of {resolution}°; give an angle above 0")
    try:
        from orix.sampling import uniform_SO3_sample
    except ImportError as error:
        raise MissingPartError(
            "fundamental-zone sampling needs orix, which is not installed; pip install orix"
        ) from error
    from scipy.spatial.transform import Rotation

    grid = uniform_SO3_sample(resolution, unique=False)
    quaternions = np.asarray(grid.data, np.float64).reshape(-1, 4)
    symmetry = Rotation.from_matrix(rotations).as_quat(scalar_first=True)
    # The scalar part of a product is that of the swapped product: no side is preferred.
    signs = np.array([1.0, -1.0, -1.0, -1.0])
    scalars = np.abs(quaternions @ (symmetry * signs).T)
    inside = np.abs(quaternions[:, 0]) >= scalars.max(axis=1) - 1e-9
    quaternions = np.asarray(quaternions[inside], np.float64)
    return np.where(quaternions[:, :1] < 0, -quaternions, quaternions)
