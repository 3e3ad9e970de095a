"""Powder lines of a crystal: where they stand and how strong they are.

Structure factors from the form factors and scattering lengths that gemmi carries, for a
:class:`~napari_spacegroup.crystal.Phase` exactly, or for synthetic crystals in bulk.
What a diffractometer adds (angles, polarisation, widths, texture) comes later, in
:mod:`.profile`, so that one list of lines serves all wavelengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from ..crystal.skeleton import Crystal
from ..crystal.symmetry import setting_operations
from ..errors import PhaseError

Radiation = Literal["xray", "neutron"]

TEXTURE_COLUMNS = 12
"""Angles to the preferred axis kept for a family: exact for up to 12 equivalent planes."""

LARGEST_INDEX = 48
"""Indices beyond this are refused: the cell is too long for the range of q."""

FormFactor = Callable[[int, NDArray[np.float64]], NDArray[np.float64]]
"""Scattering of an element (by atomic number) at ``s² = (sin θ / λ)²`` [1/Å²], shape of s²."""


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines of one crystal, by rising q.

    Parameters
    ----------
    q
        ``2π/d`` [1/Å], shape ``(n,)``.
    xray, neutron
        Multiplicity times F² of the conventional cell over its volume squared
        [electrons² or fm², /Å⁶], shape ``(n,)``; zero where it was not asked for.
    cosines
        Squared cosine of the angle between the planes of a family and the preferred axis,
        shape ``(n, TEXTURE_COLUMNS)``, equally many of each.
    indices
        One plane of each family, shape ``(n, 3)``.
    multiplicity
        Planes in each family, counting both sides, shape ``(n,)``.
    """

    q: NDArray[np.float64]
    xray: NDArray[np.float64]
    neutron: NDArray[np.float64]
    cosines: NDArray[np.float32]
    indices: NDArray[np.int32]
    multiplicity: NDArray[np.int64]


def xray_form_factor(number: int, s_squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the X-ray form factor of a neutral atom, without anomalous dispersion [electrons].

    References
    ----------
    International Tables for Crystallography (1992), C, table 6.1.1.4.
    """
    coefficients = _xray_coefficients(number)
    found: NDArray[np.float64] = (
        coefficients[8] + np.exp(-s_squared[..., None] * coefficients[4:8]) @ coefficients[:4]
    )
    return found


def neutron_length(number: int, s_squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bound coherent scattering length of an element [fm], whatever the angle.

    References
    ----------
    Sears, V. F. (1992). Neutron News 3, 26-37.
    """
    return np.full_like(s_squared, _neutron(number))


def lines_of_phase(
    phase: Phase,
    q_max: float,
    *,
    radiation: Sequence[Radiation] = ("xray", "neutron"),
    preferred: tuple[int, int, int] = (0, 0, 1),
    form_factor: FormFactor = xray_form_factor,
) -> Lines:
    """Return the lines of a phase, in any setting, with partial occupancies.

    Parameters
    ----------
    phase
        The crystal.
    q_max
        Largest ``4π sin θ / λ`` [1/Å].
    radiation
        Which intensities are computed.
    preferred
        Indices of the planes that texture turns to the sample's surface.
    form_factor
        Of X-rays.

    Raises
    ------
    PhaseError
        If the cell is too large for this range.
    """
    basis = phase.structure_matrix  # columns are the axes
    metric = basis.T @ basis
    places = np.array([site.position for site in phase.sites])
    numbers = np.array([site.atomic_number for site in phase.sites])
    weights = np.array([site.occupancy for site in phase.sites])
    b_iso = np.array([site.b_iso for site in phase.sites])
    families = _Families.of(phase.space_group, phase.hall)
    return _lines(families, metric, places, numbers, weights, b_iso, q_max, radiation, preferred,
                  form_factor, 1, phase.name)  # fmt: skip


def lines_of_crystal(
    crystal: Crystal,
    q_max: float,
    *,
    radiation: Sequence[Radiation] = ("xray", "neutron"),
    preferred: tuple[int, int, int] = (0, 0, 1),
) -> Lines:
    """Return the lines of a synthetic crystal; see :func:`lines_of_phase`."""
    families = _Families.of(crystal.space_group, "")
    return _lines(families, crystal.metric, crystal.places, crystal.numbers,
                  np.ones(len(crystal.numbers)), crystal.b_iso, q_max, radiation, preferred,
                  xray_form_factor, families.centring, f"group {crystal.space_group}")  # fmt: skip


def _lines(
    families: _Families,
    metric: NDArray[np.float64],
    places: NDArray[np.float64],
    numbers: NDArray[np.int64],
    weights: NDArray[np.float64],
    b_iso: NDArray[np.float64],
    q_max: float,
    radiation: Sequence[Radiation],
    preferred: tuple[int, int, int],
    form_factor: FormFactor,
    repeats: int,
    name: str,
) -> Lines:
    longest = math.sqrt(metric.diagonal().max())
    needed = math.ceil(q_max * longest / (2 * math.pi))
    if needed > LARGEST_INDEX:
        raise PhaseError(
            f"{name} has an axis of {longest:.1f} Å: its lines up to q = {q_max:g} 1/Å are too "
            f"many; need axes below {LARGEST_INDEX * 2 * math.pi / q_max:.0f} Å"
        )
    indices, multiplicity, images = families.up_to(needed)
    reciprocal = np.linalg.inv(metric)
    floats = indices.astype(float)
    squared = ((floats @ reciprocal) * floats).sum(1)
    kept = np.flatnonzero(squared <= (q_max / (2 * math.pi)) ** 2)
    kept = kept[np.argsort(squared[kept], kind="stable")]
    floats, squared, multiplicity = floats[kept], squared[kept], multiplicity[kept]
    s_squared = squared / 4
    phases = (floats.astype(np.float32) @ places.T.astype(np.float32)) % 1.0
    phases *= np.float32(2 * math.pi)
    # One product for each kind of atom: its form factor is taken outside the sum.
    kinds, member = np.unique(np.stack([numbers, b_iso, weights], 1), axis=0, return_inverse=True)
    members = np.zeros((len(numbers), len(kinds)), np.float32)
    members[np.arange(len(numbers)), member.ravel()] = 1.0
    real, imaginary = np.cos(phases) @ members, np.sin(phases) @ members
    volume = math.sqrt(np.linalg.det(metric))
    found = {}
    for one, law in (("xray", form_factor), ("neutron", neutron_length)):
        if one not in radiation:
            found[one] = np.zeros(len(kept))
            continue
        scattering = np.stack(
            [w * law(int(z), s_squared) * np.exp(-b * s_squared) for z, b, w in kinds], 1
        )
        amplitude = (scattering * real).sum(1) ** 2 + (scattering * imaginary).sum(1) ** 2
        found[one] = multiplicity * amplitude * (repeats / volume) ** 2
    cosines = _texture(images[kept], reciprocal, np.array(preferred, float), squared)
    return Lines(2 * math.pi * np.sqrt(squared), found["xray"], found["neutron"], cosines,
                 indices[kept], multiplicity)  # fmt: skip


def _texture(
    images: NDArray[np.int8],
    reciprocal: NDArray[Any],
    axis: NDArray[np.float64],
    squared: NDArray[Any],
) -> NDArray[np.float32]:
    """Return squared cosines between families and an axis, shape ``(n, TEXTURE_COLUMNS)``."""
    direction = reciprocal @ axis / math.sqrt(axis @ reciprocal @ axis)
    along = (images.astype(np.float32) @ direction.astype(np.float32)) ** 2
    cosines = np.sort(along / squared[:, None].astype(np.float32), axis=1).clip(0, 1)
    count = cosines.shape[1]
    if count > TEXTURE_COLUMNS:
        found = cosines.reshape(len(cosines), TEXTURE_COLUMNS, -1).mean(2)
    elif TEXTURE_COLUMNS % count == 0:
        found = np.repeat(cosines, TEXTURE_COLUMNS // count, axis=1)
    else:
        chosen = (np.arange(TEXTURE_COLUMNS) * count) // TEXTURE_COLUMNS
        found = cosines[:, chosen]
    return np.asarray(found, np.float32)


class _Families:
    """Planes of a group, one of each family that is not extinguished."""

    def __init__(self, operations: gemmi.GroupOps) -> None:
        self.operations = operations
        self.centring = len(operations.cen_ops)
        turns = {
            tuple(int(x) // gemmi.Op.DEN for row in op.rot for x in row)
            for op in operations.sym_ops
        }
        turns |= {tuple(-x for x in turn) for turn in turns}
        every = np.array(sorted(turns), np.int64).reshape(-1, 3, 3)
        # Friedel pairs alike: one of each rotation and its negative.
        self.turns = every[: len(every) // 2]
        self._known: dict[int, tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]] = {}

    @classmethod
    def of(cls, space_group: int, hall: str) -> _Families:
        return _families(space_group, hall)

    def up_to(self, largest: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]:
        """Return one plane of each family, how many it has, and its images but for sign."""
        size = next(s for s in (6, 9, 13, 18, 24, 32, LARGEST_INDEX) if s >= largest)
        if size not in self._known:
            self._known[size] = self._list(size)
        return self._known[size]

    def _list(self, size: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int8]]:
        span = np.arange(-size, size + 1)
        grid = np.stack(np.meshgrid(np.arange(size + 1), span, span, indexing="ij"), -1)
        planes = grid.reshape(-1, 3)
        radix = np.array([(4 * size + 1) ** 2, 4 * size + 1, 1])
        code = planes @ radix
        planes, code = planes[code > 0], code[code > 0]
        # Each plane is kept if no image of it, nor the image's negative, has a larger code.
        kept = np.ones(len(planes), bool)
        for turn in self.turns:
            kept &= np.abs((planes @ turn) @ radix) <= code
        planes = planes[kept]
        planes = planes[~self.operations.systematic_absences(planes.astype(np.int32))]
        images = np.einsum("ni,kij->nkj", planes, self.turns)
        codes = np.sort(np.abs(images @ radix), axis=1)
        count = 2 * (1 + (np.diff(codes, axis=1) > 0).sum(1))
        return planes.astype(np.int32), count.astype(np.int64), images.astype(np.int8)


@cache
def _families(space_group: int, hall: str) -> _Families:
    return _Families(setting_operations(space_group, hall))


@cache
def _xray_coefficients(number: int) -> NDArray[np.float64]:
    return np.array(gemmi.Element(number).it92.get_coefs())


@cache
def _neutron(number: int) -> float:
    return float(gemmi.Element(number).neutron92.calculate_sf(0))
