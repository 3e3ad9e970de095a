"""Names for the classes of zone-axis patterns, and groups that always look alike.

``A1-0`` is the first square pattern without absences; :mod:`.zone_patterns` says how the
letter and the two numbers come about.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from .zone_patterns import EffectiveGroup, ZonePattern, zone_pattern


@dataclass(frozen=True)
class ZoneClasses:
    """Names of classes, and which patterns fall in each.

    Parameters
    ----------
    names
        Class of each (group, axis).
    patterns
        Appearance of each class, by name.
    """

    names: dict[tuple[EffectiveGroup, tuple[int, int, int]], str]
    patterns: dict[str, ZonePattern]

    @property
    def members(self) -> dict[str, list[tuple[EffectiveGroup, tuple[int, int, int]]]]:
        """Return the patterns of each class."""
        found: dict[str, list[tuple[EffectiveGroup, tuple[int, int, int]]]] = {}
        for pair, name in self.names.items():
            found.setdefault(name, []).append(pair)
        return {name: found[name] for name in sorted(found, key=_name_order)}


def _name_order(name: str) -> tuple[str, int, int]:
    number, variant = name[1:].split("-")
    return name[0], int(number), int(variant)


def zone_classes(
    groups: Iterable[EffectiveGroup], axes: Iterable[tuple[int, int, int]]
) -> ZoneClasses:
    """Return the classes of all patterns of some groups along some axes.

    Parameters
    ----------
    groups
        Cubic groups.
    axes
        Zone axes.
    """
    drawn = {(g, a): zone_pattern(g, a) for g, a in itertools.product(list(groups), list(axes))}
    shapes: dict[tuple[object, ...], int] = {}
    variants: dict[tuple[object, ...], int] = {}
    # Fewest absences first, so that variant 0 has none where there is such a pattern.
    for category in "ABCD":
        keys = sorted({p.key[1:3] for p in drawn.values() if p.lattice.category == category},
                      reverse=True)  # fmt: skip
        for number, key in enumerate(keys, start=1):
            shapes[category, *key] = number
            found = {p.absent for p in drawn.values() if p.key[:3] == (category, *key)}
            for variant, absent in enumerate(sorted(found, key=lambda a: (sum(a), a))):
                variants[category, *key, absent] = variant
    names: dict[tuple[EffectiveGroup, tuple[int, int, int]], str] = {}
    patterns: dict[str, ZonePattern] = {}
    for pair, pattern in drawn.items():
        number = shapes[pattern.key[:3]]
        name = f"{pattern.lattice.category}{number}-{variants[pattern.key]}"
        names[pair] = name
        patterns.setdefault(name, pattern)
    return ZoneClasses(names, patterns)


def coinciding_groups(
    groups: Iterable[EffectiveGroup], axes: Iterable[tuple[int, int, int]]
) -> list[tuple[EffectiveGroup, ...]]:
    """Return the groups whose patterns look alike along every axis, together."""
    axes = list(axes)
    found: dict[tuple[object, ...], list[EffectiveGroup]] = {}
    for group in groups:
        found.setdefault(tuple(zone_pattern(group, a).key for a in axes), []).append(group)
    return [tuple(members) for members in found.values()]
