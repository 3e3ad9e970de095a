"""One EBSD pattern at a time, quick enough to follow a slider, and how well it matches.

Needs torch and numpy alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config.ebsd_view import EbsdViewSpec
from ..imaging import InputContract, gaussian_blur, prepare
from .projector import DetectorGeometry, project

COMPARED_ROWS = 96
"""Patterns with more rows are compared at this size: bands are many pixels wide there."""

SMOOTHED_ROWS = 60
"""Before two patterns are compared, what is finer than a pixel of so many rows is smoothed."""

ASPECT_TOLERANCE = 0.02


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on the calling thread alone.

    At these sizes more threads gain nothing, and on a machine that is busy they wait for each
    other: a pattern of 120 x 120 pixels took 65 ms instead of 3 (two cores, load 6).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bunge_quaternion(phi1: float, capital_phi: float, phi2: float) -> tuple[float, ...]:
    """Return the unit quaternion of Bunge Euler angles [degrees], as orix has it.

    Passive, from sample to crystal axes, scalar first: ``Rotation.from_euler`` of orix in its
    default direction ``lab2crystal``.

    References
    ----------
    Rowenhorst et al. (2015), Modelling Simul. Mater. Sci. Eng. 23, 083501, with P = -1.
    """
    half = math.radians(capital_phi) / 2
    total = math.radians(phi1 + phi2) / 2
    apart = math.radians(phi1 - phi2) / 2
    cosine, sine = math.cos(half), math.sin(half)
    values = (
        cosine * math.cos(total),
        -sine * math.cos(apart),
        -sine * math.sin(apart),
        -cosine * math.sin(total),
    )
    return values if values[0] >= 0 else tuple(-value for value in values)


def bunge_angles(quaternion: tuple[float, ...]) -> tuple[float, float, float]:
    """Return the Bunge Euler angles [degrees] of a unit quaternion; undoes the former.

    Returns
    -------
    angles
        φ1 and φ2 from 0 to 360, Φ from 0 to 180; φ2 is 0 where Φ leaves only their sum.
    """
    a, b, c, d = quaternion
    along, across = math.hypot(a, d), math.hypot(b, c)
    capital_phi = 2 * math.atan2(across, along)
    total = math.atan2(-d, a)
    apart = math.atan2(-c, -b)
    if across < 1e-9:
        apart = total
    elif along < 1e-9:
        total = apart
    phi1, phi2 = total + apart, total - apart
    return math.degrees(phi1) % 360, math.degrees(capital_phi), math.degrees(phi2) % 360


def geometry_of(view: EbsdViewSpec, count: int = 1) -> DetectorGeometry:
    """Return the detector of a view, repeated."""
    return DetectorGeometry.fixed(
        view.shape,
        view.pattern_center,
        sample_tilt=view.sample_tilt,
        detector_tilt=view.detector_tilt,
        azimuthal=view.azimuthal,
        count=count,
    )


def draw_ebsd(master: NDArray[np.float32] | Tensor, view: EbsdViewSpec) -> NDArray[np.float32]:
    """Return one pattern.

    Parameters
    ----------
    master
        Square Lambert projection, shape ``(hemisphere, n, n)``, as
        :meth:`~.masters.MasterPattern.weighted` returns it.
    view
        Screen and orientation.

    Returns
    -------
    pattern
        Shape ``view.shape``, in the intensities of the master pattern.
    """
    sheets = torch.as_tensor(master, dtype=torch.float32)[None]
    rotation = torch.tensor([bunge_quaternion(*view.euler)], dtype=torch.float32)
    with torch.no_grad():
        drawn = project(sheets, geometry_of(view), rotation)
    pattern: NDArray[np.float32] = drawn[0].numpy()
    return pattern


def has_same_aspect(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Return whether two screens have the same ratio of rows to columns, to 2 %."""
    return abs(first[0] * second[1] / (first[1] * second[0]) - 1) < ASPECT_TOLERANCE


def correlation(
    simulated: NDArray[np.floating],
    measured: NDArray[np.generic],
    mask: NDArray[np.bool_] | None = None,
) -> float:
    """Return the normalised cross-correlation of two patterns without their backgrounds.

    Both go the way of a network's input first (background off, local contrast, at most
    :data:`COMPARED_ROWS` rows), the same way.

    Parameters
    ----------
    simulated, measured
        Two-dimensional, of the same aspect ratio; their sizes may differ.
    mask
        True inside the screen of the measured one, in its shape, or None. What is not
        finite there counts as outside.

    Returns
    -------
    value
        From -1 to 1.

    Raises
    ------
    ValueError
        If the aspect ratios differ: the pixels would look in other directions.
    """
    if not has_same_aspect(simulated.shape, measured.shape):
        raise ValueError(
            f"the simulated screen is {simulated.shape}, the measured one {measured.shape}; need "
            "the same ratio of rows to columns"
        )
    rows = min(measured.shape[0], COMPARED_ROWS)
    shape = rows, max(8, round(rows * measured.shape[1] / measured.shape[0]))
    first = comparable(simulated, shape, None).flatten()
    second = comparable(measured, shape, mask).flatten()
    inside = second != 0
    return float(_normalised(first, inside) @ _normalised(second, inside))


def comparable(
    pattern: NDArray[np.generic], shape: tuple[int, int], mask: NDArray[np.bool_] | None
) -> Tensor:
    """Return a pattern as it is compared: no background, even contrast, fine noise smoothed.

    Parameters
    ----------
    pattern
        Two-dimensional; what is not finite counts as outside of the screen.
    shape
        Rows and columns of the result.
    mask
        True inside the screen, shape of ``pattern``, or None.

    Returns
    -------
    values
        Shape ``shape``, 0 outside of the screen.
    """
    values = np.array(pattern, dtype=np.float32)
    finite = np.isfinite(values)
    inside = finite if mask is None else finite & mask
    values[~inside] = 0
    chosen = None if inside.all() else torch.from_numpy(inside)
    return comparable_batch(torch.from_numpy(values)[None], shape, chosen)[0]


def comparable_batch(images: Tensor, shape: tuple[int, int], mask: Tensor | None = None) -> Tensor:
    """Return many patterns as they are compared; see :func:`comparable`.

    Parameters
    ----------
    images
        Shape ``(n, rows, columns)``, finite.
    mask
        True inside the screen, or None.

    Returns
    -------
    values
        Shape ``(n, *shape)``.
    """
    flat = prepare(images, InputContract(shape=shape), mask=mask)[:, 0]
    sigma = shape[0] / SMOOTHED_ROWS
    smooth = gaussian_blur(flat, sigma) / gaussian_blur(torch.ones_like(flat[:1]), sigma)
    return smooth * (flat != 0)


def _normalised(values: Tensor, inside: Tensor) -> Tensor:
    chosen = values[inside]
    centered = chosen - chosen.mean()
    unit: Tensor = centered / (centered.norm() + 1e-12)
    return unit
