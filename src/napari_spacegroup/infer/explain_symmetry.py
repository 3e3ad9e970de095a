"""Why a model that measures symmetry says what it says: the axes it found, and what agrees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..models.symmetry_axes import LEAST_SHARE, Screen, symmetry_axes, turns
from ..models.symmetry_fit import FINE_ANGLE, FINE_SIDE, LaueFit, fit_laue_classes


@dataclass(frozen=True, eq=False)
class ShownSymmetry:
    """The axes of a Laue class on a pattern, and where the pattern agrees with itself.

    Parameters
    ----------
    agreement
        Product of the pattern and its turned copies, the mean over the axes, largest value 1,
        shape ``(side, side)``.
    axes
        Order and direction of the axes that can be judged, in detector axes: x to the right, y
        up, z from the source to the screen.
    """

    agreement: NDArray[np.float32]
    axes: tuple[tuple[int, NDArray[np.float64]], ...]


def shown_symmetry(inputs: Tensor, centers: Tensor, laue: str) -> ShownSymmetry:
    """Return what a pattern shows of a Laue class.

    Parameters
    ----------
    inputs
        A prepared pattern, shape ``(1, 1, side, side)``.
    centers
        Its pattern center, Bruker's convention, shape ``(1, 3)``.
    laue
        Name of the class; -1 has no axes.
    """
    side = inputs.shape[-1]
    if laue == "-1":
        return ShownSymmetry(np.zeros((side, side), np.float32), ())
    image, center = inputs.float().cpu(), centers.float().cpu()
    fit = fit_laue_classes(image, center)[1][laue]
    orders = symmetry_axes(laue).orders
    seen = fit.share > LEAST_SHARE
    directions = fit.axes(laue)
    screen = Screen.of(image, center, FINE_ANGLE, FINE_SIDE)
    matrices = turns(directions, 2 * math.pi / orders)[seen]
    agreement = screen.agreement(matrices, center, side) if len(matrices) else image[0, 0] * 0
    agreement = agreement.clamp_min(0) / agreement.max().clamp_min(1e-6)
    return ShownSymmetry(agreement.numpy(), _highest(fit, directions, orders))


def _highest(
    fit: LaueFit, directions: Tensor, orders: Tensor
) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """Return each axis once, with the highest order that the screen shows of it."""
    found: list[tuple[int, Tensor]] = []
    for k in orders.argsort(descending=True).tolist():
        is_known = any(abs(float(axis @ directions[k])) > 0.99 for _, axis in found)
        if float(fit.share[k]) > LEAST_SHARE and not is_known:
            found.append((int(orders[k]), directions[k]))
    return tuple((order, axis.double().numpy()) for order, axis in found)
