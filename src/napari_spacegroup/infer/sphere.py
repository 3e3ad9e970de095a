"""What decides, in crystal directions: the importance of many patterns, averaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .explain import NEAR, ZONE_AXES, Explanation, directions_of


@dataclass(frozen=True, eq=False)
class SphereImportance:
    """Importance in the sector of m-3m.

    Parameters
    ----------
    importance
        Per solid angle that the patterns show, relative to its mean; shape ``(side, side)``,
        rows follow y / x and columns z / x of directions with x >= y >= z; NaN where
        no pattern looked.
    count
        Patterns behind it.
    """

    importance: NDArray[np.float64]
    count: int

    @classmethod
    def of(cls, found: Explanation) -> SphereImportance | None:
        """Return that of one pattern; None for a model without orientations."""
        return cls.mean([found])

    @classmethod
    def mean(cls, found: Iterable[Explanation]) -> SphereImportance | None:
        """Return the mean over patterns, each with the same weight; None without any."""
        heat, seen, count = np.zeros(()), np.zeros(()), 0
        for one in found:
            if one.sector is None or one.coverage is None:
                continue
            total = float((one.sector * one.coverage).sum())
            if total <= 0:
                continue
            heat = heat + one.sector * one.coverage / total
            seen = seen + one.coverage
            count += 1
        if not count:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            importance = np.where(seen > 1e-4 * seen.max(), heat / seen, np.nan)
        return cls(np.asarray(importance, dtype=np.float64), count)

    def near_zone_axes(self) -> dict[str, float]:
        """Return the mean importance within 5 degrees of each family of zone axes; 1 is even."""
        step = np.linspace(0, 1, len(self.importance))
        down, across = np.meshgrid(step, step, indexing="ij")
        places = np.stack([np.ones_like(down), down, across], -1)
        places /= np.linalg.norm(places, axis=-1, keepdims=True)
        solid_angle = places[..., 0] ** 3 * np.isfinite(self.importance)
        found = {}
        for family in ZONE_AXES:
            axes = np.array(directions_of(family))
            axes /= np.linalg.norm(axes, axis=1, keepdims=True)
            cosine = np.abs(places @ axes.T).max(-1)
            weight = solid_angle * (cosine >= np.cos(np.radians(NEAR)))
            name = f"[{''.join(map(str, family))}]"
            if weight.any():
                found[name] = float((np.nan_to_num(self.importance) * weight).sum() / weight.sum())
        return found
