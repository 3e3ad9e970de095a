"""Phases from CIF files, with every claim of the file held against the others.

A CIF names its space group up to four times: by operators, number, Hermann-Mauguin
symbol and Hall symbol. A simulation in the wrong group or at the wrong origin looks
perfectly good, so contradictions are refused here instead of resolved in silence. The
operators, when listed, define the setting.
"""

from __future__ import annotations

import logging
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import cast

import gemmi
import numpy as np

from ..errors import PhaseError
from .cif_symmetry import Columns, allowed_settings, first_value
from .displacement import displacement_factors
from .phase import AtomSite, Phase
from .symmetry import distances

logger = logging.getLogger(__name__)

OVERLAP_DISTANCE = 0.3
"""Atoms closer than this [Å] share one place and may not exceed one atom together."""


def read_cif(path: Path) -> Phase:
    """Return the first structure of a CIF file, with its full cell.

    Parameters
    ----------
    path
        A CIF file with fractional coordinates. Its stem becomes the name of the phase.

    Returns
    -------
    phase
        In the setting of the file. Occupancies are kept, also of mixed sites; U or B, iso-
        or anisotropic, becomes an isotropic B [Å²], the default where the file has none.

    Raises
    ------
    PhaseError
        If the file is no CIF, has no atoms or no symmetry, or contradicts itself.
    """
    path = Path(path)
    columns = _structure_block(path)
    try:
        return _phase(path.stem, columns)
    except PhaseError as error:
        raise PhaseError(f"{path.name}: {error}") from error


def _structure_block(path: Path) -> Columns:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PhaseError(f"{path} can't be read ({error.strerror}); give a CIF file") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    ascii_text = text.encode("ascii", "replace").decode("ascii")
    try:
        document = gemmi.cif.read_string(ascii_text)
    except (ValueError, RuntimeError) as error:
        reason = str(error).removeprefix("string:")
        raise PhaseError(f"{path.name} is not a CIF ({reason}); give a CIF file") from error
    blocks = [_columns(block) for block in document]
    for columns in blocks:
        if "_atom_site_fract_x" in columns:
            return columns
    raise PhaseError(
        f"{path.name} has no atoms: none of its {len(blocks)} data blocks has "
        "_atom_site_fract_x; give a CIF with fractional coordinates"
    )


def _columns(block: gemmi.cif.Block) -> Columns:
    columns: dict[str, list[str]] = {}
    for item in block:
        pair = cast("list[str] | None", item.pair)
        if pair is not None:
            columns[_key(pair[0])] = [_plain(pair[1])]
        elif item.loop is not None:
            width, values = item.loop.width(), list(item.loop.values)
            for position, tag in enumerate(item.loop.tags):
                columns[_key(tag)] = [_plain(v) for v in values[position::width]]
    return columns


def _key(tag: str) -> str:
    return tag.lower().replace(".", "_")


def _plain(value: str) -> str:
    """Return the text of a value, empty for the CIF nulls ``?`` and ``.``."""
    return "" if gemmi.cif.is_null(value) else gemmi.cif.as_string(value).strip()


def _number(text: str) -> float:
    """Return a CIF number without its uncertainty, nan if it is none; ``1/3`` is read too."""
    if "/" in text:
        try:
            return float(Fraction(text))
        except (ValueError, ZeroDivisionError):
            return math.nan
    return float(gemmi.cif.as_number(text))


def _phase(name: str, columns: Columns) -> Phase:
    lattice = _cell(columns)
    sites, multiplicities = _sites(columns, lattice)
    settings = allowed_settings(columns, lattice)
    phases = []
    reasons = []
    for number, hall in settings:
        try:
            phases.append(Phase.from_asymmetric_unit(name, number, lattice, sites, hall))
        except PhaseError as error:
            reasons.append(error)
    if not phases:
        raise reasons[0]
    phase = phases[0] if len(phases) == 1 else _by_content(phases, sites, multiplicities, columns)
    _check_multiplicities(phase, sites, multiplicities)
    _check_overlaps(phase, len(sites))
    if phase.space_group == 1:
        logger.warning(
            "%s is given in P1: if the crystal has more symmetry, write the CIF with it, "
            "otherwise the phase counts as space group 1",
            name,
        )
    return phase


def _cell(columns: Columns) -> tuple[float, float, float, float, float, float]:
    tags = [f"_cell_length_{x}" for x in "abc"]
    tags += [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    values = [_number(first_value(columns, (tag,))) for tag in tags]
    missing = [tag for tag, v in zip(tags, values, strict=True) if not math.isfinite(v)]
    if missing:
        raise PhaseError(f"the cell is incomplete, {', '.join(missing)} missing; add them")
    a, b, c, alpha, beta, gamma = values
    return a, b, c, alpha, beta, gamma


def _sites(
    columns: Columns, lattice: tuple[float, float, float, float, float, float]
) -> tuple[list[AtomSite], list[int]]:
    """Return the listed sites and their declared multiplicities, 0 where there is none."""
    count = len(columns["_atom_site_fract_x"])

    def column(tag: str) -> list[str]:
        values = columns.get(tag, [])
        return values if len(values) == count else [""] * count

    labels = column("_atom_site_label")
    types = column("_atom_site_type_symbol")
    occupancies = column("_atom_site_occupancy")
    flags = column("_atom_site_calc_flag")
    declared = column("_atom_site_site_symmetry_multiplicity")
    if not any(declared):
        declared = column("_atom_site_symmetry_multiplicity")
    factors = displacement_factors(columns, labels, lattice)
    sites: list[AtomSite] = []
    multiplicities: list[int] = []
    for index in range(count):
        label = labels[index] or types[index] or f"number {index + 1}"
        occupancy = _number(occupancies[index]) if occupancies[index] else 1.0
        if occupancy == 0 or flags[index].lower().startswith("dum"):
            continue
        if not 0 < occupancy <= 1.02:
            raise PhaseError(
                f"site {label} has the occupancy {occupancies[index]!r}; it must lie above 0 "
                "and not exceed 1"
            )
        xyz = [_number(column(f"_atom_site_fract_{axis}")[index]) for axis in "xyz"]
        if not all(math.isfinite(x) for x in xyz):
            raise PhaseError(f"site {label} has no complete fractional coordinates; add them")
        element = _element(types[index], labels[index])
        position = (xyz[0], xyz[1], xyz[2])
        sites.append(AtomSite(element, position, min(occupancy, 1.0), factors[index]))
        multiplicities.append(int(declared[index]) if declared[index].isdigit() else 0)
    if not sites:
        raise PhaseError("the file lists no occupied atom site; give a CIF with atoms")
    return sites, multiplicities


def _element(type_symbol: str, label: str) -> str:
    for text in (type_symbol, label):
        if text.lower().startswith("wat"):
            return "O"
        match = re.match(r"([A-Za-z])([A-Za-z]?)", text)
        if match is None:
            continue
        first, second = match.group(1).upper(), match.group(2)
        # In a label such as OH or CaM a capital starts a remark; a type symbol may shout.
        candidates = [first + second.lower(), first] if second else [first]
        if second.isupper() and not (text is type_symbol and len(text) == 2):
            candidates.reverse()
        for candidate in candidates:
            if gemmi.Element(candidate).atomic_number > 0:
                return candidate
    raise PhaseError(f"site {label or type_symbol!r} has no chemical element; add its type symbol")


def _by_content(
    phases: list[Phase], sites: list[AtomSite], multiplicities: list[int], columns: Columns
) -> Phase:
    """Return the one setting whose atoms agree with the declared content of the cell."""
    formula = columns.get("_chemical_formula_sum", [""])[0]
    expected = {
        gemmi.Element(element).name: float(count or 1)
        for element, count in re.findall(r"([A-Z][a-z]?)\s*([\d.]*)", formula)
    }
    units = _number(columns.get("_cell_formula_units_z", [""])[0] or "1")
    fitting = []
    for phase in phases:
        counts = _orbit_sizes(phase, sites)
        declared = all(m in (0, n) for m, n in zip(multiplicities, counts, strict=True))
        content: dict[str, float] = {}
        for site in phase.sites:
            content[site.element] = content.get(site.element, 0.0) + site.occupancy
        same = not expected or any(
            content.keys() == expected.keys()
            and all(abs(content[e] - factor * n) <= 0.01 * content[e] for e, n in expected.items())
            for factor in (1.0, units)
        )
        if declared and same:
            fitting.append(phase)
    if len(fitting) == 1:
        return fitting[0]
    raise PhaseError(
        f"space group {phases[0].space_group} has two origin choices or settings and the file "
        "does not say which; list the operators, or add :1 or :2 to the Hermann-Mauguin symbol"
    )


def _orbit_sizes(phase: Phase, sites: list[AtomSite]) -> list[int]:
    """Return how many atoms each listed site became; the phase keeps their order."""
    alone = [
        Phase.from_asymmetric_unit("", phase.space_group, phase.lattice, [site], phase.hall)
        for site in sites
    ]
    return [len(p.sites) for p in alone]


def _check_multiplicities(phase: Phase, sites: list[AtomSite], declared: list[int]) -> None:
    if not any(declared):
        return
    for site, wanted, found in zip(sites, declared, _orbit_sizes(phase, sites), strict=True):
        if wanted and wanted != found:
            logger.warning(
                "%s: %s at %s has multiplicity %d by its operators, %d by the file",
                phase.name,
                site.element,
                site.position,
                found,
                wanted,
            )


def _check_overlaps(phase: Phase, listed: int) -> None:
    """Refuse places that hold more than one atom, as when the full cell is listed."""
    positions = np.array([site.position for site in phase.sites])
    occupancies = np.array([site.occupancy for site in phase.sites])
    for index, site in enumerate(phase.sites):
        near = distances(positions, positions[index], phase.structure_matrix) < OVERLAP_DISTANCE
        if occupancies[near].sum() > 1.05:
            raise PhaseError(
                f"{occupancies[near].sum():.3g} atoms share the place of {site.element} at "
                f"({site.position[0]:.4f}, {site.position[1]:.4f}, {site.position[2]:.4f}) after "
                f"the operators acted on the {listed} listed sites; list each orbit once, with "
                "occupancies that sum up to at most 1"
            )
