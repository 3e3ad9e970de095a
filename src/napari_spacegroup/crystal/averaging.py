"""What a crystal becomes when symmetry is added to it: the group that it is mistaken for.

FeNi₃ differs from a random alloy on the sites of nickel by its superlattice alone. Averaging a
structure over a translation that it does not have gives the parent that lacks just the
reflections which that translation forbids, with the same cell and the same composition: the
fairest rival for the question whether noise hides the difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import PhaseError
from .phase import AtomSite, Phase

SAME_PLACE = 0.05
"""Atoms closer than this [Å] share a site of the average."""

Translation = tuple[float, float, float]

_HALF = ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5))
CUBIC_TRANSLATIONS: dict[str, tuple[Translation, ...]] = {
    "F": ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5)),
    "I": ((0.5, 0.5, 0.5),),
    "half P": _HALF,
    "half I": (*_HALF, (0.25, 0.25, 0.25)),
    "half F": (*_HALF, (0.0, 0.25, 0.25), (0.25, 0.0, 0.25)),
}
"""Generators of the cubic lattices that a cubic crystal may nearly have; *half* ones have half
the edge."""


@dataclass(frozen=True)
class Parent:
    """A structure averaged over translations.

    Parameters
    ----------
    lattice
        Which translations were added: a key of :data:`CUBIC_TRANSLATIONS`.
    phase
        The average, in the cell of the structure: disordered sites with the mean occupancy.
    space_group
        Of the average, found by spglib; the cell of ``phase`` may be a multiple of its own.
    """

    lattice: str
    phase: Phase
    space_group: int


def cubic_parents(phase: Phase) -> Iterator[Parent]:
    """Give the averages of a cubic structure over the translations that it lacks.

    Parameters
    ----------
    phase
        Cubic, with the full conventional cell.

    Raises
    ------
    PhaseError
        If the phase is not cubic.
    """
    if phase.space_group < 195:
        raise PhaseError(
            f"{phase.name} has space group {phase.space_group}; need a cubic one, 195 to 230"
        )
    for lattice, generators in CUBIC_TRANSLATIONS.items():
        average = averaged(phase, generators)
        if average is not phase:
            yield Parent(lattice, average, space_group_of(average))


def averaged(phase: Phase, generators: tuple[Translation, ...]) -> Phase:
    """Return a phase averaged over the translations that some generate.

    Parameters
    ----------
    phase
        With the full conventional cell.
    generators
        Fractions of the cell.

    Returns
    -------
    average
        Each atom is spread over its images; the phase itself if it has the translations
        already.
    """
    shifts = _closed(generators)
    before, after = _Mixture(phase.structure_matrix), _Mixture(phase.structure_matrix)
    for site in phase.sites:
        point = np.array(site.position)
        before.add(point, site.element, site.occupancy, site.b_iso)
        for shift in shifts:
            after.add(point + shift, site.element, site.occupancy / len(shifts), site.b_iso)
    if len(before.places) == len(after.places) and before.kinds == after.kinds:
        return phase
    return replace(phase, name=f"{phase.name} averaged", sites=tuple(after.sites()))


def space_group_of(phase: Phase) -> int:
    """Return the space group that the sites of a phase have, mixed sites told apart by content.

    Raises
    ------
    PhaseError
        If spglib finds none.
    """
    import spglib

    mixture = _Mixture(phase.structure_matrix)
    for site in phase.sites:
        mixture.add(np.array(site.position), site.element, site.occupancy, site.b_iso)
    numbers = [sorted(set(mixture.kinds)).index(kind) + 1 for kind in mixture.kinds]
    cell = (phase.structure_matrix.T.tolist(), [p.tolist() for p in mixture.places], numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry_dataset(cell, symprec=SAME_PLACE)
    if found is None:
        raise PhaseError(f"spglib finds no space group for {phase.name}; check its sites")
    return int(found.number)


class _Mixture:
    """Places in a cell, and how much of which element stands on each."""

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        self._matrix = matrix
        self.places: list[NDArray[np.float64]] = []
        self._parts: list[dict[str, tuple[float, float]]] = []

    def add(self, point: NDArray[np.float64], element: str, occupancy: float, b_iso: float) -> None:
        """Put some of an element on a place, or on the one that is there already."""
        index = self._place(point % 1.0)
        share, b_sum = self._parts[index].get(element, (0.0, 0.0))
        self._parts[index][element] = (share + occupancy, b_sum + occupancy * b_iso)

    @property
    def kinds(self) -> list[tuple[tuple[str, float], ...]]:
        """Return what stands on each place, so that equal places compare equal."""
        return [
            tuple(sorted((element, round(share, 4)) for element, (share, _) in parts.items()))
            for parts in self._parts
        ]

    def sites(self) -> Iterator[AtomSite]:
        """Give one site for each element of each place."""
        for place, parts in zip(self.places, self._parts, strict=True):
            x, y, z = (float(value) for value in place)
            for element, (share, b_sum) in parts.items():
                yield AtomSite(element, (x, y, z), min(share, 1.0), b_sum / share)

    def _place(self, point: NDArray[np.float64]) -> int:
        if self.places:
            apart = (np.array(self.places) - point + 0.5) % 1.0 - 0.5
            distance = np.linalg.norm(apart @ self._matrix.T, axis=1)
            index = int(distance.argmin())
            if distance[index] < SAME_PLACE:
                return index
        self.places.append(point)
        self._parts.append({})
        return len(self.places) - 1


def _closed(generators: tuple[Translation, ...]) -> NDArray[np.float64]:
    """Return the group of translations modulo 1 that some generate, shape ``(n, 3)``."""
    found = {(0, 0, 0)}
    steps = [tuple(round(24 * x) for x in generator) for generator in generators]
    while True:
        more: set[tuple[int, int, int]] = set()
        for x, y, z in found:
            more |= {((x + a) % 24, (y + b) % 24, (z + c) % 24) for a, b, c in steps}
        if more <= found:
            return np.array(sorted(found), float) / 24
        found |= more
