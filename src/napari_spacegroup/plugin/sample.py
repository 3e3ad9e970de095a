"""File > Open Sample: scans to try the docks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .layers import LayerData


def nickel() -> list[LayerData]:
    """Return the measured nickel scan that kikuchipy ships: 3 × 3 patterns of 60 × 60."""
    from dataclasses import replace

    from ..patterns import read
    from ..workflows import demo_scan_path
    from .layers import navigation_layer
    from .overview import overview

    scan = replace(read(demo_scan_path()), name="Nickel")
    return [navigation_layer(scan, overview(scan))]
