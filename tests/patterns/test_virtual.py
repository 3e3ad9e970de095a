from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import PatternScan, virtual_image


def scan() -> PatternScan:
    """A direct beam that fades along the scan, and a spot that grows."""
    data = np.zeros((3, 4, 40, 60))
    for index, (y, x) in enumerate(np.ndindex(3, 4)):
        data[y, x, 17:20, 30:33] = 100 - index
        data[y, x, 5, 50] = index
    return PatternScan.from_array(data)


def test_bright_field_is_where_the_beam_is():
    image = virtual_image(scan())
    assert image.shape == (3, 4)
    assert (np.diff(image.ravel()) < 0).all()


def test_dark_field_follows_a_spot():
    image = virtual_image(scan(), center=(50, 5), outer=0.5)
    np.testing.assert_array_equal(image.ravel(), np.arange(12))


def test_a_ring_leaves_the_beam_out():
    image = virtual_image(scan(), center=(31, 18), inner=10, outer=30)
    assert (np.diff(image.ravel()) > 0).all()


def test_a_detector_beside_the_pattern_is_refused():
    with pytest.raises(ScanError, match="no pixel of 40 x 60"):
        virtual_image(scan(), center=(500, 5), outer=2)
