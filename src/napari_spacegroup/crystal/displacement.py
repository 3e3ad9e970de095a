"""Isotropic Debye-Waller factors from whatever displacement parameters a CIF has."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import gemmi
import numpy as np

from .phase import DEFAULT_B_ISO

logger = logging.getLogger(__name__)

EIGHT_PI_SQUARED = 8.0 * math.pi**2
COMPONENTS = ("11", "22", "33", "12", "13", "23")


def displacement_factors(
    columns: Mapping[str, list[str]],
    labels: list[str],
    lattice: tuple[float, float, float, float, float, float],
) -> list[float]:
    """Return B = 8π²⟨u²⟩ [Å²] of each site.

    An isotropic or equivalent value comes first, then the mean of an anisotropic tensor,
    then the default.

    Parameters
    ----------
    columns
        Values of the data block by lower-case tag.
    labels
        Label of each site, by which the anisotropic table names it.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees].

    Returns
    -------
    factors
        One B for each site, all above 0.
    """
    tensors = _anisotropic(columns, lattice)
    isotropic_u = columns.get("_atom_site_u_iso_or_equiv", [])
    isotropic_b = columns.get("_atom_site_b_iso_or_equiv", [])
    factors = []
    for index, label in enumerate(labels):
        candidates = [tensors.get(label, math.nan) if label else math.nan]
        if index < len(isotropic_b):
            candidates.insert(0, _number(isotropic_b[index]))
        if index < len(isotropic_u):
            candidates.insert(0, _number(isotropic_u[index]) * EIGHT_PI_SQUARED)
        given = [b for b in candidates if math.isfinite(b)]
        positive = [b for b in given if b > 0]
        if given and not positive:
            logger.warning(
                "site %s has no positive displacement parameter; B = %g Å² taken",
                label,
                DEFAULT_B_ISO,
            )
        factors.append(positive[0] if positive else DEFAULT_B_ISO)
    return factors


def _number(text: str) -> float:
    return float(gemmi.cif.as_number(text))


def _anisotropic(
    columns: Mapping[str, list[str]],
    lattice: tuple[float, float, float, float, float, float],
) -> dict[str, float]:
    """Return B [Å²] by label, equal to that of U_eq = ⅓ Σ U_ij a*_i a*_j (a_i · a_j).

    References
    ----------
    Fischer, R. X. & Tillmanns, E. (1988). Acta Cryst. C44, 775-776.
    """
    labels = columns.get("_atom_site_aniso_label", [])
    a, b, c = lattice[:3]
    ca, cb, cg = np.cos(np.radians(lattice[3:]))
    metric = np.array(
        [
            [a * a, a * b * cg, a * c * cb],
            [a * b * cg, b * b, b * c * ca],
            [a * c * cb, b * c * ca, c * c],
        ]
    )
    if not np.linalg.det(metric) > 0:
        return {}
    reciprocal = np.sqrt(np.diag(np.linalg.inv(metric)))
    weights = metric * np.outer(reciprocal, reciprocal) / 3.0
    beta_to_u = 1.0 / (2.0 * math.pi**2 * np.outer(reciprocal, reciprocal))
    scales = {
        "u": np.full((3, 3), EIGHT_PI_SQUARED),
        "b": np.ones((3, 3)),
        "beta": EIGHT_PI_SQUARED * beta_to_u,
    }
    factors: dict[str, float] = {}
    for kind, scale in scales.items():
        table = [columns.get(f"_atom_site_aniso_{kind}_{ij}", []) for ij in COMPONENTS]
        if any(len(column) != len(labels) for column in table):
            continue
        for index, label in enumerate(labels):
            tensor = np.zeros((3, 3))
            for ij, column in zip(COMPONENTS, table, strict=True):
                i, j = int(ij[0]) - 1, int(ij[1]) - 1
                tensor[i, j] = tensor[j, i] = _number(column[index])
            value = float((tensor * scale * weights).sum())
            if math.isfinite(value):
                factors.setdefault(label, value)
    return factors
