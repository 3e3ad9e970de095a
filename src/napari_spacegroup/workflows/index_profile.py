"""``index``: the cells that explain a powder profile, without a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.frequencies import space_group_shares
from ..errors import ScanError
from ..imaging.profiles import ProfileAxis
from ..infer.map_start import COPPER
from ..infer.powder_cell import PowderIndex, index_profile
from ..infer.powder_joint import joint_probabilities
from .classify_scan import ScanLike, as_scan


@dataclass(frozen=True, eq=False)
class IndexedProfile:
    """The cells of a profile, and what they leave of the space groups.

    Parameters
    ----------
    index
        Peaks and cells.
    axis
        Of the profile, its wavelength known.
    probabilities
        Of the space groups 1 to 230 by cells and by how often each is met, shape ``(230,)``.
    is_assumed
        Whether nobody said the wavelength, and copper's was taken.
    """

    index: PowderIndex
    axis: ProfileAxis
    probabilities: NDArray[np.float64]
    is_assumed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        order = np.argsort(-self.probabilities, kind="stable")
        return {
            "peaks": len(self.index.peaks.positions),
            "used": self.index.used,
            "positions": self.index.peaks.positions.tolist(),
            "wavelength": self.axis.wavelength,
            "is_wavelength_assumed": self.is_assumed,
            "cells": [
                {"family": row.cell.family, "parameters": list(row.cell.parameters),
                 "volume": row.cell.volume, "space_groups": list(row.groups),
                 "evidence": row.evidence, "explained": row.explained, "zero": -row.shift}
                for row in self.index.best
            ],
            "space_groups": [
                {"space_group": int(place) + 1, "probability": float(self.probabilities[place])}
                for place in order[:20]
            ],
        }  # fmt: skip


def index_scan(scan: ScanLike, pixel: tuple[int, int] = (0, 0)) -> IndexedProfile:
    """Return the cells that explain a profile of a scan.

    Parameters
    ----------
    scan
        A powder profile or a map of them: a scan, or the path of one.
    pixel
        (y, x).

    Raises
    ------
    ScanError
        If it holds no profiles, or has no such pixel.
    ModelError
        If its axis holds angles of neutrons and no wavelength is known.
    """
    source = as_scan(scan)
    axis = source.axis
    if axis is None:
        raise ScanError(
            f"{source.name!r} holds pictures of {source.pattern_shape}; index needs powder profiles"
        )
    rows, columns = source.scan_shape
    if not (0 <= pixel[0] < rows and 0 <= pixel[1] < columns):
        raise ScanError(f"there is no pixel {pixel} in {source.name!r} of {rows} x {columns}")
    is_open = axis.kind == "two_theta" and axis.wavelength is None
    is_assumed = is_open and axis.radiation != "neutron"
    if is_assumed:
        axis = replace(axis, wavelength=COPPER)
    found = index_profile(axis, np.asarray(source.pattern(*pixel), np.float64).ravel())
    shares = space_group_shares()
    probabilities = joint_probabilities(found, range(1, 231), shares)
    return IndexedProfile(found, axis, probabilities, is_assumed)
