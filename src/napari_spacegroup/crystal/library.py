"""Well-known phases that ship with the package, so that it works without any CIF.

Facts with their source, in the standard setting (origin choice 1); lattice parameters are
those at room temperature unless the phase exists only elsewhere. Debye-Waller factors of
some elements are those of Peng et al. (1996) at 280 K, 5 % below their value at 295 K where
the table ends; all others carry the default of
:data:`~napari_spacegroup.crystal.phase.DEFAULT_B_ISO`, an assumption that is good to about a
factor of two. ``docs/library.md`` says how the table is checked.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import cache

from ..errors import PhaseError
from .levels import level_name, level_names
from .phase import Phase
from .phase_table import LibraryEntry, entries

__all__ = ["LibraryEntry", "find_phases", "library", "library_entries", "library_phase"]


def library_entries() -> tuple[LibraryEntry, ...]:
    """Return all rows of the library, in the order of its table; quick."""
    return entries()


@cache
def library() -> tuple[Phase, ...]:
    """Return all phases that ship with the package, all with distinct names.

    Every cell is expanded, which takes a few seconds the first time; to search or to list
    take :func:`library_entries`.
    """
    return tuple(entry.phase() for entry in entries())


def library_phase(name: str) -> Phase:
    """Return one phase of the library.

    Raises
    ------
    KeyError
        If the library has no phase of this name; the message lists similar names.

    Examples
    --------
    >>> library_phase("Ni").space_group
    225
    """
    found = next((entry for entry in entries() if entry.name == name), None)
    if found is not None:
        return found.phase()
    close = difflib.get_close_matches(name, [entry.name for entry in entries()], 5, 0.6)
    similar = ", ".join([*close, *(e.name for e in find_phases(name)[:5] if e.name not in close)])
    raise KeyError(
        f"no phase {name!r} in the library of {len(entries())}; "
        f"{f'similar names: {similar}' if similar else 'names are such as Ni, Fe3C-cementite'}"
    )


def find_phases(
    text: str = "",
    *,
    space_group: int | None = None,
    system: str | None = None,
    elements: Collection[str] = (),
    only: bool = False,
) -> tuple[LibraryEntry, ...]:
    """Return the phases of the library that fit all conditions.

    Parameters
    ----------
    text
        Words that name, formula, mineral, structure type, Strukturbericht symbol, crystal
        system, number or symbol of the space group hold, each in any of them; upper and lower
        case are one.
    space_group
        Number, 1 to 230.
    system
        Crystal system, such as ``"cubic"``.
    elements
        Symbols that a phase must hold.
    only
        Whether it may hold no others.

    Returns
    -------
    entries
        Those whose name, formula or mineral is the text itself first, then those where it
        begins a name, then the order of the table.

    Raises
    ------
    PhaseError
        If there is no such space group, crystal system or element.

    Examples
    --------
    >>> [entry.name for entry in find_phases(elements=["Fe", "C"], only=True, space_group=62)]
    ['Fe3C-cementite', 'Fe7C3']
    """
    if space_group is not None and not 1 <= space_group <= 230:
        raise PhaseError(f"space group {space_group} does not exist; they number 1 to 230")
    systems = level_names("crystal_system")
    if system is not None and system not in systems:
        raise PhaseError(
            f"there is no crystal system {system!r}; it is one of {', '.join(systems)}"
        )
    asked = frozenset(_element(symbol) for symbol in elements)
    words = text.lower().split()
    found = [
        entry
        for entry in entries()
        if (space_group is None or entry.space_group == space_group)
        and (system is None or entry.crystal_system == system)
        and asked <= entry.elements
        and not (only and entry.elements - asked)
        and all(word in _searched(entry) for word in words)
    ]
    whole = " ".join(words)
    return tuple(sorted(found, key=lambda entry: _rank(entry, whole)))


@cache
def _searched(entry: LibraryEntry) -> str:
    symbol = level_name(entry.space_group, "space_group")
    parts = (entry.name, entry.formula, entry.mineral, entry.prototype, entry.strukturbericht)
    return "\n".join([*parts, str(entry.space_group), symbol, entry.crystal_system]).lower()


def _rank(entry: LibraryEntry, text: str) -> int:
    names = [name.lower() for name in (entry.name, entry.formula, entry.mineral)]
    if not text:
        return 0
    if text in names:
        return 0
    return 1 if any(name.startswith(text) for name in names) else 2


def _element(symbol: str) -> str:
    import gemmi

    found = gemmi.Element(symbol)
    if found.atomic_number == 0 or found.name.lower() != symbol.lower():
        raise PhaseError(f"{symbol!r} is no element; give symbols such as Fe or O")
    return str(found.name)
