"""The marks of a calibration on a pattern, and what a dragged mark means; neither Qt nor torch.

A ring stands for circles in reciprocal space: on the picture it is the ellipse that the lenses
make of one. Typing a spacing moves the ring to where the present scale puts it; dragging the ring
onto spots of that spacing corrects the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..config import CalibrationSpec, ellipse_matrix
from ..config.calibration import LARGEST_RATIO

SMALLEST_RADIUS = 3.0
"""Of a ring [pixel]."""


@dataclass(frozen=True)
class CalibrationMarks:
    """Center, ring and ellipse on one pattern.

    Attributes
    ----------
    center
        Column and row, whole numbers at pixel centers.
    is_fixed
        Whether the center is that of all patterns; else it is found in each.
    ellipse
        Long over short axis, and the long one's direction counterclockwise from the right
        [degrees].
    radius
        Of the ring in the mean of all directions [pixel].
    spacing
        Lattice spacing that the ring is known to have [Å]; None for none.
    second_spacing
        The same of a second ring, which lies where the scale puts it.
    camera_constant
        [pixel Å], None where the scale is not known.
    """

    center: tuple[float, float]
    is_fixed: bool = False
    ellipse: tuple[float, float] = (1.0, 0.0)
    radius: float = 40.0
    spacing: float | None = None
    second_spacing: float | None = None
    camera_constant: float | None = None

    @classmethod
    def of(
        cls, calibration: CalibrationSpec | None, pattern_shape: tuple[int, int], *, is_fixed: bool
    ) -> CalibrationMarks:
        """Return the marks of a calibration; the ring is a known one of none."""
        told = CalibrationSpec() if calibration is None else calibration
        rows, columns = pattern_shape
        return cls(
            ((columns - 1) / 2, (rows - 1) / 2) if told.center is None else told.center,
            is_fixed=is_fixed or told.center is not None,
            ellipse=told.ellipse, radius=0.25 * min(rows, columns),
            camera_constant=told.camera_constant,
        )  # fmt: skip

    def calibration(self) -> CalibrationSpec:
        """Return what the marks say."""
        return CalibrationSpec.from_mapping(
            {
                "center": self.center if self.is_fixed else None,
                "camera_constant": self.camera_constant,
                "ellipse": self.ellipse,
            },
            "the marks",
        )

    @property
    def second_radius(self) -> float | None:
        """Return the second ring's radius [pixel]; None where it or the scale is not known."""
        if self.second_spacing is None or self.camera_constant is None:
            return None
        return self.camera_constant / self.second_spacing

    @property
    def shown_spacing(self) -> float | None:
        """Return the spacing at the ring by the present scale [Å]."""
        return None if self.camera_constant is None else self.camera_constant / self.radius

    def ring(self, radius: float, angle: float) -> tuple[float, float]:
        """Return column and row of a ring at an angle of the circle, y up [radians]."""
        (a, b), (c, d) = ellipse_matrix(*self.ellipse)
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        return self.center[0] + a * x + b * y, self.center[1] - (c * x + d * y)

    def handles(self) -> tuple[tuple[float, float], ...]:
        """Return the ends of the ring's axes, the long one's first."""
        angle = math.radians(self.ellipse[1])
        return tuple(
            self.ring(self.radius, angle + turn * math.pi / 2) for turn in (0.0, 2.0, 1.0, 3.0)
        )

    def radius_at(self, column: float, row: float) -> float:
        """Return the mean radius of the ring through a place [pixel]."""
        ratio, angle = self.ellipse
        (a, b), (c, d) = ellipse_matrix(ratio, angle + 90)
        x, y = column - self.center[0], self.center[1] - row
        return math.hypot(a * x + b * y, c * x + d * y)

    def with_center(self, column: float, row: float) -> CalibrationMarks:
        """Return the marks with the center put there, for all patterns."""
        return replace(self, center=(column, row), is_fixed=True)

    def with_ring_through(self, column: float, row: float) -> CalibrationMarks:
        """Return the marks with the ring dragged there; its known spacing gives the scale."""
        radius = max(self.radius_at(column, row), SMALLEST_RADIUS)
        if self.spacing is None:
            return replace(self, radius=radius)
        return replace(self, radius=radius, camera_constant=radius * self.spacing)

    def with_second_through(self, column: float, row: float) -> CalibrationMarks:
        """Return the marks with the second ring dragged there, which gives the scale."""
        if self.second_spacing is None:
            return self
        radius = max(self.radius_at(column, row), SMALLEST_RADIUS)
        return self.with_camera_constant(radius * self.second_spacing)

    def with_axis_through(self, column: float, row: float) -> CalibrationMarks:
        """Return the marks with an axis of the ellipse ending there; the mean radius stays."""
        x, y = column - self.center[0], self.center[1] - row
        share = max(math.hypot(x, y), 1e-6) / self.radius
        angle = math.degrees(math.atan2(y, x))
        if share < 1:  # the short axis was dragged
            share, angle = 1 / share, angle + 90
        return replace(self, ellipse=(min(share**2, LARGEST_RATIO), angle % 180))

    def with_spacing(self, spacing: float | None) -> CalibrationMarks:
        """Return the marks with a known spacing, or none, of the ring."""
        if spacing is None:
            return replace(self, spacing=None)
        if self.camera_constant is None:
            return replace(self, spacing=spacing, camera_constant=self.radius * spacing)
        return replace(self, spacing=spacing, radius=self.camera_constant / spacing)

    def with_camera_constant(self, value: float | None) -> CalibrationMarks:
        """Return the marks with another scale; a ring of known spacing moves."""
        if value is None or self.spacing is None:
            return replace(self, camera_constant=value)
        return replace(self, camera_constant=value, radius=value / self.spacing)
