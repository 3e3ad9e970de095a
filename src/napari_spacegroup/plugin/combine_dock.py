"""The dock *Combine*: several patterns of one crystal, what they say, where to tilt next."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .combine_state import HINT, AxisRow, EvidenceRow
from .controls import (
    ChoiceBox,
    ElidedLabel,
    FoldButton,
    MessageLabel,
    ModelNote,
    add_row,
    explain,
    hint_label,
    scroll,
    separator,
)
from .describe import percent
from .dock import Dock
from .painting import BarChart
from .style import Colors

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .state import Bar

GAP = 8
SHOWN = (
    "rows", "message", "is_alert", "bars", "verdict", "axes", "has_axes", "why_not_pattern",
    "why_not_region", "why_not_layers", "is_drawing", "models", "model",
)  # fmt: skip
FILTER = "Patterns (*.png *.tif *.tiff *.jpg *.jpeg *.bmp *.blo *.mib *.tvips *.dm3 *.dm4 *.hspy)"
LEFT, RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight


class CombineDock(Dock):
    """Add patterns, tick them, see the evidence add up.

    Parameters
    ----------
    napari_viewer
        Whose layers, cursor and drawn regions count.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "combine")
        self.controller = self.session.combine
        self.state, self.map_state = self.controller.state, self.session.map_state
        self._is_filling = False
        self._build()
        self._bind()
        self._restyle()
        self.controller.open()
        self._update()

    def _build(self) -> None:
        self.model_box = ChoiceBox(self.state, "model", self._bindings, "No model")
        self.model_hint = hint_label(wraps=False)
        self.note = ModelNote(self.state, self._bindings)
        self.method_box = ChoiceBox(self.state, "method", self._bindings, "")
        self.pattern_button = QPushButton("Add pattern")
        self.region_button = QPushButton("Draw region")
        self.layers_button = QPushButton("Add layers")
        self.files_button = QPushButton("Add files…")
        self.files_button.setToolTip("Photographs of patterns, or scans")
        self.table = _Table(("Pattern", "Alone", "So far"), stretched=0)
        self.empty = hint_label(HINT)
        self.remove_button = QPushButton("Remove")
        self.clear_button = QPushButton("Clear")
        self.verdict = ElidedLabel()
        self.verdict.setObjectName("title")
        self.bars = BarChart()
        self.message = MessageLabel()
        self.axes_title = QLabel("Tilt to next")
        self.axes_title.setObjectName("title")
        self.axes_table = _Table(("Axis", "Gain", "α", "β", "Away"), stretched=0)
        self.alpha, self.beta = _angle("α"), _angle("β")
        self.axis, self.reach = _angle("Holder's axis", 180), _angle("Reach")
        self.reach.setMinimum(1)
        scroll(self._content(), self)
        self.setMinimumWidth(300)

    def _content(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(GAP, GAP, GAP, GAP)
        column.setSpacing(6)
        choices = QGridLayout()
        choices.setVerticalSpacing(4)
        choices.setColumnStretch(1, 1)
        add_row(choices, 0, "Model", self.model_box)
        choices.addWidget(self.model_hint, 1, 1)
        choices.addWidget(self.note, 2, 1)
        add_row(choices, 3, "Joined by", self.method_box)
        column.addLayout(choices)
        adds = QGridLayout()
        adds.setSpacing(6)
        buttons = (self.pattern_button, self.region_button, self.layers_button, self.files_button)
        for place, button in enumerate(buttons):
            adds.addWidget(button, place // 2, place % 2)
        column.addLayout(adds)
        column.addWidget(self.message)
        column.addWidget(self.empty)
        column.addWidget(self.table)
        below = QHBoxLayout()
        below.addWidget(self.remove_button)
        below.addWidget(self.clear_button)
        below.addStretch(1)
        column.addLayout(below)
        column.addWidget(separator())
        column.addWidget(self.verdict)
        column.addWidget(self.bars)
        self.tilts = QWidget()
        tilts = QVBoxLayout(self.tilts)
        tilts.setContentsMargins(0, 0, 0, 0)
        tilts.setSpacing(6)
        tilts.addWidget(separator())
        tilts.addWidget(self.axes_title)
        stands = QHBoxLayout()
        stands.addWidget(QLabel("Holder at α"))
        stands.addWidget(self.alpha, 1)
        stands.addWidget(QLabel("β"))
        stands.addWidget(self.beta, 1)
        tilts.addLayout(stands)
        tilts.addWidget(self.axes_table)
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        add_row(grid, 0, "Its axis in the picture", self.axis)
        add_row(grid, 1, "Both tilts reach ±", self.reach)
        self.holder_button = FoldButton("Holder", holder, "How it lies and how far it tilts")
        tilts.addWidget(self.holder_button)
        tilts.addWidget(holder)
        column.addWidget(self.tilts)
        column.addStretch(1)
        return content

    def _bind(self) -> None:
        controller, events, bindings = self.controller, self.state.events, self._bindings
        self.pattern_button.clicked.connect(lambda: controller.add_pattern())
        self.region_button.clicked.connect(lambda: controller.draw_region())
        self.layers_button.clicked.connect(lambda: controller.add_layers())
        self.files_button.clicked.connect(self._choose_files)
        self.remove_button.clicked.connect(self._remove)
        self.clear_button.clicked.connect(lambda: controller.clear())
        self.table.itemChanged.connect(self._on_item)
        self.table.itemSelectionChanged.connect(self._show_buttons)
        for name in ("alpha", "beta", "axis", "reach"):
            box = getattr(self, name)
            box.setValue(getattr(self.state, name))
            box.valueChanged.connect(lambda value, n=name: setattr(self.state, n, value))
        for name in SHOWN:
            bindings.connect(getattr(events, name), self._update)

    def _choose_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Patterns of one crystal", filter=FILTER)
        if paths:
            self.controller.add_files([Path(path) for path in paths])

    def _remove(self) -> None:
        places = {index.row() for index in self.table.selectedIndexes()}
        for key in [row.key for place, row in enumerate(self.state.rows) if place in places]:
            self.controller.remove(key)

    def _on_item(self, item: QTableWidgetItem) -> None:
        if not self._is_filling and item.column() == 0:
            key = self.state.rows[item.row()].key
            self.controller.tick(key, item.checkState() == Qt.CheckState.Checked)

    def _update(self, *_: Any) -> None:
        state = self.state
        chosen = self.state.chosen("model")
        self.model_hint.setText("" if chosen is None else chosen.detail)
        reading = "Reading" if state.is_reading else ""
        self.message.show_message(state.message, reading, is_alert=state.is_alert)
        self.region_button.setText("Add region" if state.is_drawing else "Draw region")
        explain(self.pattern_button, state.why_not_pattern, "That under the cursor, or pinned")
        explain(self.region_button, state.why_not_region, "The pixels of one grain")
        explain(self.layers_button, state.why_not_layers, "Photographs or stacks: those selected")
        self._fill_rows()
        self._show_buttons()
        self.empty.setVisible(not state.rows)
        self.table.setVisible(bool(state.rows))
        self.verdict.setText(state.verdict)
        level = self.map_state.level
        self.bars.set_bars(state.bars, shows_numbers=level == "space_group")
        self.bars.setVisible(bool(state.bars))
        self.tilts.setVisible(state.has_axes)
        title = "Tilt to next" if state.axes else "No zone axis would tell more"
        self.axes_title.setText(title)
        self.axes_table.setVisible(bool(state.axes))
        self._fill_axes()

    def _show_buttons(self) -> None:
        has_rows = bool(self.state.rows)
        self.clear_button.setVisible(has_rows)
        self.remove_button.setVisible(has_rows)
        nothing = "" if self.table.selectedIndexes() else "Select a line first."
        explain(self.remove_button, nothing, "Forget the selected lines")

    def _fill_rows(self) -> None:
        self._is_filling = True
        self.table.setRowCount(len(self.state.rows))
        for place, row in enumerate(self.state.rows):
            cells = (self._row_name(row), _short(row.alone), _short(row.joint))
            for column, text in enumerate(cells):
                item = self.table.cell(place, column, text, LEFT if column == 0 else RIGHT)
                item.setToolTip(row.problem or _row_tip(row))
                if column == 0:
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                    ticked = Qt.CheckState.Checked if row.is_ticked else Qt.CheckState.Unchecked
                    item.setCheckState(ticked)
        self._is_filling = False
        self.table.fit(most=8)

    @staticmethod
    def _row_name(row: EvidenceRow) -> str:
        if row.problem:
            return f"⚠ {row.name}"
        if row.indexed == 0:
            return f"{row.name} (no cubic lattice)"
        return row.name

    def _fill_axes(self) -> None:
        self.axes_table.setRowCount(len(self.state.axes))
        for place, row in enumerate(self.state.axes):
            for column, text in enumerate(_axis_cells(row)):
                item = self.axes_table.cell(place, column, text, LEFT if column == 0 else RIGHT)
                item.setToolTip(row.detail)
        self.axes_table.fit(most=8)

    def recolor(self, colors: Colors) -> None:
        """Take the colours of the theme."""
        self.bars.colors = colors
        self.bars.update()


class _Table(QTableWidget):
    """A plain table as high as its rows, up to a number of them."""

    def __init__(self, headers: tuple[str, ...], stretched: int) -> None:
        super().__init__(0, len(headers))
        self.setHorizontalHeaderLabels(list(headers))
        for column in range(len(headers)):
            side = (LEFT if column == stretched else RIGHT) | Qt.AlignmentFlag.AlignVCenter
            self.horizontalHeaderItem(column).setTextAlignment(side)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)

    def cell(self, row: int, column: int, text: str, side: Qt.AlignmentFlag) -> QTableWidgetItem:
        """Return the item of a cell after giving it a text."""
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        item.setText(text)
        item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        return item

    def fit(self, most: int) -> None:
        """Be as high as the rows, or as so many of them."""
        rows = min(max(self.rowCount(), 1), most)
        self.setFixedHeight(rows * 22 + self.horizontalHeader().sizeHint().height() + 4)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Be as narrow as the dock."""
        return QSize(120, super().minimumSizeHint().height())


def _angle(tip: str, most: float = 90) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(-most, most)
    box.setDecimals(1)
    box.setSuffix("°")
    box.setToolTip(tip)
    return box


def _short(bar: Bar | None) -> str:
    return "–" if bar is None else f"{bar.symbol} {percent(bar.probability)}"


def _row_tip(row: EvidenceRow) -> str:
    if not row.count:
        return f"{row.name}: being read"
    many = "1 pattern" if row.count == 1 else f"{row.count} patterns"
    lattice = "" if row.indexed is None else f"; a cubic lattice explains {row.indexed}"
    return f"{row.name}: {many}{lattice}"


def _axis_cells(row: AxisRow) -> tuple[str, ...]:
    def degrees(value: float) -> str:
        return f"{value:.1f}°" if math.isfinite(value) else "–"

    return (row.name, f"{row.gain:.2f} bit", degrees(row.alpha), degrees(row.beta),
            degrees(row.angle))  # fmt: skip
