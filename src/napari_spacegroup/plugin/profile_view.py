"""Plain Qt painting of a powder profile: curve, axis, and the lines of crystals below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from .profile_layout import (
    LEAST_WIDTH,
    TICK,
    Box,
    ProfileLayout,
    Texts,
    arrange,
    axis_labels,
    least_height,
    most_height,
    outline,
)
from .state import PatternView
from .style import Colors, readable

if TYPE_CHECKING:
    from numpy.typing import NDArray

TITLES = {"two_theta": "2θ [°]", "q": "q [1/Å]", "d": "d [Å]"}
MEASURED = "As measured, square root"
PAD = 4
"""Between the highest peak and the top of its frame [pixel]."""


class ProfileView(QWidget):
    """A profile as measured and as the network sees it, with the lines of its crystals."""

    def __init__(self) -> None:
        super().__init__()
        self.colors: Colors | None = None
        self.view: PatternView | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_view(self, view: PatternView | None) -> None:
        """Show another profile, or nothing."""
        self.view = view
        rows = () if view is None else view.ticks
        shape = "" if view is None else f"As measured, {view.measured.size} points"
        self.setToolTip("\n".join([shape, *(row.name for row in rows)]))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for what can be read."""
        return QSize(2 * LEAST_WIDTH, self.least_height(2 * LEAST_WIDTH))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Keep the curve readable."""
        return QSize(160, self.least_height(self.width()))

    def least_height(self, width: int) -> int:
        """Return the height that a readable profile of this width needs."""
        return least_height(width, self.texts())

    def most_height(self, width: int) -> int:
        """Return the height beyond which a profile of this width gains nothing."""
        return most_height(width, self.texts())

    def texts(self) -> Texts:
        """Return how large captions, numbers and names are."""
        small = QFontMetrics(self._small_font())
        rows = () if self.view is None else self.view.ticks
        names = max((small.horizontalAdvance(row.name) for row in rows), default=0)
        return Texts(QFontMetrics(self.font()).height(), small.height(), names, len(rows))

    def layout_now(self) -> ProfileLayout:
        """Return where everything stands at the present size."""
        return arrange(self.width(), self.height(), self.texts())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw captions, curves, axis, ticks and names."""
        if self.colors is None or self.view is None:
            return
        view, place = self.view, self.layout_now()
        painter = QPainter(self)
        self._draw_frame(painter, place.curve, MEASURED)
        labels = [] if view.axis is None else axis_labels(view.axis.values, place.curve.width)
        self._draw_grid(painter, place.curve, labels)
        self._draw_curve(painter, place.curve, view.measured, self.colors.text, is_root=True)
        if place.network is not None:
            self._draw_frame(painter, place.network, view.seen_by)
            if view.network is None:
                self._draw_missing(painter, place.network, view.missing or "No model yet")
            else:
                self._draw_network(painter, place.network, view.network)
        painter.setFont(self._small_font())
        self._draw_ticks(painter, place)
        title = "" if view.axis is None else TITLES[view.axis.kind]
        self._draw_numbers(painter, place, labels, title)
        painter.end()

    def _small_font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(0.85 * font.pointSizeF())
        return font

    def _draw_frame(self, painter: QPainter, box: Box, caption: str) -> None:
        if self.colors is None:
            return
        metrics = painter.fontMetrics()
        painter.setPen(self.colors.faint)
        text = metrics.elidedText(caption, Qt.TextElideMode.ElideRight, box.width)
        painter.drawText(box.left, box.top - 4 - metrics.descent(), text)
        painter.fillRect(_rect(box), self.colors.panel)

    def _draw_missing(self, painter: QPainter, box: Box, text: str) -> None:
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        painter.drawText(_rect(box).adjusted(6, 0, -6, 0), flags, text)

    def _draw_grid(self, painter: QPainter, box: Box, labels: list[tuple[float, str]]) -> None:
        if self.colors is None:
            return
        painter.setPen(self.colors.border)
        for share, _ in labels:
            x = _column(box, share)
            painter.drawLine(x, box.bottom - 4, x, box.bottom - 1)

    def _draw_curve(
        self,
        painter: QPainter,
        box: Box,
        values: NDArray[np.generic],
        color: QColor,
        *,
        is_root: bool = False,
    ) -> None:
        """Draw a curve with what is below it tinted."""
        points = outline(values, box.width, is_root=is_root)
        x = box.left + points[:, 0] * box.width
        y = box.bottom - 1 - points[:, 1] * (box.height - 1 - PAD)
        line = QPolygonF([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
        below = QPolygonF(line)
        below.append(QPointF(x[-1], box.bottom))
        below.append(QPointF(x[0], box.bottom))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tint = QColor(color)
        tint.setAlphaF(0.12)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tint)
        painter.drawPolygon(below)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, 1.1))
        painter.drawPolyline(line)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _draw_network(self, painter: QPainter, box: Box, values: NDArray[np.floating]) -> None:
        """Draw what the network sees; what was not measured, it sees below 0."""
        if self.colors is None:
            return
        columns = values.size
        seen = np.flatnonzero(values.ravel() >= 0)
        first, end = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, columns)
        left, right = (round(box.width * share / columns) for share in (first, end))
        for start, stop in ((0, left), (right, box.width)):
            gap = Box(box.left + start, box.top, stop - start, box.height)
            painter.fillRect(_rect(gap), self.colors.background)
        shown = Box(box.left + left, box.top, right - left, box.height)
        part = values.ravel()[first:end]
        self._draw_curve(painter, shown, np.maximum(part, 0), self.colors.faint)

    def _draw_ticks(self, painter: QPainter, place: ProfileLayout) -> None:
        """Draw the lines of each crystal in a row of its own, and its name."""
        if self.view is None or self.colors is None:
            return
        metrics = painter.fontMetrics()
        for row, top, box in zip(self.view.ticks, place.rows, place.names, strict=True):
            painter.setPen(readable(QColor.fromRgbF(*row.color), self.colors))
            for share in row.places.tolist():
                x = _column(place.curve, share)
                painter.drawLine(x, top, x, top + TICK - 1)
            painter.setPen(self.colors.text)
            text = metrics.elidedText(row.name, Qt.TextElideMode.ElideRight, box.width)
            painter.drawText(box.left, box.top + metrics.ascent(), text)

    def _draw_numbers(
        self, painter: QPainter, place: ProfileLayout, labels: list[tuple[float, str]], title: str
    ) -> None:
        """Draw the numbers of the axis and, at its end, what they count."""
        if self.colors is None:
            return
        painter.setPen(self.colors.faint)
        metrics, box = painter.fontMetrics(), place.curve
        base = place.axis + 2 + metrics.ascent()
        end = box.left + box.width - metrics.horizontalAdvance(title)
        painter.drawText(end, base, title)
        for share, text in labels:
            wide = metrics.horizontalAdvance(text)
            left = max(_column(box, share) - wide // 2, box.left)
            if left + wide + 8 <= end:
                painter.drawText(left, base, text)


def _rect(box: Box) -> QRect:
    return QRect(box.left, box.top, box.width, box.height)


def _column(box: Box, share: float) -> int:
    """Return the pixel of a fraction of the curve's width."""
    return box.left + min(int(share * box.width), box.width - 1)
