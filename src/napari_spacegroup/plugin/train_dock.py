"""The dock *Train*: from a few phases to a model that the other docks can use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from ..jobs import JobState
from .controls import (
    ChoiceBox,
    ElidedLabel,
    MessageLabel,
    ProgressLine,
    add_row,
    explain,
    hint_label,
    scroll,
)
from .dock import Dock
from .layers import scan_of, why_not_scan
from .phase_picker import PhasePicker
from .style import Colors, theme_colors
from .train_plots import ConfusionChart, CurveChart
from .train_state import HINT

if TYPE_CHECKING:
    from napari.viewer import Viewer

ROWS = 5
OWN_SCAN = (
    "A scan of your own to learn from without labels: what the model is sure of there must stay "
    "its answer when the patterns are disturbed, so that it gets used to your detector"
)
STAGES = (("simulate", "Simulate"), ("train", "Train"), ("check", "Check"))


class TrainDock(Dock):
    """Choose phases, train, watch, use.

    Parameters
    ----------
    napari_viewer
        Whose other docks get the model.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "train")
        self.controller = self.session.train
        self.state = self.controller.state
        self._build()
        self._bind()
        self._restyle()
        self._show_phases()
        self._show_curves()
        self._show_confusion()
        self._update()

    # --- layout -------------------------------------------------------------------

    def _build(self) -> None:
        self.source_box = ChoiceBox(self.state, "source", self._bindings, "")
        self.method_box = ChoiceBox(self.state, "method", self._bindings, "")
        self.network_box = ChoiceBox(self.state, "network", self._bindings, "")
        self.hint = hint_label(HINT)
        self.phase_list = QListWidget()
        self.phase_list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.phase_list.setFixedHeight(ROWS * (self.fontMetrics().height() + 6) + 4)
        self.phase_list.itemSelectionChanged.connect(self._update)
        self.files_button = QPushButton("Add CIFs…")
        self.files_button.clicked.connect(self._add_files)
        self.library_button = QPushButton("Add known")
        self.library_button.setMenu(QMenu(self.library_button))
        self.picker = PhasePicker(12)
        self.picker.setMinimumWidth(360)
        self.picker.setContentsMargins(6, 6, 6, 6)
        self.picker.picked.connect(self._add_known)
        holder = QWidgetAction(self.library_button)
        holder.setDefaultWidget(self.picker)
        self.library_button.menu().addAction(holder)
        self.library_button.menu().aboutToShow.connect(self.picker.search.setFocus)
        self.remove_button = QPushButton("Remove")
        self.remove_button.clicked.connect(self._remove)
        self.masters_button = QPushButton("Choose file…")
        self.masters_button.clicked.connect(self._choose_masters)
        self.masters_label = ElidedLabel()
        self.scan_button = QPushButton()
        self.scan_button.setMenu(QMenu(self.scan_button))
        self.scan_button.menu().aboutToShow.connect(self._fill_scans)
        self.voltage_box = _spin(5, 35, 1, " kV", "Beam energy of the microscope")
        self.voltage_box.valueChanged.connect(self._on_voltage)
        self.minutes_box = _spin(0.1, 10_000, 5, " min", "Training stops after so much time")
        self.minutes_box.valueChanged.connect(self._on_minutes)
        self.name_edit = QLineEdit()
        self.name_edit.setToolTip("What the model is called in the other docks")
        self.name_edit.textEdited.connect(self._on_name)

        self.train_button = QPushButton("Train")
        self.train_button.setObjectName("main")
        self.train_button.clicked.connect(lambda: self.controller.train())
        self.resume_button = QPushButton("Resume")
        self.resume_button.clicked.connect(lambda: self.controller.train(resume=True))
        self.stop_button = QPushButton("Stop and keep")
        self.stop_button.clicked.connect(self.controller.stop)
        self.stages = QLabel()
        self.stages.setTextFormat(Qt.TextFormat.RichText)
        self.progress = ProgressLine()
        self.message = MessageLabel()
        self.use_button = QPushButton("Use it in Space-group map")
        self.use_button.clicked.connect(self._use)
        self.loss_chart = CurveChart("loss", "Loss")
        self.accuracy_chart = CurveChart("accuracy", "Accuracy")
        self.matrix_title = hint_label()
        self.matrix = ConfusionChart()
        scroll(self._content(), self)
        self.setMinimumWidth(300)

    def _content(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        first = QGridLayout()
        first.setColumnStretch(1, 1)
        add_row(first, 0, "Learn from", self.source_box)
        column.addLayout(first)
        self.phases_part = QWidget()
        phases = QVBoxLayout(self.phases_part)
        phases.setContentsMargins(0, 0, 0, 0)
        phases.addWidget(self.hint)
        phases.addWidget(self.phase_list)
        buttons = QHBoxLayout()
        for button in (self.files_button, self.library_button, self.remove_button):
            buttons.addWidget(button, 1)
        phases.addLayout(buttons)
        column.addWidget(self.phases_part)
        self.masters_part = QWidget()
        masters = QHBoxLayout(self.masters_part)
        masters.setContentsMargins(0, 0, 0, 0)
        masters.addWidget(self.masters_label, 1)
        masters.addWidget(self.masters_button)
        column.addWidget(self.masters_part)
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        self.method_label = add_row(grid, 0, "Simulation", self.method_box)
        add_row(grid, 1, "Voltage", self.voltage_box)
        add_row(grid, 2, "Network", self.network_box)
        add_row(grid, 3, "Own scan", self.scan_button)
        add_row(grid, 4, "Time", self.minutes_box)
        add_row(grid, 5, "Name", self.name_edit)
        column.addLayout(grid)
        run = QHBoxLayout()
        run.addWidget(self.train_button, 1)
        run.addWidget(self.resume_button)
        run.addWidget(self.stop_button)
        column.addLayout(run)
        for widget in (
            self.stages, self.progress, self.message, self.use_button, self.loss_chart,
            self.accuracy_chart, self.matrix_title, self.matrix,
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch(1)
        return content

    def _bind(self) -> None:
        events, bindings = self.state.events, self._bindings
        for name in ("source", "masters", "unlabelled", "method", "voltage", "network",
                     "minutes", "name", "can_resume", "job", "stage", "message", "is_alert",
                     "finished"):  # fmt: skip
            bindings.connect(getattr(events, name), self._update)
        bindings.connect(events.phases, self._show_phases)
        bindings.connect(events.done, self._show_progress)
        bindings.connect(events.total, self._show_progress)
        bindings.connect(events.training, self._show_curves)
        bindings.connect(events.validation, self._show_curves)
        bindings.connect(events.confusion, self._show_confusion)

    # --- state to widgets ---------------------------------------------------------

    def _update(self, *_: Any) -> None:
        state = self.state
        is_from_phases = state.source == "phases"
        self.phases_part.setVisible(is_from_phases)
        self.masters_part.setVisible(not is_from_phases)
        self.method_box.setVisible(is_from_phases)
        self.method_label.setVisible(is_from_phases)
        self.hint.setVisible(not state.phases)
        self.masters_label.setText("No file" if state.masters is None else str(state.masters))
        busy = "Wait for the training, or stop it." if state.is_busy else ""
        for widget in (self.source_box, self.method_box, self.network_box, self.voltage_box,
                       self.minutes_box, self.name_edit, self.masters_button):  # fmt: skip
            explain(widget, busy, widget.toolTip() if not busy else "")
        explain(self.files_button, busy, "One CIF file per phase, or several at once")
        explain(self.library_button, busy, "Phases that come along: metals, carbides, minerals")
        is_chosen = bool(self.phase_list.selectedItems())
        explain(self.remove_button, busy or ("" if is_chosen else "Choose phases in the list."))
        own = OWN_SCAN if state.unlabelled is None else f"{state.unlabelled}\n\n{OWN_SCAN}"
        explain(self.scan_button, busy, own)
        self.scan_button.setText(
            "None" if state.unlabelled is None else _short(state.unlabelled.name)
        )
        self.voltage_box.setValue(state.voltage)
        self.minutes_box.setValue(state.minutes)
        if self.name_edit.text() != state.name:
            self.name_edit.setText(state.name)
        self.train_button.setText("Training…" if state.is_busy else "Train")
        explain(self.train_button, state.why_not_train, "Simulate, train and check the model")
        self.resume_button.setVisible(state.can_resume and not state.is_busy)
        explain(self.resume_button, state.why_not_resume, "Go on from where training stopped")
        self.stop_button.setVisible(state.is_busy)
        stopping = "Stopping already." if state.job is JobState.FINISHING else ""
        explain(self.stop_button, stopping, "Stop now; what is learnt becomes the model")
        self.use_button.setVisible(bool(state.finished) and not state.is_busy)
        is_shown = state.is_busy or bool(state.training)
        self.loss_chart.setVisible(is_shown)
        self.accuracy_chart.setVisible(is_shown)
        why = "" if state.is_busy else state.why_not_train
        self.message.show_message(state.message, why, is_alert=state.is_alert)
        self._show_progress()

    def _show_progress(self, *_: Any) -> None:
        state = self.state
        self.stages.setVisible(state.is_busy)
        self.progress.setVisible(state.is_busy)
        viewer = self._viewer()
        if viewer is not None and state.is_busy:
            self.stages.setText(_stages(state.stage, state.source, viewer))
        is_measured = state.total > 0
        self.progress.show_share(state.done, state.total)
        unit = "s" if state.stage == "train" else "phases"
        self.progress.setToolTip(f"{state.done} of {state.total} {unit}" if is_measured else "")

    def _show_phases(self, *_: Any) -> None:
        self.phase_list.clear()
        for phase in self.state.phases:
            item = QListWidgetItem(f"{phase.name}   {_symbol(phase.space_group)}")
            item.setData(Qt.ItemDataRole.UserRole, phase.name)
            item.setToolTip(f"{phase.name}: space group {phase.space_group}")
            self.phase_list.addItem(item)
        self._update()

    def _show_curves(self, *_: Any) -> None:
        for chart in (self.loss_chart, self.accuracy_chart):
            chart.set_points(self.state.training, self.state.validation)
            chart.setVisible(self.state.is_busy or bool(self.state.training))

    def _show_confusion(self, *_: Any) -> None:
        found = self.state.confusion
        self.matrix.setVisible(found is not None)
        self.matrix_title.setVisible(found is not None)
        if found is None:
            return
        of = (
            "structures kept out of training"
            if found.is_held_out
            else "the phases trained on, at new orientations; nothing was kept out"
        )
        self.matrix_title.setText(
            f"{found.accuracy:.0%} right (%, truth down): simulated patterns of {of}"
        )
        self.matrix.set_confusion(found, [_symbol(number) for number in found.classes])

    def recolor(self, colors: Colors) -> None:
        """Take the colours of the theme."""
        for chart in (self.loss_chart, self.accuracy_chart, self.matrix):
            chart.colors = colors
            chart.update()

    # --- widgets to state ---------------------------------------------------------

    def _on_voltage(self, value: float) -> None:
        self.state.voltage = value

    def _on_minutes(self, value: float) -> None:
        self.state.minutes = value

    def _on_name(self, text: str) -> None:
        self.state.name = text.strip()

    def _add_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Add phases", "", "Structures (*.cif)")
        self.controller.add_files(Path(path) for path in paths)

    def _add_known(self, name: str) -> None:
        from ..crystal.library import library_phase

        self.controller.add([library_phase(name)])

    def _remove(self) -> None:
        chosen = [i.data(Qt.ItemDataRole.UserRole) for i in self.phase_list.selectedItems()]
        self.controller.remove(chosen)

    def _choose_masters(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Master patterns", "", "Master sets (*.npz)")
        if path:
            self.state.masters = Path(path)

    def _fill_scans(self) -> None:
        """List the scans that are open, and a way to another file."""
        menu = self.scan_button.menu()
        menu.clear()
        menu.addAction("None", lambda: self._take_scan(None))
        viewer = self._viewer()
        for layer in () if viewer is None else viewer.layers:
            path = None if why_not_scan(layer) else scan_of(layer).path
            if path is not None:
                menu.addAction(layer.name, lambda path=path: self._take_scan(Path(path)))
        menu.addAction("Other file…", self._choose_scan)

    def _take_scan(self, path: Path | None) -> None:
        self.state.unlabelled = path

    def _choose_scan(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Scan without labels", "", "Scans (*)")
        if path:
            self._take_scan(Path(path))

    def _use(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.session.map_state.model = self.state.finished
            viewer.window.add_plugin_dock_widget("napari-spacegroup", "Space-group map")


def _short(name: str, most: int = 22) -> str:
    """Return a name that fits a button, its middle left out."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def _symbol(number: int) -> str:
    from .describe import level_symbols

    return f"{level_symbols('space_group')[number - 1]} ({number})"


def _stages(stage: str, source: str, viewer: Viewer) -> str:
    """Return the stages as rich text, the present one in bold."""
    colors = theme_colors(viewer)
    shown = [(key, title) for key, title in STAGES if key != "simulate" or source == "phases"]
    keys = [key for key, _ in shown]
    now = keys.index(stage) if stage in keys else -1
    parts = []
    for index, (_, title) in enumerate(shown):
        mark = "✓ " if index < now else f"{index + 1} "
        style = f"color:{(colors.text if index == now else colors.faint).name()}"
        weight = ";font-weight:600" if index == now else ""
        parts.append(f'<span style="{style}{weight}">{mark}{title}</span>')
    return " &nbsp;›&nbsp; ".join(parts)


def _spin(low: float, high: float, step: float, unit: str, tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setSingleStep(step)
    box.setDecimals(1)
    box.setSuffix(unit)
    box.setToolTip(tip)
    return box
