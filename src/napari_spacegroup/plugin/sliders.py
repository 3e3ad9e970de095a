"""A slider and a typed value for one number, for the docks that follow a hand."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

STEPS = 1000


class NumberSlider(QWidget):
    """A slider with the value beside it; both can be moved.

    Parameters
    ----------
    low, high
        Range.
    decimals
        Of the typed value.
    unit
        Behind the value, such as ``"°"``.
    tip
        What it is.
    """

    moved = Signal(float)
    """By the user, to a value."""

    def __init__(self, low: float, high: float, decimals: int, unit: str, tip: str) -> None:
        super().__init__()
        self._low, self._high = low, high
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setPageStep(STEPS // 36)
        self.slider.setMinimumWidth(50)
        self.box = QDoubleSpinBox()
        self.box.setRange(low, high)
        self.box.setDecimals(decimals)
        self.box.setSingleStep(1.0 if decimals < 2 else 10.0 ** (1 - decimals))
        self.box.setSuffix(unit)
        self.box.setKeyboardTracking(False)
        self.box.setFixedWidth(
            self.fontMetrics().horizontalAdvance(f"{-high:.{decimals}f}{unit}") + 44
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.box)
        self.setToolTip(tip)
        self.slider.valueChanged.connect(self._from_slider)
        self.box.valueChanged.connect(self._from_box)

    def value(self) -> float:
        """Return the present value."""
        return float(self.box.value())

    def set_value(self, value: float) -> None:
        """Show a value without telling anybody."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.box):
            self.box.setValue(value)
            self.slider.setValue(self._place(value))

    def _from_slider(self, place: int) -> None:
        value = self._low + (self._high - self._low) * place / STEPS
        with QSignalBlocker(self.box):
            self.box.setValue(value)
        self.moved.emit(self.value())

    def _from_box(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(self._place(value))
        self.moved.emit(value)

    def _place(self, value: float) -> int:
        return round(STEPS * (value - self._low) / (self._high - self._low))
