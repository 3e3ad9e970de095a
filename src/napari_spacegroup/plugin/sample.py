"""File > Open Sample: scans to try the docks on."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .layers import LayerData


def nickel() -> list[LayerData]:
    """Return the measured nickel scan that kikuchipy ships: 3 × 3 patterns of 60 × 60."""
    from dataclasses import replace

    from ..patterns import read
    from .layers import navigation_layer

    with as_file(files("kikuchipy.data") / "kikuchipy_h5ebsd" / "patterns.h5") as path:
        scan = replace(read(path), name="Nickel")
        return [navigation_layer(scan, scan.navigation_image())]
