"""Drive the dock *Simulate* by its buttons and keep a picture of each step.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_simulate_screenshots.py

``docs/simulate.md`` shows one of them; ``--all`` keeps also those that are only looked at
before a release: the light theme, a small window, long names, a crystal of low symmetry.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
PLUGIN = "napari-spacegroup"
SMALL, LARGE = (860, 600), (1360, 900)
WIDTH = 400


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--all", action="store_true", help="the pictures that no page shows, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # A window as on the first day: no settings of the person who runs this.
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        options.out.mkdir(parents=True, exist_ok=True)
        for theme in ("dark", "light") if options.all else ("dark",):
            Tour(theme, options.out, is_whole=options.all).walk()


class Tour:
    """One viewer, from an empty dock to a pattern beside the measured one."""

    def __init__(self, theme: str, out: Path, *, is_whole: bool) -> None:
        import napari
        from napari.settings import get_settings
        from qtpy.QtCore import Qt

        from napari_spacegroup.plugin import session_of

        get_settings().appearance.theme = theme
        get_settings().application.plugin_widget_positions = {}
        self.theme, self.out, self.is_whole = theme, out, is_whole
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.window = self.viewer.window._qt_window
        self.window.resize(*LARGE)
        holder, self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, "Simulate")
        self.window.resizeDocks([holder], [WIDTH], Qt.Orientation.Horizontal)
        self.session = session_of(self.viewer)
        self.state = self.dock.state

    def walk(self) -> None:
        """Take all pictures of this theme."""
        if self.is_whole:
            self.keep("simulate-empty")
        self.viewer.open_sample(PLUGIN, "nickel")
        self.until(lambda: "Nickel" in self.viewer.layers)
        self.session.pattern_state.pinned = (1, 1)
        self.until(lambda: self.state.measured is not None)
        self.dock.picker.search.setText("Ni Al")
        self.dock.picker.search.setText("Ni")
        self.dock.picker.search.returnPressed.emit()
        self.until(lambda: self.state.drawn is not None)
        if self.is_whole:
            self.keep("simulate-chosen")
        self.dock.scan_button.click()
        self.until(lambda: self.state.match is not None and not self.state.is_stale)
        self.dock.search_button.click()
        self.until(lambda: not self.state.is_searching)
        self.pause(0.5)
        self.dock.send_button.click()
        self.dock.screen_button.setChecked(True)
        self.viewer.reset_view()
        self.keep("simulate")
        if self.is_whole:
            self.window.resize(*SMALL)
            self.keep("simulate-small")
            self.dock.screen_button.setChecked(False)
            self.dock.picker.search.setText("tremolite")
            self.dock.picker.search.returnPressed.emit()
            self.until(lambda: self.state.is_busy)
            self.keep("simulate-busy")
            self.until(lambda: self.state.drawn is not None)
            self.keep("simulate-long")
            self.dock.controller.look(shape=(60, 200))
            self.state.method = "dynamical"
            self.keep("simulate-wide")
        self.viewer.close()
        self.pause(0.3)

    def keep(self, name: str) -> None:
        """Write a picture of the window as it is now."""
        self.pause(0.6)
        path = self.out / f"{name}-{self.theme}.png"
        self.window.grab().save(str(path))
        print(path.name, self.state.match, self.state.view.euler)

    def until(self, condition: Callable[[], object], limit: float = 300.0) -> None:
        """Let the window live until something is true [s]."""
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {limit:g} s: {self.state.message!r}")
            self.pause(0.02)

    @staticmethod
    def pause(seconds: float) -> None:
        """Let the window live for a while."""
        from qtpy.QtTest import QTest

        QTest.qWait(round(1000 * seconds))


if __name__ == "__main__":
    main()
