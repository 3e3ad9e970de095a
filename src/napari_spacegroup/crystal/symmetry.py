"""Space-group operators: settings, orbits and the metric that a setting allows.

Everything about symmetry that phases, CIF files and the symmetry levels share. The
operators come from gemmi; nothing here is a typed-in table. The *standard setting* of a
group is the one that the International Tables list first: unique axis b, hexagonal axes
for rhombohedral groups, origin choice 1. It is also the setting of diffpy.structure, and
so of orix, diffsims and kikuchipy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import PhaseError

SPECIAL_POSITION_TOLERANCE = 0.1
"""Two images of one atom that are closer than this [Å] are one atom.

Coordinates rounded to two digits (0.33 for 1/3) in a cell of 10 Å still fall within it;
split sites of disordered structures are farther apart.
"""

METRIC_TOLERANCE = 2e-3
"""Largest relative misfit between the two cell metrics that an operator maps."""


Triples = frozenset[tuple[int, ...]]


@dataclass(frozen=True)
class Setting:
    """A space group as one set of operators describes it.

    Parameters
    ----------
    number
        Number in the International Tables.
    hall
        Hall symbol of the setting, empty for the standard setting.
    to_standard
        Change of coordinates, ``x_standard = to_standard(x)``.
    """

    number: int
    hall: str
    to_standard: gemmi.Op

    @property
    def has_standard_axes(self) -> bool:
        """Tell whether the setting differs from the standard one by its origin alone."""
        return bool(np.array_equal(np.array(self.to_standard.rot), gemmi.Op.DEN * np.eye(3)))


@cache
def standard_setting(number: int) -> gemmi.SpaceGroup:
    """Return the standard setting of a space group.

    Raises
    ------
    PhaseError
        If the number is not in 1 to 230.
    """
    if not 1 <= number <= 230:
        raise PhaseError(
            f"space group {number} does not exist; the International Tables number them 1 to 230"
        )
    return gemmi.find_spacegroup_by_number(number)


def setting_operations(number: int, hall: str = "") -> gemmi.GroupOps:
    """Return the operators of a setting.

    Parameters
    ----------
    number
        Space-group number, 1 to 230.
    hall
        Hall symbol, with a change of basis where needed; empty for the standard setting.

    Raises
    ------
    PhaseError
        If the Hall symbol can't be read.
    """
    if not hall:
        return standard_setting(number).operations()
    try:
        return gemmi.symops_from_hall(hall)
    except (RuntimeError, ValueError) as error:
        raise PhaseError(f"Hall symbol {hall!r} can't be read ({error})") from error


def operation_arrays(
    operations: Iterable[gemmi.Op],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotations ``(n, 3, 3)`` and translations ``(n, 3)`` on fractional coordinates.

    Of a whole group, centring translations are included: n is its order modulo the cell.
    """
    every = list(operations)
    rotations = np.array([op.rot for op in every], float) / gemmi.Op.DEN
    translations = np.array([op.tran for op in every], float) / gemmi.Op.DEN
    return rotations, translations % 1.0


def distances(
    first: NDArray[np.float64], second: NDArray[np.float64], basis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return distances [Å] between fractional positions, to the nearest lattice image.

    Exact for distances well below half of the shortest cell axis, which is what special
    positions and overlaps need.

    Parameters
    ----------
    first, second
        Fractional coordinates that broadcast to ``(..., 3)``.
    basis
        Cell axes as columns [Å].
    """
    difference = first - second
    difference = difference - np.round(difference)
    return np.asarray(np.linalg.norm(difference @ basis.T, axis=-1), np.float64)


def orbit(
    operations: gemmi.GroupOps,
    position: NDArray[np.float64],
    basis: NDArray[np.float64],
    tolerance: float = SPECIAL_POSITION_TOLERANCE,
) -> NDArray[np.float64]:
    """Return all images of a position in the cell.

    A position within ``tolerance`` of a special position is moved onto it first, by
    averaging the images that fall together, so that 0.3333 stands for 1/3 and the
    multiplicity is that of the special position.

    Parameters
    ----------
    operations
        Operators of the setting.
    position
        Shape ``(3,)``, fractional.
    basis
        Cell axes as columns [Å].
    tolerance
        Largest distance [Å] of images that are one atom.

    Returns
    -------
    positions
        Shape ``(multiplicity, 3)``, each coordinate at least 0 and below 1; the first is
        the (moved) position itself.
    """
    rotations, translations = operation_arrays(operations)
    center = np.asarray(position, np.float64)
    for radius in (tolerance, tolerance, 1e-3):
        images = rotations @ center + translations
        images -= np.round(images - center)
        center = images[distances(images, center, basis) < radius].mean(axis=0)
    images = rotations @ center + translations
    kept: list[NDArray[np.float64]] = []
    for image in np.concatenate([center[None], images]):
        if not kept or distances(np.array(kept), image, basis).min() > 1e-2:
            kept.append(image)
    wrapped = np.round(np.array(kept) % 1.0, 12) % 1.0
    return np.asarray(wrapped, np.float64)


def symmetric_lattice(
    operations: gemmi.GroupOps, lattice: tuple[float, float, float, float, float, float]
) -> tuple[float, float, float, float, float, float]:
    """Return the lattice with its metric averaged over the operators.

    Parameters
    ----------
    operations
        Operators of the setting.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees].

    Raises
    ------
    PhaseError
        If the lattice is no lattice, or breaks the operators by more than rounding.
    """
    lengths, angles = np.array(lattice[:3]), np.radians(lattice[3:])
    cosines = np.cos(angles)
    metric = np.outer(lengths, lengths)
    for (i, j), cosine in zip(((1, 2), (0, 2), (0, 1)), cosines, strict=True):
        metric[i, j] *= cosine
        metric[j, i] = metric[i, j]
    if not np.all(np.isfinite(metric)) or lengths.min() <= 0 or np.linalg.det(metric) <= 0:
        raise PhaseError(f"cell {lattice} spans no volume; give three lengths and three angles")
    rotations = np.array([op.rot for op in operations.sym_ops], float) / gemmi.Op.DEN
    images = np.swapaxes(rotations, 1, 2) @ metric @ rotations
    misfit = np.abs(images - metric) / np.outer(lengths, lengths)
    if misfit.max() > METRIC_TOLERANCE:
        raise PhaseError(
            "cell a={:g} b={:g} c={:g} Å, alpha={:g} beta={:g} gamma={:g}° contradicts its "
            "symmetry operators by {:.2%}; correct the cell or choose the setting that fits "
            "it".format(*lattice, misfit.max())
        )
    if misfit.max() < 1e-9:
        return lattice
    mean = images.mean(axis=0)
    a, b, c = np.sqrt(np.diag(mean))
    alpha, beta, gamma = np.degrees(
        np.arccos([mean[1, 2] / (b * c), mean[0, 2] / (a * c), mean[0, 1] / (a * b)])
    )
    return float(a), float(b), float(c), float(alpha), float(beta), float(gamma)


def group_from_triplets(triplets: list[str]) -> gemmi.GroupOps:
    """Return the group that a list of coordinate triplets such as ``-x,y+1/2,z`` forms.

    Raises
    ------
    PhaseError
        If a triplet can't be read, or the operators are not closed under products.
    """
    operations = []
    for triplet in triplets:
        try:
            operation = gemmi.Op(triplet).wrap()
        except (RuntimeError, ValueError) as error:
            raise PhaseError(f"symmetry operator {triplet!r} can't be read ({error})") from error
        if abs(operation.det_rot()) != gemmi.Op.DEN**3:
            raise PhaseError(f"symmetry operator {triplet!r} is not a rotation of the cell")
        if operation not in operations:
            operations.append(operation)
    known = {operation.triplet() for operation in operations}
    if "x,y,z" not in known:
        raise PhaseError("the symmetry operators lack the identity x,y,z; list all of them")
    for first, second in itertools.product(operations, repeat=2):
        product = (first * second).wrap().triplet()
        if product not in known:
            raise PhaseError(
                f"the {len(operations)} symmetry operators are no group: {first.triplet()} after "
                f"{second.triplet()} gives {product}, which is not listed; list all operators"
            )
    return gemmi.GroupOps(operations)


def identify(operations: gemmi.GroupOps) -> Setting:
    """Return the space group and setting that a full set of operators belongs to.

    Settings that gemmi lists are found at once. Others are searched for: the changes of
    axes that occur between the listed settings, all axis permutations, and every origin
    on a grid of 1/24 of the cell.

    Raises
    ------
    PhaseError
        If no known setting fits.
    """
    entry = gemmi.find_spacegroup_by_ops(operations)
    if entry is not None:
        setting = _listed_settings().get(entry.xhm())
        if setting is not None:
            return setting
    found = _search_setting(operations)
    if found is None:
        raise PhaseError(
            f"{len(operations)} symmetry operators match no setting of a space group that we "
            "know; transform the structure to a standard setting"
        )
    return found


@cache
def _listed_settings() -> dict[str, Setting]:
    """Return the settings of gemmi's table by extended Hermann-Mauguin symbol."""
    settings: dict[str, Setting] = {}
    for entry in gemmi.spacegroup_table():
        standard = standard_setting(entry.number)
        to_reference = entry.basisop.inverse()
        operation = standard.basisop * to_reference
        hall = "" if entry.xhm() == standard.xhm() else entry.hall
        settings.setdefault(entry.xhm(), Setting(entry.number, hall, operation))
    return settings


@cache
def _axis_changes() -> tuple[gemmi.Op, ...]:
    """Return right-handed changes of axes; the plainest, which keep the volume, first."""
    linear: dict[tuple[int, ...], gemmi.Op] = {}
    permutations = [gemmi.Op(t) for t in ("x,y,z", "y,z,x", "z,x,y", "y,x,-z", "x,z,-y", "z,y,-x")]
    bases = {entry.basisop.inverse().triplet() for entry in gemmi.spacegroup_table()}
    bases |= {"x+y,-x+y,z", "1/2*x+1/2*y,-1/2*x+1/2*y,z"}
    for triplet in sorted(bases, key=len):
        basis = gemmi.Op(triplet)
        basis.tran = [0, 0, 0]
        for permutation in permutations:
            operation = basis * permutation
            if operation.det_rot() > 0:
                linear.setdefault(tuple(np.ravel(operation.rot)), operation)
    identity = gemmi.Op.DEN * np.eye(3)

    def plainness(operation: gemmi.Op) -> tuple[int, float]:
        distance = float(np.abs(np.array(operation.rot) - identity).sum())
        return abs(operation.det_rot() - gemmi.Op.DEN**3), distance

    return tuple(sorted(linear.values(), key=plainness))


def _transformed(operations: gemmi.GroupOps, change: gemmi.Op) -> gemmi.GroupOps:
    """Return the operators in the coordinates ``change(x)``."""
    copy = gemmi.GroupOps(list(operations))
    copy.change_basis_forward(change)
    return copy


def _rotations_and_centring(operations: gemmi.GroupOps) -> tuple[Triples, Triples]:
    rotations = frozenset(tuple(int(x) for x in np.ravel(op.rot)) for op in operations.sym_ops)
    return rotations, frozenset(tuple(vector) for vector in operations.cen_ops)


@cache
def _standard_groups() -> dict[tuple[Triples, Triples], tuple[int, ...]]:
    """Return the space groups of each arithmetic class, in their standard setting."""
    groups: dict[tuple[Triples, Triples], tuple[int, ...]] = {}
    for number in range(1, 231):
        key = _rotations_and_centring(standard_setting(number).operations())
        groups[key] = (*groups.get(key, ()), number)
    return groups


def _search_setting(operations: gemmi.GroupOps) -> Setting | None:
    for change in _axis_changes():
        changed = _transformed(operations, change)
        for number in _standard_groups().get(_rotations_and_centring(changed), ()):
            shift = _origin_shift(changed, standard_setting(number).operations())
            if shift is None:
                continue
            to_standard = change.translated(shift)
            back = to_standard.inverse()
            hall = f"{standard_setting(number).hall} ({back.triplet()})"
            return Setting(number, hall, to_standard)
    return None


def _origin_shift(operations: gemmi.GroupOps, standard: gemmi.GroupOps) -> list[int] | None:
    """Return the shift p [1/24] with ``x_standard = x + p``, None if there is none."""
    den = gemmi.Op.DEN
    grid = np.array(list(itertools.product(range(den), repeat=3)))
    target = {tuple(np.ravel(op.rot)): np.array(op.tran) for op in standard.sym_ops}
    centring = {tuple(np.array(c) % den) for c in standard.cen_ops}
    codes = np.array([1, den, den * den])
    allowed = np.array([int(np.array(c) @ codes) for c in centring])
    for op in operations.sym_ops:
        rotation = np.array(op.rot) // den
        residue = grid @ (np.eye(3, dtype=int) - rotation).T
        residue = (residue + np.array(op.tran) - target[tuple(np.ravel(op.rot))]) % den
        grid = grid[np.isin(residue @ codes, allowed)]
        if not len(grid):
            return None
    return [int(x) for x in grid[0]]
