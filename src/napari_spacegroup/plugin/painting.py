"""Plain Qt painting of a pattern and of its candidates; no plotting library needed."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from .describe import percent
from .state import Bar, Reasons
from .style import Colors

PERCENTILES = (0.5, 99.5)
SLOTS = 5
WIDEST = 560


def gray_image(values: NDArray[np.generic]) -> QImage:
    """Return a pattern in grey, stretched between its 0.5 % and 99.5 % values.

    Parameters
    ----------
    values
        Shape ``(rows, columns)``, any unit; what is not finite is drawn black.
    """
    floats = np.asarray(values, dtype=np.float64)
    finite = floats[np.isfinite(floats)]
    low, high = np.percentile(finite, PERCENTILES) if finite.size else (0.0, 1.0)
    span = high - low if high > low else 1.0
    levels = np.nan_to_num((floats - low) / span, nan=0.0, posinf=1.0, neginf=0.0)
    bytes_ = np.ascontiguousarray(np.clip(levels, 0.0, 1.0) * 255, dtype=np.uint8)
    rows, columns = bytes_.shape
    image = QImage(bytes_.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    return image.copy()  # QImage does not own the bytes


def heat_image(heat: NDArray[np.floating]) -> QImage:
    """Return importance as a warm veil, clear where it is 0.

    Parameters
    ----------
    heat
        From 0 to 1, shape ``(rows, columns)``.
    """
    level = np.sqrt(np.clip(np.nan_to_num(heat), 0.0, 1.0))
    # Premultiplied blue, green, red, alpha: from deep orange to pale yellow.
    alpha = 0.85 * level
    channels = (0.15 + 0.35 * level, 0.35 + 0.55 * level, 1.0 + 0 * level)
    layers = [*(c * alpha for c in channels), alpha]
    bytes_ = np.ascontiguousarray(255 * np.stack(layers, -1), dtype=np.uint8)
    rows, columns = heat.shape
    kind = QImage.Format.Format_ARGB32_Premultiplied
    return QImage(bytes_.data, columns, rows, 4 * columns, kind).copy()


def drawn_profile(
    values: NDArray[np.generic], rows: int = 160, columns: int = 240
) -> NDArray[np.float32]:
    """Return the picture of a profile: what each column of it spans, bright on dark.

    Parameters
    ----------
    values
        Shape ``(1, n)``; the highest of them reaches the top.
    rows, columns
        Size of the picture; narrower where there are fewer points.
    """
    line = np.nan_to_num(np.asarray(values, np.float64)[0])
    columns = min(columns, len(line))
    edges = np.linspace(0, len(line), columns + 1).astype(int)
    low = np.array([line[a:b].min() for a, b in itertools.pairwise(edges)])
    high = np.array([line[a:b].max() for a, b in itertools.pairwise(edges)])
    # Neighbouring columns meet, so that a steep flank is one line.
    low[1:] = np.minimum(low[1:], high[:-1])
    high[:-1] = np.maximum(high[:-1], low[1:])
    span = max(high.max() - low.min(), 1e-12)
    heights = (np.stack([low, high]) - low.min()) / span * (rows - 1)
    level = np.arange(rows)[::-1, None]
    lit = (level >= np.floor(heights[0])) & (level <= np.ceil(heights[1]))
    return np.asarray(lit, np.float32)


class PatternImage(QWidget):
    """A picture with a caption above it, as large as the aspect ratio lets it be.

    Parameters
    ----------
    caption
        What the picture is.
    placeholder
        What stands in its place while there is none.
    """

    def __init__(self, caption: str, placeholder: str) -> None:
        super().__init__()
        self.caption = caption
        self.placeholder = placeholder
        self.colors: Colors | None = None
        self.image: QImage | None = None
        self._veil: QImage | None = None
        self._marks: tuple[tuple[str, float, float], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(90, 100)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for a square and the caption."""
        return QSize(140, 160)

    def height_for(self, width: int) -> int:
        """Return the height that a picture of this width and its caption need."""
        ratio = 1.0 if self.image is None else self.image.height() / self.image.width()
        return int(width * ratio + QFontMetrics(self.font()).height() + 4)

    def set_values(self, values: NDArray[np.generic] | None) -> None:
        """Show another pattern, or the placeholder."""
        is_profile = values is not None and values.shape[0] == 1 and values.shape[1] > 1
        drawn = drawn_profile(values) if values is not None and is_profile else values
        self.image = None if drawn is None else gray_image(drawn)
        shape = "" if values is None else f", {values.shape[0]} × {values.shape[1]}"
        self.setToolTip(self.caption + shape)
        self.update()

    def set_reasons(self, reasons: Reasons | None) -> None:
        """Lay over the picture where the network looked, or nothing."""
        self._veil = None if reasons is None else heat_image(reasons.heat)
        self._marks = () if reasons is None else reasons.marks
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw caption and picture."""
        if self.colors is None:
            return
        painter = QPainter(self)
        metrics = QFontMetrics(self.font())
        top = metrics.height() + 4
        painter.setPen(self.colors.faint)
        caption = metrics.elidedText(self.caption, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(0, metrics.ascent(), caption)
        frame = QRect(0, top, self.width(), max(self.height() - top, 20))
        if self.image is None:
            painter.setPen(self.colors.border)
            side = min(frame.width(), frame.height()) - 1
            painter.drawRect(QRect(0, top, side, side))
            painter.setPen(self.colors.faint)
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(QRect(6, top, side - 12, side), flags, self.placeholder)
        else:
            size = self.image.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            is_larger = size.width() >= self.image.width()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not is_larger)
            place = QRect(frame.topLeft(), size)
            painter.drawImage(place, self.image)
            if self._veil is not None:
                painter.drawImage(place, self._veil)
                painter.setClipRect(place)
                self._draw_marks(painter, place)
        painter.end()

    def _draw_marks(self, painter: QPainter, place: QRect) -> None:
        """Draw zone axes as rings, with their names where there is room."""
        font = painter.font()
        font.setPointSizeF(0.75 * font.pointSizeF())
        painter.setFont(font)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor("white"))
        apart = 34.0
        taken: list[tuple[float, float]] = []
        for name, x, y in self._marks:
            u, v = place.left() + x * place.width(), place.top() + y * place.height()
            if any(abs(u - a) < apart and abs(v - b) < 0.4 * apart for a, b in taken):
                continue
            taken.append((u, v))
            painter.drawEllipse(QRectF(u - 2.5, v - 2.5, 5, 5))
            painter.drawText(round(u + 4), round(v - 3), name)


class BarChart(QWidget):
    """At most five candidates: symbol and number, a bar, the probability in words."""

    def __init__(self) -> None:
        super().__init__()
        self.colors: Colors | None = None
        self.bars: tuple[Bar, ...] = ()
        self.shows_numbers = True
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Leave room for five bars, so that nothing jumps when there are fewer."""
        return QSize(220, SLOTS * self._row_height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Stay readable."""
        return QSize(160, SLOTS * self._row_height())

    def set_bars(self, bars: tuple[Bar, ...], *, shows_numbers: bool) -> None:
        """Show other candidates."""
        self.bars = bars
        self.shows_numbers = shows_numbers
        lines = (f"{self._name(bar)}: {percent(bar.probability)}" for bar in bars)
        self.setToolTip("\n".join(lines))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw one row per candidate; the numbers repeat what the length says."""
        if self.colors is None:
            return
        painter = QPainter(self)
        metrics = QFontMetrics(self.font())
        height = self._row_height()
        names = [self._name(bar) for bar in self.bars]
        name_width = max((metrics.horizontalAdvance(name) for name in names), default=0)
        name_width = min(name_width + 10, self.width() // 2)
        value_width = metrics.horizontalAdvance("> 99.9 %") + 8
        whole = min(self.width(), WIDEST)
        room = max(whole - name_width - value_width, 10)
        for index, (bar, name) in enumerate(zip(self.bars, names, strict=True)):
            top = index * height
            painter.setPen(self.colors.text if index == 0 else self.colors.faint)
            middle = int(Qt.AlignmentFlag.AlignVCenter)
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, name_width - 6)
            painter.drawText(QRect(0, top, name_width, height), middle, text)
            track = QRectF(name_width, top + 0.3 * height, room, 0.4 * height)
            painter.fillRect(track, self.colors.panel)
            track.setWidth(max(1.0, room * bar.probability))
            painter.fillRect(track, QColor.fromRgbF(*bar.color))
            right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
            place = QRect(whole - value_width, top, value_width, height)
            painter.drawText(place, right, percent(bar.probability))
        painter.end()

    def _row_height(self) -> int:
        return int(QFontMetrics(self.font()).height() + 6)

    def _name(self, bar: Bar) -> str:
        return f"{bar.symbol} ({bar.number})" if self.shows_numbers else bar.symbol
