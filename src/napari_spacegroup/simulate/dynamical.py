"""Dynamical master patterns: the one place that knows de-ebsd.

de-ebsd (a torch port of EMsoft's Bloch-wave chain) is young, so everything that we
need of it goes through :func:`simulate_dynamical`. A few steps are replaced here for
speed, none of which changes the result: the choice of beams and the depth integration
(see :func:`_fast_backend`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError
from .lambert import lambert_directions

if TYPE_CHECKING:
    from ..crystal.phase import Phase

BEAM_CUTOFFS = (
    (8.0, 50.0, 100.0),
    (5.0, 40.0, 80.0),
    (3.5, 30.0, 60.0),
    (2.5, 20.0, 40.0),
    (1.75, 14.0, 28.0),
    (1.2, 10.0, 20.0),
)
"""Bethe thresholds (strong, weak, ignored) from fine to coarse; see ``benchmarks``."""

STRONG_CUTOFFS = (
    (16.0, 16.1, 100.0),
    (12.0, 12.1, 60.0),
    (8.0, 8.1, 50.0),
    (5.0, 5.1, 40.0),
    (3.0, 3.1, 30.0),
    (2.0, 2.1, 20.0),
    (1.2, 1.3, 15.0),
)
"""The same without weak beams, from fine to coarse.

At equal cost this is nearer to the converged pattern: in second-order perturbation a weak
beam shifts the strong ones but carries no intensity (Ni, d_min 0.5 Å, correlation with
200 beams: 0.992 at 37 beams without weak ones, 0.986 at 36 with; ``docs/convergence.md``).
"""


@dataclass(frozen=True)
class BeamPlan:
    """How many beams a dynamical calculation keeps.

    Parameters
    ----------
    d_min
        Smallest lattice spacing of a reflection [Å].
    cutoffs
        Bethe thresholds (strong, weak, ignored) on ``|s_g| / (λ |U|)``.
    mean_strong
        Mean number of strong beams over random directions.
    """

    d_min: float
    cutoffs: tuple[float, float, float]
    mean_strong: float


def simulate_dynamical(
    phase: Phase,
    energies: NDArray[np.float64],
    *,
    voltage: float,
    half_size: int,
    d_min: float,
    max_strong: float = math.inf,
    sample_tilt: float = 70.0,
    electrons: int = 50_000,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
    ladder: Sequence[tuple[float, float, float]] = BEAM_CUTOFFS,
    depths: Any = None,
    precision: Literal["single", "double"] = "single",
) -> tuple[NDArray[np.float32], list[BeamPlan]]:
    """Return a dynamical master pattern for each energy.

    Parameters
    ----------
    phase
        The crystal.
    energies
        Energies of the backscattered electrons [keV], shape ``(n_energy,)``.
    voltage
        Beam energy, for the Monte Carlo exit depths [kV].
    half_size
        The Lambert grid is ``2 * half_size + 1`` on a side.
    d_min
        Smallest lattice spacing of a reflection [Å].
    max_strong
        Coarsen the Bethe thresholds until a direction has at most so many strong beams
        on average; infinity keeps the finest.
    sample_tilt
        For the Monte Carlo exit depths [degrees].
    electrons
        Number of Monte Carlo electrons.
    device
        A torch device.
    on_progress
        Called with (energies done, energies in all). What it raises ends the calculation,
        which is how a job is cancelled.
    ladder
        The Bethe thresholds (strong, weak, ignored) to choose from, finest first.
    depths
        A :class:`de_ebsd.sim.montecarlo.DepthDistribution` to use instead of a Monte
        Carlo run, as :func:`~.montecarlo.simulate_depths` or an EMsoft file
        gives it.
    precision
        Single is right to about 1e-4 of the pattern's standard deviation.

    Returns
    -------
    patterns
        Shape ``(n_energy, 2, n, n)``, hemispheres upper and lower, square Lambert
        grid of EMsoft and kikuchipy, arbitrary intensity units.
    plans
        The beams kept, one plan per energy.

    Raises
    ------
    MissingPartError
        If de-ebsd is not installed.

    References
    ----------
    Callahan & De Graef (2013), Microsc. Microanal. 19, 1255-1265.
    """
    try:
        import torch
        from de_ebsd import BetheParameters
        from de_ebsd.crystal.structure_factors import compute_structure_factors
        from de_ebsd.diffraction.backends import SimulationInputs
        from de_ebsd.sim.montecarlo.depth import DepthDistribution
    except ImportError as error:
        raise MissingPartError(
            f"dynamical simulation needs de-ebsd ({error}); "
            "install it with: pip install 'napari-spacegroup[dynamical]'"
        ) from error

    crystal = as_crystal(phase)
    if depths is None:
        depths = DepthDistribution.from_simulation(
            crystal,
            float(voltage),
            tilt_deg=sample_tilt,
            n_electrons=electrons,
            seed=0,
            device=device,
        )
    real = torch.float32 if precision == "single" else torch.float64
    directions = lambert_directions(half_size).reshape(-1, 3)
    representatives, inverse = fold_directions(directions, phase.point_operations)
    points = torch.as_tensor(representatives, dtype=real, device=device)
    side = 2 * half_size + 1
    patterns, plans = [], []
    for index, energy in enumerate(energies):
        factors = compute_structure_factors(crystal, float(energy), d_min / 10)
        plan = plan_beams(factors, d_min, max_strong, ladder=ladder)
        strong, weak, cutoff = plan.cutoffs
        backend = _fast_backend(torch.complex64 if precision == "single" else torch.complex128)
        backend.prepare(
            SimulationInputs(
                structure_factors=factors,
                bethe=BetheParameters(strong=strong, weak=weak, cutoff=cutoff),
                monte_carlo=depths,
                device=torch.device(device),
                dtype=real,
            )
        )
        with torch.inference_mode():
            values = backend.intensities(points).cpu().numpy()
        patterns.append(values[inverse].reshape(2, side, side).astype(np.float32))
        plans.append(plan)
        if on_progress is not None:
            on_progress(index + 1, len(energies))
    return np.stack(patterns), plans


def fold_directions(
    directions: NDArray[np.float64], operations: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Fold directions that symmetry makes equal onto one representative.

    Parameters
    ----------
    directions
        Unit vectors, shape ``(n, 3)``, Cartesian crystal axes.
    operations
        Point-group operators in the same axes, shape ``(m, 3, 3)``.

    Returns
    -------
    representatives
        Shape ``(k, 3)``.
    inverse
        Shape ``(n,)``: which representative stands for each direction.
    """
    # A generic functional picks one image of each orbit; ties only on special positions,
    # where all candidates are the same vector.
    functional = np.array([0.7548, 0.5698, 0.3247])
    best = np.array(directions)
    value = np.full(len(directions), -np.inf)
    for operation in operations:
        image = directions @ operation.T
        height = image @ functional
        better = height > value + 1e-9
        best[better] = image[better]
        value[better] = height[better]
    keys = np.round(best, 5) + 0.0
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return best[first], inverse.reshape(-1)


def plan_beams(
    factors: Any,
    d_min: float,
    max_strong: float,
    *,
    samples: int = 24,
    ladder: Sequence[tuple[float, float, float]] = BEAM_CUTOFFS,
) -> BeamPlan:
    """Return the finest Bethe thresholds that keep the mean beam count in bounds."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(samples, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    g = factors.crystal.g_cartesian(factors.hkl)
    modulus = np.abs(factors.ucg)
    allowed = modulus >= 1e-4
    u_zero = abs(factors.lookup(np.zeros(3, dtype=np.int64)))
    k = vectors / factors.wavelength
    total = k[:, None, :] + g[None, allowed]
    numerator = -np.einsum("gi,kgi->kg", g[allowed], 2 * k[:, None, :] + g[None, allowed])
    # The foil normal lies along the beam, as in EMsoft's Calcsg.
    excitation = np.abs(numerator / (2 * np.einsum("ki,kgi->kg", vectors, total)))
    ratio = excitation / factors.wavelength
    plan = None
    for triple in ladder:
        strong = (ratio / u_zero <= triple[0]) & (ratio / modulus[allowed] <= triple[2])
        plan = BeamPlan(d_min, triple, float(strong.sum(1).mean()) + 1)
        if plan.mean_strong <= max_strong:
            break
    assert plan is not None
    return plan


def as_crystal(phase: Phase) -> Any:
    """Return the phase as a de-ebsd crystal in P1, so that no setting can be mistaken."""
    from de_ebsd import Crystal
    from de_ebsd.crystal.lattice import AtomSite as CrystalSite

    kinds: dict[tuple[str, float, float], list[tuple[float, float, float]]] = {}
    for site in phase.sites:
        key = (site.element, site.occupancy, site.b_iso)
        kinds.setdefault(key, []).append(site.position)
    a, b, c, alpha, beta, gamma = phase.lattice
    sites = [
        CrystalSite(element, positions[0], occupancy, b_iso / 100)
        for (element, occupancy, b_iso), positions in kinds.items()
    ]
    crystal = Crystal(a / 10, b / 10, c / 10, alpha, beta, gamma, 1, sites)
    crystal._positions = tuple(np.array(p, dtype=np.float64) for p in kinds.values())
    return crystal


def _fast_backend(dtype: Any = None) -> Any:
    """Return de-ebsd's batched solver with exact shortcuts.

    * Reflections that the lattice forbids never enter (the crystal is in P1 there, so
      de-ebsd lists them); excitation errors are one matrix product.
    * The strong/weak split asks for the smallest ``|s_g| / (λ |U_gh|)`` over all
      candidates ``h``. ``h = g`` is one of them and ``|U_0|`` is the largest modulus of
      all, so the minimum is ``|s_g| / (λ |U_0|)``: no pair table is needed.
    * The sum over depths is one matrix product instead of one outer product per depth.
    * The site-weighted phase table is summed atom by atom: the table of a large cell times
      all its atoms would need gigabytes.
    """
    import torch
    from de_ebsd.crystal.scattering import atomic_number
    from de_ebsd.diffraction.prism import BlochPrismBackend

    class FastBackend(BlochPrismBackend):  # type: ignore[misc]
        def prepare(self, inputs: Any) -> None:
            super().prepare(inputs)
            forbidden: Any = self.forbidden
            keep = ~forbidden
            beams = {"hkl_aug": keep, "u_mod": keep, "forbidden": keep, "g_cart": keep[1:]}
            for name, chosen in beams.items():
                setattr(self, name, getattr(self, name)[chosen])
            self.n_beams = int(keep.sum())
            self.g_squared = (self.g_cart**2).sum(1)

        def _classify(self, k: Any) -> tuple[Any, Any, Any]:
            bethe = self.bethe
            # -g.(2k + g) / 2n.(k + g) with the foil normal n along k: one matrix product.
            along = k @ self.g_cart.T
            excitation = -(2 * along / self.lam + self.g_squared) / (2 * (1 / self.lam + along))
            excitation = torch.cat([torch.zeros_like(excitation[:, :1]), excitation], dim=1)
            ratio = excitation.abs() / self.lam
            candidate = ratio / self.u_mod.clamp_min(1e-30) <= bethe.cutoff
            relative = ratio / self.u_mod[0]
            strong = candidate & (relative <= bethe.strong)
            strong[:, 0] = True
            weak = candidate & ~strong & (relative <= bethe.weak)
            return strong, weak, excitation

        def _build_sgh_lut(self, structure_factors: Any, crystal: Any) -> None:
            self.hmax = structure_factors.hmax
            line = np.arange(-2 * self.hmax, 2 * self.hmax + 1)
            box = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
            squared = crystal.g_length(box) ** 2
            table = np.zeros(len(box), dtype=np.complex128)
            for site, positions in zip(crystal.sites, crystal.positions, strict=True):
                phases = np.zeros(len(box), dtype=np.complex128)
                for position in positions:
                    phases += np.exp(2j * np.pi * (box @ position))
                weight = atomic_number(site.element) ** 2 * site.occupancy
                table += weight * np.exp(-0.25 * squared * site.debye_waller) * phases
            self.sgh_lut = table.reshape(len(line), len(line), len(line))

        def _calc_lgh(self, a: Any) -> Any:
            phase = 2.0 * math.pi * self.depthstep / (2.0 * self.kn)
            sigma = torch.linalg.matrix_exp((1j * phase) * a)
            psi = torch.empty((self.n_depths, *a.shape[:2]), dtype=a.dtype, device=a.device)
            psi[0] = sigma[:, :, self.gzero]
            for index in range(1, self.n_depths):
                psi[index] = torch.bmm(sigma, psi[index - 1][:, :, None])[:, :, 0]
            waves = psi.permute(1, 2, 0)
            product = torch.bmm(waves.conj(), (waves * self.lambda_t).transpose(1, 2))
            return product * (self.depthstep / self.thick)

    backend = FastBackend(torch.complex64 if dtype is None else dtype)
    backend.matmul_batch = 256
    backend.block = 2048
    return backend
