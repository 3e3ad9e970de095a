"""The part of the dock *Pattern* that calibrates: the picture with its marks, and their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..config import CalibrationSpec
from ..config.calibration import LARGEST_RATIO
from .calibrate_picture import CalibratePicture
from .controls import MessageLabel, add_row, explain, hint_label
from .style import Colors

if TYPE_CHECKING:
    from .calibrate_controller import CalibrateController
    from .controls import Bindings

GAP = 8
WIDE = 540
CONTROLS = 330
UNBOUNDED = 16777215  # Qt's own
UNKNOWN = "unknown"
SCALES: tuple[tuple[str, float | None, int], ...] = (
    ("pixel Å", None, 2), ("nm⁻¹/pixel", 10.0, 6), ("Å⁻¹/pixel", 1.0, 7),
)  # fmt: skip
"""Name of each way to give the scale; what over the camera constant it is; decimals."""


class CalibratePanel(QWidget):
    """Center, ellipse, ring and scale of the pattern that is shown.

    Parameters
    ----------
    controller
        Whose state is shown.
    bindings
        Where the connections are kept.
    """

    def __init__(self, controller: CalibrateController, bindings: Bindings) -> None:
        super().__init__()
        self.controller, self.state = controller, controller.state
        self._build()
        events = self.state.events
        for signal in (events.marks, events.spots, events.message, events.is_alert, events.in_use,
                       events.is_finding, events.is_single):  # fmt: skip
            bindings.connect(signal, self._update)
        self._update()

    def _build(self) -> None:
        about = {name: field.description or "" for name, field in
                 CalibrationSpec.model_fields.items()}  # fmt: skip
        self.picture = CalibratePicture(self.state)
        self.column, self.row = (_number(-1e5, 1e5, 2, 0.1, about["center"]) for _ in range(2))
        self.column.setPrefix("x ")
        self.row.setPrefix("y ")
        self.fixed = QCheckBox("The same in all patterns")
        self.fixed.setToolTip("Else it is found in each pattern: for a beam that moves")
        self.ratio = _number(1.0, LARGEST_RATIO, 3, 0.001, about["ellipse"])
        self.angle = _number(0.0, 180.0, 1, 1.0, about["ellipse"])
        self.angle.setSuffix("°")
        self.angle.setWrapping(True)
        ring = "Lattice spacing of the blue ring. Typing moves the ring, dragging sets the scale"
        self.spacing = _number(0.0, 100.0, 4, 0.01, ring)
        other = "Of a second ring, to check the scale by or to set it with"
        self.second = _number(0.0, 100.0, 4, 0.01, other)
        for box in (self.spacing, self.second):
            box.setSuffix(" Å")
            box.setSpecialValueText(UNKNOWN)
        self.scale = _number(0.0, 1e7, 2, 1.0, about["camera_constant"])
        self.scale.setSpecialValueText(UNKNOWN)
        self.unit = QComboBox()
        self.unit.addItems([name for name, _, _ in SCALES])
        self.lattice = hint_label()
        self.message = MessageLabel()
        self.find_button = QPushButton("Find again")
        self.reset_button = QPushButton("Reset")
        self.use_button = QPushButton("Use for this scan")
        self.use_button.setObjectName("main")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for place, (title, widgets) in enumerate((
            ("Center", (self.column, self.row)), ("", (self.fixed,)),
            ("Ellipse", (self.ratio, self.angle)), ("Ring", (self.spacing,)),
            ("Second ring", (self.second,)), ("Scale", (self.scale, self.unit)),
        )):  # fmt: skip
            holder = QWidget()
            line = QHBoxLayout(holder)
            line.setContentsMargins(0, 0, 0, 0)
            line.setSpacing(4)
            for widget in widgets:
                line.addWidget(widget, 0 if widget is self.unit else 1)
            add_row(grid, place, title, holder)
        controls = QWidget()
        column = QVBoxLayout(controls)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(6)
        column.addLayout(grid)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(controls)
        buttons = QHBoxLayout()
        buttons.addWidget(self.find_button)
        buttons.addWidget(self.reset_button)
        self.controls = QWidget()
        below = QVBoxLayout(self.controls)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(6)
        below.addWidget(area, 1)
        below.addWidget(self.lattice)
        below.addWidget(self.message)
        below.addLayout(buttons)
        below.addWidget(self.use_button)
        self._body = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._body.setContentsMargins(0, 0, 0, 0)
        self._body.setSpacing(GAP)
        self._body.addWidget(self.picture, 3)
        self._body.addWidget(self.controls, 2)

    def _connect(self) -> None:
        # Bound methods: a function that held the panel would keep it alive in a ring, to be
        # collected on whatever thread.
        for box, slot in (
            (self.column, self._on_center), (self.row, self._on_center),
            (self.ratio, self._on_ellipse), (self.angle, self._on_ellipse),
            (self.spacing, self._on_spacing), (self.second, self._on_second),
            (self.scale, self._on_scale),
        ):  # fmt: skip
            box.valueChanged.connect(slot)
        self.fixed.toggled.connect(self._on_fixed)
        self.unit.currentIndexChanged.connect(self._update)
        self.find_button.clicked.connect(self._find)
        self.reset_button.clicked.connect(self._reset)
        self.use_button.clicked.connect(self._use)

    def _find(self) -> None:
        self.controller.find()

    def _reset(self) -> None:
        self.controller.reset()

    def _use(self) -> None:
        self.controller.use()

    def _on_center(self, *_: Any) -> None:
        if self.state.marks is not None:
            self.state.marks = self.state.marks.with_center(self.column.value(), self.row.value())

    def _on_ellipse(self, *_: Any) -> None:
        if self.state.marks is not None:
            ellipse = (self.ratio.value(), self.angle.value() % 180)
            self.state.marks = replace(self.state.marks, ellipse=ellipse)

    def _on_fixed(self, is_fixed: bool) -> None:
        if self.state.marks is not None:
            self.state.marks = replace(self.state.marks, is_fixed=is_fixed)

    def _on_spacing(self, value: float) -> None:
        if self.state.marks is not None:
            self.state.marks = self.state.marks.with_spacing(value or None)

    def _on_second(self, value: float) -> None:
        if self.state.marks is not None:
            self.state.marks = replace(self.state.marks, second_spacing=value or None)

    def _on_scale(self, value: float) -> None:
        over = SCALES[self.unit.currentIndex()][1]
        constant = None if not value else value if over is None else over / value
        if self.state.marks is not None:
            self.state.marks = self.state.marks.with_camera_constant(constant)

    def set_values(self, values: NDArray[np.generic] | None) -> None:
        """Show another pattern."""
        self.picture.set_values(values)
        self.arrange(self.width())

    def recolor(self, colors: Colors) -> None:
        """Take the colours of the theme."""
        self.picture.colors = colors
        self.picture.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Arrange itself anew."""
        self.arrange(self.width())
        super().resizeEvent(event)

    def arrange(self, width: int) -> None:
        """Put the numbers beside the picture where there is room, else below."""
        is_wide = width >= WIDE
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.LeftToRight if is_wide else direction.TopToBottom)
        # Below each other the picture is as high as its width allows; the numbers have the rest.
        whole = max(150, min(self.picture.height_for(width), round(0.62 * self.height())))
        self.picture.setMinimumHeight(150 if is_wide else whole)
        self.picture.setMaximumHeight(UNBOUNDED if is_wide else whole)
        self.controls.setMinimumWidth(CONTROLS if is_wide else 0)
        self.controls.setMaximumWidth(CONTROLS if is_wide else UNBOUNDED)

    def _update(self, *_: Any) -> None:
        state, marks = self.state, self.state.marks
        self.picture.update()
        self.message.show_message(state.message, "", is_alert=state.is_alert)
        self.lattice.setText("" if state.spots is None else state.spots.summary)
        self.fixed.parentWidget().setVisible(not state.is_single)
        none = "" if marks is not None else "There is no pattern."
        searching = "Looking at the patterns" if state.is_finding else ""
        explain(self.find_button, none or searching, "Center and ellipse, from the patterns alone")
        explain(self.reset_button, none, "What the file says; the center is found")
        in_use = "This scan has this calibration." if state.in_use else ""
        explain(self.use_button, none or in_use, "Classify, combine and tilts go by it at once")
        if marks is None:
            return
        over, decimals = SCALES[self.unit.currentIndex()][1:]
        constant = marks.camera_constant or 0.0
        shown = constant if over is None or not constant else over / constant
        boxes = (self.column, self.row, self.ratio, self.angle, self.spacing, self.second)
        values = (*marks.center, *marks.ellipse, marks.spacing or 0.0, marks.second_spacing or 0.0)
        for box, value in zip((*boxes, self.scale), (*values, shown), strict=True):
            with QSignalBlocker(box):
                if box is self.scale:
                    box.setDecimals(decimals)
                    box.setSingleStep(10.0 ** (1 - decimals))
                if not box.lineEdit().isModified() or not box.hasFocus():
                    box.setValue(value)
        with QSignalBlocker(self.fixed):
            self.fixed.setChecked(marks.is_fixed)


def _number(low: float, high: float, decimals: int, step: float, tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(decimals)
    box.setSingleStep(step)
    box.setToolTip(tip)
    box.setKeyboardTracking(False)
    box.setMinimumWidth(60)
    return box


__all__ = ["CalibratePanel"]
