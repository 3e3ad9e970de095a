"""What a simulated pattern is as a layer: an image with the choices that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

SIMULATED_KEY = "napari_spacegroup_simulated"
"""Metadata of a layer that holds a simulated pattern; ``docs/layers.md`` lists what is there."""


def simulated_layer(pattern: NDArray[np.float32], facts: dict[str, Any]) -> dict[str, Any]:
    """Return what ``add_image`` is called with.

    Parameters
    ----------
    pattern
        Shape ``(detector_y, detector_x)``.
    facts
        Plain values; the layer is found again by them.
    """
    low, high = (float(x) for x in np.percentile(pattern, (0.5, 99.5)))
    euler = (facts["view"][name] for name in ("phi1", "capital_phi", "phi2"))
    turned = ", ".join(f"{angle:.1f}" for angle in euler)
    return {
        "data": pattern,
        "name": f"{facts['phase']}, simulated ({turned})",
        "colormap": "gray",
        "contrast_limits": (low, high if high > low else low + 1.0),
        "axis_labels": ("detector_y", "detector_x"),
        "metadata": {SIMULATED_KEY: facts},
    }


def tagged_layer(viewer: Viewer, facts: dict[str, Any]) -> Layer | None:
    """Return the layer that these choices have made already, or None."""
    for layer in viewer.layers:
        if layer.metadata.get(SIMULATED_KEY) == facts:
            return layer
    return None


def place_beside(viewer: Viewer, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return where a pattern lies so that it covers nothing: right of all layers, as high as they.

    Its units are then those of the layers, and mean nothing on the pattern itself.

    Parameters
    ----------
    shape
        Rows and columns of the pattern.
    """
    if len(viewer.layers) == 0:
        return {}
    # napari's extent goes from center to center of the outermost pixels.
    half = max(np.asarray(layer.extent.step)[-2:].max() for layer in viewer.layers) / 2
    low, high = np.asarray(viewer.layers.extent.world)[:, -2:] + [[-half], [half]]
    height = float(high[0] - low[0])
    if not np.isfinite(height) or height <= 0:
        return {}
    scale = height / shape[0]
    return {
        "scale": (scale, scale),
        "translate": (float(low[0]) + scale / 2, float(high[1]) + 0.05 * height + scale / 2),
        "units": tuple(str(unit) for unit in viewer.layers[0].units[-2:]),
    }
