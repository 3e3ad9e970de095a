"""The dock *Pattern*: one pattern as measured, as the network sees it, and what it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.settings import get_settings
from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QBoxLayout,
    QDockWidget,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .calibrate_panel import CalibratePanel
from .controls import ElidedLabel, hint_label
from .dock import Dock
from .painting import BarChart, PatternImage
from .profile_layout import LEAST_WIDTH
from .profile_view import ProfileView
from .style import Colors

if TYPE_CHECKING:
    from napari.viewer import Viewer

GAP = 8
ANSWERS_WIDTH, ANSWERS_MOST = 230, 330
"""Narrowest column of candidates beside pictures, and the widest beside a profile [pixel]."""
TALL = 260
"""Height from which a profile has room for both its curves below each other [pixel]."""
BOTTOM_HEIGHT, CALIBRATE_HEIGHT = 230, 430
MOST = 20  # of what is left over
UNBOUNDED = 16777215  # Qt's own
LEAST_HEIGHT, TITLE_HEIGHT = 50, 40  # napari's own, of a dock and at most of its title [pixel]
TITLE = "Pattern (napari-spacegroup)"


class PatternDock(Dock):
    """Show the pattern under the cursor, or that of the pinned pixel.

    Parameters
    ----------
    napari_viewer
        Whose cursor is followed.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, "pattern")
        self.state = self.session.pattern_state
        self._wants_bottom = TITLE not in get_settings().application.plugin_widget_positions
        self._build()
        events = self.state.events
        self._bindings.connect(events.view, self._update)
        self._bindings.connect(events.message, self._update)
        self._bindings.connect(events.pinned, self._update)
        self._bindings.connect(self.session.map_state.events.model_note, self._update)
        self._bindings.connect(self.calibrate.state.events.is_on, self._update)
        self._restyle()
        self._update()

    def _build(self) -> None:
        self.where = ElidedLabel()
        self.where.setObjectName("title")
        self.why_button = QPushButton("Why?")
        self.why_button.setCheckable(True)
        self.why_button.setToolTip(
            "Show where the network looked, and the zone axes there; for a powder profile, the "
            "cells that explain its lines"
        )
        self.why_button.toggled.connect(self._ask_why)
        self.calibrate = self.session.calibrate
        self.calibrate_button = QPushButton("Calibrate")
        self.calibrate_button.setCheckable(True)
        self.calibrate_button.setToolTip(
            "Center, scale and elliptic distortion of spot patterns, by marks on the pattern"
        )
        self.calibrate_button.toggled.connect(self._switch_calibrating)
        self.panel = CalibratePanel(self.calibrate, self._bindings)
        self.follow_button = QPushButton("Follow cursor")
        self.follow_button.clicked.connect(self._follow)
        self.measured = PatternImage("As measured", "")
        self.network = PatternImage("As the network sees it", "")
        self.profile = ProfileView()
        self.verdict = ElidedLabel()
        self.bars = BarChart()
        self.hint, self.head_hint = hint_label(), hint_label(wraps=False)
        self.head_hint.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        head = QHBoxLayout()
        head.addWidget(self.where, 1)
        self.head_hint.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self.head_hint, 2)
        head.addWidget(self.calibrate_button)
        head.addWidget(self.why_button)
        head.addWidget(self.follow_button)
        self._images = QWidget()
        images = QHBoxLayout(self._images)
        images.setContentsMargins(0, 0, 0, 0)
        images.setSpacing(GAP)
        images.addWidget(self.measured, 1)
        images.addWidget(self.network, 1)
        self._answers = QWidget()
        answers = QVBoxLayout(self._answers)
        answers.setContentsMargins(0, 0, 0, 0)
        answers.addWidget(self.verdict)
        answers.addWidget(self.bars)
        answers.addStretch(1)
        self._body = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._body.setSpacing(GAP)
        self._body.addWidget(self._images, MOST)
        self._body.addWidget(self.profile, MOST)
        self._body.addWidget(self._answers, 0)
        self._body.addStretch(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(GAP, GAP, GAP, GAP)
        column.addLayout(head)
        column.addWidget(self.hint)
        column.addLayout(self._body, 1)
        column.addWidget(self.panel, 100)
        self.setMinimumWidth(230)
        # Or napari puts a stretch below, which shares the height with the pictures.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def _update(self, *_: Any) -> None:
        state, view = self.state, self.state.view
        can_pin = view is not None and not view.is_single and state.pinned is None
        follows = "Click a pixel to pin it." if can_pin else ""
        note = self.session.map_state.model_note
        self.hint.setText(state.message or " ".join(filter(None, (note, follows))))
        self.follow_button.setVisible(state.pinned is not None)
        if view is None:
            self.where.setText("No pattern")
        elif view.is_single:
            self.where.setText(view.scan_name)
        else:
            pinned = ", pinned" if state.pinned == (view.scan_y, view.scan_x) else ""
            self.where.setText(f"Row {view.scan_y}, column {view.scan_x}{pinned}")
        is_on = self.calibrate.state.is_on
        can_calibrate = is_on or (view is not None and view.can_calibrate)
        self.calibrate_button.setVisible(can_calibrate)
        with QSignalBlocker(self.calibrate_button):
            self.calibrate_button.setChecked(is_on)
        self.panel.setVisible(is_on)
        is_profile = view is not None and view.axis is not None
        self._images.setVisible(not is_on and not is_profile)
        self.profile.setVisible(not is_on and is_profile)
        self.profile.set_view(view if is_profile else None)
        self._answers.setVisible(not is_on)
        self.why_button.setVisible(not is_on)
        self.panel.set_values(None if view is None or not is_on else view.measured)
        self.measured.set_values(None if view is None else view.measured)
        self.network.set_values(None if view is None else view.network)
        self.network.set_reasons(None if view is None else view.reasons)
        self.network.caption = "As the network sees it" if view is None else view.seen_by
        self.network.placeholder = "" if view is None else view.missing or "No model yet"
        self.verdict.setText("" if view is None else view.verdict)
        level = self.session.map_state.level
        self.bars.set_bars(() if view is None else view.bars, shows_numbers=level == "space_group")
        self._arrange()

    def recolor(self, colors: Colors) -> None:
        """Take the colours of the theme."""
        for widget in (self.measured, self.network, self.profile, self.bars):
            widget.colors = colors
            widget.update()
        self.panel.recolor(colors)

    def _switch_calibrating(self, is_on: bool) -> None:
        self.calibrate.state.is_on = is_on
        self._resize_dock(CALIBRATE_HEIGHT if is_on else BOTTOM_HEIGHT)

    def _resize_dock(self, height: int) -> None:
        """Give marks room to be placed in, and take it away again, at the bottom of the window."""
        dock, window = self.parent(), self.window()
        if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow):
            return
        if window.dockWidgetArea(dock) == Qt.DockWidgetArea.BottomDockWidgetArea:
            window.resizeDocks([dock], [height], Qt.Orientation.Vertical)

    def _ask_why(self, asks: bool) -> None:
        self.state.asks_why = asks

    def _follow(self) -> None:
        self.state.pinned = None

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Put the candidates beside the pictures where that gives them more room."""
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        self._place_hint()
        is_picture = self.profile.isHidden()
        is_beside = self._fit_pictures() if is_picture else self._fit_profile()
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.LeftToRight if is_beside else direction.TopToBottom)
        self._body.setStretch(2, int(is_beside and is_picture))
        self._body.setStretch(3, int(not is_beside))
        self._body.setSpacing(GAP if is_picture else 2 * GAP)
        self._let_shrink()

    def _let_shrink(self) -> None:
        """Take back the height that the dock needed in another place.

        napari gives docks a least height of its own, and Qt then never lowers what it once made
        of that.
        """
        dock = self.parent()
        if isinstance(dock, QDockWidget):
            needed = self.minimumSizeHint().height() + TITLE_HEIGHT
            if dock.minimumHeight() > needed:
                dock.setMinimumHeight(LEAST_HEIGHT)

    def _place_hint(self) -> None:
        """Write the hint into the head where it fits, else below it."""
        text = self.hint.text()
        buttons = (self.calibrate_button, self.why_button, self.follow_button)
        taken = sum(b.sizeHint().width() + GAP for b in buttons if not b.isHidden())
        taken += self.where.fontMetrics().horizontalAdvance(self.where.text()) + 4 * GAP
        is_short = self.hint.fontMetrics().horizontalAdvance(text) <= self.width() - taken
        self.head_hint.setText(text if is_short else "")
        self.head_hint.setVisible(bool(text) and is_short)
        self.hint.setVisible(bool(text) and not is_short)

    def _fit_pictures(self) -> bool:
        """Make both pictures as large as they can be; return whether beside the candidates."""
        width, height = self._room()
        caption = self.measured.height_for(0)
        below = min((width - GAP) // 2, height - self._answers_height() - GAP - caption)
        beside = min(height - caption, (width - ANSWERS_WIDTH - 2 * GAP) // 2)
        if beside >= below:
            self._images.setMaximumHeight(UNBOUNDED)
            self._images.setFixedWidth(2 * max(beside, 90) + GAP)
            return True
        half = (width - GAP) // 2
        needed = max(image.height_for(half) for image in (self.measured, self.network))
        self._images.setMinimumWidth(0)
        self._images.setMaximumSize(UNBOUNDED, needed)
        return False

    def _fit_profile(self) -> bool:
        """Give a profile width, or height; return whether it stands beside the candidates."""
        width, height = self._room()
        answers = min(max(round(0.26 * width), ANSWERS_WIDTH), ANSWERS_MOST)
        is_low = height - self._answers_height() - GAP < TALL
        is_beside = is_low and width - answers - GAP >= LEAST_WIDTH
        self._answers.setMaximumWidth(answers if is_beside else UNBOUNDED)
        self._answers.setMinimumWidth(answers if is_beside else 0)
        most = UNBOUNDED if is_beside else self.profile.most_height(width)
        self.profile.setMaximumHeight(most)
        return is_beside

    def _room(self) -> tuple[int, int]:
        """Return width and height of what lies below the head and the hint."""
        head = max(w.sizeHint().height() for w in (self.where, self.why_button))
        hint = 0 if self.hint.isHidden() else self.hint.sizeHint().height() + GAP
        return self.width() - 2 * GAP, self.height() - head - hint - 3 * GAP

    def _answers_height(self) -> int:
        return int(self.verdict.sizeHint().height() + self.bars.sizeHint().height() + GAP)

    def on_docked(self) -> None:
        """Go to the bottom, the first time."""
        if self._wants_bottom:
            QTimer.singleShot(0, self._move_to_bottom)

    def _move_to_bottom(self) -> None:
        """Leave the right side to the map and its legend, until the user says otherwise."""
        dock, window = self.parent(), self.window()
        if self._wants_bottom and isinstance(dock, QDockWidget) and isinstance(window, QMainWindow):
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            window.resizeDocks([dock], [BOTTOM_HEIGHT], Qt.Orientation.Vertical)
        self._wants_bottom = False
