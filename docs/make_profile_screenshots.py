"""Open a powder profile and a map of profiles, classify both, and keep a picture of each step.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_profile_screenshots.py

``docs/powder.md`` shows two of them; ``--all`` keeps also those that are only looked at before a
release: the light theme, a small window, a long name. The profiles are simulated, as a laboratory
diffractometer would measure them: rutile alone, and a section of a sample that turns from anatase
into rutile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from photographer import IMAGES, Photographer

SMALL, LARGE = (900, 640), (1360, 940)
WIDTH, HEIGHT = 380, 300
ROWS, COLUMNS = 8, 14
ANGLES = np.round(np.arange(20, 100, 0.02), 2)
LONG = "beamtime 2026-11 furnace ramp 5 K per minute capillary 07 rutile after annealing"


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--all", action="store_true", help="the pictures that no page shows, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        options.out.mkdir(parents=True, exist_ok=True)
        single, section = profiles()
        for theme in ("dark", "light") if options.all else ("dark",):
            for name in ("rutile", LONG) if options.all else ("rutile",):
                path = Path(folder) / f"{name}.xye"
                errors = np.sqrt(np.maximum(single, 1))
                table = np.column_stack([ANGLES, single, errors])
                np.savetxt(path, table, fmt="%.4g")
                tour = Tour(theme, options.out, is_whole=options.all)
                tour.one_profile(path, "profile" if name == "rutile" else "profile-long")
            Tour(theme, options.out, is_whole=options.all).section(section)


def profiles() -> tuple[np.ndarray, np.ndarray]:
    """Return counts of one sample ``(angle,)``, and of a section ``(scan_y, scan_x, angle)``."""
    import torch

    from napari_spacegroup.crystal import library_phase
    from napari_spacegroup.imaging import ProfileContract
    from napari_spacegroup.simulate.diffractometer import ProfileRange, raw_profiles
    from napari_spacegroup.simulate.lines import lines_of_phase
    from napari_spacegroup.simulate.lineset import LineSet
    from napari_spacegroup.simulate.profile import DeviceLines

    phases = [library_phase(name) for name in ("TiO2-rutile", "TiO2-anatase")]
    crystals = LineSet.from_lines(
        [lines_of_phase(phase, 7.0) for phase in phases], [phase.space_group for phase in phases]
    )
    lines = DeviceLines(crystals, "xray", torch.device("cpu"))
    grid = ProfileContract(
        grid="two_theta", start=float(ANGLES[0]), stop=float(ANGLES[-1]), points=len(ANGLES),
        background=0,
    )  # fmt: skip
    scope = ProfileRange.of("clean", "xray").model_copy(
        update={
            "doublets": 1.0, "start": (15.0, 15.0), "stop": (110.0, 110.0), "stretch": 0.0,
            "width": (0.08, 0.08), "size_width": (0.05, 0.05), "strain_width": (0.02, 0.02),
            "background": (0.04, 0.04), "textured": 0.0, "noise": False,
        }
    )  # fmt: skip
    pair, _ = raw_profiles(lines, torch.arange(2), scope, grid, torch.Generator().manual_seed(2))
    rutile, anatase = (pair / pair.amax(1, keepdim=True)).numpy()
    rng = np.random.default_rng(3)
    down, across = np.mgrid[:ROWS, :COLUMNS]
    share = 1 / (1 + np.exp(-(across - 6.5 + 1.2 * np.sin(down)) / 0.7))[..., None]
    mixed = share * rutile + (1 - share) * anatase
    return rng.poisson(8000 * rutile), rng.poisson(3000 * mixed)


class Tour(Photographer):
    """One viewer, from the file to the answer."""

    def __init__(self, theme: str, out: Path, *, is_whole: bool) -> None:
        super().__init__(theme, out, LARGE, "Space-group map")
        self.is_whole = is_whole
        self.state = self.session.map_state
        self.pattern_frame, self.pattern = self.viewer.window.add_plugin_dock_widget(
            "napari-spacegroup", "Pattern"
        )
        self.reasons = self.session.pattern_state

    def arrange(self) -> None:
        """Put the map's dock at the side and the profile below the canvas."""
        from qtpy.QtCore import Qt

        self.window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.pattern_frame)
        self.window.resizeDocks([self.frame], [WIDTH], Qt.Orientation.Horizontal)
        self.window.resizeDocks([self.pattern_frame], [HEIGHT], Qt.Orientation.Vertical)

    def one_profile(self, path: Path, name: str) -> None:
        """Take the pictures of a file with one profile."""
        self.arrange()
        self.viewer.open(str(path), plugin="napari-spacegroup")
        self.until(lambda: self.reasons.view is not None)
        self.dock.classify_button.click()
        self.until(lambda: not self.state.is_busy and self.state.legend)
        self.pattern.why_button.click()
        self.until(lambda: self.reasons.view is not None and self.reasons.view.ticks)
        self.keep(name)
        if self.is_whole:
            self.window.resize(*SMALL)
            self.keep(f"{name}-small")
        self.close()

    def section(self, counts: np.ndarray) -> None:
        """Take the pictures of a map of profiles."""
        from napari_spacegroup.patterns import from_profiles
        from napari_spacegroup.plugin.layers import navigation_layer

        self.arrange()
        scan = from_profiles(
            counts, two_theta=ANGLES, wavelength=1.5418, radiation="xray", name="furnace section"
        )
        means = counts.mean(axis=-1).astype(np.float32)
        image, keywords, _ = navigation_layer(scan, means)
        layer = self.viewer.add_image(image, **keywords)
        self.viewer.layers.selection.active = layer
        self.viewer.reset_view()
        self.until(lambda: self.state.model)
        self.dock.classify_button.click()
        self.until(lambda: not self.state.is_busy and self.state.legend)
        self.reasons.pinned = (3, 10)
        self.state.threshold = 0.3
        self.pause(3.0)
        self.keep("profile-map")
        if self.is_whole:
            self.window.resize(*SMALL)
            self.keep("profile-map-small")
        self.close()


if __name__ == "__main__":
    main()
