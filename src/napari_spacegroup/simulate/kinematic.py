"""Kinematic master patterns: quick, and right in where the bands are.

diffsims gives the structure factors and kikuchipy's ``KikuchiPatternSimulator`` draws
the bands; both are imported when they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, PhaseError

if TYPE_CHECKING:
    from ..crystal.phase import Phase
    from .spec import KinematicSpec


def simulate_kinematic(phase: Phase, spec: KinematicSpec) -> NDArray[np.float32]:
    """Return a kinematic master pattern in the square Lambert projection.

    Parameters
    ----------
    phase
        The crystal.
    spec
        How fine.

    Returns
    -------
    pattern
        Shape ``(2, n, n)``, both hemispheres. They are inversion images of each other
        whatever the crystal, because ``|F(hkl)|`` and ``|F(-hkl)|`` are equal (Friedel).

    Raises
    ------
    MissingPartError
        If diffsims or kikuchipy is not installed.
    PhaseError
        If no lattice plane is left to draw.
    """
    try:
        from diffsims.crystallography import ReciprocalLatticeVector
        from kikuchipy.simulations import KikuchiPatternSimulator
    except ImportError as error:
        raise MissingPartError(
            f"kinematic simulation needs diffsims and kikuchipy ({error}); "
            "install them with: pip install diffsims kikuchipy"
        ) from error

    try:
        reflectors = ReciprocalLatticeVector.from_min_dspacing(_orix_phase(phase), spec.d_min)
    except ValueError as error:
        # orix refuses an empty box of indices.
        raise PhaseError(
            f"phase {phase.name!r} has no reflection with a spacing above {spec.d_min} Å; "
            "lower d_min or check the lattice parameters (they are in Å)"
        ) from error
    reflectors.calculate_structure_factor(spec.scattering)
    modulus = np.abs(reflectors.structure_factor)
    reflectors = reflectors[modulus > max(spec.minimum_factor, 1e-6) * modulus.max()]
    reflectors.calculate_theta(spec.voltage * 1e3)
    # The stereographic grid is coarser than the Lambert grid at the pole: twice the size,
    # then the weights 1, 2, 1 on the way down.
    signal = KikuchiPatternSimulator(reflectors).calculate_master_pattern(
        half_size=2 * spec.half_size, hemisphere="both", scaling=spec.scaling
    )
    return _halved(signal.as_lambert(show_progressbar=False).data)


def _halved(fine: NDArray[Any]) -> NDArray[np.float32]:
    padded = np.pad(fine, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    both = 0.25 * rows[..., :-2] + 0.5 * rows[..., 1:-1] + 0.25 * rows[..., 2:]
    return both[:, ::2, ::2].astype(np.float32)


def _orix_phase(phase: Phase) -> Any:
    """Return the phase in P1 with all its atoms, so that no setting can be mistaken."""
    from diffpy.structure import Atom, Lattice, Structure
    from orix.crystal_map import Phase as OrixPhase

    lattice = Lattice(*phase.lattice)
    atoms = [
        Atom(
            site.element,
            xyz=site.position,
            occupancy=site.occupancy,
            Uisoequiv=site.b_iso / (8 * np.pi**2),
        )
        for site in phase.sites
    ]
    return OrixPhase(
        name=phase.name, space_group=1, structure=Structure(atoms=atoms, lattice=lattice)
    )
