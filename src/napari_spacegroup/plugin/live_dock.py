"""The dock *Live*: follow a scan while the microscope writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..jobs import JobState
from .controls import (
    ChoiceBox,
    ElidedLabel,
    FoldButton,
    MessageLabel,
    ModelNote,
    PlaceBox,
    ProgressLine,
    explain,
    hint_label,
    scroll,
    separator,
)
from .dock import Dock
from .live_state import format_of
from .map_panel import MapPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer

MOST_FACTS = 7


class LiveDock(Dock):
    """Follow a scan that is being written, and show the legend of its map.

    Parameters
    ----------
    napari_viewer
        Where the map appears.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "live")
        self.state, self.map_state = self.session.live_state, self.session.map_state
        self.controller = self.session.live
        self._build()
        self._bind()
        self._restyle()
        self._update()
        self._show_status()

    # --- layout -------------------------------------------------------------------

    def _build(self) -> None:
        self.path_edit = QLineEdit(self.state.path)
        self.path_edit.setPlaceholderText("scan.up2, scan.h5, a folder, …")
        self.path_edit.textChanged.connect(self._on_path)
        self.file_button = QPushButton("File…")
        self.file_button.clicked.connect(self._choose_file)
        self.folder_button = QPushButton("Folder…")
        self.folder_button.clicked.connect(self._choose_folder)
        self.path_hint = hint_label()
        self.model_box = ChoiceBox(self.map_state, "model", self._bindings, "No model")
        self.model_hint = hint_label(wraps=False)
        self.note = ModelNote(self.map_state, self._bindings)
        self._build_advanced()

        self.start_button = QPushButton("Follow")
        self.start_button.setObjectName("main")
        self.start_button.clicked.connect(self.controller.start)
        self.pause_button = QPushButton("Pause")
        self.pause_button.clicked.connect(self._pause_or_resume)
        self.stop_button = QPushButton("Stop")
        self.stop_button.clicked.connect(self.controller.stop)
        self.progress = ProgressLine()
        self.facts = [(QLabel(), ElidedLabel()) for _ in range(MOST_FACTS)]
        self.message = MessageLabel()
        self.panel = MapPanel(self.map_state, self.controller.presenter, self._bindings)

        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        choices = QGridLayout()
        choices.setVerticalSpacing(4)
        choices.setColumnStretch(1, 1)
        choices.addWidget(QLabel("Scan"), 0, 0)
        choices.addWidget(self.path_edit, 0, 1)
        browse = QHBoxLayout()
        browse.addWidget(self.file_button)
        browse.addWidget(self.folder_button)
        browse.addStretch(1)
        choices.addLayout(browse, 1, 1)
        choices.addWidget(self.path_hint, 2, 1)
        choices.addWidget(QLabel("Model"), 3, 0)
        choices.addWidget(self.model_box, 3, 1)
        choices.addWidget(self.model_hint, 4, 1)
        choices.addWidget(self.note, 5, 1)
        column.addLayout(choices)
        column.addWidget(self.advanced_button)
        column.addWidget(self.advanced)
        run = QHBoxLayout()
        run.addWidget(self.start_button, 1)
        run.addWidget(self.pause_button)
        run.addWidget(self.stop_button)
        column.addLayout(run)
        column.addWidget(self.progress)
        facts = QGridLayout()
        facts.setVerticalSpacing(2)
        facts.setColumnStretch(1, 1)
        for row, (name, value) in enumerate(self.facts):
            name.setObjectName("hint")
            facts.addWidget(name, row, 0)
            facts.addWidget(value, row, 1)
        column.addLayout(facts)
        column.addWidget(self.message)
        column.addWidget(separator())
        column.addWidget(self.panel, 1)
        scroll(content, self)
        self.setMinimumWidth(340)

    def _build_advanced(self) -> None:
        self.out_edit = QLineEdit(self.state.out)
        self.out_edit.setToolTip("Where the map is saved; beside the scan if this is empty")
        self.out_edit.textChanged.connect(lambda text: setattr(self.state, "out", text))
        self.idle_box = QDoubleSpinBox()
        self.idle_box.setRange(0, 86_400)
        self.idle_box.setDecimals(0)
        self.idle_box.setSuffix(" s")
        self.idle_box.setSpecialValueText("never")
        self.idle_box.setToolTip("End when nothing new came for so long")
        self.idle_box.setValue(self.state.until_idle)
        self.idle_box.valueChanged.connect(lambda value: setattr(self.state, "until_idle", value))
        self.behind_box = ChoiceBox(self.state, "if_behind", self._bindings, "")
        self.shape_boxes = []
        for name in ("rows", "columns"):
            box = QSpinBox()
            box.setRange(0, 100_000)
            box.setMinimumWidth(64)
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setSpecialValueText("auto")
            box.setToolTip(f"{name.title()} of the scan, where the file does not say")
            box.setValue(getattr(self.state, name))
            box.valueChanged.connect(lambda value, name=name: setattr(self.state, name, value))
            self.shape_boxes.append(box)
        shape = QHBoxLayout()
        shape.addWidget(self.shape_boxes[0], 1)
        shape.addWidget(QLabel("×"))
        shape.addWidget(self.shape_boxes[1], 1)
        self.device_box = ChoiceBox(self.map_state, "device", self._bindings, "")
        self.place_box = PlaceBox(self.map_state, self._bindings)
        self.told_boxes = self._build_told()
        self.advanced = QWidget()
        form = QFormLayout(self.advanced)
        form.setContentsMargins(12, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Save to", self.out_edit)
        form.addRow("If too fast", self.behind_box)
        form.addRow("End when idle", self.idle_box)
        form.addRow("Scan shape", shape)
        for name, box in zip(("Wavelength", "Flight time", "Cells"), self.told_boxes, strict=True):
            form.addRow(name, box)
        form.addRow("Device", self.device_box)
        form.addRow("Runs in", self.place_box)
        self.advanced_button = FoldButton(
            "Advanced", self.advanced, "Output, pace, end, shape, profiles, device and process"
        )

    def _build_told(self) -> tuple[QDoubleSpinBox, QDoubleSpinBox, QCheckBox]:
        """Make what may be said of powder profiles."""
        wavelength, flight = QDoubleSpinBox(), QDoubleSpinBox()
        for box, name, unit, silent, most in (
            (wavelength, "wavelength", "Å", "of the file, or Cu Kα", 99.0),
            (flight, "difc", "µs", "angles, no times", 1e6),
        ):
            box.setRange(0, most)
            box.setDecimals(5 if name == "wavelength" else 2)
            box.setSuffix(f" {unit}")
            box.setSpecialValueText(silent)
            box.setValue(getattr(self.state, name))
            box.valueChanged.connect(lambda value, name=name: setattr(self.state, name, value))
        wavelength.setToolTip("Of powder profiles whose files do not say it")
        flight.setToolTip("Time of flight of 1 Å, for powder profiles over time")
        cells = QCheckBox("Look for them")
        cells.setToolTip("Cells that explain the lines of a powder profile: ten seconds for each")
        cells.setChecked(self.state.positions)
        cells.toggled.connect(lambda value: setattr(self.state, "positions", value))
        return wavelength, flight, cells

    def _bind(self) -> None:
        bindings = self._bindings
        for name in ("path", "out", "job", "message", "is_alert"):
            bindings.connect(getattr(self.state.events, name), self._update)
        bindings.connect(self.state.events.status, self._show_status)
        for name in ("models", "model", "devices", "device", "job"):
            bindings.connect(getattr(self.map_state.events, name), self._update)

    # --- state to widgets ---------------------------------------------------------

    def _update(self, *_: Any) -> None:
        state = self.state
        if self.path_edit.text() != state.path:
            self.path_edit.setText(state.path)
        found = format_of(state.path)
        self.path_hint.setText(found.problem or found.detail)
        model = self.map_state.chosen("model")
        self.model_hint.setText("" if model is None else model.problem or model.detail)
        self.model_hint.setVisible(bool(self.model_hint.text()))
        self.out_edit.setPlaceholderText(state.output.name if state.path else "beside the scan")
        busy = "Stop following first." if state.is_busy else ""
        widgets = (self.path_edit, self.file_button, self.folder_button, self.model_box)
        more = (
            self.out_edit,
            self.behind_box,
            self.idle_box,
            self.device_box,
            self.place_box,
            *self.shape_boxes,
            *self.told_boxes,
        )
        for widget in (*widgets, *more):
            explain(widget, busy, widget.toolTip() if widget.isEnabled() else "")
        why_not = self.controller.why_not_start
        explain(self.start_button, why_not, "Map the scan while it is being written")
        self.start_button.setText("Following…" if state.is_busy else "Follow")
        is_paused = state.job is JobState.PAUSED
        self.pause_button.setText("Resume" if is_paused else "Pause")
        self.pause_button.setVisible(state.is_busy)
        can_pause = state.job in (JobState.RUNNING, JobState.PAUSED)
        explain(self.pause_button, "" if can_pause else "Not at this moment.", "Nothing gets lost")
        self.stop_button.setVisible(state.is_busy)
        is_ending = state.job is JobState.FINISHING
        explain(self.stop_button, "Stopping already." if is_ending else "", "End and save the map")
        self.progress.setVisible(state.is_busy)
        hint = "" if state.is_busy or not state.path else why_not
        self.message.show_message(state.message, hint, is_alert=state.is_alert)

    def _show_status(self, *_: Any) -> None:
        status = self.state.status
        total = 0 if status is None else status.total
        is_known = status is not None and status.read > 0 and total > 0
        shown = 0 if status is None else status.shown
        self.progress.show_share(shown, total if is_known else 0)
        facts = self.state.facts
        for row, (name, value) in enumerate(self.facts):
            is_there = row < len(facts)
            name.setVisible(is_there)
            value.setVisible(is_there)
            if is_there:
                title, text, why = facts[row]
                name.setText(title)
                name.setToolTip(why)
                value.setText(text)

    # --- widgets to state ---------------------------------------------------------

    def _on_path(self, text: str) -> None:
        self.state.path = text

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "The file that the microscope writes")
        if path:
            self.state.path = path

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "The folder that the microscope fills")
        if path:
            self.state.path = path

    def _pause_or_resume(self) -> None:
        if self.state.job is JobState.PAUSED:
            self.controller.resume()
        else:
            self.controller.pause()
