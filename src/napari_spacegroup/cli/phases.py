"""``phases``: search the bundled phase library, print what is found, write CIF files."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ResultError
from .shown import check_output, say, write_json

if TYPE_CHECKING:
    from ..crystal import LibraryEntry

EXIT_OK = 0


def search_phases(options: argparse.Namespace) -> int:
    """Print the phases that fit, and write them as CIF files if that is asked for."""
    check_output(options.json)
    from ..crystal import find_phases

    found = find_phases(
        " ".join(options.text),
        space_group=options.space_group,
        system=None if options.system is None else options.system.lower(),
        elements=options.elements or (),
        only=options.only,
    )
    for line in table(found):
        print(line)
    if options.cif is not None:
        _write_cifs(found, options.cif)
        say(f"wrote {len(found)} CIF files to {options.cif}")
    if options.json is not None:
        write_json(options.json, [_record(entry) for entry in found])
    say(f"{len(found)} phases" if len(found) != 1 else "1 phase")
    return EXIT_OK


def table(found: Sequence[LibraryEntry]) -> list[str]:
    """Return the lines of a table with one phase a row."""
    rows = [("name", "formula", "mineral", "space group", "type", "a, b, c [Å]; angles [°]")]
    rows += [
        (
            entry.name, entry.formula, entry.mineral, _group(entry),
            entry.prototype, _cell(entry.lattice),
        )
        for entry in found
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _group(entry: LibraryEntry) -> str:
    from ..crystal import level_name

    return f"{entry.space_group:3d} {level_name(entry.space_group, 'space_group')}"


def _cell(lattice: Sequence[float]) -> str:
    a, b, c = lattice[:3]
    lengths = [a] + ([b] if b != a or c != a else []) + ([c] if c != a or b != a else [])
    if a == b != c:
        lengths = [a, c]
    angles = [angle for angle in lattice[3:] if angle not in (90.0, 120.0)]
    text = ", ".join(f"{length:.4f}" for length in lengths)
    return text + ("; " + ", ".join(f"{angle:g}" for angle in angles) if angles else "")


def _write_cifs(found: Sequence[LibraryEntry], folder: Path) -> None:
    from ..crystal import write_cif

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"can't make the folder {folder} ({error.strerror}); give another one"
        ) from error
    for entry in found:
        name = re.sub(r"[^A-Za-z0-9_.+-]", "_", entry.name)
        write_cif(entry.phase(), folder / f"{name}.cif", entry.reference)


def _record(entry: LibraryEntry) -> dict[str, Any]:
    from ..crystal import level_name

    return {
        "name": entry.name,
        "formula": entry.formula,
        "mineral": entry.mineral,
        "prototype": entry.prototype,
        "space_group": entry.space_group,
        "symbol": level_name(entry.space_group, "space_group"),
        "crystal_system": entry.crystal_system,
        "lattice": list(entry.lattice),
        "reference": entry.reference,
    }
