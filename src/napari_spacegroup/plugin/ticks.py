"""Where the lines of the likeliest crystals of a profile lie; no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .state import TickRow

if TYPE_CHECKING:
    from ..imaging.profiles import ProfileAxis
    from ..infer.powder_cell import CellEvidence, PowderIndex

ROWS = 3
"""Crystals whose lines are shown."""


def tick_rows(
    axis: ProfileAxis, profile: NDArray[Any], classes: Sequence[int], network: NDArray[np.floating]
) -> tuple[tuple[TickRow, ...], NDArray[np.float64]]:
    """Return the lines of the likeliest space groups with a cell, and joint probabilities.

    Parameters
    ----------
    axis
        Of the profile.
    profile
        Shape ``(1, n)`` or ``(n,)``.
    classes, network
        Space groups and the network's probabilities, shape ``(class,)``.
    """
    from ..infer.powder_joint import joint_probabilities

    index = _index(_Profile.of(axis, np.asarray(profile, np.float64).ravel()))
    joint = joint_probabilities(index, classes, network)
    rows: list[TickRow] = []
    shown: list[CellEvidence] = []
    for place in np.argsort(-joint, kind="stable")[: 4 * ROWS].tolist():
        group = int(classes[place])
        found = _cell_of(index, group)
        if found is None or any(found is other for other in shown) or len(rows) == ROWS:
            continue
        shown.append(found)
        rows.append(_row(axis, found, group, index.peaks.width))
    return tuple(rows), joint


@dataclass(frozen=True)
class _Profile:
    """A profile that knows itself again.

    Attributes
    ----------
    digest
        Of all that the cells depend on.
    axis, values
        The profile.
    """

    digest: bytes
    axis: ProfileAxis = field(compare=False)
    values: NDArray[np.float64] = field(compare=False)

    @classmethod
    def of(cls, axis: ProfileAxis, values: NDArray[np.float64]) -> _Profile:
        """Return a profile, shape ``(n,)``, along an axis."""
        facts = repr((axis.kind, axis.wavelength, axis.radiation)).encode()
        places = np.asarray(axis.values, np.float64).tobytes()
        return cls(sha256(facts + places + values.tobytes()).digest(), axis, values)


@lru_cache(maxsize=8)
def _index(profile: _Profile) -> PowderIndex:
    """Return the cells of a profile; the latest are kept, since finding them takes ten seconds."""
    from ..infer.powder_cell import index_profile

    return index_profile(profile.axis, profile.values)


def _cell_of(index: PowderIndex, group: int) -> CellEvidence | None:
    return next((found for found in index.best if group in found.groups), None)


def _row(axis: ProfileAxis, found: CellEvidence, group: int, width: float) -> TickRow:
    from ..crystal.levels import level_name
    from ..imaging.peaks import peak_wavelengths
    from ..infer import as_unicode, color

    values = np.asarray(axis.values, np.float64)
    largest = float((axis.q().max() / (2 * math.pi)) ** 2)
    q = 2 * math.pi * np.sqrt(found.lines(largest)[0])
    if axis.kind == "d":
        where = 2 * math.pi / q
    elif axis.kind == "q" or axis.wavelength is None:
        where = q
    else:
        # Once with the mean of a doublet, then with the line of it that the peak stands at.
        sine = np.clip(q * axis.wavelength / (4 * math.pi), 0, 1)
        where = np.degrees(2 * np.arcsin(sine))
        sine *= peak_wavelengths(where, width, axis.wavelength) / axis.wavelength
        where = np.degrees(2 * np.arcsin(sine.clip(0, 1))) - found.shift
    order = np.argsort(values)
    where = where[(where >= values.min()) & (where <= values.max())]
    columns = np.interp(where, values[order], order.astype(float))
    symbol = as_unicode(level_name(group, "space_group"), group)
    a, b, c, *angles = found.cell.parameters
    edges = {"cubic": (a,), "hexagonal": (a, c), "tetragonal": (a, c)}.get(
        found.cell.family, (a, b, c)
    )
    cell = " ".join(f"{edge:.3f}" for edge in edges)
    shown = {"monoclinic": "β", "triclinic": "αβγ"}.get(found.cell.family, "")
    angle = "".join(
        f" {name} {value:.1f}°" for name, value in zip("αβγ", angles, strict=True) if name in shown
    )
    name = f"{symbol} ({group}), {cell} Å{angle}"
    places = np.sort(columns + 0.5) / len(values)
    return TickRow(name, places, color("space_group", group))
