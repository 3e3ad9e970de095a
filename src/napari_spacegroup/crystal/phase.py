"""Crystal phases: a cell, its full content and its symmetry operators.

A :class:`Phase` holds every atom of the conventional cell, so that no simulator has
to guess an origin choice or a setting: the operators and the positions come from the
same source and are checked against each other. Simulation, the command line and the
plugin all speak of phases through this class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import PhaseError

DEFAULT_B_ISO = 0.5
"""Isotropic Debye-Waller factor [Å²] of a site whose file gives none."""


@dataclass(frozen=True)
class AtomSite:
    """One atom of the conventional cell.

    Parameters
    ----------
    element
        Chemical symbol.
    position
        Fractional coordinates.
    occupancy
        Share of the site that holds this element, above 0 and at most 1.
    b_iso
        Isotropic Debye-Waller factor B = 8π²⟨u²⟩ [Å²].
    """

    element: str
    position: tuple[float, float, float]
    occupancy: float = 1.0
    b_iso: float = DEFAULT_B_ISO

    @property
    def atomic_number(self) -> int:
        """Return the atomic number."""
        return int(gemmi.Element(self.element).atomic_number)


@dataclass(frozen=True)
class Phase:
    """A crystal structure with every atom of its conventional cell.

    Parameters
    ----------
    name
        What to call it.
    space_group
        Number in the International Tables, 1 to 230.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees].
    sites
        All atoms of the conventional cell, mixed sites as several atoms at one position.
    hall
        Hall symbol of the setting; empty for the reference setting of the group.
    """

    name: str
    space_group: int
    lattice: tuple[float, float, float, float, float, float]
    sites: tuple[AtomSite, ...]
    hall: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.space_group <= 230:
            raise PhaseError(
                f"phase {self.name!r} has space group {self.space_group}; "
                "the International Tables number them 1 to 230"
            )
        if not self.sites:
            raise PhaseError(f"phase {self.name!r} has no atoms; give at least one site")

    @classmethod
    def from_asymmetric_unit(
        cls,
        name: str,
        space_group: int,
        lattice: tuple[float, float, float, float, float, float],
        sites: list[AtomSite] | tuple[AtomSite, ...],
        hall: str = "",
    ) -> Phase:
        """Return a phase whose sites are expanded by the operators of its setting."""
        operations = _operations(space_group, hall)
        full: list[AtomSite] = []
        for site in sites:
            for position in _orbit(operations, np.asarray(site.position, float)):
                full.append(replace(site, position=tuple(float(x) for x in position)))
        return cls(name, space_group, lattice, tuple(full), hall)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Phase:
        """Return a phase from one JSON line of a structure library.

        Parameters
        ----------
        record
            Needs ``id``, ``formula``, ``sg``, ``lattice`` and ``sites``
            (``[element, x, y, z, occupancy]`` for the full conventional cell).
        """
        sites = tuple(
            AtomSite(str(s[0]), (float(s[1]), float(s[2]), float(s[3])), float(s[4]))
            for s in record["sites"]
        )
        a, b, c, alpha, beta, gamma = (float(x) for x in record["lattice"])
        return cls(str(record["formula"]), int(record["sg"]), (a, b, c, alpha, beta, gamma), sites)

    @classmethod
    def from_cif(cls, path: str | Path) -> Phase:
        """Return the first structure of a CIF file.

        Occupancies and isotropic displacement parameters are kept. The space group that
        the file names is held against the operators that it lists.

        Parameters
        ----------
        path
            A CIF file.

        Returns
        -------
        phase
            With the full conventional cell.

        Raises
        ------
        PhaseError
            If the file is no CIF, has no atoms or no symmetry, or contradicts itself.
        """
        from .cif import read_cif

        return read_cif(Path(path))

    @cached_property
    def operations(self) -> gemmi.GroupOps:
        """Return the symmetry operators of the setting."""
        return _operations(self.space_group, self.hall)

    @cached_property
    def structure_matrix(self) -> NDArray[np.float64]:
        """Return the matrix of the cell axes in Cartesian axes, as columns [Å].

        x is parallel to a and z to c*, the convention of orix and EMsoft.
        """
        a, b, c = self.lattice[:3]
        ca, cb, cg = np.cos(np.radians(self.lattice[3:]))
        sg = np.sqrt(1 - cg**2)
        root = np.sqrt(1 - ca**2 - cb**2 - cg**2 + 2 * ca * cb * cg)
        return np.array(
            [[a, b * cg, c * cb], [0.0, b * sg, c * (ca - cb * cg) / sg], [0.0, 0.0, c * root / sg]]
        )

    @cached_property
    def point_operations(self) -> NDArray[np.float64]:
        """Return the point-group operators as Cartesian matrices, shape ``(n, 3, 3)``."""
        basis = self.structure_matrix
        inverse = np.linalg.inv(basis)
        rotations = {tuple(np.ravel(op.rot)) for op in self.operations.sym_ops}
        return np.array(
            [basis @ (np.reshape(r, (3, 3)) / gemmi.Op.DEN) @ inverse for r in sorted(rotations)]
        )

    @cached_property
    def volume(self) -> float:
        """Return the volume of the conventional cell [Å³]."""
        return float(np.linalg.det(self.structure_matrix))

    def scaled(self, factor: float) -> Phase:
        """Return the phase with its three axes multiplied by ``factor``."""
        a, b, c, alpha, beta, gamma = self.lattice
        return replace(self, lattice=(a * factor, b * factor, c * factor, alpha, beta, gamma))

    def with_b_iso(self, b_iso: float) -> Phase:
        """Return the phase with one Debye-Waller factor [Å²] on every site."""
        return replace(self, sites=tuple(replace(s, b_iso=b_iso) for s in self.sites))


def _operations(space_group: int, hall: str) -> gemmi.GroupOps:
    if hall:
        return gemmi.symops_from_hall(hall)
    return gemmi.find_spacegroup_by_number(space_group).operations()


def _orbit(operations: gemmi.GroupOps, position: NDArray[np.float64]) -> NDArray[np.float64]:
    images = np.array([op.apply_to_xyz(position.tolist()) for op in operations]) % 1.0
    kept: list[NDArray[np.float64]] = []
    for image in images:
        difference = [image - other for other in kept]
        if not any(np.abs(d - np.round(d)).max() < 1e-4 for d in difference):
            kept.append(image)
    return np.array(kept)
