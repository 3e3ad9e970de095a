"""File > Open Sample: scans to try the docks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..patterns import PatternScan
    from .layers import LayerData

SHAPE = (32, 48)
GRAINS = 24
PATTERN = (60, 60)
PATTERN_CENTER = (0.48, 0.25, 0.55)
STEP_UM = 0.5
SEED = 225


def nickel() -> list[LayerData]:
    """Return the measured nickel scan that kikuchipy ships: 3 × 3 patterns of 60 × 60.

    References
    ----------
    Ånes et al. (2019), doi:10.5281/zenodo.3265037, CC BY 4.0.
    """
    from dataclasses import replace

    from ..patterns import read
    from ..workflows import demo_scan_path
    from .layers import navigation_layer
    from .overview import overview

    scan = replace(read(demo_scan_path()), name="Nickel")
    return [navigation_layer(scan, overview(scan))]


def polycrystal() -> list[LayerData]:
    """Return a simulated nickel polycrystal of 32 × 48 patterns, part of it without a beam."""
    from .layers import navigation_layer

    scan = simulate_polycrystal()
    return [navigation_layer(scan, scan.navigation_image())]


def simulate_polycrystal() -> PatternScan:
    """Return patterns of grains of random orientation, under the *standard* condition.

    From the dynamical EMsoft master pattern that kikuchipy ships. The first rows of the last
    columns have no signal: a beam that was blanked.
    """
    import numpy as np
    import torch

    from ..patterns import Geometry, PatternScan
    from ..simulate.detector import apply_condition
    from ..simulate.emsoft import read_master
    from ..simulate.projector import DetectorGeometry, project, random_quaternions
    from ..workflows import demo_scan_path

    folder = demo_scan_path().parents[1] / "emsoft_ebsd_master_pattern"
    master = read_master(folder / "ni_mc_mp_20kv_uint8_gzip_opts9.h5")
    generator = torch.Generator().manual_seed(SEED)
    rows, columns = np.indices(SHAPE)
    seeds = torch.rand((GRAINS, 2), generator=generator).numpy() * np.array(SHAPE)
    distances = (rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2
    grain = distances.argmin(axis=-1).ravel()
    ideal = project(
        torch.from_numpy(master.weighted())[None],
        DetectorGeometry.fixed(PATTERN, PATTERN_CENTER, count=GRAINS),
        random_quaternions(GRAINS, generator),
    )
    noisy, _ = apply_condition(ideal[torch.from_numpy(grain)], "standard", generator)
    low, high = float(noisy.min()), float(noisy.max())
    # Grains also differ in brightness, as channelling makes them do.
    gain = (0.8 + 0.2 * torch.rand(GRAINS, generator=generator))[torch.from_numpy(grain)]
    scaled = (noisy - low) * (255 / (high - low)) * gain[:, None, None]
    data = scaled.to(torch.uint8).numpy()
    data = data.reshape(*SHAPE, *PATTERN)
    data[:4, -6:] = 0
    return PatternScan.from_array(
        data,
        name="Nickel polycrystal (simulated)",
        technique="ebsd",
        step=(STEP_UM, STEP_UM),
        step_unit="um",
        geometry=Geometry(np.array(PATTERN_CENTER), sample_tilt=70.0, voltage=20.0),
    )
