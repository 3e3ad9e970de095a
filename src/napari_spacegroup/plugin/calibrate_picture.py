"""A pattern with the marks of its calibration: dragged with the mouse, zoomed with the wheel."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import (
    QColor,
    QFontMetricsF,
    QImage,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from .calibrate_state import CalibrateState, SeenSpots
from .calibration_marks import CalibrationMarks
from .painting import gray_image
from .style import Colors

NEAR = 9.0
"""How far from a mark the mouse may grip it [screen pixel]."""

MOST_ZOOM = 16.0
RING, SECOND, CENTER, SPOT = "#4cc9f0", "#b8f26a", "#ff9e4f", "#ffd166"
TIP = (
    "Drag the cross onto the direct beam, the ring onto spots of the known spacing, its squares "
    "until the ring fits all around. The wheel zooms, the ground moves the picture, a double "
    "click shows all of it."
)

Drag = Callable[[CalibrationMarks, float, float], CalibrationMarks]


class CalibratePicture(QWidget):
    """Draw and drag the marks of a state.

    Parameters
    ----------
    state
        Its marks are changed by dragging.
    """

    def __init__(self, state: CalibrateState) -> None:
        super().__init__()
        self.state = state
        self.colors: Colors | None = None
        self._image: QImage | None = None
        self._zoom, self._middle = 1.0, QPointF(0.5, 0.5)
        self._drag: Drag | None = None
        self._panned: QPointF | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # a number that is being typed is taken
        self.setMinimumSize(150, 150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip(TIP)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for room to place marks in."""
        return QSize(320, 320)

    def height_for(self, width: int) -> int:
        """Return the height of the whole picture at a width."""
        if self._image is None:
            return width
        return int(width * self._image.height() / self._image.width())

    def set_values(self, values: NDArray[np.generic] | None) -> None:
        """Show another pattern; the zoom stays where the size does."""
        before = None if self._image is None else self._image.size()
        self._image = None if values is None else gray_image(compressed(values))
        if self._image is not None and self._image.size() != before:
            self.show_all()
        self.update()

    def show_all(self) -> None:
        """Show the whole picture."""
        self._zoom, self._middle = 1.0, QPointF(0.5, 0.5)
        self.update()

    # --- between screen and picture -------------------------------------------------

    def _frame(self) -> QRectF:
        """Return where the picture lies on the widget."""
        if self._image is None:
            return QRectF(self.rect())
        size = self._image.size()
        scale = min(self.width() / size.width(), self.height() / size.height()) * self._zoom
        width, height = scale * size.width(), scale * size.height()
        left = self.width() / 2 - self._middle.x() * width
        top = self.height() / 2 - self._middle.y() * height
        return QRectF(left, top, width, height)

    def on_screen(self, column: float, row: float) -> QPointF:
        """Return where a place of the pattern is on the widget."""
        if self._image is None:
            return QPointF()
        frame = self._frame()
        scale = frame.width() / self._image.width()
        return QPointF(frame.left() + (column + 0.5) * scale, frame.top() + (row + 0.5) * scale)

    def in_picture(self, point: QPointF) -> tuple[float, float]:
        """Return column and row of the pattern under a point of the widget."""
        if self._image is None:
            return 0.0, 0.0
        frame = self._frame()
        scale = frame.width() / self._image.width()
        return (point.x() - frame.left()) / scale - 0.5, (point.y() - frame.top()) / scale - 0.5

    # --- the mouse ------------------------------------------------------------------

    def _grip(self, point: QPointF) -> Drag | None:
        """Return what dragging from a point does to the marks; None for nothing."""
        marks = self.state.marks
        if marks is None or self._image is None:
            return None
        if _apart(self.on_screen(*marks.center), point) < NEAR:
            return CalibrationMarks.with_center
        if any(_apart(self.on_screen(*end), point) < NEAR for end in marks.handles()):
            return CalibrationMarks.with_axis_through
        scale = self._frame().width() / self._image.width()
        radius = marks.radius_at(*self.in_picture(point))
        if abs(radius - marks.radius) * scale < 0.7 * NEAR:
            return CalibrationMarks.with_ring_through
        second = marks.second_radius
        if second is not None and abs(radius - second) * scale < 0.7 * NEAR:
            return CalibrationMarks.with_second_through
        return None

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Grip a mark, or the picture."""
        self._drag = None
        if event.button() == Qt.MouseButton.LeftButton:
            self._drag = self._grip(event.position())
        if self._drag is None:
            self._panned = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Drag what was gripped; else show what could be."""
        point = event.position()
        if self._drag is not None and self.state.marks is not None:
            self.state.marks = self._drag(self.state.marks, *self.in_picture(point))
        elif self._panned is not None:
            frame, moved = self._frame(), point - self._panned
            self._look_at(
                self._middle - QPointF(moved.x() / frame.width(), moved.y() / frame.height())
            )
            self._panned = point
        else:
            can_grip = self._grip(point) is not None
            shape = Qt.CursorShape.SizeAllCursor if can_grip else Qt.CursorShape.ArrowCursor
            self.setCursor(shape)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, ARG002
        """Let go."""
        self._drag = self._panned = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Show the whole picture, unless a mark was meant."""
        if self._grip(event.position()) is None:
            self.show_all()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Zoom about the cursor."""
        if self._image is None or not event.angleDelta().y():
            return
        point, before = event.position(), self._frame()
        share = QPointF((point.x() - before.left()) / before.width(),
                        (point.y() - before.top()) / before.height())  # fmt: skip
        factor = 1.2 ** (event.angleDelta().y() / 120)
        self._zoom = min(max(self._zoom * factor, 1.0), MOST_ZOOM)
        after = self._frame()
        offset = QPointF((point.x() - self.width() / 2) / after.width(),
                         (point.y() - self.height() / 2) / after.height())  # fmt: skip
        self._look_at(share - offset)
        event.accept()

    def _look_at(self, middle: QPointF) -> None:
        half = 0.5 / self._zoom
        self._middle = QPointF(*(min(max(v, half), 1 - half) for v in (middle.x(), middle.y())))
        self.update()

    # --- drawing --------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw the pattern, its spots and the marks."""
        painter = QPainter(self)
        frame = self._frame()
        if self._image is None:
            painter.end()
            return
        painter.setClipRect(frame.intersected(QRectF(self.rect())))
        is_small = frame.width() < self._image.width()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_small)
        painter.drawImage(frame, self._image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        marks = self.state.marks
        if self.state.spots is not None:
            self._draw_spots(painter, self.state.spots)
        if marks is not None:
            found = marks.shown_spacing
            label = f"{marks.radius:.1f} pixels" if found is None else f"{found:.3f} Å"
            rings = [(marks.radius, RING, label, (22, 338, 67, 293))]
            if marks.second_radius is not None:
                text = f"{marks.second_spacing:.3f} Å"
                rings.append((marks.second_radius, SECOND, text, (158, 202, 22, 338)))
            for radius, color, _, _ in rings:
                self._draw_ring(painter, marks, radius, color)
            for radius, color, label, turns in rings:
                places = [(marks.ring(radius, math.radians(turn)), turn) for turn in turns]
                self._draw_label(painter, places, color, label)
            self._draw_handles(painter, marks)
            self._draw_center(painter, self.on_screen(*marks.center))
        painter.end()

    def _draw_spots(self, painter: QPainter, spots: SeenSpots) -> None:
        """Draw a circle around spots of the lattice, a small cross on the others."""
        painter.setPen(QPen(QColor(SPOT), 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for (column, row), is_on in zip(spots.places, spots.is_on_lattice, strict=True):
            point = self.on_screen(column, row)
            if is_on:
                painter.drawEllipse(point, 5.0, 5.0)
            else:
                for sign in (1, -1):
                    arm = QPointF(3.0, 3.0 * sign)
                    painter.drawLine(point - arm, point + arm)

    def _draw_ring(
        self, painter: QPainter, marks: CalibrationMarks, radius: float, color: str
    ) -> None:
        path = QPainterPath()
        points = [marks.ring(radius, angle) for angle in np.linspace(0, 2 * math.pi, 181)]
        path.moveTo(self.on_screen(*points[0]))
        for point in points[1:]:
            path.lineTo(self.on_screen(*point))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0, 130), 3.4), QPen(QColor(color), 1.5)):
            painter.setPen(pen)
            painter.drawPath(path)

    def _draw_label(
        self, painter: QPainter, places: list[tuple[tuple[float, float], int]], color: str,
        label: str,
    ) -> None:  # fmt: skip
        """Write beside a ring, at the first of some places that is seen."""
        metrics = QFontMetricsF(painter.font())
        seen = self._frame().intersected(QRectF(self.rect()))
        for place_of, turn in places:
            at = self.on_screen(*place_of)
            width = metrics.horizontalAdvance(label) + 8
            left = at.x() + 5 if math.cos(math.radians(turn)) > 0 else at.x() - 5 - width
            place = QRectF(left, at.y() - metrics.height() / 2, width, metrics.height() + 2)
            if seen.contains(place):
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(0, 0, 0, 170))
                painter.drawRoundedRect(place, 3, 3)
                painter.setPen(QColor(color))
                painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), label)
                return

    def _draw_handles(self, painter: QPainter, marks: CalibrationMarks) -> None:
        """Draw squares at the ends of the axes, those of the long one filled."""
        for number, end in enumerate(marks.handles()):
            point = self.on_screen(*end)
            painter.setPen(QPen(QColor(RING) if number > 1 else QColor("black"), 1.3))
            painter.setBrush(QColor(RING) if number < 2 else QColor(0, 0, 0, 170))
            painter.drawRect(QRectF(point.x() - 4, point.y() - 4, 8, 8))

    def _draw_center(self, painter: QPainter, point: QPointF) -> None:
        for pen in (QPen(QColor(0, 0, 0, 150), 3.6), QPen(QColor(CENTER), 1.6)):
            painter.setPen(pen)
            for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(
                    QPointF(point.x() + 3 * x, point.y() + 3 * y),
                    QPointF(point.x() + 12 * x, point.y() + 12 * y),
                )


def compressed(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return a pattern with weak spots visible beside strong ones: the root of what is above dark.

    Parameters
    ----------
    values
        Shape ``(rows, columns)``, any unit.
    """
    floats = np.asarray(values, np.float64)
    finite = floats[np.isfinite(floats)]
    if not finite.size:
        return floats
    middle = float(np.median(finite))
    sign = 1.0 if finite.mean() >= middle else -1.0  # dark spots on a bright ground
    ground = float(np.percentile(sign * finite, 30))
    root: NDArray[np.float64] = sign * np.sqrt(np.clip(sign * floats - ground, 0, None))
    return root


def _apart(one: QPointF, other: QPointF) -> float:
    return math.hypot(one.x() - other.x(), one.y() - other.y())
