"""Symmetry levels: what coarser answer each of the 230 space groups belongs to.

Probabilities over space groups are summed up to these levels, so each level is a map from
space-group number to a class. All of it is computed from the operators of the standard
settings; nothing is typed in but the axis names of the Bravais lattices.

Two remarks on the levels as a hierarchy. A hexagonal primitive lattice carries trigonal
and hexagonal groups, so crystal systems are summed from space groups, not from lattices.
An extinction group can hold several point groups, but it lies in one Laue class and one
Bravais lattice.

An *extinction group* holds the space groups that share the Laue class in its orientation
to the lattice (the arithmetic class of the Patterson function), and the reflections that
their operators extinguish, up to a relabelling of the axes. There are 122. Without the
orientation, -3m1 and -31m merge and 120 are left; with crystal systems instead of Laue
classes it is 101, the number met in work on powder patterns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal, get_args

import gemmi
import numpy as np
from numpy.typing import NDArray

from .symmetry import standard_setting

Level = Literal[
    "space_group",
    "extinction_group",
    "point_group",
    "laue_class",
    "bravais_lattice",
    "crystal_system",
]
LEVELS: tuple[Level, ...] = get_args(Level)
"""All levels, the finest first."""

BOX = 6
"""Reflections with indices up to this decide on extinction: the longest period is that of
a six-fold screw axis."""

Rotations = frozenset[tuple[int, ...]]


@cache
def level_names(level: Level) -> tuple[str, ...]:
    """Return the classes of a level in canonical order.

    Space groups are Hermann-Mauguin symbols by number; the classes of other levels follow
    their lowest space-group number.

    Raises
    ------
    ValueError
        If there is no such level.
    """
    return tuple(dict.fromkeys(_names(level)))


def level_name(space_group: int, level: Level) -> str:
    """Return the class of a space group at a level.

    Raises
    ------
    ValueError
        If the number is not in 1 to 230, or there is no such level.

    Examples
    --------
    >>> level_name(227, "point_group"), level_name(227, "bravais_lattice")
    ('m-3m', 'cF')
    """
    standard_setting(space_group)
    return _names(level)[space_group - 1]


def level_index(space_group: int, level: Level) -> int:
    """Return the index of a space group's class at a level, counted from 1.

    Examples
    --------
    >>> level_index(227, "space_group"), level_index(227, "crystal_system")
    (227, 7)
    """
    standard_setting(space_group)
    return _indices(level)[space_group - 1]


def members(level: Level, name: str) -> tuple[int, ...]:
    """Return the space-group numbers of a class, ascending.

    Raises
    ------
    ValueError
        If the level has no class of this name.

    Examples
    --------
    >>> members("laue_class", "m-3")
    (195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 205, 206)
    """
    names = _names(level)
    found = tuple(number for number, n in enumerate(names, start=1) if n == name)
    if not found:
        raise ValueError(f"{level} has no class {name!r}; it has {', '.join(level_names(level))}")
    return found


def aggregate(classes: Sequence[int], level: Level) -> tuple[tuple[int, ...], NDArray[np.float32]]:
    """Return how probabilities over space groups are summed up to a level.

    Parameters
    ----------
    classes
        Space-group numbers, in the order of the probabilities.
    level
        Target level.

    Returns
    -------
    reached
        Indices (from 1, see :func:`level_index`) of the level's classes that these space
        groups reach, ascending.
    matrix
        Shape ``(len(classes), len(reached))``, 0 or 1, one 1 in each row:
        ``probabilities @ matrix`` has the probabilities of ``reached``.
    """
    indices = [level_index(int(number), level) for number in classes]
    reached = tuple(sorted(set(indices)))
    matrix = np.zeros((len(indices), len(reached)), np.float32)
    for row, index in enumerate(indices):
        matrix[row, reached.index(index)] = 1.0
    return reached, matrix


@cache
def _names(level: Level) -> tuple[str, ...]:
    """Return the class of every space group, by number."""
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}; choose one of {', '.join(LEVELS)}")
    if level == "extinction_group":
        return _extinction_names()
    namers: dict[str, Callable[[int], str]] = {
        "space_group": _symbol,
        "point_group": _point_group,
        "laue_class": _laue_name,
        "bravais_lattice": _bravais_name,
        "crystal_system": lambda number: _system(_rotations(number)),
    }
    namer = namers[level]
    return tuple(namer(number) for number in range(1, 231))


@cache
def _indices(level: Level) -> tuple[int, ...]:
    order = {name: index for index, name in enumerate(level_names(level), start=1)}
    return tuple(order[name] for name in _names(level))


def _symbol(number: int) -> str:
    """Return the short Hermann-Mauguin symbol, R for rhombohedral lattices."""
    entry = standard_setting(number)
    short = str(entry.short_name())
    return "R" + short[1:] if short.startswith("H") else short


def _point_group(number: int) -> str:
    return str(standard_setting(number).point_group_hm())


@cache
def _rotations(number: int) -> Rotations:
    """Return the rotation parts of a space group on its lattice, without translations."""
    return _rotation_parts(standard_setting(number).operations())


def _rotation_parts(operations: gemmi.GroupOps) -> Rotations:
    return frozenset(
        tuple(int(x) // gemmi.Op.DEN for x in np.ravel(op.rot)) for op in operations.sym_ops
    )


def _with_inversion(rotations: Rotations) -> Rotations:
    return rotations | {tuple(-x for x in rotation) for rotation in rotations}


@cache
def _orders(rotations: Rotations) -> dict[int, int]:
    """Return how many operators have each order, from the trace of their proper part."""
    order_of_trace = {3: 1, -1: 2, 0: 3, 1: 4, 2: 6}
    matrices = np.array(sorted(rotations)).reshape(-1, 3, 3)
    determinants = np.round(np.linalg.det(matrices)).astype(int)
    traces = (np.trace(matrices, axis1=1, axis2=2) * determinants).tolist()
    return {order: traces.count(trace) for trace, order in order_of_trace.items()}


def _system(rotations: Rotations) -> str:
    """Return the crystal system that the axes of rotation or inversion demand."""
    counts = _orders(_with_inversion(rotations))
    if counts[3] == 16:
        return "cubic"
    for order, system in ((6, "hexagonal"), (3, "trigonal"), (4, "tetragonal")):
        if counts[order]:
            return system
    return {0: "triclinic", 2: "monoclinic", 6: "orthorhombic"}[counts[2]]


def _laue_name(number: int) -> str:
    """Return the point group that inversion completes the group's rotations to."""
    wanted = _orders(_with_inversion(_rotations(number)))
    candidate = next(c for c in _laue_groups() if _orders(_rotations(c)) == wanted)
    return _point_group(candidate)


@cache
def _laue_groups() -> tuple[int, ...]:
    """Return the lowest space group of each of the 11 centrosymmetric point groups."""
    first: dict[str, int] = {}
    for number in range(1, 231):
        entry = standard_setting(number)
        if entry.is_centrosymmetric():
            first.setdefault(entry.point_group_hm(), number)
    return tuple(first.values())


def _bravais_name(number: int) -> str:
    """Return the Pearson symbol of the lattice; S is a centring of one face."""
    system = _system(_rotations(number))
    axes = {
        "triclinic": "a",
        "monoclinic": "m",
        "orthorhombic": "o",
        "tetragonal": "t",
        "trigonal": "h",
        "hexagonal": "h",
        "cubic": "c",
    }[system]
    half = gemmi.Op.DEN // 2
    vectors = [tuple(vector) for vector in standard_setting(number).operations().cen_ops]
    centring = {1: "P", 2: "I" if (half, half, half) in vectors else "S", 3: "R", 4: "F"}
    return axes + centring[len(vectors)]


@cache
def _box() -> NDArray[np.int32]:
    """Return one reflection of each Friedel pair; both are extinguished together."""
    indices = range(-BOX, BOX + 1)
    reflections = itertools.product(range(BOX + 1), indices, indices)
    return np.array(list(reflections), np.int32)


@cache
def _axis_changes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the right-handed unimodular matrices of -1, 0 and 1, and their inverses."""
    entries = np.array(list(itertools.product((-1, 0, 1), repeat=9)), float).reshape(-1, 3, 3)
    first, second, third = np.moveaxis(entries, 1, 0)
    changes = entries[np.einsum("ni,ni->n", np.cross(first, second), third) == 1]
    return changes, np.asarray(np.round(np.linalg.inv(changes)), np.float64)


@cache
def _relabellings(laue: Rotations, centring: frozenset[tuple[int, ...]]) -> NDArray[np.int32]:
    """Return the changes of axes that keep lattice and Laue group, shape ``(n, 3, 3)``.

    One of each coset of the Laue group, whose own operators change no extinction.
    """
    changes, inverses = _axis_changes()
    codes = 3.0 ** np.arange(9)
    group = np.array(sorted(laue)) @ codes
    for rotation in laue:
        image = (inverses @ np.reshape(rotation, (3, 3)) @ changes).reshape(-1, 9)
        kept = np.isin(image @ codes, group) & (np.abs(image) <= 1).all(axis=1)
        changes, inverses = changes[kept], inverses[kept]
    for vector in centring:
        image = (changes @ np.array(vector)).astype(int) % gemmi.Op.DEN
        changes = changes[[tuple(row) in centring for row in image.tolist()]]
    members_of_group = np.array(sorted(laue)).reshape(-1, 3, 3)
    cosets: dict[float, NDArray[np.float64]] = {}
    for change in changes:
        images = (change @ members_of_group).reshape(-1, 9)
        cosets.setdefault(float((images @ 9.0 ** np.arange(9)).min()), change)
    return np.array(list(cosets.values())).astype(np.int32)


def _face_centred_alike(operations: gemmi.GroupOps) -> gemmi.GroupOps:
    """Return the operators on axes where a single centring vector is the smallest.

    The Tables give some orthorhombic groups A-centred and others C-centred.
    """
    if len(operations.cen_ops) != 2:
        return operations
    choices = []
    for permutation in ("x,y,z", "y,z,x", "z,x,y"):
        choice = gemmi.GroupOps(list(operations))
        choice.change_basis_forward(gemmi.Op(permutation))
        choices.append(choice)
    return min(choices, key=lambda choice: sorted(tuple(v) for v in choice.cen_ops))


@cache
def _extinction_key(number: int) -> tuple[Rotations, bytes]:
    """Return what identifies the extinction group: Patterson class and absences."""
    operations = _face_centred_alike(standard_setting(number).operations())
    laue = _with_inversion(_rotation_parts(operations))
    centring = frozenset(tuple(vector) for vector in operations.cen_ops)
    if not operations.systematic_absences(_box()).any():
        return laue, b""
    masks = []
    for change in _relabellings(laue, centring):
        # floating point, because numpy multiplies integer matrices without BLAS
        reflections = (_box().astype(float) @ change).astype(np.int32)
        masks.append(np.packbits(operations.systematic_absences(reflections)).tobytes())
    return laue, min(masks)


@cache
def _extinction_names() -> tuple[str, ...]:
    groups: dict[tuple[Rotations, bytes], list[int]] = {}
    for number in range(1, 231):
        groups.setdefault(_extinction_key(number), []).append(number)
    names = {}
    for numbers in groups.values():
        last = numbers[-1]
        symbol = _extinction_symbol(last)
        if not standard_setting(last).is_centrosymmetric():  # say P 41, not its mirror image
            symbol = min(_extinction_symbol(number) for number in numbers)
        name = f"{_oriented_laue_name(last)} {symbol}"
        for number in numbers:
            names[number] = name
    return tuple(names[number] for number in range(1, 231))


def _oriented_laue_name(number: int) -> str:
    """Return the Laue class, with the orientation of -3m on a primitive lattice."""
    name = _laue_name(number)
    if name != "-3m" or _bravais_name(number) == "hR":
        return name
    return "-3m1" if (0, 1, 0, 1, 0, 0, 0, 0, -1) in _with_inversion(_rotations(number)) else "-31m"


def _extinction_symbol(number: int) -> str:
    """Return the Hermann-Mauguin symbol with a dash for whatever extinguishes nothing.

    A screw axis is left out where glide planes extinguish all that it does, the habit of
    the International Tables.
    """
    entry = standard_setting(number)
    lattice, *directions = entry.hm.split()
    screws_matter = _screws_matter(number)
    tokens = []
    for direction in directions:
        axis, _, plane = direction.partition("/")
        screw = axis if len(axis) == 2 and axis.isdigit() and screws_matter else ""
        glide = next((part for part in (plane, axis) if part in tuple("abcden")), "")
        if direction == "1" and _system(_rotations(number)) == "monoclinic":
            tokens.append("1")
        else:
            tokens.append("/".join(part for part in (screw, glide) if part) or "-")
    return " ".join([lattice, *tokens])


def _screws_matter(number: int) -> bool:
    """Tell whether screw axes extinguish reflections that glide planes leave."""
    operations = standard_setting(number).operations()
    mirrors = [op for op in operations.sym_ops if op.rot_type() in (1, -2)]
    glides_only = np.zeros(len(_box()), bool)
    for op, vector in itertools.product(mirrors, operations.cen_ops):
        rotation = np.array(op.rot) // gemmi.Op.DEN
        fixed = (_box() @ rotation == _box()).all(axis=1)
        phase = _box() @ (np.array(op.tran) + np.array(vector)) % gemmi.Op.DEN
        glides_only |= fixed & (phase != 0)
    return bool((operations.systematic_absences(_box()) & ~glides_only).any())
