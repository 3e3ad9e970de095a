"""Atoms of crystals, and the spots that thick ones show: what training and evaluation draw.

Bloch waves as in :mod:`.bloch`, made for many different crystals with one orientation each: no
table of the whole potential is filled, the coefficients between the beams are summed from the
atoms. Where there are more beams than can be solved for in a hundredth of a second, those that
matter least have the intensity of two beams. Needs torch and numpy alone once the atoms are there;
:meth:`CrystalAtoms.from_phase` takes diffsims' scattering factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ScanError
from .reflections import lattice_points
from .spots import REST_ENERGY, electron_wavelength

if TYPE_CHECKING:
    from ..crystal.phase import Phase

STEP = 0.01
"""Between two entries of a scattering factor's table [1/Å]."""

BEAM_G_MAX = 1.4
"""Longest vector of a beam [1/Å]: less than the 2.5 that exact intensities need (``bloch``),
because the beams farther out shift intensities and bring no new kinds of spots."""

MAX_EXCITATION = 0.05
"""Largest excitation error of a spot [1/Å]."""

MAX_BEAMS = 160
"""Beams that are solved for together unless told; the work grows with their cube."""

REACH = 0.005
"""A beam counts as far from the Ewald sphere over this plus its two-beam width [1/Å]."""

COLUMNS = (("centring", 0), ("position", 1), ("kind", 1), ("occupancy", 1), ("factor", 2))
"""Arrays of a file of atoms, and the column of their lengths in ``counts``."""

FAINTEST = 1e-5
"""Of the brightest spot: what is below is not drawn."""


@dataclass(frozen=True, eq=False)
class CrystalAtoms:
    """All atoms of a cell.

    Parameters
    ----------
    reciprocal
        Reciprocal axes as rows, shape ``(3, 3)`` [1/Å].
    centring
        Translations of the lattice in fractions of the cell, shape ``(c, 3)``.
    position
        In fractions of the cell, shape ``(m, 3)``.
    kind
        Element and Debye-Waller factor: the row of ``factor``, shape ``(m,)``.
    occupancy
        Shape ``(m,)``.
    factor
        Scattering factors with Debye-Waller factors for electrons at rest at multiples of
        ``STEP``, shape ``(kind, q)`` [Å].
    """

    reciprocal: NDArray[np.float64]
    centring: NDArray[np.float64]
    position: NDArray[np.float32]
    kind: NDArray[np.int16]
    occupancy: NDArray[np.float32]
    factor: NDArray[np.float32]

    @classmethod
    def from_phase(cls, phase: Phase, *, scattering: str = "lobato") -> CrystalAtoms:
        """Return the atoms of a phase.

        Raises
        ------
        PhaseError
            If the table lacks an element.
        MissingPartError
            If diffsims is not installed.
        """
        from .kinematic import atomic_factors

        grid = STEP * np.arange(math.ceil(2 * BEAM_G_MAX / STEP) + 3, dtype=np.float64)
        factors = atomic_factors(phase, grid**2, scattering)
        kinds = {key: row for row, key in enumerate(factors)}
        return cls(
            np.linalg.inv(phase.structure_matrix).astype(np.float64),
            np.array(phase.operations.cen_ops, float) / phase.operations.sym_ops[0].DEN,
            np.array([s.position for s in phase.sites], np.float32),
            np.array([kinds[s.element, s.b_iso] for s in phase.sites], np.int16),
            np.array([s.occupancy for s in phase.sites], np.float32),
            np.array(list(factors.values()), np.float32),
        )  # fmt: skip

    @property
    def volume(self) -> float:
        """Return the volume of the cell [Å³]."""
        return float(1 / abs(np.linalg.det(self.reciprocal)))

    def beams_near(
        self, down: NDArray[np.float64], radius: float
    ) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]:
        """Return indices, vectors and excitation errors of the lattice's beams, 000 first.

        Parameters
        ----------
        down
            Direction to the electron source in the crystal frame, shape ``(3,)``.
        radius
            Of the Ewald sphere [1/Å].
        """
        hkl = lattice_points(self.reciprocal, BEAM_G_MAX)
        g = hkl @ self.reciprocal
        error = (g**2).sum(axis=1) / (2 * radius) - g @ down
        near = np.abs(error) <= MAX_EXCITATION
        hkl, g, error = hkl[near], g[near], error[near]
        turns = hkl @ self.centring.T
        whole = (np.abs(turns - turns.round()) < 1e-3).all(axis=1)
        zero = np.zeros((1, 3))
        return (
            np.concatenate([zero.astype(np.int16), hkl[whole]]),
            np.concatenate([zero, g[whole]]), np.concatenate([zero[:, 0], error[whole]]),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ThickPattern:
    """Spots of one thick crystal, the direct beam left out.

    Parameters
    ----------
    hkl
        Shape ``(m, 3)``.
    position
        x and y of the reciprocal vector, shape ``(m, 2)`` [1/Å].
    excitation
        As :class:`~.spots.Spots` counts it, shape ``(m,)`` [1/Å].
    intensity
        Share of the incident current, shape ``(m,)``.
    """

    hkl: NDArray[np.int16]
    position: Tensor
    excitation: Tensor
    intensity: Tensor


def simulate_thick(
    atoms: CrystalAtoms,
    rotation: Tensor,
    *,
    voltage: float,
    thickness: float,
    absorption: float = 0.0,
    max_beams: int = MAX_BEAMS,
) -> ThickPattern:
    """Return the spots of one thick crystal in one orientation.

    The beams nearest to the Ewald sphere, measured in their two-beam width plus ``REACH``, are
    solved for together; the others have their two-beam intensity and can't light anything up.

    Parameters
    ----------
    atoms
        Of the crystal.
    rotation
        Matrix that takes row vectors from the crystal frame to that of the picture: one of
        :func:`~.projector.rotation_matrices`, shape ``(3, 3)``.
    voltage
        [kV].
    thickness
        [Å].
    absorption
        Imaginary over real part of the potential, to first order.
    max_beams
        Most beams that are solved for together.

    References
    ----------
    De Graef (2003), Introduction to Conventional Transmission Electron Microscopy, ch. 5 and 6.
    """
    radius = float(1 / electron_wavelength(voltage))
    mass = 1 + voltage / REST_ENERGY
    turn = rotation.double().cpu().numpy()
    hkl, g, error = atoms.beams_near(turn[:, 2], radius)
    waves, factor = _factors(atoms, hkl, g)
    # One over the extinction distances, without the cosine of the Bragg angle.
    width = mass / (radius * math.pi * atoms.volume) * factor.abs()
    distance = torch.as_tensor(error).abs() / (REACH + width)
    distance[0] = -1.0
    order = distance.argsort(stable=True)
    chosen, others = order[:max_beams], order[max_beams:]
    lab = torch.as_tensor(g @ turn)
    s = -torch.as_tensor(error)
    intensity = torch.empty(len(g), dtype=torch.float32)
    scale = (1 - lab[chosen, 2] / radius).rsqrt().float()
    coupling = _coupling(atoms, waves[chosen], torch.as_tensor(g)[chosen])
    coupling = coupling * (mass / (2 * radius * math.pi * atoms.volume))
    coupling = coupling * scale[:, None] * scale[None]
    diagonal = s[chosen].float() * scale**2
    values, vectors = torch.linalg.eigh(coupling + torch.diag(diagonal).to(coupling))
    # First order: each Bloch wave loses what the potential is on average where it runs.
    mean = values - (diagonal[:, None] * vectors.abs() ** 2).sum(dim=0)
    phase = torch.exp(2j * math.pi * thickness * values.double()).to(vectors)
    phase = phase * torch.exp(-2 * math.pi * thickness * absorption * mean)
    intensity[chosen] = (vectors @ (phase * vectors[0].conj())).abs() ** 2
    effective = torch.sqrt(s[others] ** 2 + width[others] ** 2).clamp_min(1e-9)
    decay = math.exp(-2 * math.pi * thickness * absorption * float(coupling[0, 0].real) * 2)
    intensity[others] = decay * (
        (width[others] * torch.sin(math.pi * thickness * effective) / effective) ** 2
    ).float()  # fmt: skip
    kept = intensity > FAINTEST * intensity[1:].max() if len(g) > 1 else intensity < 0
    kept[0] = False
    return ThickPattern(
        hkl[kept.numpy()], lab[kept, :2].float(), -s[kept].float(), intensity[kept]
    )  # fmt: skip


def _factors(
    atoms: CrystalAtoms, hkl: NDArray[np.int16], g: NDArray[np.float64]
) -> tuple[Tensor, Tensor]:
    """Return ``exp(2πi g·r)`` of each atom, shape ``(n, m)``, and structure factors [Å]."""
    half = int(np.abs(hkl).max(initial=0))
    steps = np.arange(-half, half + 1)
    index = torch.as_tensor(hkl.astype(np.int64)) + half
    # Fractions of a turn in double precision: an index of 20 times a position loses digits.
    turns = np.exp(2j * np.pi * steps[:, None, None] * atoms.position.astype(np.float64))
    table = torch.as_tensor(turns.astype(np.complex64))
    waves = table[index[:, 0], :, 0] * table[index[:, 1], :, 1] * table[index[:, 2], :, 2]
    shape = _interpolated(atoms, torch.as_tensor(np.linalg.norm(g, axis=1)).float())
    weight = torch.as_tensor(atoms.occupancy)
    return waves, (waves * weight * shape[torch.as_tensor(atoms.kind.astype(np.int64))].T).sum(1)


def _interpolated(atoms: CrystalAtoms, length: Tensor) -> Tensor:
    """Return the scattering factors of all kinds at lengths, shape ``(kind, ...)``."""
    place = length / STEP
    low = place.long()
    table = torch.as_tensor(atoms.factor)
    first = table[:, low]
    return torch.lerp(first, table[:, low + 1], place - low)


def _coupling(atoms: CrystalAtoms, waves: Tensor, g: Tensor) -> Tensor:
    """Return ``F`` of the differences of beams, conjugate, shape ``(n, n)`` [Å]."""
    flat = g.float()
    apart = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    shape = _interpolated(atoms, apart)
    kind = torch.as_tensor(atoms.kind.astype(np.int64))
    weight = torch.as_tensor(atoms.occupancy)
    total = torch.zeros(len(g), len(g), dtype=torch.complex64)
    for row in range(len(shape)):
        mine = (kind == row).nonzero()[:, 0]
        part = waves[:, mine]
        # F sums exp(+2πi g·r), a coefficient of exp(+2πi g·r) is the conjugate.
        total += shape[row] * ((part * weight[mine]).conj() @ part.T)
    return total


def save_atoms(path: str | Path, crystals: dict[str, CrystalAtoms]) -> None:
    """Write the atoms of crystals, by identifier, as a compressed ``.npz`` file."""
    found = list(crystals.values())
    np.savez_compressed(
        path,
        identifiers=np.array(list(crystals)),
        reciprocal=np.array([c.reciprocal for c in found]),
        centring=np.concatenate([c.centring for c in found]),
        position=np.concatenate([c.position for c in found]),
        kind=np.concatenate([c.kind for c in found]),
        occupancy=np.concatenate([c.occupancy for c in found]),
        factor=np.concatenate([c.factor for c in found]),
        counts=np.array([[len(c.centring), len(c.position), len(c.factor)] for c in found]),
    )


def load_atoms(paths: Sequence[str | Path]) -> dict[str, CrystalAtoms]:
    """Return the atoms in files, by identifier of the crystal.

    Raises
    ------
    ScanError
        If a file can't be read.
    """
    crystals: dict[str, CrystalAtoms] = {}
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as content:
                ends = np.cumsum(content["counts"], axis=0)[:-1].T
                parts = [
                    np.split(content[name], ends[column])
                    for name, column in COLUMNS
                ]  # fmt: skip
                rows = zip(content["identifiers"], content["reciprocal"], *parts, strict=True)
                crystals |= {str(name): CrystalAtoms(*values) for name, *values in rows}
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ScanError(f"{path} holds no atoms ({error}); make it anew") from error
    return crystals
