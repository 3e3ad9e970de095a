"""Kinematic master patterns: quick, and right in where the bands are.

diffsims gives the structure factors and kikuchipy's ``KikuchiPatternSimulator`` draws
the bands; both are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    factors = structure_factors(phase, reflectors.hkl, spec.scattering)
    # The public way, calculate_structure_factor, takes no Debye-Waller factors (diffsims
    # 0.7) and a minute for a cell of 56 atoms in P1.
    reflectors._structure_factor = factors
    modulus = np.abs(factors)
    reflectors = reflectors[modulus > max(spec.minimum_factor, 1e-6) * modulus.max()]
    reflectors.calculate_theta(spec.voltage * 1e3)
    # The stereographic grid is coarser than the Lambert grid at the pole: twice the size,
    # then the weights 1, 2, 1 on the way down.
    simulator = KikuchiPatternSimulator(reflectors)
    with _one_numba_thread():
        signal = simulator.calculate_master_pattern(
            half_size=2 * spec.half_size, hemisphere="both", scaling=spec.scaling
        )
    return _halved(signal.as_lambert(show_progressbar=False).data)


def atomic_factors(
    phase: Phase, squared: NDArray[Any], scattering: str = "lobato"
) -> dict[tuple[str, float], NDArray[np.float64]]:
    """Return scattering factors of each kind of atom, Debye-Waller factor and all.

    Parameters
    ----------
    phase
        Whose atoms.
    squared
        Squares of the reciprocal lengths, shape ``(n,)`` [1/Å²].
    scattering
        Table of atomic scattering factors in diffsims: ``lobato`` or ``xtables``.

    Returns
    -------
    factors
        By element and ``b_iso``, each shape ``(n,)`` [Å].

    Raises
    ------
    PhaseError
        If the table lacks an element.
    """
    from diffsims.utils.sim_utils import get_atomic_scattering_factors, get_scattering_params_dict

    table = get_scattering_params_dict(scattering)
    missing = sorted({s.element for s in phase.sites} - set(table))
    if missing:
        raise PhaseError(
            f"phase {phase.name!r} has {', '.join(missing)}, for which the {scattering} table "
            "has no scattering factor; choose the other table or a dynamical pattern"
        )
    factors = {}
    for element, b_iso in sorted({(s.element, s.b_iso) for s in phase.sites}):
        shape = get_atomic_scattering_factors(squared, np.array([table[element]]), scattering)
        factors[element, b_iso] = shape[:, 0] * np.exp(-0.25 * b_iso * squared)
    return factors


def structure_factors(
    phase: Phase, hkl: NDArray[Any], scattering: str = "lobato"
) -> NDArray[np.complex128]:
    """Return the kinematic structure factors for electrons.

    Parameters
    ----------
    phase
        All its atoms count, with occupancies and Debye-Waller factors.
    hkl
        Miller indices, shape ``(n, 3)``.
    scattering
        Table of atomic scattering factors in diffsims: ``lobato`` or ``xtables``.

    Returns
    -------
    factors
        Shape ``(n,)`` [Å].

    Raises
    ------
    PhaseError
        If the table lacks an element.

    References
    ----------
    Lobato & Van Dyck (2014), Acta Cryst. A 70, 636; the sum is that of diffsims, which
    leaves out the Debye-Waller factors.
    """
    squared = np.sum((hkl @ np.linalg.inv(phase.structure_matrix)) ** 2, axis=1)
    total = np.zeros(len(hkl), dtype=np.complex128)
    for kind, shape in atomic_factors(phase, squared, scattering).items():
        for site in phase.sites:
            if (site.element, site.b_iso) == kind:
                phases = np.exp(2j * np.pi * (hkl @ np.array(site.position)))
                total += site.occupancy * shape * phases
    return total


@contextmanager
def _one_numba_thread() -> Iterator[None]:
    """Keep kikuchipy's loop over reflectors on one thread.

    Its threads add to one shared pattern without a lock (kikuchipy 0.13.1,
    ``get_pattern``), so that bands go missing here and there, differently in each run.
    """
    import numba

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


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
