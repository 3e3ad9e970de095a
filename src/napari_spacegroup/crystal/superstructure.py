"""Ordered superstructures of simple cubic structures: crystals of many types, each once.

Where networks fail is on structure types that training lacks, and most of those are simple
structures whose sites several elements and vacancies share in an ordered way (rock salt with a
quarter of its cations gone is a Suzuki phase). Here such orders are drawn: the sites of an
aristotype in a larger cell are split by the operators of a group (:mod:`.aristotypes`), each orbit
gets an element or stays vacant, atoms that symmetry leaves free move a little, and the cell is
scaled until atoms touch. Salts are neutral at common oxidation states; metals that share a
sublattice are of like size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import gemmi
import numpy as np

from .aristotypes import GRID, Kind, Scaffold, is_ordered, place_key, scaffolds
from .phase import Phase
from .synthetic import RARE, is_of_its_group, packed

TRIES = 3000
"""Draws in a row without a new crystal, after which there are taken to be no more."""

LIKE_SIZE = 1.3
"""Largest ratio of covalent radii on one sublattice: Heusler and Laves phases reach it."""

LOOSEST = 1.35
"""How much farther than the closest atoms, by the radii, the loosest atom may sit: the 95th
percentile of 218 cubic salts; 1.2 in 608 intermetallics."""

ATTEMPTS = 10
"""At elements for one order, before another is drawn."""

MOST_SHARING = 3
"""Elements on one sublattice."""

CATIONS = {
    1: ("Li", "Na", "K", "Rb", "Cs", "Cu", "Ag", "Tl"),
    2: ("Mg", "Ca", "Sr", "Ba", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Cd", "Hg", "Sn", "Pb", "Eu"),
    3: ("Al", "Sc", "V", "Cr", "Mn", "Fe", "Co", "Ga", "Y", "Rh", "In", "Sb", "La", "Nd", "Gd",
        "Dy", "Er", "Lu", "Bi"),
    4: ("Si", "Ti", "Mn", "Ge", "Zr", "Mo", "Ru", "Sn", "Te", "Ce", "Hf", "Re", "Ir", "Pt", "Th",
        "U"),
    5: ("V", "Nb", "Sb", "Ta", "Os"),
    6: ("Mo", "Te", "W", "Re", "U"),
}  # fmt: skip
"""By their charge in a salt."""

ANIONS = (
    ({"F": 1, "O": 2, "N": 3}, (0.3, 0.6, 0.1)),
    ({"Cl": 1, "S": 2, "P": 3}, (0.6, 0.35, 0.05)),
    ({"Br": 1, "Se": 2, "As": 3}, (0.5, 0.4, 0.1)),
    ({"I": 1, "Te": 2, "Sb": 3}, (0.6, 0.3, 0.1)),
)
"""Charges of anions, and how often each is the first; those of one period replace each other."""

PERIODS = (0.5, 0.25, 0.15, 0.1)
"""How often the anions are of each period."""

INTERSTITIALS = ("C", "N", "B", "O")
METALLOIDS = ("Si", "Ge", "As", "Sb")
RARE_EARTHS = {
    "La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Th", "U",
}  # fmt: skip
METALS = tuple(
    element.name
    for element in map(gemmi.Element, range(1, 84))
    if element.is_metal and element.name not in RARE | RARE_EARTHS
)

Colouring = tuple[int, ...]
"""What stands on the orbits of a scaffold: 0 for a vacancy, equal numbers for one element."""


@dataclass(frozen=True)
class SuperstructureLimits:
    """What a superstructure may be like.

    Parameters
    ----------
    atoms
        Most atoms in the primitive cell.
    elements
        Most elements; the least is 2.
    edge
        Longest edge of the cell [Å].
    displacement
        How far an atom that symmetry leaves free may move from the site of the aristotype, in
        distances of nearest sites.
    b_iso
        Range of the Debye-Waller factor of a site [Å²].
    """

    atoms: int = 96
    elements: int = 5
    edge: float = 16.0
    displacement: float = 0.04
    b_iso: tuple[float, float] = (0.2, 1.2)


def ordered_superstructures(
    space_group: int,
    rng: np.random.Generator,
    *,
    limits: SuperstructureLimits | None = None,
    repeats: bool = False,
) -> Iterator[Phase]:
    """Give superstructures of simple cubic structures, each order once.

    Their names tell the aristotype and the cell, such as ``perovskite 2x2x2``. The order alone
    has the group; displacements leave it. Aristotypes take turns at random, and cells with few
    orbits come more often than those with many, as in nature.

    Parameters
    ----------
    space_group
        Number, 195 to 230; a group may have no superstructure at all.
    rng
        Source of all that is random.
    limits
        What they may be like.
    repeats
        Give an order again with other elements.

    Raises
    ------
    PhaseError
        If the group is not cubic.
    """
    limits = SuperstructureLimits() if limits is None else limits
    kinds: dict[str, list[Scaffold]] = {}
    for scaffold in scaffolds(space_group):
        kinds.setdefault(scaffold.aristotype.name, []).append(scaffold)
    names = sorted(kinds)
    given: set[bytes] = set()
    refused: set[bytes] = set()
    tries = TRIES if names else 0
    while tries:
        tries -= 1
        choices = kinds[names[int(rng.integers(len(names)))]]
        simple = np.array([1 / len(choice.orbits) for choice in choices])
        scaffold = choices[int(rng.choice(len(choices), p=simple / simple.sum()))]
        colouring = _draw(scaffold, rng, limits)
        if colouring is None:
            continue
        key = colouring_key(scaffold, colouring)
        if key in refused or (key in given and not repeats):
            continue
        if key not in given and not is_ordered(scaffold, colouring):
            refused.add(key)
            continue
        for _ in range(ATTEMPTS):
            phase = _crystal(scaffold, colouring, rng, limits)
            if phase is not None:
                given.add(key)
                tries = TRIES
                yield phase
                break


def colourings(
    scaffold: Scaffold, limits: SuperstructureLimits | None = None
) -> Iterator[Colouring]:
    """Give every order on a scaffold that has exactly its group, each once.

    Without regard to whether elements for it exist. Their number grows fast with the orbits:
    ten orbits of one sublattice have tens of thousands.

    Parameters
    ----------
    scaffold
        The sites.
    limits
        How many atoms and elements there may be.
    """
    limits = SuperstructureLimits() if limits is None else limits
    sublattices = range(len(scaffold.aristotype.sublattices))
    sizes = [sum(o.sublattice == index for o in scaffold.orbits) for index in sublattices]
    seen: set[bytes] = set()
    for parts in product(*(_partitions(size) for size in sizes)):
        found: list[int] = []
        for part in parts:
            taken = max(found, default=0)
            found += [colour + taken if colour else 0 for colour in part]
        colouring = tuple(found)
        if not _is_within(scaffold, colouring, limits):
            continue
        key = colouring_key(scaffold, colouring)
        if key not in seen and is_ordered(scaffold, colouring):
            yield colouring
        seen.add(key)


def colouring_key(scaffold: Scaffold, colouring: Colouring) -> bytes:
    """Return what is the same for equal orders, whatever elements, origin or aristotype."""
    points = [orbit.points for orbit in scaffold.orbits]
    parts = [
        np.concatenate([p for p, c in zip(points, colouring, strict=True) if c == colour])
        for colour in sorted(set(colouring) - {0})
    ]
    return place_key(scaffold.space_group, parts, in_order=False)


def _partitions(size: int) -> Iterator[Colouring]:
    """Give all ways to share so many orbits among vacancies and up to three elements."""
    for colours in product(range(MOST_SHARING + 1), repeat=size):
        firsts = list(dict.fromkeys(c for c in colours if c))
        if firsts == list(range(1, len(firsts) + 1)):
            yield colours


def _is_within(scaffold: Scaffold, colouring: Colouring, limits: SuperstructureLimits) -> bool:
    """Return whether an order has two elements or more, and no more atoms than allowed."""
    pairs = zip(scaffold.orbits, colouring, strict=True)
    atoms = sum(len(orbit.points) for orbit, colour in pairs if colour)
    return 2 <= max(colouring) <= limits.elements and atoms <= limits.atoms * scaffold.centring


def _draw(
    scaffold: Scaffold, rng: np.random.Generator, limits: SuperstructureLimits
) -> Colouring | None:
    """Draw an order; None if it breaks the limits."""
    found: list[int] = []
    taken = 0
    for index, sublattice in enumerate(scaffold.aristotype.sublattices):
        size = sum(orbit.sublattice == index for orbit in scaffold.orbits)
        palette = int(rng.integers(1, min(size, MOST_SHARING) + 1))
        drawn = np.where(
            rng.random(size) < sublattice.empty, 0, 1 + rng.integers(palette, size=size)
        )
        order = {c: i for i, c in enumerate(dict.fromkeys(drawn[drawn > 0].tolist()), taken + 1)}
        found += [order.get(int(colour), 0) for colour in drawn]
        taken += len(order)
    colouring = tuple(found)
    return colouring if _is_within(scaffold, colouring, limits) else None


def _crystal(
    scaffold: Scaffold, colouring: Colouring, rng: np.random.Generator, limits: SuperstructureLimits
) -> Phase | None:
    """Return a crystal of an order; None if elements can't be found or do not fit."""
    elements = _elements(scaffold, colouring, rng)
    if elements is None:
        return None
    reach = limits.displacement * scaffold.closest()
    content = []
    for orbit, colour in zip(scaffold.orbits, colouring, strict=True):
        step = orbit.free @ rng.normal(size=3)
        length = float(np.linalg.norm(step))
        if length > 1e-6:
            step *= rng.uniform(0, reach) / length
        if colour:
            place = orbit.points[0] / GRID + step
            content.append((elements[colour - 1], place, float(rng.uniform(*limits.b_iso))))
    name, group = scaffold.name, scaffold.space_group
    phase = packed(name, group, np.eye(3), content, rng, loosest=LOOSEST)
    if phase is None or phase.lattice[0] > limits.edge or not is_of_its_group(phase):
        return None
    return phase


def _elements(
    scaffold: Scaffold, colouring: Colouring, rng: np.random.Generator
) -> list[str] | None:
    """Draw an element for each colour; None if the draw makes no sense together."""
    sublattice = {c: o.sublattice for o, c in zip(scaffold.orbits, colouring, strict=True) if c}
    colours = range(1, len(sublattice) + 1)
    kinds = [scaffold.aristotype.sublattices[sublattice[colour]].kind for colour in colours]
    counts: Counter[int] = Counter()
    for orbit, colour in zip(scaffold.orbits, colouring, strict=True):
        counts[colour] += len(orbit.points)
    if "metal" in kinds:
        names = _alloyed(kinds, [counts[colour] for colour in colours], rng)
    else:
        names = _salted(kinds, [counts[colour] for colour in colours], rng)
    if names is None or len(set(names)) < len(names):
        return None
    for index in set(sublattice.values()):
        radii = [gemmi.Element(names[c - 1]).covalent_r for c in colours if sublattice[c] == index]
        if max(radii) > LIKE_SIZE * min(radii):
            return None
    return names


def _alloyed(kinds: list[Kind], counts: list[int], rng: np.random.Generator) -> list[str] | None:
    """Draw metals, a few metalloids and what sits between them; None if metals are too few."""
    names = []
    for kind in kinds:
        metal = METALS if rng.random() < 0.75 else tuple(sorted(RARE_EARTHS))
        chosen = INTERSTITIALS if kind == "interstitial" else metal
        if kind == "metal" and rng.random() < 0.1:
            chosen = METALLOIDS
        names.append(str(rng.choice(chosen)))
    metals = sum(
        n for n, name in zip(counts, names, strict=True) if name not in INTERSTITIALS + METALLOIDS
    )
    return names if 2 * metals >= sum(counts) else None


def _salted(kinds: list[Kind], counts: list[int], rng: np.random.Generator) -> list[str] | None:
    """Draw ions that are neutral together; None if there are none."""
    charges, weights = ANIONS[int(rng.choice(len(ANIONS), p=PERIODS))]
    anions = [i for i, kind in enumerate(kinds) if kind == "anion"]
    cations = [i for i, kind in enumerate(kinds) if kind == "cation"]
    if not cations or not 1 <= len(anions) <= len(charges):
        return None
    names = [""] * len(kinds)
    drawn = rng.choice(list(charges), len(anions), replace=False, p=weights)
    for index, anion in zip(sorted(anions, key=lambda i: -counts[i]), drawn, strict=True):
        names[index] = str(anion)
    needed = sum(charges[names[i]] * counts[i] for i in anions)
    sizes = [counts[i] for i in cations]
    neutral = [q for q in product(CATIONS, repeat=len(sizes)) if np.dot(q, sizes) == needed]
    if not neutral:
        return None
    for index, charge in zip(cations, neutral[int(rng.integers(len(neutral)))], strict=True):
        names[index] = str(rng.choice(CATIONS[charge]))
    return names
