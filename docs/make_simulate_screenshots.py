"""Drive the dock *Simulate* by its buttons and keep a picture of each step.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_simulate_screenshots.py

``docs/simulate.md`` shows one of them; ``--all`` keeps also those that are only looked at
before a release: the light theme, a small window, long names, a crystal of low symmetry.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from photographer import IMAGES, PLUGIN, Photographer

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


class Tour(Photographer):
    """One viewer, from an empty dock to a pattern beside the measured one."""

    def __init__(self, theme: str, out: Path, *, is_whole: bool) -> None:
        from qtpy.QtCore import Qt

        super().__init__(theme, out, LARGE, "Simulate")
        self.is_whole = is_whole
        self.window.resizeDocks([self.frame], [WIDTH], Qt.Orientation.Horizontal)
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
        self.close()


if __name__ == "__main__":
    main()
