"""Crystal phases: a cell, its full content and its symmetry operators.

A :class:`Phase` holds every atom of the conventional cell, so that no simulator has
to guess an origin choice or a setting: the operators and the positions come from the
same source and are checked against each other. Simulation, the command line and the
plugin all speak of phases through this class.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, PhaseError
from .symmetry import (
    distances,
    identify,
    operation_arrays,
    orbit,
    setting_operations,
    symmetric_lattice,
)

if TYPE_CHECKING:
    from diffpy.structure import Structure
    from orix.crystal_map import Phase as OrixPhase

DEFAULT_B_ISO = 0.5
"""Isotropic Debye-Waller factor [Å²] of a site whose file gives none."""

ATOMIC_MASS_GRAMS_PER_ANGSTROM3 = 1.66053907
"""One u per Å³ in g/cm³ (CODATA 2018)."""


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

    @property
    def atomic_weight(self) -> float:
        """Return the standard atomic weight [u]."""
        return float(gemmi.Element(self.element).weight)


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
        Hall symbol of the setting; empty for the standard setting, the first one in the
        International Tables: unique axis b, hexagonal axes, origin choice 1.
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
        """Return a phase whose sites are expanded by the operators of its setting.

        Sites within 0.1 Å of a special position are moved onto it, and the cell is
        averaged over the operators, so that 0.3333 may stand for 1/3.

        Raises
        ------
        PhaseError
            If the cell contradicts the space group, or the Hall symbol can't be read.
        """
        operations = setting_operations(space_group, hall)
        lattice = symmetric_lattice(operations, lattice)
        basis = _basis(lattice)
        full: list[AtomSite] = []
        for site in sites:
            for x, y, z in orbit(operations, np.asarray(site.position, float), basis):
                full.append(replace(site, position=(float(x), float(y), float(z))))
        return cls(name, space_group, lattice, tuple(full), hall)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Phase:
        """Return a phase from one JSON line of a structure library.

        Parameters
        ----------
        record
            Needs ``id``, ``formula``, ``sg``, ``lattice`` and ``sites``
            (``[element, x, y, z, occupancy]`` for the full conventional cell in the
            standard setting, origin choice 1).
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

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes the phase; what is computed from it (gemmi objects) stays here."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def operations(self) -> gemmi.GroupOps:
        """Return the symmetry operators of the setting."""
        return setting_operations(self.space_group, self.hall)

    @cached_property
    def structure_matrix(self) -> NDArray[np.float64]:
        """Return the matrix of the cell axes in Cartesian axes, as columns [Å].

        x is parallel to a and z to c*, the convention of orix and EMsoft.
        """
        return _basis(self.lattice)

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

    @property
    def formula(self) -> str:
        """Return the content of the conventional cell, such as ``Al1 Ni3``.

        Elements in alphabetical order, each with its number of atoms; occupancies count.
        """
        content: dict[str, float] = {}
        for site in self.sites:
            content[site.element] = content.get(site.element, 0.0) + site.occupancy
        return " ".join(f"{element}{content[element]:.4g}" for element in sorted(content))

    @property
    def density(self) -> float:
        """Return the mass density [g/cm³]."""
        mass = sum(site.occupancy * site.atomic_weight for site in self.sites)
        return mass * ATOMIC_MASS_GRAMS_PER_ANGSTROM3 / self.volume

    def check_symmetry(self, tolerance: float = 0.05) -> None:
        """Make sure that every operator maps the cell and each atom onto a like atom.

        Parameters
        ----------
        tolerance
            Largest distance [Å] between an image and the atom that it stands for.

        Raises
        ------
        PhaseError
            If cell or atoms break the space group: often a wrong origin choice.
        """
        symmetric_lattice(self.operations, self.lattice)
        rotations, translations = operation_arrays(self.operations.sym_ops)
        centring = np.array(self.operations.cen_ops, float) / gemmi.Op.DEN
        rotations = np.concatenate([rotations, np.broadcast_to(np.eye(3), (len(centring), 3, 3))])
        translations = np.concatenate([translations, centring])
        positions = np.array([site.position for site in self.sites])
        kinds = np.array([(site.atomic_number, round(site.occupancy, 4)) for site in self.sites])
        unlike = (kinds[:, None] != kinds[None]).any(axis=2)
        for rotation, translation in zip(rotations, translations, strict=True):
            images = positions @ rotation.T + translation
            apart = distances(images[:, None], positions[None], self.structure_matrix)
            nearest = np.where(unlike, np.inf, apart).min(axis=1)
            if nearest.max() > tolerance:
                site = self.sites[int(nearest.argmax())]
                raise PhaseError(
                    f"phase {self.name!r}: an operator of space group {self.space_group} moves "
                    f"{site.element} at {site.position} to a place without a like atom; check "
                    "the space group, the setting and the origin choice"
                )

    def standardized(self) -> Phase:
        """Return the same crystal in the standard setting of its space group.

        Axes and origin may change, and with the axes the Cartesian frame: orientations
        of this phase are not those of the standardized one.
        """
        if not self.hall:
            return self
        change = identify(self.operations).to_standard
        linear = np.array(change.rot, float) / change.DEN
        shift = np.array(change.tran, float) / change.DEN
        basis = self.structure_matrix @ np.linalg.inv(linear)
        lattice = symmetric_lattice(setting_operations(self.space_group), _lattice(basis))
        steps = np.array(list(np.ndindex(3, 3, 3)), float) - 1.0
        sites: list[AtomSite] = []
        for site in self.sites:
            images = np.round((np.asarray(site.position) + steps) @ linear.T + shift, 9) % 1.0
            for x, y, z in np.unique(np.round(images, 6) % 1.0, axis=0):
                moved = replace(site, position=(float(x), float(y), float(z)))
                if moved not in sites:
                    sites.append(moved)
        return Phase(self.name, self.space_group, lattice, tuple(sites))

    def to_diffpy(self) -> Structure:
        """Return a diffpy structure of the full cell, with x parallel to a and z to c*.

        Raises
        ------
        MissingPartError
            If diffpy.structure is not installed.
        """
        try:
            from diffpy.structure import Atom, Lattice, Structure
        except ImportError as error:
            raise MissingPartError(
                "to_diffpy needs diffpy.structure, which is not installed; "
                "pip install diffpy.structure"
            ) from error
        atoms = [
            Atom(
                site.element,
                list(site.position),
                occupancy=site.occupancy,
                Uisoequiv=site.b_iso / (8 * np.pi**2),
            )
            for site in self.sites
        ]
        return Structure(atoms, Lattice(base=self.structure_matrix.T), title=self.name)

    def to_orix(self) -> OrixPhase:
        """Return an orix phase with the full cell, in the same Cartesian frame.

        orix, diffsims and kikuchipy know the standard setting only. A setting that
        differs from it by its origin is moved there; no orientation changes by that.

        Raises
        ------
        PhaseError
            If the axes differ from the standard ones; call :meth:`standardized` first and
            express orientations in the new axes.
        MissingPartError
            If orix is not installed.
        """
        if self.hall and not identify(self.operations).has_standard_axes:
            raise PhaseError(
                f"phase {self.name!r} has the setting {self.hall!r}, whose axes orix does not "
                "know; pass phase.standardized(), whose orientations refer to other axes"
            )
        try:
            from orix.crystal_map import Phase as OrixPhase
        except ImportError as error:
            raise MissingPartError(
                "to_orix needs orix, which is not installed; pip install orix"
            ) from error
        structure = self.standardized().to_diffpy()
        return OrixPhase(name=self.name, space_group=self.space_group, structure=structure)

    def scaled(self, factor: float) -> Phase:
        """Return the phase with its three axes multiplied by ``factor``."""
        a, b, c, alpha, beta, gamma = self.lattice
        return replace(self, lattice=(a * factor, b * factor, c * factor, alpha, beta, gamma))

    def with_b_iso(self, b_iso: float) -> Phase:
        """Return the phase with one Debye-Waller factor [Å²] on every site."""
        return replace(self, sites=tuple(replace(s, b_iso=b_iso) for s in self.sites))


def _basis(
    lattice: tuple[float, float, float, float, float, float],
) -> NDArray[np.float64]:
    a, b, c = lattice[:3]
    ca, cb, cg = np.cos(np.radians(lattice[3:]))
    sg = np.sqrt(1 - cg**2)
    root = np.sqrt(1 - ca**2 - cb**2 - cg**2 + 2 * ca * cb * cg)
    return np.array(
        [[a, b * cg, c * cb], [0.0, b * sg, c * (ca - cb * cg) / sg], [0.0, 0.0, c * root / sg]]
    )


def _lattice(
    basis: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float]:
    metric = basis.T @ basis
    a, b, c = (round(float(x), 10) for x in np.sqrt(np.diag(metric)))
    cosines = [metric[1, 2] / (b * c), metric[0, 2] / (a * c), metric[0, 1] / (a * b)]
    alpha, beta, gamma = (round(float(x), 8) for x in np.degrees(np.arccos(cosines)))
    return a, b, c, alpha, beta, gamma
