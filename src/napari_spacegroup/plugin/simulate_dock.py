"""The dock *Simulate*: a phase, its pattern under sliders, and the measured one beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..config.ebsd_view import LARGEST, EbsdViewSpec
from .controls import (
    ChoiceBox,
    ElidedLabel,
    FoldButton,
    MessageLabel,
    ProgressLine,
    add_row,
    explain,
    hint_label,
    scroll,
)
from .describe import level_symbols
from .dock import Dock
from .painting import PatternImage
from .phase_picker import PhasePicker
from .simulate_layer import place_beside, simulated_layer, tagged_layer
from .simulate_state import HINT
from .sliders import NumberSlider
from .style import Colors

if TYPE_CHECKING:
    from napari.viewer import Viewer

GAP = 8

# Field of the view: title, range of the slider, decimals, unit behind the number.
ANGLES = (
    ("phi1", "φ₁", 0.0, 360.0, 1, "°"),
    ("capital_phi", "Φ", 0.0, 180.0, 1, "°"),
    ("phi2", "φ₂", 0.0, 360.0, 1, "°"),
)
SCREEN = (
    ("pattern_center_x", "Center x", 0.0, 1.0, 3, ""),
    ("pattern_center_y", "Center y", -0.2, 1.0, 3, ""),
    ("pattern_center_z", "Distance", 0.2, 1.6, 3, ""),
    ("sample_tilt", "Sample tilt", 0.0, 90.0, 1, "°"),
    ("detector_tilt", "Camera tilt", -30.0, 30.0, 1, "°"),
    ("azimuthal", "Azimuth", -30.0, 30.0, 1, "°"),
)


class SimulateDock(Dock):
    """Choose a phase, move its pattern, compare it, keep it.

    Parameters
    ----------
    napari_viewer
        Whose cursor is followed and which gets the layers.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "simulate")
        self.controller = self.session.simulate
        self.state = self.controller.state
        self._build()
        self._bind()
        self._restyle()
        self.controller.open()
        self._show_phase()
        self._show_view()
        self._show_pictures()
        self._update()

    # --- layout -------------------------------------------------------------------

    def _build(self) -> None:
        fields = EbsdViewSpec.model_fields
        self.picker = PhasePicker(folds=True)
        self.cif_button = QPushButton("Open CIF…")
        self.cif_button.setToolTip("A crystal of your own")
        self.phase_label = ElidedLabel()
        self.phase_label.setObjectName("title")
        self.facts_label = hint_label(wraps=False)
        self.technique_box = ChoiceBox(self.state, "technique", self._bindings, "")
        self.method_box = ChoiceBox(self.state, "method", self._bindings, "")
        self.voltage = NumberSlider(5, 30, 1, " kV", "Beam energy")
        self.sliders = {
            name: NumberSlider(low, high, decimals, unit, fields[name].description or "")
            for name, _, low, high, decimals, unit in (*ANGLES, *SCREEN)
        }
        self.rows_box, self.columns_box = _count("Rows"), _count("Columns")
        self.drawn = PatternImage("Simulated", "No pattern yet")
        self.measured = PatternImage("Measured", "Point at a pixel of a scan")
        self.match_label = ElidedLabel()
        self.search_button = QPushButton("Find orientation")
        self.scan_button = QPushButton("Take from scan")
        self.send_button = QPushButton("Send to layer")
        self.simulate_button = QPushButton("Simulate")
        self.simulate_button.setObjectName("main")
        self.cancel_button = QPushButton("Cancel")
        self.progress = ProgressLine()
        self.message = MessageLabel()
        scroll(self._content(), self)
        # One that comes and goes would change the width of the pictures, and so whether it comes.
        area = self.findChild(QScrollArea)
        area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setMinimumWidth(300)

    def _content(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(GAP, GAP, GAP, GAP)
        column.setSpacing(6)
        column.addWidget(self.picker)
        head = QHBoxLayout()
        head.addWidget(self.phase_label, 1)
        head.addWidget(self.cif_button)
        column.addLayout(head)
        column.addWidget(self.facts_label)
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        if len(self.state.techniques) > 1:
            add_row(grid, 0, "Technique", self.technique_box)
        add_row(grid, 1, "Method", self.method_box)
        add_row(grid, 2, "Voltage", self.voltage)
        column.addLayout(grid)
        run = QHBoxLayout()
        run.addWidget(self.simulate_button, 1)
        run.addWidget(self.cancel_button)
        column.addLayout(run)
        column.addWidget(self.progress)
        column.addWidget(self.message)
        self._pictures = QWidget()
        pictures = QHBoxLayout(self._pictures)
        pictures.setContentsMargins(0, 0, 0, 0)
        pictures.setSpacing(GAP)
        pictures.addWidget(self.drawn, 1)
        pictures.addWidget(self.measured, 1)
        column.addWidget(self._pictures)
        column.addWidget(self.match_label)
        turns = QGridLayout()
        turns.setVerticalSpacing(4)
        turns.setColumnStretch(1, 1)
        for row, (name, title, *_) in enumerate(ANGLES):
            add_row(turns, row, title, self.sliders[name])
        column.addLayout(turns)
        after = QHBoxLayout()
        after.addWidget(self.search_button, 1)
        after.addWidget(self.send_button, 1)
        column.addLayout(after)
        screen = self._screen()
        fold = FoldButton("Screen", screen, "Pattern center, tilts and size of the screen")
        self.screen_button = fold
        column.addWidget(fold)
        column.addWidget(screen)
        column.addStretch(1)
        return content

    def _screen(self) -> QWidget:
        part = QWidget()
        grid = QGridLayout(part)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for row, (name, title, *_) in enumerate(SCREEN):
            add_row(grid, row, title, self.sliders[name])
        size = QWidget()
        line = QHBoxLayout(size)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.rows_box, 1)
        line.addWidget(QLabel("×"))
        line.addWidget(self.columns_box, 1)
        add_row(grid, len(SCREEN), "Pixels", size)
        grid.addWidget(self.scan_button, len(SCREEN) + 1, 0, 1, 2)
        return part

    def _bind(self) -> None:
        controller, events, bindings = self.controller, self.state.events, self._bindings
        self.picker.picked.connect(controller.choose)
        self.cif_button.clicked.connect(self._open_cif)
        self.voltage.moved.connect(self._on_voltage)
        for name, slider in self.sliders.items():
            slider.moved.connect(lambda value, n=name: controller.look(**{n: value}))
        for box in (self.rows_box, self.columns_box):
            box.valueChanged.connect(self._on_shape)
        self.simulate_button.clicked.connect(lambda: controller.simulate())
        self.cancel_button.clicked.connect(lambda: controller.cancel())
        self.search_button.clicked.connect(lambda: controller.search())
        self.scan_button.clicked.connect(lambda: controller.take_scan_geometry())
        self.send_button.clicked.connect(self._send)
        bindings.connect(events.phase, self._show_phase)
        bindings.connect(events.view, self._show_view)
        bindings.connect(events.voltage, self._show_view)
        for name in (
            "drawn", "measured", "measured_name", "match", "why_no_match", "drawn_of",
        ):  # fmt: skip
            bindings.connect(getattr(events, name), self._show_pictures)
        for name in ("phase", "method", "voltage", "is_stale", "job", "done", "total", "message",
                     "is_alert", "drawn", "measured", "why_no_match", "is_searching",
                     "has_scan_geometry"):  # fmt: skip
            bindings.connect(getattr(events, name), self._update)

    # --- state to widgets ---------------------------------------------------------

    def _show_phase(self, *_: Any) -> None:
        phase = self.state.phase
        if phase is None:
            self.phase_label.setText("No phase")
            self.facts_label.setText("")
            return
        symbol = level_symbols("space_group")[phase.space_group - 1]
        self.phase_label.setText(phase.name)
        group = f"{symbol} ({phase.space_group})"
        self.facts_label.setText(f"{group}   {_cell(phase.lattice)}   {self.state.reference}")
        self.picker.mark(phase.name)

    def _show_view(self, *_: Any) -> None:
        view = self.state.view
        for name, slider in self.sliders.items():
            slider.set_value(getattr(view, name))
        self.voltage.set_value(self.state.voltage)
        for box, side in zip((self.rows_box, self.columns_box), view.shape, strict=True):
            box.blockSignals(True)
            box.setValue(side)
            box.blockSignals(False)

    def _show_pictures(self, *_: Any) -> None:
        state = self.state
        self.drawn.caption = state.drawn_of or "Simulated"
        self.measured.caption = f"Measured, {state.measured_name}".removesuffix(", ")
        self.drawn.set_values(state.drawn)
        self.measured.set_values(state.measured)
        known = state.match is not None and state.drawn is not None
        why = state.why_no_match if state.drawn is not None else ""
        self.match_label.setText(f"Correlation {state.match:.2f}" if known else why)
        self.match_label.setToolTip(
            "Normalised, backgrounds taken off: 1 is the same pattern, 0 chance" if known else why
        )
        self.match_label.setObjectName("title" if known else "hint")
        self.match_label.style().polish(self.match_label)
        self._arrange()

    def _update(self, *_: Any) -> None:
        state = self.state
        self.simulate_button.setText("Simulating…" if state.is_busy else "Simulate")
        explain(self.simulate_button, state.why_not_simulate, "Make the master pattern")
        self.cancel_button.setVisible(state.is_busy)
        explain(self.search_button, state.why_not_search, "Turn the crystal until both match")
        self.search_button.setText("Searching…" if state.is_searching else "Find orientation")
        explain(self.send_button, state.why_not_send, "Keep the pattern as an image layer")
        no_geometry = "The scan does not say where its screen stands."
        explain(
            self.scan_button,
            "" if state.has_scan_geometry else no_geometry,
            "Screen, pattern center, tilts and voltage of the measured pattern",
        )
        self.progress.setVisible(state.is_busy)
        self.progress.show_share(state.done, state.total if state.total > 1 else 0)
        hint = HINT if state.phase is None else ""
        if state.is_stale and not state.is_busy and state.method == "dynamical":
            hint = "Press Simulate: a dynamical pattern takes a minute or some, once."
        self.message.show_message(state.message, hint, is_alert=state.is_alert)

    def recolor(self, colors: Colors) -> None:
        """Take the colours of the theme."""
        for picture in (self.drawn, self.measured):
            picture.colors = colors
            picture.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Give the pictures the height that their width asks for."""
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        half = max((self.width() - 3 * GAP - 16) // 2, 60)
        needed = max(picture.height_for(half) for picture in (self.drawn, self.measured))
        self._pictures.setFixedHeight(needed)

    # --- widgets to state ---------------------------------------------------------

    def _open_cif(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a phase", "", "Structures (*.cif)")
        if path:
            self.controller.open_cif(Path(path))

    def _on_voltage(self, value: float) -> None:
        self.state.voltage = value

    def _on_shape(self, *_: Any) -> None:
        self.controller.look(shape=(self.rows_box.value(), self.columns_box.value()))

    def _send(self) -> None:
        viewer = self.viewer
        facts = self.controller.facts()
        if viewer is None or self.state.drawn is None or not facts:
            return
        layer = tagged_layer(viewer, facts)
        if layer is None:
            frame = place_beside(viewer, self.state.drawn.shape)
            layer = viewer.add_image(**simulated_layer(self.state.drawn, facts), **frame)
        viewer.layers.selection.active = layer


def _count(tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(8, LARGEST)
    box.setKeyboardTracking(False)
    box.setToolTip(tip)
    return box


def _cell(lattice: tuple[float, ...]) -> str:
    a, b, c, *angles = lattice
    lengths = [a] if a == b == c else [a, c] if a == b else [a, b, c]
    odd = [f"{angle:g}°" for angle in angles if angle not in (90.0, 120.0)]
    return (
        ", ".join([*(f"{length:.4g}" for length in lengths)])
        + " Å"
        + "".join(f", {angle}" for angle in odd)
    )
