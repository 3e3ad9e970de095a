"""Follow a scan in the dock Live while another process writes it, and keep pictures.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_live_screenshots.py

The microscope is ``napari-spacegroup microscope``: a polycrystal of three of the textbook
crystals, patterns of 60 x 60, written as an EDAX file. Pictures: before the file is there,
half, at the end; and a scan that was broken off in the middle and stopped by the button.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from make_screenshots import LARGE, Tour
from photographer import IMAGES, PLUGIN

ROOT = Path(__file__).resolve().parents[1]
PHASES = ("W", "Pb", "Ge")
GRID = (40, 60)
RATE = 60.0
"""Patterns per second: fewer than two cores classify."""


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="ebsd-cubic")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_SPACEGROUP_SETTINGS"] = str(Path(folder) / "ours.json")
        options.out.mkdir(parents=True, exist_ok=True)
        journey = Journey("dark", options.model, options.out)
        journey.follow(Path(folder) / "whole", ("live-start", "live-half", "live-end"))
        journey.follow(Path(folder) / "aborted", ("", "", "live-aborted"), "stop:1300")
        journey.close()
    from napari_spacegroup.plugin.workers import close_worker

    close_worker()


class Journey(Tour):
    """One viewer with the dock Live."""

    def __init__(self, theme: str, model: str, out: Path) -> None:
        super().__init__(theme, model, out)
        self.viewer.window.remove_dock_widget("all")
        self.window.resize(*LARGE)
        _, self.live = self.viewer.window.add_plugin_dock_widget(PLUGIN, "Live")
        self.pause(1.0)
        self.state.model = model

    def follow(self, folder: Path, pictures: tuple[str, str, str], fault: str = "") -> None:
        """Follow one scan, and stop when it is left off."""
        folder.mkdir()
        live = self.session.live_state
        live.path, live.until_idle = str(folder / "scan.up2"), 0.0
        self.live.start_button.click()
        self.until(lambda: live.message.startswith("Waiting for the first"))
        if pictures[0]:
            self.keep(pictures[0])
        microscope = start_microscope(folder, fault)
        total = GRID[0] * GRID[1]
        self.until(lambda: live.status is not None and live.status.shown >= total / 2)
        if pictures[1]:
            self.viewer.reset_view()
            self.keep(pictures[1])
        if fault:
            self.until(lambda: microscope.poll() is not None and live.status.backlog == 0)
            self.pause(3.0)
            self.live.stop_button.click()
        self.until(lambda: live.job.is_final)
        self.viewer.reset_view()
        self.keep(pictures[2])
        microscope.wait(60)


def start_microscope(folder: Path, fault: str) -> subprocess.Popen[Any]:
    """Start the simulated microscope in a process of its own."""
    textbook = ROOT / "benchmarks" / "textbook"
    spec = {
        "phases": [str(textbook / f"{name}.cif") for name in PHASES],
        "scan_shape": GRID,
        "pattern_shape": (60, 60),
        "grains": 30,
        "rate": RATE,
        "seed": 4,
    }
    path = folder / "microscope.json"
    path.write_text(json.dumps(spec), encoding="utf-8")  # YAML takes JSON as it is
    command = [sys.executable, "-m", "napari_spacegroup.cli", "microscope", "--spec", str(path)]
    command += ["--out", str(folder / "scan.up2"), *(["--fault", fault] if fault else [])]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
