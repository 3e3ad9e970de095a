"""The table of known phases: two text files, prototypes and phases, read once.

``tables/prototypes.csv`` says where the atoms of a structure type sit, with letters for the
kinds of atoms and names for the free coordinates; ``tables/phases.csv`` has one row per
phase, which fills in elements and numbers, or brings sites of its own. Everything is in the
standard setting (unique axis b, hexagonal axes, origin choice 1), so that a row can be read
without knowing where it is from.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources

from ..errors import PhaseError
from .phase import DEFAULT_B_ISO, AtomSite, Phase

Content = tuple[tuple[str, float], ...]
Lattice = tuple[float, float, float, float, float, float]

REFERENCES = {
    "Pearson": "Villars & Calvert (1991), Pearson's Handbook of Crystallographic Data, 2nd ed.",
    "Wyckoff": "Wyckoff (1963), Crystal Structures, vol. 1, 2nd ed.",
    "NCrystal": "NCrystal data library (Cai & Kittelmann 2020, Comput. Phys. Commun. 246, 106851)",
    "Peng": "Peng, Ren, Dudarev & Whelan (1996), Acta Cryst. A52, 456-470, Table 1",
    "AMCSD": "American Mineralogist Crystal Structure Database (Downs & Hall-Wallace 2003, "
    "Am. Mineral. 88, 247-250), entry",
    "COD": "Crystallography Open Database",
    "MP": "coordinates: Materials Project (Jain et al. 2013, APL Mater. 1, 011002), computed; "
    "cell: Villars & Calvert (1991). Entry",
}
"""What a short reference in the tables stands for; longer ones are written out there."""


@dataclass(frozen=True)
class Site:
    """One position of an asymmetric unit.

    Parameters
    ----------
    content
        Elements and their occupancies; several on a mixed position.
    position
        Fractional coordinates.
    """

    content: Content
    position: tuple[float, float, float]


@dataclass(frozen=True)
class LibraryEntry:
    """One phase of the library and where its numbers are from.

    Parameters
    ----------
    name
        Name to ask for: the formula, with a word behind it where several phases share it.
    formula
        Reduced formula.
    mineral
        Name of the mineral; empty where there is none.
    prototype
        Structure type; empty where the row has sites of its own.
    strukturbericht
        Symbol of the type, such as ``A1``; may be empty.
    space_group
        Number, 1 to 230.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees].
    sites
        Asymmetric unit.
    reference
        Source of lattice and coordinates.
    b_iso
        Debye-Waller factor [Å²] of all sites.
    b_reference
        Source of ``b_iso``; empty where it is assumed.
    """

    name: str
    formula: str
    mineral: str
    prototype: str
    strukturbericht: str
    space_group: int
    lattice: Lattice
    sites: tuple[Site, ...]
    reference: str
    b_iso: float = DEFAULT_B_ISO
    b_reference: str = ""

    @property
    def elements(self) -> frozenset[str]:
        """Return the elements that the phase holds."""
        return frozenset(element for site in self.sites for element, _ in site.content)

    @property
    def crystal_system(self) -> str:
        """Return the crystal system, such as ``"cubic"``."""
        from .levels import level_name

        return level_name(self.space_group, "crystal_system")

    def phase(self) -> Phase:
        """Return the phase with its full cell; built once."""
        return _phase(self.name)


def parse_sites(text: str, values: dict[str, float] | None = None) -> tuple[Site, ...]:
    """Return the sites that a cell of the tables describes.

    Parameters
    ----------
    text
        Such as ``"Ti 0 0 0; O x x+1/2 1/4; Fe0.5Cr0.5 1/2 y 2z"``.
    values
        Of the free coordinates.

    Raises
    ------
    PhaseError
        If a word is no number, fraction or known free coordinate.
    """
    sites = []
    for part in text.split(";"):
        words = part.split()
        if len(words) != 4:
            raise PhaseError(f"site {part.strip()!r} needs an element and three coordinates")
        x, y, z = (_coordinate(word, values or {}) for word in words[1:])
        sites.append(Site(parse_content(words[0]), (x, y, z)))
    return tuple(sites)


def parse_content(text: str) -> Content:
    """Return elements and occupancies of ``"Fe0.5Cr0.5"`` or ``"O"``.

    Raises
    ------
    PhaseError
        If it reads otherwise.
    """
    if not re.fullmatch(r"([A-Z][a-z]?(\d*\.\d+|1)?)+", text):
        raise PhaseError(f"{text!r} is no site content; write it as Fe or Fe0.5Cr0.5")
    found = re.findall(r"([A-Z][a-z]?)(\d*\.\d+|1)?", text)
    return tuple((element, float(share or 1)) for element, share in found)


@cache
def entries() -> tuple[LibraryEntry, ...]:
    """Return all phases of the table, without expanding any."""
    prototypes = {row["prototype"]: row for row in _rows("prototypes.csv")}
    return tuple(_entry(row, prototypes) for row in _rows("phases.csv"))


@cache
def _phase(name: str) -> Phase:
    entry = next(entry for entry in entries() if entry.name == name)
    sites = [
        AtomSite(element, site.position, occupancy, entry.b_iso)
        for site in entry.sites
        for element, occupancy in site.content
    ]
    return Phase.from_asymmetric_unit(entry.name, entry.space_group, entry.lattice, sites)


def _entry(row: dict[str, str], prototypes: dict[str, dict[str, str]]) -> LibraryEntry:
    number = int(row["space_group"])
    prototype = prototypes.get(row["prototype"], {})
    if row["prototype"]:
        if not prototype or int(prototype["space_group"]) != number:
            raise PhaseError(
                f"the table's row {row['name']!r} has prototype {row['prototype']!r} in space "
                f"group {number}; the table of prototypes has none such"
            )
        sites = _filled(prototype["sites"], row)
    else:
        sites = parse_sites(row["sites"])
    return LibraryEntry(
        name=row["name"],
        formula=row["formula"],
        mineral=row["mineral"],
        prototype=row["prototype"],
        strukturbericht=prototype.get("strukturbericht", ""),
        space_group=number,
        lattice=_lattice(row, number),
        sites=sites,
        reference=_reference(row["reference"]),
        b_iso=float(row["b_iso"] or DEFAULT_B_ISO),
        b_reference=REFERENCES["Peng"] if row["b_iso"] else "",
    )


def _filled(sites: str, row: dict[str, str]) -> tuple[Site, ...]:
    """Return the sites of a prototype with the species and numbers of a row."""
    letters = sorted(set(re.findall(r"(?:^|;)\s*([A-Z])\b", sites)))
    species = row["species"].split()
    if len(letters) != len(species):
        raise PhaseError(
            f"the table's row {row['name']!r} has species {species} for kinds {letters}; give one "
            "of each"
        )
    named = dict(zip(letters, species, strict=True))
    values = dict(word.split("=") for word in row["parameters"].split())
    filled = "; ".join(
        " ".join([named[words[0]], *words[1:]])
        for words in (part.split() for part in sites.split(";"))
    )
    return parse_sites(filled, {name: float(value) for name, value in values.items()})


def _coordinate(word: str, values: dict[str, float]) -> float:
    total = 0.0
    for sign, factor, name, number in re.findall(
        r"([+-]?)(?:(\d*)([a-z]\d?)|(\d+/\d+|\d*\.?\d+))", word
    ):
        if name and name not in values:
            raise PhaseError(f"coordinate {word!r} needs a value for {name}; have {values}")
        size = int(factor or 1) * values[name] if name else float(Fraction(number))
        total += -size if sign == "-" else size
    if not re.fullmatch(r"([+-]?(\d*[a-z]\d?|\d+/\d+|\d*\.?\d+))+", word):
        raise PhaseError(f"{word!r} is no coordinate; write it as 0.25, 1/4, x or x+1/2")
    return total


def _lattice(row: dict[str, str], number: int) -> Lattice:
    """Return the six cell constants; the table leaves out what symmetry gives."""
    a = float(row["a"])
    has_equal_axes = number >= 75
    b = float(row["b"] or a) if has_equal_axes else float(row["b"])
    c = float(row["c"] or a) if number >= 195 else float(row["c"])
    gamma = 120.0 if 143 <= number <= 194 else 90.0
    return (
        a,
        b,
        c,
        float(row["alpha"] or 90),
        float(row["beta"] or 90),
        float(row["gamma"] or gamma),
    )


def _reference(text: str) -> str:
    key, _, rest = text.partition(" ")
    return " ".join([REFERENCES.get(key, key), rest]).strip()


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = (resources.files(__package__) / "tables" / name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    yield from csv.DictReader(lines)
