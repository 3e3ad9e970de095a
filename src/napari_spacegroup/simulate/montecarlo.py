"""Where backscattered electrons come from: the Monte Carlo half of a dynamical pattern."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingPartError
from .dynamical import as_crystal

if TYPE_CHECKING:
    from ..crystal.phase import Phase


def simulate_depths(
    phase: Phase,
    *,
    voltage: float,
    energy_range: float = 5.0,
    energy_bins: int = 1,
    sample_tilt: float = 70.0,
    electrons: int = 50_000,
    seed: int = 0,
    device: str = "cpu",
) -> Any:
    """Return where backscattered electrons come from: counts over exit energy and depth.

    Parameters
    ----------
    phase
        The crystal, of which only the mean atomic number, mass and density matter.
    voltage
        Beam energy [kV].
    energy_range
        Electrons that lost more than this are left out [keV].
    energy_bins
        Number of equal bins the range is divided into. The energy of a bin is the mean
        over its electrons.
    sample_tilt
        From the horizontal [degrees].
    electrons
        Number of incident electrons.
    seed
        Of the random numbers.
    device
        A torch device.

    Returns
    -------
    depths
        A :class:`de_ebsd.sim.montecarlo.DepthDistribution`, energies ascending; bins
        that no electron reached are left out.

    Raises
    ------
    MissingPartError
        If de-ebsd is not installed.
    """
    try:
        from de_ebsd.sim.montecarlo.depth import DepthDistribution
    except ImportError as error:
        raise MissingPartError(
            f"dynamical simulation needs de-ebsd ({error}); "
            "install it with: pip install 'napari-spacegroup[dynamical]'"
        ) from error

    # de-ebsd's outermost bins are half as wide as the others: fine bins, put together here.
    width = energy_range / energy_bins
    fine = width / max(1, math.ceil(width / 0.25))
    lowest = voltage - energy_range
    raw = DepthDistribution.from_simulation(
        as_crystal(phase),
        float(voltage),
        e_min_kev=lowest,
        e_bin_kev=fine,
        tilt_deg=sample_tilt,
        n_electrons=electrons,
        seed=seed,
        device=device,
    )
    group = np.floor((raw.energies_kev - lowest) / width + 1e-6).astype(int)
    group = np.minimum(group, energy_bins - 1)
    counts = raw.accum_z.sum(axis=(1, 2, 3))
    bins = [i for i in range(energy_bins) if counts[group == i].sum() > 0]
    return DepthDistribution(
        energies_kev=np.array(
            [np.average(raw.energies_kev[group == i], weights=counts[group == i]) for i in bins]
        ),
        depth_step=raw.depth_step,
        accum_z=np.stack([raw.accum_z[group == i].sum(axis=0) for i in bins]),
        n_total=raw.n_total,
    )
