"""What a CIF says about its symmetry: four claims that must name one space group."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import gemmi

from ..errors import PhaseError
from .symmetry import group_from_triplets, identify, setting_operations, standard_setting

logger = logging.getLogger(__name__)

Columns = Mapping[str, list[str]]
"""Values of one data block by lower-case tag, with ``.`` written as ``_``."""

OPERATORS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
)
HALL_SYMBOLS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")


def first_value(columns: Columns, tags: tuple[str, ...]) -> str:
    """Return the first value of the first tag that has one, empty if none has."""
    return next((columns[tag][0] for tag in tags if columns.get(tag, [""])[0]), "")


def allowed_settings(
    columns: Columns, lattice: tuple[float, float, float, float, float, float]
) -> list[tuple[int, str]]:
    """Return the settings (number, Hall symbol) that the file allows, usually one.

    Parameters
    ----------
    columns
        Values of the data block.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees]; tells rhombohedral from hexagonal axes.

    Raises
    ------
    PhaseError
        If there is no symmetry, it can't be read, or its claims differ.
    """
    claims = _claims(columns, lattice)
    triplets = next((columns[tag] for tag in OPERATORS if any(columns.get(tag, []))), [])
    triplets = [triplet for triplet in triplets if triplet]
    hall = first_value(columns, HALL_SYMBOLS)
    if triplets:
        setting = identify(group_from_triplets(triplets))
        settings, source = [(setting.number, setting.hall)], "operators"
    elif "Hall symbol" in claims:
        setting = identify(setting_operations(claims["Hall symbol"], hall))
        settings, source = [(setting.number, setting.hall)], "Hall symbol"
    elif "Hermann-Mauguin symbol" in claims:
        source = "Hermann-Mauguin symbol"
        settings = _origins(
            _named(first_value(columns, SYMBOLS), lattice), first_value(columns, SYMBOLS)
        )
    elif "number" in claims:
        source = "number"
        settings = _origins(standard_setting(claims["number"]), "")
    else:
        raise PhaseError(
            "the file has no symmetry: neither operators nor a space group; add "
            "_space_group_symop_operation_xyz or _space_group_name_H-M_alt (P 1 if it has none)"
        )
    number = settings[0][0]
    for claim, claimed in claims.items():
        if claimed != number:
            raise PhaseError(
                f"the {source} give{'' if source == 'operators' else 's'} space group {number} "
                f"({standard_setting(number).hm}), but the {claim} says {claimed} "
                f"({standard_setting(claimed).hm}); correct whichever is wrong"
            )
    symbol = first_value(columns, SYMBOLS)
    if triplets and "Hermann-Mauguin symbol" in claims:
        named = _origins(_named(symbol, lattice), symbol)
        if settings[0] not in named:
            logger.warning("%r is another setting than the operators'; operators taken", symbol)
    if triplets and "Hall symbol" in claims:
        listed = {op.triplet() for op in setting_operations(number, settings[0][1])}
        if listed != {op.triplet() for op in setting_operations(number, hall)}:
            logger.warning("%r is another setting than the operators'; operators taken", hall)
    return settings


def _claims(
    columns: Columns, lattice: tuple[float, float, float, float, float, float]
) -> dict[str, int]:
    """Return the space-group number that each declaration stands for."""
    claims = {}
    text = first_value(columns, NUMBERS)
    if text:
        number = int(text) if text.isdigit() else 0
        if not 1 <= number <= 230:
            raise PhaseError(f"the space-group number is {text!r}; it must lie in 1 to 230")
        claims["number"] = number
    symbol = first_value(columns, SYMBOLS)
    if symbol:
        named = _named(symbol, lattice)
        if named is None:
            logger.warning("Hermann-Mauguin symbol %r is unknown and was ignored", symbol)
        else:
            claims["Hermann-Mauguin symbol"] = named.number
    hall = first_value(columns, HALL_SYMBOLS)
    if hall:
        try:
            claims["Hall symbol"] = identify(setting_operations(1, hall)).number
        except PhaseError:
            logger.warning("Hall symbol %r is unknown and was ignored", hall)
    return claims


def _named(
    symbol: str, lattice: tuple[float, float, float, float, float, float]
) -> gemmi.SpaceGroup | None:
    """Return the setting of a Hermann-Mauguin symbol; S and Z are origin choices 1 and 2."""
    text = symbol.replace("_", "").strip()
    text = re.sub(r"\s*:?\s*S$", ":1", text)
    text = re.sub(r"\s*:?\s*Z$", ":2", text)
    return gemmi.find_spacegroup_by_name(text, lattice[3], lattice[5])


def _origins(group: gemmi.SpaceGroup | None, symbol: str) -> list[tuple[int, str]]:
    """Return a setting, or all origin choices and axes that the symbol leaves open."""
    if group is None:
        raise PhaseError(f"Hermann-Mauguin symbol {symbol!r} is unknown; list the operators")
    chosen = [group]
    if not re.search(r"(:\s*[12HRSZ]|[HRSZ])\s*$", symbol):
        chosen = [
            entry
            for entry in gemmi.spacegroup_table()
            if entry.number == group.number and entry.hm == group.hm
        ]
    settings = []
    for entry in chosen:
        setting = identify(entry.operations())
        settings.append((setting.number, setting.hall))
    return settings
