"""What all docks are: a widget of one viewer's session that follows the theme and lets go."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from .controls import Bindings
from .session import plain_viewer, session_of
from .style import Colors, style_sheet, theme_colors

if TYPE_CHECKING:
    from napari.viewer import Viewer


class Dock(QWidget):
    """A dock of a viewer; it opens its part of the session and closes it again.

    Parameters
    ----------
    napari_viewer
        Whose session it shows.
    name
        Of its part of the session, such as ``"map"``.
    """

    def __init__(self, napari_viewer: Viewer, name: str) -> None:
        super().__init__()
        viewer = plain_viewer(napari_viewer)
        self._viewer = weakref.ref(viewer)
        self.session = session = session_of(viewer)
        self._bindings = Bindings()
        self._was_docked = False
        self._bindings.connect(viewer.events.theme, self._restyle)
        self._token = token = session.open_dock(name)
        self.destroyed.connect(self._bindings.release)
        self.destroyed.connect(lambda *_: session.close_dock(token))

    @property
    def viewer(self) -> Viewer | None:
        """The viewer, or None when it is gone."""
        return self._viewer()

    def _restyle(self, *_: Any) -> None:
        viewer = self._viewer()
        if viewer is not None:
            colors = theme_colors(viewer)
            self.setStyleSheet(style_sheet(colors))
            self.recolor(colors)

    def recolor(self, colors: Colors) -> None:
        """Take the colours of the theme, for what draws itself."""

    def on_docked(self) -> None:
        """Be told that napari put the widget into a dock."""

    def event(self, event: QEvent) -> bool:
        """Close its part of the session when napari takes the widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._was_docked = True
                self.on_docked()
            elif self._was_docked:
                self.close_session()
        return bool(super().event(event))

    def close_session(self) -> None:
        """Cut all ties with the viewer; the widget shows nothing new afterwards."""
        self._bindings.release()
        self.session.close_dock(self._token)
