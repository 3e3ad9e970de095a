"""How a spot pattern lies on the detector: center, camera constant, elliptic distortion.

Readers, ``scan.with_calibration``, the command line and the dock *Pattern* fill in the same
spec; where the ellipse's angle is counted from stands in ``docs/conventions.md``.
"""

from __future__ import annotations

import math
from typing import Any, Self

from pydantic import model_validator

from .base import Spec, quantity

Matrix = tuple[tuple[float, float], tuple[float, float]]
"""Rows of a matrix on (x to the right, y up)."""

LARGEST_RATIO = 1.5
"""More than any lens does: whoever asks for more has mistaken something."""


class CalibrationSpec(Spec):
    """Where the direct beam falls, what a pixel is, and how circles are distorted."""

    center: tuple[float, float] | None = quantity(
        None, "pixel", "Column and row of the direct beam, whole numbers at pixel centers; null "
        "finds it in each pattern.",
    )  # fmt: skip
    camera_constant: float | None = quantity(
        None, "pixel Å", "Wavelength times camera length over pixel size: radius of a ring times "
        "its lattice spacing, in the mean of all directions; null where it is not known.", gt=0,
    )  # fmt: skip
    ellipse: tuple[float, float] = quantity(
        (1.0, 0.0), "1, degree", "What the lenses make of a circle: long over short axis, and the "
        "direction of the long one, counterclockwise from the right.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_geometry(self) -> Self:
        ratio, angle = self.ellipse
        numbers = (*self.ellipse, *(self.center or ()), self.camera_constant or 1.0)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"{numbers} are not all finite")
        if not 1 <= ratio <= LARGEST_RATIO:
            raise ValueError(
                f"the ellipse's ratio is {ratio:g}; long over short axis lies from 1 to "
                f"{LARGEST_RATIO:g}: turn its direction by 90 degrees instead of going below 1"
            )
        if not -360 <= angle <= 360:
            raise ValueError(f"the ellipse's direction is {angle:g}; it lies from -360 to 360")
        return self

    def given(self) -> dict[str, Any]:
        """Return the fields that say something, to change another calibration by."""
        return {name: getattr(self, name) for name in type(self).model_fields
                if getattr(self, name) != type(self).model_fields[name].default}  # fmt: skip

    @property
    def is_round(self) -> bool:
        """Return whether circles stay circles."""
        return self.ellipse[0] == 1

    @property
    def distortion(self) -> Matrix:
        """Return what the lenses did to offsets from the center (x right, y up).

        Of determinant 1: a circle becomes an ellipse of the same area, so the camera constant
        is that of the mean (geometric) radius.
        """
        return ellipse_matrix(*self.ellipse)

    @property
    def correction(self) -> Matrix:
        """Return what takes the distortion out of offsets from the center."""
        ratio, angle = self.ellipse
        return ellipse_matrix(ratio, angle + 90)

    @property
    def nm_per_pixel(self) -> float | None:
        """Return how much of reciprocal space a pixel is [1/nm], None where it is not known."""
        return None if self.camera_constant is None else 10 / self.camera_constant


def ellipse_matrix(ratio: float, angle: float) -> Matrix:
    """Return the symmetric matrix that makes an ellipse of the same area of a circle.

    Parameters
    ----------
    ratio
        Long over short axis.
    angle
        Direction of the long axis, counterclockwise from the right [degrees].

    Examples
    --------
    >>> ellipse_matrix(1.21, 90.0)[1][1]
    1.1
    """
    turn = math.radians(angle)
    c, s = math.cos(turn), math.sin(turn)
    long, short = math.sqrt(ratio), 1 / math.sqrt(ratio)
    mixed = (long - short) * c * s
    return (
        (long * c * c + short * s * s, mixed),
        (mixed, long * s * s + short * c * c),
    )


def ellipse_of(matrix: Matrix) -> tuple[float, float]:
    """Return ratio and direction of the ellipse that a matrix makes of a circle.

    Parameters
    ----------
    matrix
        Any with a positive determinant; a rotation in it has no effect on the ellipse.

    Returns
    -------
    ratio, angle
        Long over short axis, and its direction from 0 up to 180 [degrees]; 0 for a circle.
    """
    (a, b), (c, d) = matrix
    # Of matrix times its transpose the eigenvectors are the axes, the eigenvalues their squares.
    xx, xy, yy = a * a + b * b, a * c + b * d, c * c + d * d
    mean, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    short = mean - half
    if half < 1e-12 * mean or short <= 0:
        return 1.0, 0.0
    angle = math.degrees(math.atan2(xy, (xx - yy) / 2)) / 2 % 180
    return math.sqrt((mean + half) / short), angle


__all__ = ["LARGEST_RATIO", "CalibrationSpec", "Matrix", "ellipse_matrix", "ellipse_of"]
