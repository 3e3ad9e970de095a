"""The table beside a map: symbol, number, system, share of pixels, confidence, colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from .describe import percent

if TYPE_CHECKING:
    from ..infer import LegendRow

HEADERS = ("Symbol", "No.", "System", "Pixels", "Conf.")
TOOLTIPS = (
    "Hermann–Mauguin symbol, with the colour it has in the map",
    "Number in the International Tables",
    "Crystal system",
    "Share of the scan's pixels",
    "Mean confidence of these pixels",
)
SWATCH = 12


class LegendTable(QTableWidget):
    """Rows of a legend, as the state gives them; computes nothing."""

    def __init__(self) -> None:
        super().__init__(0, len(HEADERS))
        self.setHorizontalHeaderLabels(HEADERS)
        for column, text in enumerate(TOOLTIPS):
            self.horizontalHeaderItem(column).setToolTip(text)
            side = Qt.AlignmentFlag.AlignLeft if column in (0, 2) else Qt.AlignmentFlag.AlignRight
            self.horizontalHeaderItem(column).setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        self.setShowGrid(False)
        self.setIconSize(QSize(SWATCH, SWATCH))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(72)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for little: the layout gives what is left over."""
        return QSize(220, self.minimumHeight())

    def set_rows(self, rows: tuple[LegendRow, ...], symbols: dict[int, str]) -> None:
        """Show the rows; ``symbols`` has the printed form of each label."""
        self.setRowCount(len(rows))
        for index, row in enumerate(rows):
            is_known = row.label != 0
            cells = (
                symbols.get(row.label, row.symbol) if is_known else "unknown",
                str(row.label) if is_known else "–",
                row.system if is_known else "–",
                percent(row.share),
                percent(row.mean_confidence) if is_known else "–",
            )
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                side = (
                    Qt.AlignmentFlag.AlignLeft if column in (0, 2) else Qt.AlignmentFlag.AlignRight
                )
                item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(_tooltip(row, text, column))
                self.setItem(index, column, item)
            self.item(index, 0).setIcon(swatch(row.color if is_known else None))


def _tooltip(row: LegendRow, text: str, column: int) -> str:
    others = [str(group) for group in row.inseparable_from if group != row.label]
    if column == 0 and others:
        return f"{text} can't be told from {', '.join(others)} by this technique"
    return text


def swatch(color: tuple[float, float, float, float] | None) -> QIcon:
    """Return a small square of a colour, or a hollow one for unknown."""
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    if color is None:
        painter.setPen(QColor(128, 128, 128))
        painter.drawRect(0, 0, SWATCH - 1, SWATCH - 1)
        painter.drawLine(0, SWATCH - 1, SWATCH - 1, 0)
    else:
        painter.fillRect(0, 0, SWATCH, SWATCH, QColor.fromRgbF(*color))
    painter.end()
    return QIcon(pixmap)
