"""Drive the dock *Combine* by its buttons and keep a picture of each step.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_combine_screenshots.py

``docs/sad.md`` shows one of them; ``--all`` keeps also those that are only looked at before a
release: the light theme, a small window, an empty dock, long names. The patterns are simulated:
a stack with a grain of sodium chloride beside one of silicon, and photographs of the first.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from photographer import IMAGES, Photographer

SMALL, LARGE = (900, 640), (1360, 940)
WIDTH = 380
ROWS, COLUMNS, BORDER = 10, 16, 9
STEM = "tilt series of the precipitate beside the grain boundary, negative"


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--all", action="store_true", help="the pictures that no page shows, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        options.out.mkdir(parents=True, exist_ok=True)
        stack, photographs = patterns()
        for theme in ("dark", "light") if options.all else ("dark",):
            tour = Tour(theme, options.out, is_whole=options.all)
            tour.walk(stack, photographs, Path(folder))


def patterns() -> tuple[np.ndarray, np.ndarray]:
    """Return a stack of two grains ``(scan_y, scan_x, y, x)``, and photographs of the first."""
    import torch

    from napari_spacegroup.config import sad_condition
    from napari_spacegroup.crystal import library_phase
    from napari_spacegroup.simulate.projector import random_quaternions
    from napari_spacegroup.simulate.reflections import simulate_reflections
    from napari_spacegroup.simulate.spot_patterns import draw_patterns

    generator = torch.Generator().manual_seed(4)
    salt, silicon = (simulate_reflections(library_phase(name), 1.3) for name in ("NaCl", "Si"))
    left, right = random_quaternions(2, generator)
    is_left = [column < BORDER for _ in range(ROWS) for column in range(COLUMNS)]
    turns = torch.stack([left if own else right for own in is_left])
    crystals = [salt if own else silicon for own in is_left]
    asked = sad_condition("standard")
    camera = asked.replace(
        voltage=(200.0, 200.0), relrod=(0.012, 0.012), precession=(0.5, 0.5), rim=(1.0, 1.0),
        spot_radius=(1.6, 1.6), disk_share=0.0, off_center=0.0, beam_stop_share=0.0,
        negative_share=0.0, saturation_share=0.0, contrast=0.0, direct_beam=1.0, halo=0.0,
        background=0.0, noise=0.01, dynamical=0.0,
    )  # fmt: skip
    drawn = draw_patterns(crystals, camera, generator, orientations=turns).numpy()
    along = asked.replace(zone_share=1.0, mistilt=0.5)
    single = draw_patterns([salt] * 3, along, generator).numpy()
    grains = np.concatenate([in_bytes(one[None]) for one in drawn])
    photographs = np.concatenate([255 - in_bytes(one[None]) for one in single])
    return grains.reshape(ROWS, COLUMNS, *drawn.shape[1:]), photographs


def in_bytes(drawn: np.ndarray) -> np.ndarray:
    """Return patterns as a camera with a gamma stores them."""
    share = drawn / drawn.max()
    return (255 * share.clip(0, 1) ** 0.5).astype(np.uint8)


def brightest_spot(patterns: np.ndarray) -> tuple[float, float]:
    """Return column and row of the strongest spot beside the direct beam [pixel]."""
    mean = patterns.astype(float).mean(axis=(0, 1))
    rows, columns = np.indices(mean.shape)
    middle = (np.array(mean.shape) - 1) / 2
    mean[np.hypot(rows - middle[0], columns - middle[1]) < 16] = 0
    row, column = np.unravel_index(mean.argmax(), mean.shape)
    return float(column), float(row)


class Tour(Photographer):
    """One viewer, from an empty dock to the next zone axis."""

    def __init__(self, theme: str, out: Path, *, is_whole: bool) -> None:
        from qtpy.QtCore import Qt

        super().__init__(theme, out, LARGE, "Combine")
        self.is_whole = is_whole
        self.window.resizeDocks([self.frame], [WIDTH], Qt.Orientation.Horizontal)
        self.state = self.dock.state

    def walk(self, stack: np.ndarray, photographs: np.ndarray, folder: Path) -> None:
        """Take all pictures of this theme."""
        import imageio.v3 as imageio

        from napari_spacegroup.patterns import PatternScan, virtual_image
        from napari_spacegroup.plugin.layers import navigation_layer

        self.until(lambda: self.session.map_state.model)
        self.session.map_state.model = "sad-cubic"
        if self.is_whole:
            self.keep("combine-empty")
        scan = PatternScan.from_array(stack, name="Two grains", step=(5.0, 5.0), step_unit="nm")
        dark_field = virtual_image(scan, center=brightest_spot(stack[:, :BORDER]), outer=5.0)
        image, keywords, _ = navigation_layer(scan, dark_field)
        layer = self.viewer.add_image(image, **keywords)
        self.viewer.layers.selection.active = layer
        self.viewer.reset_view()
        self.viewer.window.add_plugin_dock_widget("napari-spacegroup", "Pattern")
        self.session.pattern_state.pinned = (4, 3)
        self.until(lambda: self.session.pattern_state.view is not None)
        self.dock.pattern_button.click()
        self.until(lambda: self.is_settled(1))
        self.dock.region_button.click()
        drawn = self.viewer.layers.selection.active
        corners = np.array([[1.0, 0.6], [0.6, 6.0], [5.0, 7.4], [8.3, 6.2], [7.5, 2.0]])
        drawn.add_polygons(corners * 5.0 / np.array(drawn.scale))
        if self.is_whole:
            self.keep("combine-drawing")
        self.dock.region_button.click()
        self.until(lambda: self.is_settled(2))
        paths = []
        for number, photograph in enumerate(photographs, 1):
            paths.append(folder / f"photograph {number}.png")
            imageio.imwrite(paths[-1], photograph)
        self.dock.controller.add_files(paths)
        self.until(lambda: self.is_settled(5))
        self.dock.alpha.setValue(4.0)
        self.dock.beta.setValue(-11.5)
        self.pause(1.0)
        self.keep("combine")
        if self.is_whole:
            self.window.resize(*SMALL)
            self.keep("combine-small")
            long = folder / f"{STEM}.png"
            imageio.imwrite(long, photographs[0])
            self.dock.controller.add_files([long, folder / "missing.png"])
            self.until(lambda: not self.state.is_reading)
            self.dock.table.item(1, 0).setCheckState(_unchecked())
            self.dock.holder_button.setChecked(True)
            self.pause(1.0)
            self.window.resize(*LARGE)
            self.keep("combine-long")
        self.close()

    def is_settled(self, rows: int) -> bool:
        """Return whether so many lines were read and joined."""
        found = self.state.rows
        return len(found) == rows and all(row.joint is not None for row in found)


def _unchecked() -> object:
    from qtpy.QtCore import Qt

    return Qt.CheckState.Unchecked


if __name__ == "__main__":
    main()
