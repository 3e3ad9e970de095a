"""What the scripts that keep pictures of the window share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
PLUGIN = "napari-spacegroup"


class Photographer:
    """One viewer with one of our docks, as on the first day.

    Parameters
    ----------
    theme
        Of napari.
    out
        Folder of the pictures.
    size
        Of the window [pixels].
    dock
        Its name.
    """

    state: Any

    def __init__(self, theme: str, out: Path, size: tuple[int, int], dock: str) -> None:
        import napari
        from napari.settings import get_settings

        from napari_spacegroup.plugin import session_of

        get_settings().appearance.theme = theme
        get_settings().application.plugin_widget_positions = {}
        self.theme, self.out = theme, out
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.window = self.viewer.window._qt_window
        self.window.resize(*size)
        self.frame, self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, dock)
        self.session = session_of(self.viewer)

    def keep(self, name: str) -> None:
        """Write a picture of the window as it is now."""
        self.pause(0.6)
        path = self.out / f"{name}-{self.theme}.png"
        self.window.grab().save(str(path))
        print(path.name)

    def until(self, condition: Callable[[], object], limit: float = 300.0) -> None:
        """Let the window live until something is true [s]."""
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {limit:g} s: {self.state.message!r}")
            self.pause(0.02)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.pause(0.3)

    @staticmethod
    def pause(seconds: float) -> None:
        """Let the window live for a while."""
        from qtpy.QtTest import QTest

        QTest.qWait(round(1000 * seconds))
