"""Draw the frames of docs/conventions.md from the code's own geometry.

    python docs/draw_frames.py

The axes in the side view come from ``sample_to_detector``, the directions on the Lambert
square from ``lambert_directions``: a change of convention would show in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from napari_spacegroup.simulate.lambert import lambert_directions
from napari_spacegroup.simulate.projector import DetectorGeometry, sample_to_detector

FOLDER = Path(__file__).parent / "figures"
SAMPLE, DETECTOR, BEAM, INK = "#b2182b", "#2166ac", "#6a51a3", "#333333"
SAMPLE_TILT, DETECTOR_TILT = 70.0, 10.0


def main() -> None:
    """Write every figure."""
    plt.rcParams.update({"svg.hashsalt": "frames", "font.size": 9, "svg.fonttype": "none"})
    FOLDER.mkdir(exist_ok=True)
    for name, draw in (
        ("side_view", side_view),
        ("pattern_center", pattern_center),
        ("lambert", lambert),
    ):
        figure, axes = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
        draw(axes)
        figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def arrow(
    axes: Axes,
    start: Sequence[float],
    step: Sequence[float],
    label: str,
    color: str,
    shift: Sequence[float] = (0.0, 0.0),
) -> None:
    """Draw an arrow with a name at its tip."""
    start, step = np.asarray(start), np.asarray(step)
    end = start + step
    style = {"arrowstyle": "-|>", "color": color, "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)
    place = end + 0.08 * step / np.hypot(*step) + shift
    axes.text(*place, label, color=color, ha="center", va="center")


def side_view(axes: Axes) -> None:
    """Look along the tilt axis, from the side where the screen stands to the right."""
    geometry = DetectorGeometry.fixed(
        (60, 60), (0.5, 0.5, 0.5), sample_tilt=SAMPLE_TILT, detector_tilt=DETECTOR_TILT
    )
    detector = sample_to_detector(geometry)[0].numpy()  # rows: Xd, Yd, Zd in the sample frame
    # In this view the microscope's up is up; the sample frame is turned by the tilt.
    tilt = np.radians(SAMPLE_TILT)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

    def seen(vector: np.ndarray) -> np.ndarray:
        return turn @ np.array([vector[0], vector[2]])

    down_hill, normal = seen(np.array([1.0, 0, 0])), seen(np.array([0, 0, 1.0]))
    up, to_screen = seen(detector[1]), seen(detector[2])

    axes.plot(*np.stack([-1.0 * down_hill, 1.0 * down_hill]).T, color=SAMPLE, lw=6, alpha=0.35)
    arrow(axes, (0, 1.9), (0, -1.75), "", BEAM)
    axes.text(0.06, 1.7, "electron beam", color=BEAM)
    arrow(axes, (0, 0), 0.8 * down_hill, "$X_s$", SAMPLE, (0.1, 0))
    arrow(axes, (0, 0), 0.8 * normal, "$Z_s$", SAMPLE)
    axes.text(-0.12, -0.02, "$Y_s$ ⊗", color=SAMPLE, ha="right", va="center")

    foot = 1.5 * to_screen
    edge = np.stack([foot - 0.9 * up, foot + 0.6 * up])
    axes.plot(*edge.T, color=DETECTOR, lw=5, alpha=0.35)
    axes.plot(*np.stack([np.zeros(2), foot]).T, color=DETECTOR, lw=1, ls="--")
    axes.text(*(0.5 * foot + 0.12 * up), "PC$_z$ × height", color=DETECTOR, ha="center")
    arrow(axes, foot, 0.7 * up, "$Y_d$", DETECTOR)
    arrow(axes, foot, 0.5 * to_screen, "$Z_d$", DETECTOR)
    axes.text(*(foot - 0.2 * up + 0.1 * to_screen), "$X_d$ ⊗", color=DETECTOR, va="center")
    axes.text(*(foot - 1.05 * up), "screen", color=DETECTOR, ha="center")
    axes.text(*(-1.12 * down_hill), "sample", color=SAMPLE, ha="center")
    axes.text(-0.95, -1.15, f"sample tilt {SAMPLE_TILT:g}°\ndetector tilt {DETECTOR_TILT:g}°")
    axes.set(xlim=(-1.1, 2.4), ylim=(-1.3, 2.0), aspect="equal")
    axes.set_axis_off()


def pattern_center(axes: Axes) -> None:
    """Show the screen from behind, towards the sample: as the pattern is stored."""
    width, height, x, y = 1.25, 1.0, 0.42, 0.28
    center = np.array([x * width, y * height])
    axes.add_patch(Rectangle((0, 0), width, height, fill=False, ec=INK, lw=1.5))
    axes.plot(*center, "*", ms=14, color=DETECTOR)
    axes.text(center[0] + 0.05, center[1], "PC", color=DETECTOR, va="center")
    for start, end, label, shift in (
        ((0, center[1]), center, "PC$_x$ × width", (0, -0.04)),
        ((center[0], 0), center, "PC$_y$ × height", (0.24, 0)),
    ):
        style = {"arrowstyle": "<->", "color": DETECTOR, "shrinkA": 0, "shrinkB": 6}
        axes.annotate("", end, start, arrowprops=style)
        middle = (np.asarray(start) + end) / 2 + shift
        axes.text(*middle, label, color=DETECTOR, ha="center", va="center")
    style = {"arrowstyle": "<->", "color": SAMPLE, "shrinkA": 6, "shrinkB": 0}
    axes.annotate("", (center[0], height), center, arrowprops=style)
    axes.text(center[0] + 0.03, 0.66, "EDAX: y × height\nOxford: y × width", color=SAMPLE)
    arrow(axes, (-0.08, -0.08), (0.42, 0), "columns (detector_x)", INK, (0.3, 0))
    arrow(axes, (-0.08, -0.08), (0, 0.42), "rows\n(detector_y)", INK, (-0.1, 0.05))
    axes.text(0.03, 0.05, "[0, 0]", color=INK, va="center")
    axes.set(xlim=(-0.5, 1.35), ylim=(1.05, -0.16), aspect="equal")
    axes.set_axis_off()


def lambert(axes: Axes) -> None:
    """Show circles of latitude and meridians of the upper hemisphere on the square."""
    half = 200
    directions = lambert_directions(half)[0]
    line = np.linspace(-1, 1, 2 * half + 1)
    polar = np.degrees(np.arccos(np.clip(directions[..., 2], -1, 1)))
    azimuth = np.degrees(np.arctan2(directions[..., 1], directions[..., 0]))
    contours = axes.contour(line, line, polar, levels=np.arange(15, 90, 15), colors=DETECTOR)
    axes.clabel(contours, fmt="%d°")
    for angle in range(0, 360, 45):
        # The contour of the angular distance's sine, on the half where its cosine is positive.
        difference = np.radians(azimuth - angle)
        sine = np.where(np.cos(difference) > 0, np.sin(difference), np.nan)
        axes.contour(line, line, sine, levels=[0], colors=SAMPLE, linewidths=0.8)
    axes.set(
        xlabel="columns → x, -1 to 1",
        ylabel="rows → y, -1 to 1",
        aspect="equal",
        xticks=[-1, 0, 1],
        yticks=[-1, 0, 1],
    )
    axes.set_title("upper hemisphere, z at the center; the edge is the equator", fontsize=9)


if __name__ == "__main__":
    main()
