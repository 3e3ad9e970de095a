"""Spot intensities of thick crystals: many beams by Bloch waves, in torch.

What kinematic theory and two beams lack and thick crystals show: intensities that depend on all
beams at once, and spots that symmetry forbids, which double diffraction lights up. Needs torch and
numpy alone once a :class:`CrystalPotential` is there; :func:`crystal_potential` takes diffsims'
scattering factors. Frame and quaternions are those of :mod:`.spots`: the beam runs along -z.

The foil's faces are at right angles to the beam. Left out: electrons scattered backwards, the
refraction of the beam by the mean inner potential (5e-5 of the wavelength at 200 kV), and
electrons that lattice vibrations scatter between the spots (they are lost, see ``absorption``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PhaseError
from .projector import rotation_matrices
from .reflections import lattice_points
from .spots import REST_ENERGY, Spots, electron_wavelength

if TYPE_CHECKING:
    from ..crystal.phase import Phase

BEAM_G_MAX = 2.5
"""Longest vector of a beam [1/Å] unless told: intensities below 1.3 1/Å need those farther out,
see the table of ``benchmarks/bloch.py`` in ``docs/sad_results.md``."""

MAX_EXCITATION = 0.1
"""Largest excitation error of a beam [1/Å] unless told; the same table."""

MAX_BEAMS = 600
"""Most beams of one pattern; the work grows with their cube."""

FORBIDDEN = 1e-6
"""Of the largest ``|F|``: below it a reflection is extinguished, but for rounding."""

BLOCK_ELEMENTS = 2**22
"""Largest number of matrix elements that are solved at a time."""


@dataclass(frozen=True, eq=False)
class CrystalPotential:
    """Fourier coefficients of a crystal's electrostatic potential.

    Parameters
    ----------
    hkl
        Beams that the lattice allows, the direct beam first, shape ``(m, 3)``. Those that a screw
        axis, glide plane or special position extinguishes are among them.
    g
        Their vectors in the Cartesian crystal frame (x along a, z along c*), shape ``(m, 3)``
        [1/Å].
    table
        ``U`` of all differences of two beams for electrons at rest, shape ``(2p+1, 2q+1, 2r+1)``,
        complex, entry ``[h+p, k+q, l+r]`` for hkl [1/Å²]: ``V(r) ~ Σ U exp(2πi g·r)``.
    """

    hkl: NDArray[np.int16]
    g: NDArray[np.float64]
    table: NDArray[np.complex128]

    def coefficients(self, hkl: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Return ``U`` at indices, shape ``(..., 3)`` to ``(...)`` [1/Å²]."""
        h, k, m = np.moveaxis(hkl + np.array(self.table.shape) // 2, -1, 0)
        found: NDArray[np.complex128] = self.table[h, k, m]
        return found

    @property
    def is_forbidden(self) -> NDArray[np.bool_]:
        """Return which beams have no structure factor, though the lattice allows them: ``(m,)``."""
        size = np.abs(self.coefficients(self.hkl))
        forbidden: NDArray[np.bool_] = size < FORBIDDEN * size[1:].max()
        return forbidden


@dataclass(frozen=True, eq=False)
class BlochBeams:
    """Beams behind the crystal; ``n`` orientations, ``t`` thicknesses, ``k`` places for beams.

    Parameters
    ----------
    beam
        Row of each beam in the potential's list, shape ``(n, k)``; -1 where there are fewer. The
        direct beam comes first.
    position
        x and y of the reciprocal vector, shape ``(n, k, 2)`` [1/Å].
    excitation
        As :class:`~.spots.Spots` counts it, shape ``(n, k)`` [1/Å].
    intensity
        Share of the incident current, shape ``(n, t, k)``; 0 where there is no beam.
    """

    beam: Tensor
    position: Tensor
    excitation: Tensor
    intensity: Tensor

    def spots(self, thickness: int = 0) -> Spots:
        """Return the spots at one of the thicknesses, without the direct beam."""
        shown = self.beam > 0
        owner = shown.nonzero()[:, 0]
        strength = self.intensity[:, thickness][shown]
        place, error = self.position[shown], self.excitation[shown]
        return Spots(owner, place, error, strength, self.beam[shown], len(self.beam))


def crystal_potential(
    phase: Phase, g_max: float = BEAM_G_MAX, *, scattering: str = "lobato"
) -> CrystalPotential:
    """Return the potential that the beams up to a resolution see.

    Parameters
    ----------
    phase
        The crystal, with occupancies and Debye-Waller factors.
    g_max
        Longest reciprocal vector of a beam [1/Å]; coefficients reach twice as far.
    scattering
        Table of atomic scattering factors in diffsims: ``lobato`` or ``xtables``.

    Raises
    ------
    PhaseError
        If no beam is that short, or the table lacks an element.
    MissingPartError
        If diffsims is not installed.

    References
    ----------
    De Graef (2003), Introduction to Conventional Transmission Electron Microscopy, ch. 2.
    """
    from .kinematic import structure_factors

    reciprocal = np.linalg.inv(phase.structure_matrix).astype(np.float64)
    hkl = lattice_points(reciprocal, g_max)
    centring = np.array(phase.operations.cen_ops, float) / phase.operations.sym_ops[0].DEN
    turns = hkl @ centring.T
    hkl = hkl[(np.abs(turns - turns.round()) < 1e-6).all(axis=1)]
    if not len(hkl):
        raise PhaseError(
            f"phase {phase.name!r} has no reciprocal vector below {g_max} 1/Å; raise g_max or "
            "check the lattice parameters (they are in Å)"
        )
    hkl = np.concatenate([np.zeros((1, 3), np.int16), hkl])
    half = 2 * np.abs(hkl).max(axis=0).astype(int)
    table = np.zeros(2 * half + 1, np.complex128)
    far = lattice_points(reciprocal, 2 * g_max * (1 + 1e-9))
    # The potential is real, so half of the coefficients is enough.
    far = far[(np.abs(far) <= half).all(axis=1) & (far @ np.array([1 << 20, 1 << 10, 1]) > 0)]
    far = np.concatenate([np.zeros((1, 3), far.dtype), far]).astype(int)
    # F sums exp(+2πi g·r), a coefficient of exp(+2πi g·r) the conjugate.
    values = structure_factors(phase, far.astype(float), scattering).conj()
    values /= math.pi * phase.volume
    table[tuple((far + half).T)] = values
    table[tuple((half - far).T)] = values.conj()
    return CrystalPotential(hkl, hkl @ reciprocal, table)


def simulate_beams(
    potential: CrystalPotential,
    orientations: Tensor,
    *,
    voltage: float | Tensor,
    thickness: float | Sequence[float] | Tensor,
    absorption: float = 0.0,
    max_excitation: float = MAX_EXCITATION,
    max_beams: int = MAX_BEAMS,
) -> BlochBeams:
    """Return how the incident current is shared between the beams behind the crystal.

    Solves ``2K s_g ψ_g + Σ U_(g-h) ψ_h = 2K γ (1 + g_n/K) ψ_g`` for each orientation, over all
    beams of the zeroth and higher Laue zones that come near the Ewald sphere. In double
    precision, on the device of ``orientations``.

    Parameters
    ----------
    potential
        Of one crystal.
    orientations
        Detector-to-crystal rotations as orix quaternions, scalar first, shape ``(n, 4)``.
    voltage
        One, or shape ``(n,)`` [kV].
    thickness
        One, some (shape ``(t,)``, for all orientations), or shape ``(n, t)`` [Å].
    absorption
        Imaginary over real part of the potential, the same for all its coefficients: 0.05 to 0.1
        is a usual guess. With it the intensities sum to less than 1.
    max_excitation
        Largest excitation error of a beam [1/Å].
    max_beams
        Most beams of one orientation; of more the ones nearest to the Ewald sphere are kept.

    Returns
    -------
    beams
        The intensity is the current through the exit face, ``|ψ|² (1 + g_n/K)``: without
        absorption it sums to 1.

    Raises
    ------
    ValueError
        If a thickness or the absorption is negative, or there is no orientation.

    References
    ----------
    De Graef (2003), Introduction to Conventional Transmission Electron Microscopy, ch. 5;
    Metherell (1975), in Electron Microscopy in Materials Science II, on the factor 1 + g_n/K.
    """
    count, device = len(orientations), orientations.device
    depth = torch.as_tensor(thickness, dtype=torch.float64, device=device)
    depth = depth.reshape(1, -1).expand(count, -1) if depth.ndim < 2 else depth
    if not count:
        raise ValueError("no orientation was given; simulate_beams needs at least one")
    if bool((depth < 0).any()) or absorption < 0:
        raise ValueError(
            f"thickness is {thickness} and absorption {absorption}; both must be 0 or more"
        )
    volts = torch.as_tensor(voltage, dtype=torch.float64, device=device).expand(count)
    radius = 1 / electron_wavelength(volts)
    g = torch.as_tensor(potential.g, device=device)
    lab = torch.einsum("mi,nij->nmj", g, rotation_matrices(orientations.double()))
    squared = (g**2).sum(-1)
    # The Ewald sphere has its center at +z: K² - (k + g)² = 2K g_z - g².
    error = squared / (2 * radius[:, None]) - lab[..., 2]
    near = error.abs() <= max_excitation
    near[:, 0] = True
    places = min(int(near.sum(1).max()), max_beams)
    distance = torch.where(near, error.abs(), math.inf)
    distance[:, 0] = -1.0
    rows = distance.argsort(dim=1, stable=True)[:, :places]
    is_beam = near.gather(1, rows)
    lab = lab.gather(1, rows[..., None].expand(-1, -1, 3))
    error = torch.where(is_beam, error.gather(1, rows), 0.0)
    # ψ is scaled by the root of 1 + g_n/K, n along the beam, which makes the matrix Hermitian.
    scale = torch.where(is_beam, (1 - lab[..., 2] / radius[:, None]).rsqrt(), 0.0)
    mass = 1 + volts / REST_ENERGY
    table = torch.as_tensor(potential.table, device=device)
    hkl = torch.as_tensor(potential.hkl.astype(np.int64), device=device)
    half = torch.tensor(potential.table.shape, device=device) // 2
    blocks = []
    for part in torch.arange(count, device=device).split(max(BLOCK_ELEMENTS // places**2, 1)):
        indices = hkl[rows[part]]
        apart = indices[:, :, None] - indices[:, None, :] + half
        # Where an orientation has fewer beams the rest has no weight, and so no coupling.
        both = is_beam[part][:, :, None] & is_beam[part][:, None, :]
        apart = torch.where(both[..., None], apart, half)
        coupling = table[apart[..., 0], apart[..., 1], apart[..., 2]]
        weight = mass[part, None, None] * scale[part][:, :, None] * scale[part][:, None, :]
        coupling = coupling * (weight / (2 * radius[part, None, None]))
        diagonal = -error[part] * scale[part] ** 2
        blocks.append(_propagate(coupling, diagonal, depth[part], absorption))
    intensity = torch.where(is_beam[:, None], torch.cat(blocks), 0.0)
    return BlochBeams(torch.where(is_beam, rows, -1), lab[..., :2], error, intensity)


def _propagate(coupling: Tensor, diagonal: Tensor, depth: Tensor, absorption: float) -> Tensor:
    """Return ``|exp(2πi t H) e_0|²`` of Hermitian matrices.

    Parameters
    ----------
    coupling
        ``U_(g-h) / 2K`` with its diagonal, shape ``(n, k, k)``, complex [1/Å].
    diagonal
        ``s_g``, positive inside the sphere, shape ``(n, k)`` [1/Å].
    depth
        Shape ``(n, t)`` [Å].
    absorption
        Share of ``coupling`` that takes current away.

    Returns
    -------
    intensity
        Shape ``(n, t, k)``.
    """
    matrix = coupling + torch.diag_embed(diagonal).to(coupling)
    if absorption == 0:
        values, vectors = torch.linalg.eigh(matrix)
        start = vectors[:, 0, :].conj()
        phase = torch.exp(2j * math.pi * depth[:, :, None] * values[:, None])
        waves = torch.einsum("nkj,ntj,nj->ntk", vectors, phase, start)
        return waves.abs() ** 2
    matrix = matrix + 1j * absorption * coupling
    steps = [
        torch.linalg.matrix_exp(2j * math.pi * depth[:, t, None, None] * matrix)[:, :, 0]
        for t in range(depth.shape[1])
    ]
    return torch.stack(steps, dim=1).abs() ** 2
