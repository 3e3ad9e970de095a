"""Random but physical crystals of any space group, so that no group is ever rare.

Atoms are put on Wyckoff positions at random, the cell is drawn within what the operators
allow and then scaled until the closest atoms touch. What is kept looks like a crystal:
as densely packed as measured ones are, and with no more symmetry than was asked for. The
limits below are percentiles of 566 ordered structures, drawn at random from the 5,073 of
the project's structure set.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import PhaseError
from .phase import AtomSite, Phase
from .symmetry import operation_arrays, setting_operations
from .wyckoff import WyckoffPosition, wyckoff_positions

CONTACT, CONTACT_SPREAD = 0.93, 0.06
"""Shortest distance over the sum of covalent radii: median and spread (5th percentile 0.82)."""

PACKING = (0.28, 1.05)
"""Volume of the atoms' covalent spheres over that of the cell: 5th and 95th percentile."""

RARE = {"He", "Ne", "Ar", "Kr", "Xe", "Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Pa"}
"""Elements that hardly any crystal is made of."""

HEAVIEST = 92

SYMMETRY_TOLERANCE = 0.05
"""How far [Å] atoms may be from places that would make the crystal more symmetric."""

TRIES = 1000

NEIGHBOURS = np.array(list(np.ndindex(3, 3, 3)), float) - 1.0


@dataclass(frozen=True)
class SyntheticLimits:
    """What a synthetic crystal may be like.

    Parameters
    ----------
    atoms
        Most atoms in the primitive cell.
    sites
        Most occupied Wyckoff positions.
    elements
        Most elements.
    b_iso
        Range of the Debye-Waller factor of a site [Å²].
    """

    atoms: int = 48
    sites: int = 6
    elements: int = 4
    b_iso: tuple[float, float] = (0.2, 1.2)


def synthetic_phases(
    space_groups: Sequence[int], count: int, *, seed: int, limits: SyntheticLimits | None = None
) -> Iterator[Phase]:
    """Give synthetic crystals, ``count`` of each group, group by group.

    Parameters
    ----------
    space_groups
        Numbers, 1 to 230.
    count
        Crystals of each.
    seed
        The same one gives the same crystals, whatever other groups are asked for.
    limits
        What they may be like.

    Raises
    ------
    PhaseError
        If no crystal of a group fits the limits.
    """
    for number in space_groups:
        rng = np.random.default_rng((seed, number))
        for index in range(count):
            yield synthetic_phase(number, rng, limits=limits, name=f"synthetic {number}-{index}")


def synthetic_phase(
    space_group: int,
    rng: np.random.Generator,
    *,
    limits: SyntheticLimits | None = None,
    name: str = "synthetic",
) -> Phase:
    """Return one synthetic crystal.

    Parameters
    ----------
    space_group
        Number, 1 to 230.
    rng
        Source of all that is random.
    limits
        What it may be like.
    name
        Of the phase.

    Raises
    ------
    PhaseError
        If no crystal fits the limits: the smallest one of some groups has more atoms than
        are allowed.
    """
    limits = SyntheticLimits() if limits is None else limits
    for number in range(TRIES):
        # Where few sites make a more symmetric crystal, it takes more of them.
        content = _content(space_group, rng, limits, 1 + number * limits.sites // TRIES)
        if content is None:
            continue
        phase = packed(name, space_group, _metric(space_group, rng), content, rng)
        if phase is not None and is_of_its_group(phase):
            return phase
    raise PhaseError(
        f"no synthetic crystal of space group {space_group} with at most {limits.atoms} atoms in "
        f"the primitive cell and {limits.sites} sites was found in {TRIES} tries; allow more atoms"
    )


def is_of_its_group(phase: Phase, tolerance: float = SYMMETRY_TOLERANCE) -> bool:
    """Return whether a crystal has the symmetry of its space group and no more.

    Parameters
    ----------
    phase
        Fully occupied sites alone.
    tolerance
        Deviations [Å] that do not count.
    """
    import spglib

    cell = (
        phase.structure_matrix.T.tolist(),
        [site.position for site in phase.sites],
        [site.atomic_number for site in phase.sites],
    )
    with warnings.catch_warnings():
        # spglib 2.8 announces that a later version will raise where this one returns None.
        warnings.simplefilter("ignore", DeprecationWarning)
        dataset = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    return dataset is not None and int(dataset.number) == phase.space_group


def _content(
    space_group: int, rng: np.random.Generator, limits: SyntheticLimits, least: int
) -> list[tuple[str, NDArray[np.float64], float]] | None:
    """Draw occupied positions: element, coordinates and Debye-Waller factor; None if too many."""
    positions = wyckoff_positions(space_group)
    centring = _centring(space_group)
    room = limits.atoms
    taken: list[WyckoffPosition] = []
    for _ in range(int(rng.integers(least, limits.sites + 1))):
        sizes = np.array([p.multiplicity // centring for p in positions])
        is_free = np.array([p.dimension > 0 or p not in taken for p in positions])
        weights = np.where((sizes <= room) & is_free, 1.0 / np.sqrt(sizes), 0.0)
        if not weights.any():
            break
        chosen = positions[int(rng.choice(len(positions), p=weights / weights.sum()))]
        taken.append(chosen)
        room -= chosen.multiplicity // centring
    if not taken:
        return None
    elements = _elements(rng, min(limits.elements, len(taken)))
    names = [elements[i % len(elements)] for i in range(len(taken))]
    rng.shuffle(names)
    return [
        (element, position.point(rng.random(3)), float(rng.uniform(*limits.b_iso)))
        for element, position in zip(names, taken, strict=True)
    ]


def _elements(rng: np.random.Generator, most: int) -> list[str]:
    """Draw elements: metals alone, or metals with what makes compounds with them."""
    count = int(rng.integers(1, most + 1))
    anions = 0 if count == 1 or rng.random() < 0.4 else int(rng.integers(1, min(count, 2) + 1))
    anions = min(anions, count - 1)
    metals, others = _known_elements()
    found = list(rng.choice(metals, count - anions, replace=False))
    return [str(e) for e in found + list(rng.choice(others, anions, replace=False))]


@cache
def _known_elements() -> tuple[list[str], list[str]]:
    """Return metals, and the other elements."""
    known = [gemmi.Element(number) for number in range(1, HEAVIEST + 1)]
    usual = [element for element in known if element.name not in RARE]
    return ([e.name for e in usual if e.is_metal], [e.name for e in usual if not e.is_metal])


def _metric(space_group: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a metric tensor that the operators leave as it is, of a cell with volume 1."""
    lengths = np.exp(rng.normal(0, 0.3, 3))
    cosines = np.cos(np.radians(rng.normal(90, 9, 3)))
    metric = np.outer(lengths, lengths)
    metric *= [[1, cosines[2], cosines[1]], [cosines[2], 1, cosines[0]], [*cosines[1::-1], 1]]
    rotations, _ = operation_arrays(setting_operations(space_group).sym_ops)
    metric = np.einsum("nji,jk,nkl->il", rotations, metric, rotations) / len(rotations)
    symmetric: NDArray[np.float64] = metric / np.linalg.det(metric) ** (1 / 3)
    return symmetric


def packed(
    name: str,
    space_group: int,
    metric: NDArray[np.float64],
    content: Sequence[tuple[str, NDArray[np.float64], float]],
    rng: np.random.Generator,
    *,
    loosest: float = np.inf,
) -> Phase | None:
    """Return a crystal so large that its closest atoms touch; None if it is not dense then.

    Parameters
    ----------
    name
        Of the phase.
    space_group
        Whose operators fill the cell.
    metric
        Metric tensor of a cell with volume 1.
    content
        Element, fractional coordinates and Debye-Waller factor [Å²] of one atom of each orbit.
    rng
        Source of how closely the atoms touch.
    loosest
        Distance to the nearest neighbour over the sum of the radii that an atom may have, in
        units of that of the closest atoms.
    """
    orbits = [_orbit(space_group, point) for _, point, _ in content]
    places = np.concatenate(orbits)
    radii = np.array([_radius(element) for element, _, _ in content])
    each = np.repeat(radii, [len(orbit) for orbit in orbits])
    # One atom of each orbit against all atoms in the cells around.
    apart = np.array([orbit[0] for orbit in orbits])[:, None] - places[None]
    apart = (apart - np.round(apart))[:, :, None] + NEIGHBOURS
    length = np.sqrt(np.einsum("abni,ij,abnj->abn", apart, metric, apart))
    contact = length / (radii[:, None] + each[None])[:, :, None]
    nearest = np.where(length > 1e-6, contact, np.inf).min(axis=(1, 2))  # but not the atom itself
    shortest = nearest.min()
    if nearest.max() > loosest * shortest:
        return None
    factor = max(rng.normal(CONTACT, CONTACT_SPREAD), 0.75) / shortest
    if not PACKING[0] <= (4 / 3 * np.pi * each**3).sum() / factor**3 <= PACKING[1]:
        return None
    a, b, c, alpha, beta, gamma = _lattice_of(metric)
    sites = [
        AtomSite(element, (float(x), float(y), float(z)), b_iso=b_iso)
        for (element, _, b_iso), orbit in zip(content, orbits, strict=True)
        for x, y, z in orbit
    ]
    scale = float(factor)
    lattice = (scale * a, scale * b, scale * c, alpha, beta, gamma)
    return Phase(name, space_group, lattice, tuple(sites))


def _orbit(space_group: int, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return all images of a point in the conventional cell, shape ``(n, 3)``."""
    rotations, translations = _all_operations(space_group)
    images = (np.round(rotations @ point + translations, 9)) % 1.0
    _, first = np.unique(np.round(images, 6) % 1.0, axis=0, return_index=True)
    found: NDArray[np.float64] = images[np.sort(first)]
    return found


@cache
def _all_operations(space_group: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    operations = setting_operations(space_group)
    rotations, translations = operation_arrays(operations.sym_ops)
    centring = np.array(operations.cen_ops, float) / gemmi.Op.DEN
    shifted = translations[None] + centring[:, None]
    return np.tile(rotations, (len(centring), 1, 1)), shifted.reshape(-1, 3)


@cache
def _radius(element: str) -> float:
    return float(gemmi.Element(element).covalent_r)


@cache
def _centring(space_group: int) -> int:
    return len(setting_operations(space_group).cen_ops)


def _lattice_of(
    metric: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float]:
    lengths = np.sqrt(np.diag(metric))
    cosines = metric / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
    a, b, c, alpha, beta, gamma = (float(x) for x in (*lengths, *angles))
    return a, b, c, alpha, beta, gamma
