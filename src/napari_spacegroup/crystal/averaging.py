"""What a crystal becomes when symmetry is added to it: the group that it is mistaken for.

FeNi₃ differs from a random alloy on the sites of nickel by its superlattice alone. Averaging a
structure over a translation that it does not have gives the parent that lacks just the
reflections which that translation forbids, with the same cell and the same composition: the
fairest rival for the question whether noise hides the difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
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
    points = np.array([site.position for site in phase.sites])
    images = (points[:, None] + shifts[None]).reshape(-1, 3)
    share = 1 / len(shifts)
    before = _Mixture.of(phase, points, phase.sites, 1.0)
    spread = [site for site in phase.sites for _ in shifts]
    after = _Mixture.of(phase, images, spread, share)
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

    points = np.array([site.position for site in phase.sites])
    mixture = _Mixture.of(phase, points, phase.sites, 1.0)
    kinds = mixture.kinds
    number_of = {kind: number for number, kind in enumerate(sorted(set(kinds)), start=1)}
    numbers = [number_of[kind] for kind in kinds]
    cell = (phase.structure_matrix.T.tolist(), mixture.places.tolist(), numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry_dataset(cell, symprec=SAME_PLACE)
    if found is None:
        raise PhaseError(f"spglib finds no space group for {phase.name}; check its sites")
    return int(found.number)


@dataclass(frozen=True, eq=False)
class _Mixture:
    """Places in a cell, shape ``(n, 3)``, and how much of which element stands on each.

    ``parts`` holds for each place and element the occupancy and the occupancy times B.
    """

    places: NDArray[np.float64]
    parts: list[dict[str, tuple[float, float]]]

    @classmethod
    def of(
        cls, phase: Phase, points: NDArray[np.float64], sites: Sequence[AtomSite], share: float
    ) -> _Mixture:
        """Put a share of each site on its point; points on one place come together."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
        from scipy.spatial import cKDTree

        # 1 - 1e-17 is 1, which lies outside the periodic box.
        wrapped = np.where(points % 1.0 < 1.0 - 1e-9, points % 1.0, 0.0)
        near = cKDTree(wrapped, boxsize=1.0).query_pairs(
            SAME_PLACE / min(phase.lattice[:3]), output_type="ndarray"
        )
        size = (len(points), len(points))
        graph = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), size)
        count, labels = connected_components(graph, directed=False)
        _, first = np.unique(labels, return_index=True)
        parts: list[dict[str, tuple[float, float]]] = [{} for _ in range(count)]
        for place, site in zip(labels, sites, strict=True):
            occupancy, b_sum = parts[place].get(site.element, (0.0, 0.0))
            more = share * site.occupancy
            parts[place][site.element] = (occupancy + more, b_sum + more * site.b_iso)
        return cls(wrapped[first], parts)

    @property
    def kinds(self) -> list[tuple[tuple[str, float], ...]]:
        """Return what stands on each place, so that equal places compare equal."""
        return [
            tuple(sorted((element, round(share, 4)) for element, (share, _) in parts.items()))
            for parts in self.parts
        ]

    def sites(self) -> Iterator[AtomSite]:
        """Give one site for each element of each place."""
        for (x, y, z), parts in zip(self.places.tolist(), self.parts, strict=True):
            for element, (share, b_sum) in parts.items():
                yield AtomSite(element, (x, y, z), min(share, 1.0), b_sum / share)


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
