"""Calibrate a spot pattern by hand in the dock *Pattern* and keep a picture of each step.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_calibrate_screenshots.py

``docs/sad.md`` shows one of them; ``--all`` keeps also those that are only looked at before a
release: the light theme, a small window, a dock at the side, one photograph. The patterns are
simulated: a stack of grains of nickel, by a camera that makes ellipses of circles.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from pathlib import Path

import numpy as np
from photographer import IMAGES, Photographer

SMALL, LARGE = (900, 640), (1360, 940)
ROWS, COLUMNS, SHAPE = 4, 6, (240, 300)
RATIO, ANGLE, CONSTANT = 1.06, 35.0, 110.0
SPACING, SECOND = 3.524 / math.sqrt(8), 3.524 / math.sqrt(3)
"""Of nickel's {220} and {111} [Å]."""


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--all", action="store_true", help="the pictures that no page shows, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        options.out.mkdir(parents=True, exist_ok=True)
        stack = patterns()
        for theme in ("dark", "light") if options.all else ("dark",):
            Tour(theme, options.out, is_whole=options.all).walk(stack)


def patterns() -> np.ndarray:
    """Return patterns of grains near zone axes, shape ``(scan_y, scan_x, y, x)``."""
    import torch

    from napari_spacegroup.crystal import library_phase
    from napari_spacegroup.simulate.reflections import simulate_reflections
    from napari_spacegroup.simulate.spot_images import SpotCamera, draw_spots
    from napari_spacegroup.simulate.spot_patterns import zone_quaternions
    from napari_spacegroup.simulate.spots import Beam, ReflectionBatch, excite

    count = ROWS * COLUMNS
    generator = torch.Generator().manual_seed(11)
    nickel = simulate_reflections(library_phase("Ni"), 1.3)
    one = torch.ones(count)
    beam = Beam(200 * one, 0.02 * one, 1.0 * one, 0.05 * one, "gaussian")
    turns = zone_quaternions(count, 0.3, generator)
    spots = excite(ReflectionBatch.of([nickel] * count), turns, beam)
    camera = SpotCamera.fixed(
        count, SHAPE, camera_constant=CONSTANT, center=(0.53, 0.47), spot_radius=1.6,
        ellipticity=RATIO - 1, ellipse_angle=math.radians(ANGLE),
    )  # fmt: skip
    drawn = draw_spots(spots, camera, spots.intensity**0.5).numpy()
    down, across = np.mgrid[: SHAPE[0], : SHAPE[1]]
    square = (across + 0.5 - 0.53 * SHAPE[1]) ** 2 + (down + 0.5 - 0.47 * SHAPE[0]) ** 2
    top = np.percentile(drawn.max(axis=(1, 2)), 50)
    drawn = drawn + top * (3 * np.exp(-square / 18) + 0.06 * np.exp(-np.sqrt(square) / 30))
    noise = np.random.default_rng(1).normal(0, 0.002 * top, drawn.shape)
    drawn = ((drawn + noise) / (1.2 * top)).clip(0, 1) ** 0.6
    return (255 * drawn).astype(np.uint8).reshape(ROWS, COLUMNS, *SHAPE)


def richest(stack: np.ndarray) -> tuple[int, int]:
    """Return the pixel whose pattern has most spots."""
    import torch

    from napari_spacegroup.imaging import find_spots

    found = find_spots(torch.from_numpy(stack.reshape(-1, *SHAPE).astype(np.float32)))
    row, column = divmod(int(found.is_spot.sum(dim=1).argmax()), COLUMNS)
    return row, column


class Tour(Photographer):
    """One viewer, from the pattern to the calibration in use."""

    def __init__(self, theme: str, out: Path, *, is_whole: bool) -> None:
        super().__init__(theme, out, LARGE, "Pattern")
        self.is_whole = is_whole
        self.state = self.session.pattern_state
        self.marks = self.session.calibrate.state

    def walk(self, stack: np.ndarray) -> None:
        """Take all pictures of this theme."""
        from napari_spacegroup.patterns import PatternScan
        from napari_spacegroup.plugin.layers import navigation_layer

        self.until(lambda: self.session.map_state.model)
        self.session.map_state.model = "sad-cubic"
        scan = PatternScan.from_array(
            stack, name="Nickel", technique="sad", step=(5.0, 5.0), step_unit="nm"
        )
        means = stack.mean(axis=(2, 3)).astype(np.float32)
        image, keywords, _ = navigation_layer(scan, means)
        layer = self.viewer.add_image(image, **keywords)
        self.viewer.layers.selection.active = layer
        self.viewer.reset_view()
        self.state.pinned = richest(stack)
        self.until(lambda: self.state.view is not None)
        if self.is_whole:
            self.keep("calibrate-before")
        self.dock.calibrate_button.click()
        self.until(lambda: self.marks.spots is not None)
        if self.is_whole:
            self.keep("calibrate-start")
        self.dock.panel.find_button.click()
        self.until(lambda: not self.marks.is_finding)
        self.dock.panel.spacing.setValue(SPACING)
        self.drag_ring(CONSTANT / SPACING)
        self.dock.panel.second.setValue(SECOND)
        self.until(lambda: self.marks.spots is not None)
        self.pause(1.0)
        self.keep("calibrate")
        if self.is_whole:
            self.window.resize(*SMALL)
            self.keep("calibrate-small")
            self.dock.panel.use_button.click()
            self.pause(1.0)
            self.dock.panel.unit.setCurrentIndex(1)
            self.keep("calibrate-used")
            self.window.resize(*LARGE)
            self.to_the_side()
            self.keep("calibrate-side")
            colour = np.stack([stack[self.state.pinned]] * 3, -1)
            photograph = self.viewer.add_image(colour, name="photograph")
            self.viewer.layers.selection.active = photograph
            self.until(lambda: self.marks.is_single)
            self.pause(1.0)
            self.keep("calibrate-photograph")
        self.close()

    def drag_ring(self, radius: float) -> None:
        """Drag the ring with the mouse."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        picture, marks = self.dock.panel.picture, self.marks.marks
        here, there = (
            picture.on_screen(*marks.ring(r, math.radians(80))).toPoint()
            for r in (marks.radius, radius)
        )
        QTest.mousePress(picture, Qt.MouseButton.LeftButton, pos=here)
        for share in np.linspace(0, 1, 6):
            QTest.mouseMove(picture, here + (there - here) * float(share))
        QTest.mouseRelease(picture, Qt.MouseButton.LeftButton, pos=there)

    def to_the_side(self) -> None:
        """Put the dock where others stand."""
        from qtpy.QtCore import Qt

        self.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.frame)
        self.window.resizeDocks([self.frame], [400], Qt.Orientation.Horizontal)


if __name__ == "__main__":
    main()
