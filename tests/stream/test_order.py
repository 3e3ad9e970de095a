from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_spacegroup.errors import ScanError
from napari_spacegroup.stream import ScanOrder
from napari_spacegroup.stream.order import as_order


def test_paths_by_hand() -> None:
    arrivals = np.arange(9)
    assert ScanOrder("raster").pixel_of(arrivals, (2, 4)).tolist() == [*range(8), -1]
    snake = [0, 1, 2, 3, 7, 6, 5, 4, -1]
    assert ScanOrder("snake").pixel_of(arrivals, (2, 4)).tolist() == snake
    # Rows of 3, 2, 3 on a map 3 wide: pixel 5 is no place.
    hexagonal = [0, 1, 2, 3, 4, 6, 7, 8, -1]
    assert ScanOrder("hexagonal").pixel_of(arrivals, (3, 3)).tolist() == hexagonal
    assert ScanOrder("hexagonal").length((3, 3)) == 8
    listed = as_order([5, 1, 3])
    assert listed.pixel_of(np.arange(4), None).tolist() == [5, 1, 3, -1]
    assert listed.rank_of(np.array([1, 2, 3, 5, 9]), None).tolist() == [1, -1, 2, 0, -1]


@given(
    st.sampled_from(["raster", "snake", "hexagonal"]),
    st.integers(1, 9),
    st.integers(2, 9),
)
def test_rank_undoes_pixel(kind: str, rows: int, columns: int) -> None:
    order = ScanOrder(kind)
    arrivals = np.arange(order.length((rows, columns)))
    pixels = order.pixel_of(arrivals, (rows, columns))
    assert len(np.unique(pixels)) == len(pixels)
    assert pixels.max(initial=0) < rows * columns
    np.testing.assert_array_equal(order.rank_of(pixels, (rows, columns)), arrivals)


def test_refusals() -> None:
    for wrong in ([], [1, 1], [-1, 2]):
        with pytest.raises(ScanError, match="each pixel once"):
            as_order(wrong)
    with pytest.raises(ScanError, match="no scan order 'spiral'"):
        as_order("spiral")
    with pytest.raises(ScanError, match="lacks a list"):
        ScanOrder("list")
    with pytest.raises(ScanError, match="scan_shape"):
        ScanOrder("snake").pixel_of(np.arange(3), None)
    assert ScanOrder("any").rank_of(np.arange(3), (1, 3)) is None
