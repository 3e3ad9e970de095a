"""In which order a microscope visits the pixels of a scan.

Raw files number their patterns as they came; files with a place for every pixel fill up
along the same path. One object answers both: which pixel is the n-th, and when does the
beam come to a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError

OrderKind = Literal["raster", "snake", "hexagonal", "list", "any"]


@dataclass(frozen=True, eq=False)
class ScanOrder:
    """The path of the beam over the pixels.

    Parameters
    ----------
    kind
        ``raster``: row by row, each from the left. ``snake``: every second row from the
        right. ``hexagonal``: row by row, every second row one pixel shorter, as EDAX
        does. ``list``: as ``pixels`` says. ``any``: nobody knows, so that nothing can be
        concluded from what came before.
    pixels
        For ``list``: row-major pixel of each arrival, shape ``(n,)``, none twice.

    Raises
    ------
    ScanError
        If the list is missing, not needed, or names a pixel twice.
    """

    kind: OrderKind = "raster"
    pixels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Check the list."""
        if (self.kind == "list") != (self.pixels is not None):
            raise ScanError(
                f"A scan order {self.kind!r} {'lacks' if self.kind == 'list' else 'has'} a list of "
                "pixels; need one for 'list' and none otherwise."
            )
        if self.pixels is None:
            return
        pixels = np.asarray(self.pixels, dtype=np.int64).ravel()
        if len(pixels) == 0 or pixels.min() < 0 or len(np.unique(pixels)) != len(pixels):
            raise ScanError(
                f"The scan order lists {len(pixels)} pixels, with negative ones, with some twice, "
                "or none at all; need the row-major index of each pixel once."
            )
        object.__setattr__(self, "pixels", pixels)

    def length(self, scan_shape: tuple[int, int]) -> int:
        """Return how many patterns a whole scan has."""
        rows, columns = scan_shape
        if self.pixels is not None:
            return len(self.pixels)
        return rows * columns - (rows // 2 if self.kind == "hexagonal" else 0)

    def pixel_of(
        self, arrivals: NDArray[np.int64], scan_shape: tuple[int, int] | None
    ) -> NDArray[np.int64]:
        """Return the row-major pixel of the n-th pattern.

        Parameters
        ----------
        arrivals
            Numbers of patterns, from 0, shape ``(n,)``.
        scan_shape
            (scan_y, scan_x); None while it is unknown.

        Returns
        -------
        pixels
            Shape ``(n,)``; -1 for a number beyond the end of the scan.

        Raises
        ------
        ScanError
            If the order can't be known without the scan's shape.
        """
        arrivals = np.asarray(arrivals, dtype=np.int64)
        if self.pixels is not None:
            inside = (arrivals >= 0) & (arrivals < len(self.pixels))
            return np.where(inside, self.pixels[np.where(inside, arrivals, 0)], -1)
        if scan_shape is None:
            if self.kind in ("snake", "hexagonal"):
                raise ScanError(
                    f"The scan order is {self.kind!r} and the file does not say how long a row is; "
                    "give scan_shape=(scan_y, scan_x)."
                )
            return arrivals
        pixels = arrivals
        columns = scan_shape[1]
        if self.kind == "snake":
            row, column = np.divmod(arrivals, columns)
            pixels = row * columns + np.where(row % 2 == 1, columns - 1 - column, column)
        elif self.kind == "hexagonal":
            pair, place = np.divmod(arrivals, 2 * columns - 1)
            is_short = place >= columns
            row = 2 * pair + is_short
            pixels = row * columns + np.where(is_short, place - columns, place)
        inside = (arrivals >= 0) & (arrivals < self.length(scan_shape))
        return np.where(inside, pixels, -1)

    def rank_of(
        self, pixels: NDArray[np.int64], scan_shape: tuple[int, int] | None
    ) -> NDArray[np.int64] | None:
        """Return when the beam comes to each pixel, shape ``(n,)``; None if nobody knows.

        The inverse of :meth:`pixel_of`; -1 where the beam never comes.
        """
        pixels = np.asarray(pixels, dtype=np.int64)
        if self.kind == "any":
            return None
        if self.pixels is not None:
            sorter = np.argsort(self.pixels)
            place = np.searchsorted(self.pixels, pixels, sorter=sorter)
            found = sorter[np.minimum(place, len(sorter) - 1)]
            return np.where(self.pixels[found] == pixels, found, -1)
        if scan_shape is None or self.kind == "raster":
            return pixels
        columns = scan_shape[1]
        row, column = np.divmod(pixels, columns)
        if self.kind == "snake":
            return row * columns + np.where(row % 2 == 1, columns - 1 - column, column)
        is_short = row % 2 == 1
        rank = (row // 2) * (2 * columns - 1) + np.where(is_short, columns, 0) + column
        return np.where(is_short & (column == columns - 1), -1, rank)


RASTER = ScanOrder("raster")
"""Row by row, each from the left."""


def as_order(order: ScanOrder | OrderKind | NDArray[np.int64] | list[int]) -> ScanOrder:
    """Return a scan order from its name, a list of pixels, or itself.

    Raises
    ------
    ScanError
        If there is no order of that name, or the list is none.
    """
    if isinstance(order, ScanOrder):
        return order
    if isinstance(order, str):
        if order not in ("raster", "snake", "hexagonal", "any"):
            raise ScanError(
                f"There is no scan order {order!r}; need raster, snake, hexagonal, any, or a list "
                "of pixels."
            )
        return ScanOrder(order)
    return ScanOrder("list", np.asarray(order, dtype=np.int64))
