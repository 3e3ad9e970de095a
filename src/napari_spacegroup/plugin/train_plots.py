"""Curves of a training and its confusion matrix, painted plainly: quick, and in any theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from .style import Colors, mix
from .train_state import Point

if TYPE_CHECKING:
    from ..workflows.specialist import Confusion

MOST_POINTS = 400
"""A curve with more points is thinned: it is no wider than so many pixels."""

LARGEST_CELL = 46


class CurveChart(QWidget):
    """One quantity over the steps: a line for training, dots for validation.

    Parameters
    ----------
    quantity
        ``"loss"`` or ``"accuracy"``.
    title
        What stands above it.
    """

    def __init__(self, quantity: str, title: str) -> None:
        super().__init__()
        self.quantity, self.title = quantity, title
        self.colors: Colors | None = None
        self.training: tuple[Point, ...] = ()
        self.validation: tuple[Point, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Be wide and flat."""
        return QSize(260, 7 * QFontMetrics(self.font()).height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Stay readable."""
        return QSize(160, 7 * QFontMetrics(self.font()).height())

    def set_points(self, training: tuple[Point, ...], validation: tuple[Point, ...]) -> None:
        """Show other curves."""
        self.training, self.validation = training, validation
        self.setToolTip(self._words())
        self.update()

    def _words(self) -> str:
        lines = []
        for name, points in (("training", self.training), ("held-out", self.validation)):
            if points:
                lines.append(f"{self.title}, {name}: {self._text(self._value(points[-1]))}")
        return "\n".join(lines)

    def _value(self, point: Point) -> float:
        return point.loss if self.quantity == "loss" else point.accuracy

    def _text(self, value: float) -> str:
        return f"{value:.2f}" if self.quantity == "loss" else f"{100 * value:.0f} %"

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw the title with the latest values, the frame and the curves."""
        if self.colors is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(self.font())
        line = metrics.height()
        second = mix(self.colors.alert, self.colors.text, 0.15)
        self._paint_title(painter, metrics, second)
        axis = metrics.horizontalAdvance("100 %") + 6
        frame = QRectF(axis, line + 5, self.width() - axis - 6, self.height() - 2 * line - 9)
        everything = [*self.training, *self.validation]
        top = 1.0
        if self.quantity == "loss":
            top = max((p.loss for p in everything if math.isfinite(p.loss)), default=1.0) or 1.0
        last = max((p.step for p in everything), default=1)
        painter.setPen(QPen(mix(self.colors.border, self.colors.background, 0.4), 1))
        for share in (0.0, 0.5, 1.0):
            y = frame.bottom() - share * frame.height()
            painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
        painter.setPen(self.colors.faint)
        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for share in (0.0, 1.0):
            y = int(frame.bottom() - share * frame.height())
            place = QRect(0, y - line // 2, axis - 5, line)
            painter.drawText(place, right, self._text(share * top))
        below = QRect(int(frame.left()), int(frame.bottom()) + 2, int(frame.width()), line)
        if not everything:
            place = QRect(int(frame.left()), int(frame.top()), int(frame.width()),
                          int(frame.height()))  # fmt: skip
            painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), "grows while training")
        else:
            painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), f"step {last}")

        def at(point: Point) -> QPointF:
            height = min(max(self._value(point) / top, 0.0), 1.0)
            return QPointF(
                frame.left() + point.step / last * frame.width(),
                frame.bottom() - height * frame.height(),
            )

        painter.setPen(QPen(_line_color(self.colors), 2))
        painter.drawPolyline(QPolygonF([at(p) for p in _thinned(self.training)]))
        painter.setPen(QPen(second, 1.5, Qt.PenStyle.DashLine))
        painter.drawPolyline(QPolygonF([at(p) for p in _thinned(self.validation)]))
        painter.setBrush(second)
        painter.setPen(Qt.PenStyle.NoPen)
        for point in _thinned(self.validation):
            painter.drawEllipse(at(point), 3, 3)
        painter.end()

    def _paint_title(self, painter: QPainter, metrics: QFontMetrics, second: QColor) -> None:
        if self.colors is None:
            return
        x = 0
        parts = [(self.title, self.colors.text)]
        if self.training:
            value = self._text(self._value(self.training[-1]))
            parts.append((f"— training {value}", _line_color(self.colors)))
        if self.validation:
            value = self._text(self._value(self.validation[-1]))
            parts.append((f"● held-out {value}", second))
        for text, color in parts:
            painter.setPen(color)
            painter.drawText(x, metrics.ascent(), text)
            x += metrics.horizontalAdvance(text) + 10


class ConfusionChart(QWidget):
    """The confusion matrix: truth down, answer across, shares in the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.colors: Colors | None = None
        self.confusion: Confusion | None = None
        self.symbols: tuple[str, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_confusion(self, confusion: Confusion | None, symbols: Sequence[str]) -> None:
        """Show another matrix; ``symbols`` are those of its classes."""
        self.confusion, self.symbols = confusion, tuple(symbols)
        self.setToolTip(self._words())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Leave room for readable cells."""
        count = max(2, len(self.symbols))
        line = QFontMetrics(self.font()).height()
        return QSize(260, 2 * line + 8 + count * min(LARGEST_CELL, max(22, 260 // count)))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Be as high as asked for, and narrower if need be."""
        return QSize(160, self.sizeHint().height())

    def _words(self) -> str:
        if self.confusion is None:
            return ""
        lines = []
        for row, symbol in zip(self.confusion.counts, self.symbols, strict=True):
            total = max(int(row.sum()), 1)
            found = ", ".join(
                f"{100 * n / total:.0f} % {s}" for n, s in zip(row, self.symbols, strict=True) if n
            )
            lines.append(f"{symbol} was taken for: {found or 'no pattern'}")
        return "\n".join(lines)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw names and cells; the numbers repeat what the shade says."""
        if self.colors is None or self.confusion is None:
            return
        painter = QPainter(self)
        metrics = QFontMetrics(self.font())
        line, count = metrics.height(), len(self.symbols)
        left = min(max(metrics.horizontalAdvance(s) for s in self.symbols) + 8, self.width() // 3)
        top = 2 * line + 4
        height = (self.height() - top - 2) / count
        width = min((self.width() - left - 2) / count, 2.2 * height)
        painter.setPen(self.colors.faint)
        painter.drawText(left, metrics.ascent(), "taken for")
        middle = int(Qt.AlignmentFlag.AlignCenter)
        for i, symbol in enumerate(self.symbols):
            painter.setPen(self.colors.text)
            name = metrics.elidedText(symbol, Qt.TextElideMode.ElideRight, int(width) - 2)
            painter.drawText(QRectF(left + i * width, line, width, line), middle, name)
            row = metrics.elidedText(symbol, Qt.TextElideMode.ElideRight, left - 6)
            painter.drawText(
                QRectF(0, top + i * height, left - 6, height),
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
                row,
            )
            total = int(self.confusion.counts[i].sum())
            for j in range(count):
                share = self.confusion.counts[i, j] / total if total else 0.0
                cell = QRectF(left + j * width + 1, top + i * height + 1, width - 2, height - 2)
                full = _line_color(self.colors) if i == j else self.colors.alert
                painter.fillRect(cell, mix(self.colors.panel, full, 0.85 * float(share)))
                if share >= 0.005:
                    painter.setPen(self.colors.text)
                    painter.drawText(cell, middle, f"{100 * share:.0f}")
        painter.end()


def _line_color(colors: Colors) -> QColor:
    """Return the colour of a curve: the accent, apart enough from any background."""
    return mix(colors.accent, QColor(60, 150, 230), 0.6)


def _thinned(points: tuple[Point, ...]) -> tuple[Point, ...]:
    every = max(1, len(points) // MOST_POINTS)
    kept = points[::every]
    return kept if not points or kept[-1] is points[-1] else (*kept, points[-1])
