"""Draw how the bundled model reads a pattern, on one measured nickel pattern.

    python docs/draw_method.py

The scan is the one that kikuchipy ships; writes docs/images/method.png.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import kikuchipy as kp
import matplotlib.pyplot as plt
import numpy as np
import torch

import napari_spacegroup as nsg
from napari_spacegroup.models.indexing import Screen
from napari_spacegroup.models.pattern_center import square_centers

OUT = Path(__file__).parent / "images" / "method.png"
PIXEL = 4


def main() -> None:
    """Draw four panels: pattern, what templates explain of it, the folded sector, the answer."""
    signal = kp.data.nickel_ebsd_small()
    model = nsg.load_model("ebsd-cubic")
    network = model.network
    pattern = signal.data.reshape(-1, 60, 60)[PIXEL]
    centers = square_centers(signal.detector.pc.reshape(-1, 3)[PIXEL], (60, 60))
    with torch.inference_mode():
        inputs = model.prepare(pattern[None], static_background=signal.static_background)
        rotations, scores = network.indexer.index(inputs, centers)
        folded = network.fold(inputs, centers, rotations)[0, 0].numpy()
        screen = Screen.of(inputs, centers, 60)
        _, rest, _ = network.indexer.linearise(screen, rotations[:, None])
        fitted = (screen.values[:, None] - rest)[0, 0].reshape(60, 60).numpy()
        answer = model.probabilities(inputs, centers)[0].numpy()
    figure, axes = plt.subplots(
        1, 4, figsize=(13, 4), width_ratios=(1, 1, 1, 0.8), layout="constrained"
    )
    axes[0].imshow(inputs[0, 0], cmap="gray", vmin=-2.5, vmax=2.5)
    axes[0].set_title("The pattern, as the network gets it")
    axes[1].imshow(fitted, cmap="gray")
    axes[1].set_title(f"What any cubic crystal would show\nof it here: {scores[0]:.0%}")
    below = np.triu(np.ones_like(folded), 1) > 0
    axes[2].imshow(np.where(below, np.nan, folded), cmap="gray", origin="lower")
    last = len(folded) - 1
    for (column, row), name, place in (
        ((0, 0), "[001]", "left"), ((0, last), "[011]", "left"), ((last, last), "[111]", "right")
    ):  # fmt: skip
        axes[2].plot(column, row, "o", color="#d1495b", ms=5, clip_on=False)
        axes[2].annotate(name, (column, row), xytext=(0, 7 if row else -13), color="#d1495b",
                         textcoords="offset points", ha=place)  # fmt: skip
    axes[2].set_title("Folded 48 times into one sector", pad=24)
    for axis in axes[:3]:
        axis.set_axis_off()
    order = np.argsort(answer)
    axes[3].barh([str(model.classes[k]) for k in order], answer[order], color="#2e6f95")
    axes[3].set_xlim(0, 1)
    axes[3].set_title("What the network says of that")
    axes[3].set_xlabel("probability")
    axes[3].set_ylabel("space group")
    for side in ("top", "right"):
        axes[3].spines[side].set_visible(False)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
