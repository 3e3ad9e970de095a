"""Crystal phases, their symmetry, and the symmetry levels that answers are given at.

Imports numpy and gemmi alone; orix, diffpy and spglib are loaded by the functions that need them.
"""

from .averaging import Parent, averaged, cubic_parents, space_group_of
from .cif import read_cif
from .cif_write import cif_text, write_cif
from .levels import LEVELS, aggregate, level_index, level_name, level_names, members
from .library import LibraryEntry, find_phases, library, library_entries, library_phase
from .orientations import fundamental_zone_orientations, random_orientations, rotation_matrices
from .phase import DEFAULT_B_ISO, AtomSite, Phase
from .superstructure import SuperstructureLimits, ordered_superstructures
from .synthetic import SyntheticLimits, synthetic_phase, synthetic_phases
from .wyckoff import WyckoffPosition, wyckoff_positions
from .zone_classes import ZoneClasses, coinciding_groups, zone_classes
from .zone_patterns import (
    EffectiveGroup,
    PlaneLattice,
    ZonePattern,
    effective_groups,
    low_index_axes,
    zone_basis,
    zone_pattern,
)

__all__ = [
    "DEFAULT_B_ISO",
    "LEVELS",
    "AtomSite",
    "EffectiveGroup",
    "LibraryEntry",
    "Parent",
    "Phase",
    "PlaneLattice",
    "SuperstructureLimits",
    "SyntheticLimits",
    "WyckoffPosition",
    "ZoneClasses",
    "ZonePattern",
    "aggregate",
    "averaged",
    "cif_text",
    "coinciding_groups",
    "cubic_parents",
    "effective_groups",
    "find_phases",
    "fundamental_zone_orientations",
    "level_index",
    "level_name",
    "level_names",
    "library",
    "library_entries",
    "library_phase",
    "low_index_axes",
    "members",
    "ordered_superstructures",
    "random_orientations",
    "read_cif",
    "rotation_matrices",
    "space_group_of",
    "synthetic_phase",
    "synthetic_phases",
    "write_cif",
    "wyckoff_positions",
    "zone_basis",
    "zone_classes",
    "zone_pattern",
]
