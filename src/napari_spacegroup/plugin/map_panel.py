"""The lower half of the docks that make maps: what is shown, its legend, and saving it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from .controls import Bindings, ChoiceBox, ElidedLabel, explain, hint_label
from .describe import level_symbols
from .legend import LegendTable

if TYPE_CHECKING:
    from .present import MapPresenter
    from .state import MapState

SLIDER_STEPS = 100


class MapPanel(QWidget):
    """Level, threshold and legend of the map that a viewer shows.

    Parameters
    ----------
    state
        What is shown.
    presenter
        Saves the map.
    bindings
        Where the connections are kept.
    """

    def __init__(self, state: MapState, presenter: MapPresenter, bindings: Bindings) -> None:
        super().__init__()
        self.state = state
        self._presenter = presenter
        self.level_box = ChoiceBox(state, "level", bindings, "")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, SLIDER_STEPS)
        self.slider.valueChanged.connect(self._on_slider)
        self.threshold_label = QLabel()
        self.threshold_label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.threshold_label.setFixedWidth(self.fontMetrics().horizontalAdvance("100 %") + 8)
        self.map_title = ElidedLabel()
        self.map_title.setObjectName("title")
        self.legend = LegendTable()
        self.hover = hint_label()
        self.hover.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.hover.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.save_button = QPushButton("Save map…")
        self.save_button.clicked.connect(self._save)
        self._lay_out()
        events = state.events
        for name in ("map_name", "job", "is_live"):
            bindings.connect(getattr(events, name), self._update)
        bindings.connect(events.legend, self._show_legend)
        bindings.connect(events.level, self._show_view)
        bindings.connect(events.threshold, self._show_view)
        bindings.connect(events.hover, self._show_hover)
        self._update()
        self._show_legend()
        self._show_view()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.map_title)
        view = QGridLayout()
        view.setColumnStretch(1, 1)
        label = QLabel("Level")
        label.setBuddy(self.level_box)
        view.addWidget(label, 0, 0)
        view.addWidget(self.level_box, 0, 1)
        confident = QHBoxLayout()
        confident.addWidget(self.slider, 1)
        confident.addWidget(self.threshold_label)
        view.addWidget(QLabel("Confidence ≥"), 1, 0)
        view.addLayout(confident, 1, 1)
        column.addLayout(view)
        column.addWidget(self.legend, 1)
        column.addWidget(self.hover)
        column.addWidget(self.save_button)

    def _update(self, *_: Any) -> None:
        state = self.state
        explain(self.level_box, state.why_no_map)
        explain(self.slider, state.why_no_map, "Pixels below this confidence are unknown")
        self.hover.setVisible(bool(state.map_name))
        explain(self.save_button, state.why_not_save, "Save probabilities and labels as HDF5")
        self.map_title.setText(state.map_name or "No map yet")

    def _show_legend(self, *_: Any) -> None:
        symbols = dict(enumerate(level_symbols(self.state.level), start=1))
        self.legend.set_rows(self.state.legend, symbols)

    def _show_view(self, *_: Any) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(SLIDER_STEPS * self.state.threshold))
        self.slider.blockSignals(False)
        self.threshold_label.setText(f"{100 * self.state.threshold:.0f} %")

    def _show_hover(self, *_: Any) -> None:
        self.hover.setText(self.state.hover)

    def _on_slider(self, value: int) -> None:
        self.state.threshold = value / SLIDER_STEPS

    def _save(self) -> None:
        name = self.state.map_name.replace(":", "").replace("/", "-") or "map"
        path, _ = QFileDialog.getSaveFileName(self, "Save map", f"{name}.h5", "Map (*.h5)")
        if path:
            self._presenter.save(Path(path))
