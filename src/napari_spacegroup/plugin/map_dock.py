"""The dock *Space-group map*: choose, classify, read the legend."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..jobs import JobState
from .controls import Bindings, ChoiceBox, explain, hint_label
from .map_panel import MapPanel
from .session import plain_viewer, session_of
from .style import style_sheet, theme_colors

if TYPE_CHECKING:
    from napari.viewer import Viewer


class MapDock(QWidget):
    """Classify the scans of a viewer and show the legend of the map.

    Parameters
    ----------
    napari_viewer
        Whose layers are classified.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        napari_viewer = plain_viewer(napari_viewer)
        self._viewer = weakref.ref(napari_viewer)
        self.session = session_of(napari_viewer)
        self.state = self.session.map_state
        self._bindings = Bindings()
        self._was_docked = False
        self._build()
        self._bind(napari_viewer)
        self._restyle()
        self._update()
        self._token = token = self.session.open_dock("map")
        session = self.session
        self.destroyed.connect(self._bindings.release)
        self.destroyed.connect(lambda *_: session.close_dock(token))

    # --- layout -------------------------------------------------------------------

    def _build(self) -> None:
        self.layer_box = ChoiceBox(self.state, "layer", self._bindings, "No scan open")
        self.model_box = ChoiceBox(self.state, "model", self._bindings, "No model")
        self.device_box = ChoiceBox(self.state, "device", self._bindings, "")
        self.layer_hint = hint_label(wraps=False)
        self.model_hint = hint_label(wraps=False)

        self.sample_button = QPushButton("Open the nickel sample")
        self.sample_button.setToolTip("A real EBSD scan that comes with kikuchipy")
        self.sample_button.clicked.connect(self._open_sample)
        self.empty = QFrame()
        self.empty.setObjectName("empty")
        self.empty_hint = hint_label()
        empty = QVBoxLayout(self.empty)
        empty.addWidget(self.empty_hint)
        empty.addWidget(self.sample_button)

        self.batch_box = QSpinBox()
        self.batch_box.setRange(1, 4096)
        self.batch_box.setToolTip(
            "Patterns per forward pass: more is faster on a GPU and needs more memory."
        )
        self.batch_box.valueChanged.connect(self._on_batch)
        self.advanced = QWidget()
        grid = QGridLayout(self.advanced)
        grid.setContentsMargins(12, 0, 0, 0)
        _row(grid, 0, "Device", self.device_box)
        _row(grid, 1, "Batch size", self.batch_box)
        grid.setColumnStretch(1, 1)
        self.advanced_button = QPushButton()
        self.advanced_button.setObjectName("fold")
        self.advanced_button.setToolTip("Device and batch size; the defaults suit most scans")
        self.advanced_button.setCheckable(True)
        self.advanced_button.toggled.connect(self._fold)
        self._fold(False)

        self.classify_button = QPushButton("Classify")
        self.classify_button.setObjectName("main")
        self.classify_button.clicked.connect(self.session.classify.classify)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.session.classify.cancel)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.message = hint_label()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

        self.panel = MapPanel(self.state, self.session.classify.presenter, self._bindings)
        self.map_title, self.legend = self.panel.map_title, self.panel.legend
        self.level_box, self.slider = self.panel.level_box, self.panel.slider
        self.threshold_label, self.hover = self.panel.threshold_label, self.panel.hover
        self.save_button = self.panel.save_button

        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.empty)
        choices = QGridLayout()
        choices.setVerticalSpacing(4)
        choices.setColumnStretch(1, 1)
        _row(choices, 0, "Scan", self.layer_box)
        choices.addWidget(self.layer_hint, 1, 1)
        _row(choices, 2, "Model", self.model_box)
        choices.addWidget(self.model_hint, 3, 1)
        column.addLayout(choices)
        column.addWidget(self.advanced_button)
        column.addWidget(self.advanced)
        run = QHBoxLayout()
        run.addWidget(self.classify_button, 1)
        run.addWidget(self.cancel_button)
        column.addLayout(run)
        column.addWidget(self.progress)
        column.addWidget(self.message)
        column.addWidget(_line())
        column.addWidget(self.panel, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
        self.setMinimumWidth(300)

    def _bind(self, viewer: Viewer) -> None:
        events, bindings = self.state.events, self._bindings
        for name in (
            "layers",
            "layer",
            "models",
            "model",
            "devices",
            "device",
            "job",
            "message",
            "is_alert",
            "map_name",
            "batch_size",
            "is_live",
        ):
            bindings.connect(getattr(events, name), self._update)
        bindings.connect(events.done, self._show_progress)
        bindings.connect(events.total, self._show_progress)
        bindings.connect(viewer.events.theme, self._restyle)

    # --- state to widgets ---------------------------------------------------------

    def _update(self, *_: Any) -> None:
        state = self.state
        self.empty.setVisible(bool(state.hint))
        self.empty_hint.setText(state.hint)
        for box, label in ((self.layer_box, self.layer_hint), (self.model_box, self.model_hint)):
            name = "layer" if box is self.layer_box else "model"
            chosen = state.chosen(name)
            label.setText("" if chosen is None else chosen.problem or chosen.detail)
            label.setVisible(bool(label.text()))
        busy = "Wait for the classification or cancel it." if state.is_busy else ""
        explain(self.layer_box, busy or (state.hint and "There is no scan yet."))
        explain(self.model_box, busy or ("" if state.models else "Looking for models."))
        explain(self.device_box, busy)
        explain(self.batch_box, busy, self.batch_box.toolTip())
        explain(self.classify_button, state.why_not_classify, "Classify every pattern of the scan")
        self.classify_button.setText("Classifying…" if state.is_busy else "Classify")
        self.cancel_button.setVisible(state.is_busy)
        is_cancelling = "Cancelling already." if state.job is JobState.FINISHING else ""
        explain(self.cancel_button, is_cancelling, "Stop; what is computed stays")
        self.batch_box.setValue(state.batch_size)
        self._show_message()
        self._show_progress()

    def _show_message(self) -> None:
        state = self.state
        why = "" if state.hint or state.is_busy else state.why_not_classify
        text = f"⚠ {state.message}" if state.is_alert else state.message or why
        self.message.setText(text)
        self.message.setVisible(bool(text))
        name = "alert" if state.is_alert else "hint"
        if self.message.objectName() != name:
            self.message.setObjectName(name)
            self.message.style().polish(self.message)

    def _show_progress(self, *_: Any) -> None:
        state = self.state
        self.progress.setVisible(state.is_busy)
        self.progress.setRange(0, 0 if state.job is JobState.PREPARING else max(state.total, 1))
        self.progress.setValue(state.done)
        self.progress.setToolTip(f"{state.done} of {state.total} patterns")

    def _restyle(self, *_: Any) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.setStyleSheet(style_sheet(theme_colors(viewer)))

    # --- widgets to state ---------------------------------------------------------

    def _fold(self, is_open: bool) -> None:
        self.advanced_button.setText("▾ Advanced" if is_open else "▸ Advanced")
        self.advanced.setVisible(is_open)

    def _on_batch(self, value: int) -> None:
        self.state.batch_size = value

    def _open_sample(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.open_sample("napari-spacegroup", "nickel")

    # --- life ---------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Cancel the job when napari takes the widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._was_docked = True
            elif self._was_docked:
                self.close_session()
        return bool(super().event(event))

    def close_session(self) -> None:
        """Cut all ties with the viewer; the widget shows nothing new afterwards."""
        self._bindings.release()
        self.session.close_dock(self._token)


def _row(grid: QGridLayout, row: int, title: str, widget: QWidget) -> None:
    label = QLabel(title)
    label.setBuddy(widget)
    grid.addWidget(label, row, 0)
    grid.addWidget(widget, row, 1)


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    return line
