"""Well-known materials that ship with the package, so that it works without any CIF.

Facts with their source, in the standard setting (origin choice 1). Lattice parameters are
those at room temperature. Debye-Waller factors of elements are those of Peng et al. (1996)
at 280 K, 5 % below their value at 295 K where the table ends; compounds carry the default
of :data:`~napari_spacegroup.crystal.phase.DEFAULT_B_ISO`, an assumption that is good to
about a factor of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .phase import DEFAULT_B_ISO, AtomSite, Phase

PEARSON = "Villars & Calvert (1991), Pearson's Handbook of Crystallographic Data, 2nd ed."
PENG = "Peng, Ren, Dudarev & Whelan (1996), Acta Cryst. A52, 456-470, Table 1"
NCRYSTAL = "NCrystal data library (Cai & Kittelmann 2020, Comput. Phys. Commun. 246, 106851)"
WYCKOFF = "Wyckoff (1963), Crystal Structures, vol. 1, 2nd ed."

Site = tuple[str, float, float, float]


@dataclass(frozen=True)
class LibraryEntry:
    """One material of the library and where its numbers are from.

    Parameters
    ----------
    name
        Name to ask for, a formula or the usual name.
    space_group
        Number, 1 to 230.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees].
    sites
        Asymmetric unit: element and fractional coordinates.
    reference
        Source of lattice and coordinates.
    b_iso
        Debye-Waller factor [Å²] of all sites.
    b_reference
        Source of ``b_iso``; empty where it is assumed.
    """

    name: str
    space_group: int
    lattice: tuple[float, float, float, float, float, float]
    sites: tuple[Site, ...]
    reference: str
    b_iso: float = DEFAULT_B_ISO
    b_reference: str = ""

    def phase(self) -> Phase:
        """Return the phase with its full cell."""
        sites = [AtomSite(s[0], (s[1], s[2], s[3]), b_iso=self.b_iso) for s in self.sites]
        return Phase.from_asymmetric_unit(self.name, self.space_group, self.lattice, sites)


def _element(
    name: str, group: int, a: float, c: float, b_iso: float, xyz: tuple[float, float, float]
) -> LibraryEntry:
    lattice = _hexagonal(a, c) if group == 194 else _cubic(a)
    return LibraryEntry(name, group, lattice, ((name.split("-")[0], *xyz),), PEARSON, b_iso, PENG)


def _cubic(a: float) -> tuple[float, float, float, float, float, float]:
    return a, a, a, 90.0, 90.0, 90.0


def _hexagonal(a: float, c: float) -> tuple[float, float, float, float, float, float]:
    return a, a, c, 90.0, 90.0, 120.0


ORIGIN = (0.0, 0.0, 0.0)
HCP = (1 / 3, 2 / 3, 0.25)

ENTRIES: tuple[LibraryEntry, ...] = (
    _element("Al", 225, 4.0495, 0.0, 0.746, ORIGIN),
    _element("Ni", 225, 3.5238, 0.0, 0.340, ORIGIN),
    _element("Cu", 225, 3.6149, 0.0, 0.526, ORIGIN),
    _element("Ag", 225, 4.0862, 0.0, 0.702, ORIGIN),
    _element("Au", 225, 4.0782, 0.0, 0.593, ORIGIN),
    _element("Pt", 225, 3.9236, 0.0, 0.356, ORIGIN),
    _element("Fe", 229, 2.8665, 0.0, 0.310, ORIGIN),
    _element("Cr", 229, 2.8847, 0.0, 0.239, ORIGIN),
    _element("Mo", 229, 3.1470, 0.0, 0.205, ORIGIN),
    _element("Ta", 229, 3.3030, 0.0, 0.308, ORIGIN),
    _element("W", 229, 3.1652, 0.0, 0.153, ORIGIN),
    _element("C-diamond", 227, 3.5668, 0.0, 0.142, ORIGIN),
    _element("Si", 227, 5.4310, 0.0, 0.463, ORIGIN),
    _element("Ge", 227, 5.6579, 0.0, 0.573, ORIGIN),
    _element("Mg", 194, 3.2094, 5.2107, 1.731, HCP),
    _element("Ti", 194, 2.9506, 4.6835, 0.491, HCP),
    LibraryEntry("NaCl", 225, _cubic(5.6402), (("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)), WYCKOFF),
    LibraryEntry("MgO", 225, _cubic(4.2112), (("Mg", 0, 0, 0), ("O", 0.5, 0.5, 0.5)), WYCKOFF),
    LibraryEntry("TiC", 225, _cubic(4.3274), (("Ti", 0, 0, 0), ("C", 0.5, 0.5, 0.5)), PEARSON),
    LibraryEntry("NbC", 225, _cubic(4.4698), (("Nb", 0, 0, 0), ("C", 0.5, 0.5, 0.5)), PEARSON),
    LibraryEntry("TaC", 225, _cubic(4.4555), (("Ta", 0, 0, 0), ("C", 0.5, 0.5, 0.5)), PEARSON),
    LibraryEntry("CaF2", 225, _cubic(5.4630), (("Ca", 0, 0, 0), ("F", 0.25, 0.25, 0.25)), WYCKOFF),
    LibraryEntry("NiAl", 221, _cubic(2.887), (("Ni", 0, 0, 0), ("Al", 0.5, 0.5, 0.5)), PEARSON),
    LibraryEntry("FeAl", 221, _cubic(2.909), (("Fe", 0, 0, 0), ("Al", 0.5, 0.5, 0.5)), PEARSON),
    LibraryEntry("CsCl", 221, _cubic(4.123), (("Cs", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)), WYCKOFF),
    LibraryEntry("Ni3Al", 221, _cubic(3.572), (("Al", 0, 0, 0), ("Ni", 0, 0.5, 0.5)), PEARSON),
    LibraryEntry("FeNi3", 221, _cubic(3.552), (("Fe", 0, 0, 0), ("Ni", 0, 0.5, 0.5)), PEARSON),
    LibraryEntry(
        "SrTiO3",
        221,
        _cubic(3.905),
        (("Sr", 0.5, 0.5, 0.5), ("Ti", 0, 0, 0), ("O", 0.5, 0, 0)),
        WYCKOFF,
    ),
    LibraryEntry("Cr3Si", 223, _cubic(4.558), (("Si", 0, 0, 0), ("Cr", 0.25, 0, 0.5)), PEARSON),
    LibraryEntry("Mo3Si", 223, _cubic(4.893), (("Si", 0, 0, 0), ("Mo", 0.25, 0, 0.5)), PEARSON),
    LibraryEntry(
        "ZnS-sphalerite", 216, _cubic(5.4093), (("Zn", 0, 0, 0), ("S", 0.25, 0.25, 0.25)), WYCKOFF
    ),
    LibraryEntry("GaAs", 216, _cubic(5.6533), (("Ga", 0, 0, 0), ("As", 0.25, 0.25, 0.25)), PEARSON),
    LibraryEntry(
        "MgAl2O4-spinel",
        227,
        _cubic(8.0806),
        (("Mg", 0, 0, 0), ("Al", 0.625, 0.625, 0.625), ("O", 0.3873, 0.3873, 0.3873)),
        NCRYSTAL,
    ),
    LibraryEntry(
        "Y3Al5O12-garnet",
        230,
        _cubic(12.0062),
        (
            ("Y", 0.125, 0, 0.25),
            ("Al", 0, 0, 0),
            ("Al", 0.375, 0, 0.25),
            ("O", 0.9682, 0.0511, 0.1498),
        ),
        NCRYSTAL,
    ),
    LibraryEntry(
        "FeS2-pyrite",
        205,
        _cubic(5.4179),
        (("Fe", 0, 0, 0), ("S", 0.384, 0.384, 0.384)),
        "Crystallography Open Database, pyrite",
    ),
    LibraryEntry(
        "Fe3C-cementite",
        62,
        (5.0910, 6.7434, 4.5260, 90.0, 90.0, 90.0),
        (("Fe", 0.1860, 0.0630, 0.3280), ("Fe", 0.0360, 0.25, 0.8520), ("C", 0.8900, 0.25, 0.4500)),
        "after Herbstein & Smuts (1964), Acta Cryst. 17, 1331-1332; not held against the paper",
    ),
    LibraryEntry(
        "SiO2-quartz",
        154,
        _hexagonal(4.9160, 5.4054),
        (("Si", 0.4697, 0, 2 / 3), ("O", 0.4135, 0.2669, 0.1191 + 2 / 3)),
        "Levien, Prewitt & Weidner (1980), Am. Mineral. 65, 920-930, origin moved by c/3",
    ),
    LibraryEntry(
        "TiO2-rutile",
        136,
        (4.5937, 4.5937, 2.9581, 90.0, 90.0, 90.0),
        (("Ti", 0, 0, 0), ("O", 0.3053, 0.3053, 0)),
        WYCKOFF,
    ),
    LibraryEntry(
        "ZnO-zincite",
        186,
        _hexagonal(3.2495, 5.2069),
        (("Zn", 1 / 3, 2 / 3, 0), ("O", 1 / 3, 2 / 3, 0.345)),
        WYCKOFF,
    ),
)
"""The library by space group and chemistry; see :func:`library`."""


@cache
def library() -> tuple[Phase, ...]:
    """Return the phases that ship with the package, all with distinct names."""
    return tuple(entry.phase() for entry in ENTRIES)


def library_phase(name: str) -> Phase:
    """Return one phase of the library.

    Raises
    ------
    KeyError
        If the library has no phase of this name; the message lists the names.

    Examples
    --------
    >>> library_phase("Ni").space_group
    225
    """
    for phase in library():
        if phase.name == name:
            return phase
    names = ", ".join(entry.name for entry in ENTRIES)
    raise KeyError(f"no phase {name!r} in the library; it has {names}")
