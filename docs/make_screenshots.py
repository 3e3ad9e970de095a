"""Drive the window by its buttons and keep a picture of each step, for the docs.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_screenshots.py

Needs the bundled model. With ``--model NAME`` it takes another one, with ``--out FOLDER`` it
writes elsewhere.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from photographer import IMAGES, PLUGIN, Photographer

SMALL, LARGE = (1000, 700), (1360, 860)


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ebsd-cubic")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # A window as on the first day: no settings of the person who runs this.
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        options.out.mkdir(parents=True, exist_ok=True)
        for theme in ("dark", "light"):
            Tour(theme, options.model, options.out).walk()


class Tour(Photographer):
    """One viewer, from empty to a map."""

    def __init__(self, theme: str, model: str, out: Path) -> None:
        super().__init__(theme, out, SMALL, "Space-group map")
        self.state = self.session.map_state
        self.until(lambda: self.state.models)
        self.state.model = model

    def walk(self) -> None:
        """Take all pictures of this theme."""
        self.keep("empty")
        self.dock.sample_button.click()
        self.until(lambda: "Nickel" in self.viewer.layers)
        self.keep("opened")
        self.classify()
        self.dock.advanced_button.setChecked(True)
        self.keep("nickel")
        self.dock.advanced_button.setChecked(False)
        self.window.resize(*LARGE)
        self.viewer.layers.clear()
        self.viewer.open_sample(PLUGIN, "polycrystal")
        self.viewer.window.add_plugin_dock_widget(PLUGIN, "Pattern")
        self.pause(0.5)
        self.state.batch_size = 16
        self.dock.classify_button.click()
        self.until(lambda: self.state.done >= 0.45 * self.state.total > 0)
        self.viewer.reset_view()
        self.keep("running")
        self.until(lambda: self.state.job.is_final)
        self.viewer.reset_view()
        self.session.pattern_state.pinned = (20, 12)
        self.until(lambda: self.session.pattern_state.view is not None)
        self.keep("map")
        self.state.threshold = 0.9
        self.keep("threshold")
        self.state.threshold = 0.0
        self.state.level = "crystal_system"
        self.keep("level")
        self.close()

    def classify(self) -> None:
        """Press the main button and wait."""
        self.dock.classify_button.click()
        self.until(lambda: self.state.job.is_final)
        self.viewer.reset_view()


if __name__ == "__main__":
    main()
