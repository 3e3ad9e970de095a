"""Phases into CIF files that this package and others read back as the same crystal."""

from __future__ import annotations

import os
import re
from pathlib import Path

import gemmi
import numpy as np

from ..errors import ResultError
from .phase import AtomSite, Phase
from .symmetry import distances, operation_arrays

SAME = 1e-3
"""Two images of an atom that are closer than this [Å] are one."""


def cif_text(phase: Phase, reference: str = "") -> str:
    """Return a phase as the text of a CIF, with all operators of its setting.

    Parameters
    ----------
    phase
        In any setting.
    reference
        Where its numbers are from; put into the file.

    Returns
    -------
    text
        One data block; one site per orbit, coordinates to six digits.
    """
    document = gemmi.cif.Document()
    block = document.add_new_block(re.sub(r"[^A-Za-z0-9_.+-]", "_", phase.name) or "phase")
    name = gemmi.find_spacegroup_by_ops(phase.operations)
    block.set_pair("_chemical_name_common", gemmi.cif.quote(phase.name))
    block.set_pair("_chemical_formula_sum", gemmi.cif.quote(phase.formula))
    if reference:
        block.set_pair("_publ_section_references", gemmi.cif.quote(reference))
    for key, value in zip(("a", "b", "c"), phase.lattice[:3], strict=True):
        block.set_pair(f"_cell_length_{key}", f"{value:.6g}")
    for key, value in zip(("alpha", "beta", "gamma"), phase.lattice[3:], strict=True):
        block.set_pair(f"_cell_angle_{key}", f"{value:.6g}")
    block.set_pair("_space_group_IT_number", str(phase.space_group))
    if name is not None:
        block.set_pair("_space_group_name_H-M_alt", gemmi.cif.quote(name.xhm()))
        block.set_pair("_space_group_name_Hall", gemmi.cif.quote(name.hall))
    loop = block.init_loop("_space_group_symop_", ["id", "operation_xyz"])
    for index, operation in enumerate(phase.operations, 1):
        loop.add_row([str(index), gemmi.cif.quote(operation.triplet())])
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "B_iso_or_equiv"]
    loop = block.init_loop("_atom_site_", tags)
    for index, site in enumerate(asymmetric_sites(phase), 1):
        x, y, z = (f"{value:.6f}" for value in site.position)
        share, b_iso = f"{site.occupancy:.4f}", f"{site.b_iso:.3f}"
        loop.add_row([f"{site.element}{index}", site.element, x, y, z, share, b_iso])
    return str(document.as_string())


def write_cif(phase: Phase, path: str | Path, reference: str = "") -> Path:
    """Write a phase to a CIF file.

    Parameters
    ----------
    phase
        In any setting.
    path
        The file; one that is there is replaced.
    reference
        Where its numbers are from.

    Returns
    -------
    path
        The file.

    Raises
    ------
    ResultError
        If it can't be written.
    """
    path = Path(path)
    try:
        path.write_text(cif_text(phase, reference), encoding="ascii", errors="xmlcharrefreplace")
    except OSError as error:
        raise ResultError(
            f"can't write {os.fspath(path)} ({error.strerror}); give a file in a folder that "
            "exists and can be written to"
        ) from error
    return path


def asymmetric_sites(phase: Phase) -> tuple[AtomSite, ...]:
    """Return one site of each orbit, in the order of the cell's content."""
    rotations, translations = operation_arrays(phase.operations)
    kept: list[AtomSite] = []
    for site in phase.sites:
        images = rotations @ np.asarray(site.position) + translations
        like = [
            np.asarray(other.position)
            for other in kept
            if (other.element, other.occupancy, other.b_iso)
            == (site.element, site.occupancy, site.b_iso)
        ]
        apart = [distances(images, other, phase.structure_matrix).min() for other in like]
        if not apart or min(apart) > SAME:
            kept.append(site)
    return tuple(kept)
