"""The dock *Pattern*: one pattern as measured, as the network sees it, and what it may be."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QBoxLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .controls import Bindings, ElidedLabel, explain, hint_label
from .painting import BarChart, PatternImage
from .session import session_of
from .style import style_sheet, theme_colors

if TYPE_CHECKING:
    from napari.viewer import Viewer

WIDE = 480


class PatternDock(QWidget):
    """Show the pattern under the cursor, or that of the pinned pixel.

    Parameters
    ----------
    napari_viewer
        Whose cursor is followed.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(napari_viewer)
        self.session = session_of(napari_viewer)
        self.state = self.session.pattern_state
        self._bindings = Bindings()
        self._was_docked = False
        self._build()
        events = self.state.events
        self._bindings.connect(events.view, self._update)
        self._bindings.connect(events.message, self._update)
        self._bindings.connect(events.pinned, self._update)
        self._bindings.connect(napari_viewer.events.theme, self._restyle)
        self._token = token = self.session.open_dock("pattern")
        session = self.session
        self.destroyed.connect(self._bindings.release)
        self.destroyed.connect(lambda *_: session.close_dock(token))
        self._restyle()
        self._update()

    def _build(self) -> None:
        self.where = ElidedLabel()
        self.where.setObjectName("title")
        self.follow_button = QPushButton("Follow cursor")
        self.follow_button.clicked.connect(self._follow)
        self.measured = PatternImage("As measured", "")
        self.network = PatternImage("As the network sees it", "No model yet")
        self.verdict = ElidedLabel()
        self.bars = BarChart()
        self.hint = hint_label()
        head = QHBoxLayout()
        head.addWidget(self.where, 1)
        head.addWidget(self.follow_button)
        images = QHBoxLayout()
        images.setSpacing(8)
        images.addWidget(self.measured, 1)
        images.addWidget(self.network, 1)
        answers = QVBoxLayout()
        answers.addWidget(self.verdict)
        answers.addWidget(self.bars)
        answers.addStretch(0)
        self._body = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._body.addLayout(images, 1)
        self._body.addLayout(answers)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addLayout(head)
        column.addWidget(self.hint)
        column.addLayout(self._body, 1)
        self.setMinimumWidth(230)

    def _update(self, *_: Any) -> None:
        state, view = self.state, self.state.view
        self.hint.setText(state.message)
        self.hint.setVisible(bool(state.message))
        if view is None:
            self.where.setText("No pattern")
        else:
            pinned = ", pinned" if state.pinned == (view.scan_y, view.scan_x) else ""
            self.where.setText(
                f"Row {view.scan_y}, column {view.scan_x}{pinned}: {view.scan_name}"
            )
        self.measured.set_values(None if view is None else view.measured)
        self.network.set_values(None if view is None else view.network)
        self.network.placeholder = "" if view is None else view.missing or "No model yet"
        self.verdict.setText("" if view is None else view.verdict)
        level = self.session.map_state.level
        self.bars.set_bars(
            () if view is None else view.bars, shows_numbers=level == "space_group"
        )
        explain(
            self.follow_button,
            "" if state.pinned is not None else "Following already: click a pixel to pin it.",
            "Show the pattern under the cursor again",
        )

    def _restyle(self, *_: Any) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        colors = theme_colors(viewer)
        self.setStyleSheet(style_sheet(colors))
        for widget in (self.measured, self.network, self.bars):
            widget.colors = colors
            widget.update()

    def _follow(self) -> None:
        self.state.pinned = None

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Put the candidates beside the pictures where there is room."""
        is_wide = self.width() >= WIDE
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.LeftToRight if is_wide else direction.TopToBottom)
        super().resizeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Stop following when napari takes the widget out of its dock."""
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
