"""Draw the axes that the symmetry of a measured pattern shows, on a nickel pattern.

    python docs/draw_symmetry.py

The scan is the one that kikuchipy ships, the mean over the patterns of one grain; writes
docs/images/symmetry.png.
"""

from __future__ import annotations

from pathlib import Path

import kikuchipy as kp
import numpy as np

import napari_spacegroup as nsg
from napari_spacegroup.infer.explain import explain_pattern
from napari_spacegroup.infer.explain_figure import draw_explanation

OUT = Path(__file__).parent / "images" / "symmetry.png"
GRAIN, PIXEL = [1, 2, 4, 5, 7, 8], 4
"""Patterns of one grain, and the one whose center is used."""


def main() -> None:
    """Draw the pattern and its symmetry."""
    signal = kp.data.nickel_ebsd_small()
    patterns = signal.data.reshape(-1, 60, 60)
    center = np.asarray(signal.detector.pc.reshape(-1, 3)[PIXEL])
    found = explain_pattern(
        nsg.load_model("ebsd-symmetry"), patterns[GRAIN].mean(0).astype(np.float32),
        pattern_center=center, static_background=signal.static_background,
    )  # fmt: skip
    draw_explanation(found, OUT)


if __name__ == "__main__":
    main()
