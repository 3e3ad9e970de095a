"""The dock *Space-group map*: choose, classify, read the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..jobs import JobState
from .controls import (
    ChoiceBox,
    FoldButton,
    MessageLabel,
    ModelNote,
    PlaceBox,
    ProgressLine,
    add_row,
    explain,
    hint_label,
    scroll,
    separator,
)
from .dock import Dock
from .map_panel import MapPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer


class MapDock(Dock):
    """Classify the scans of a viewer and show the legend of the map.

    Parameters
    ----------
    napari_viewer
        Whose layers are classified.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "map")
        self.state = self.session.map_state
        self._build()
        self._bind()
        self._restyle()
        self._update()

    # --- layout -------------------------------------------------------------------

    def _build(self) -> None:
        self.layer_box = ChoiceBox(self.state, "layer", self._bindings, "No scan open")
        self.model_box = ChoiceBox(self.state, "model", self._bindings, "No model")
        self.device_box = ChoiceBox(self.state, "device", self._bindings, "")
        self.place_box = PlaceBox(self.state, self._bindings)
        self.layer_hint = hint_label(wraps=False)
        self.model_hint = hint_label(wraps=False)
        self.note = ModelNote(self.state, self._bindings)

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
        add_row(grid, 0, "Device", self.device_box)
        add_row(grid, 1, "Runs in", self.place_box)
        add_row(grid, 2, "Batch size", self.batch_box)
        grid.setColumnStretch(1, 1)
        self.advanced_button = FoldButton(
            "Advanced",
            self.advanced,
            "Device, process, batch size; the defaults suit most scans",
        )

        self.classify_button = QPushButton("Classify")
        self.classify_button.setObjectName("main")
        self.classify_button.clicked.connect(self.session.classify.classify)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.session.classify.cancel)
        self.progress = ProgressLine()
        self.message = MessageLabel()

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
        add_row(choices, 0, "Scan", self.layer_box)
        choices.addWidget(self.layer_hint, 1, 1)
        add_row(choices, 2, "Model", self.model_box)
        choices.addWidget(self.model_hint, 3, 1)
        choices.addWidget(self.note, 4, 1)
        column.addLayout(choices)
        column.addWidget(self.advanced_button)
        column.addWidget(self.advanced)
        run = QHBoxLayout()
        run.addWidget(self.classify_button, 1)
        run.addWidget(self.cancel_button)
        column.addLayout(run)
        column.addWidget(self.progress)
        column.addWidget(self.message)
        column.addWidget(separator())
        column.addWidget(self.panel, 1)
        scroll(content, self)
        self.setMinimumWidth(300)

    def _bind(self) -> None:
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
        explain(self.place_box, busy, self.place_box.toolTip())
        explain(self.batch_box, busy, self.batch_box.toolTip())
        explain(self.classify_button, state.why_not_classify, "Classify every pattern of the scan")
        self.classify_button.setText("Classifying…" if state.is_busy else "Classify")
        self.cancel_button.setVisible(state.is_busy)
        is_cancelling = "Cancelling already." if state.job is JobState.FINISHING else ""
        explain(self.cancel_button, is_cancelling, "Stop; what is computed stays")
        self.batch_box.setValue(state.batch_size)
        why = "" if state.hint or state.is_busy else state.why_not_classify
        self.message.show_message(state.message, why, is_alert=state.is_alert)
        self._show_progress()

    def _show_progress(self, *_: Any) -> None:
        state = self.state
        self.progress.setVisible(state.is_busy)
        self.progress.show_share(state.done, state.total)
        self.progress.setToolTip(f"{state.done} of {state.total} patterns")

    # --- widgets to state ---------------------------------------------------------

    def _on_batch(self, value: int) -> None:
        self.state.batch_size = value

    def _open_sample(self) -> None:
        if (viewer := self.viewer) is not None:
            viewer.open_sample("napari-spacegroup", "nickel")
