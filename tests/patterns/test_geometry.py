"""A pattern center is measured, or it is unknown."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import Geometry
from napari_spacegroup.patterns.geometry import geometry_from_detector


def _detector(center):
    return SimpleNamespace(pc=np.asarray(center, float), sample_tilt=70, tilt=5, azimuthal=1)


@pytest.mark.parametrize(
    "center", [(-1, -1, -1), (0.5, 0.5, 0.5), (0.4, np.nan, 0.5), (0.4, 0.2, 0.0), (0, 1, -0.2)]
)
def test_placeholders_are_unknown(center):
    assert geometry_from_detector(_detector(center), (2, 3)) is None
    with pytest.raises(ScanError, match="behind the detector"):
        Geometry(np.array(center, float))


def test_one_center_per_pixel_is_kept():
    center = np.random.default_rng(0).uniform(0.3, 0.6, (2, 3, 3))
    geometry = geometry_from_detector(_detector(center), (2, 3), 20.0)
    np.testing.assert_array_equal(geometry.pattern_center, center)
    np.testing.assert_allclose(geometry.mean_pattern_center, center.mean((0, 1)))
    np.testing.assert_array_equal(geometry.crop(1, 2, 0, 2).pattern_center, center[1:2, 0:2])
    assert (geometry.detector_tilt, geometry.azimuthal, geometry.voltage) == (5, 1, 20)


def test_equal_centers_become_one():
    geometry = geometry_from_detector(_detector(np.tile((0.4, 0.2, 0.6), (6, 1))), (2, 3))
    assert geometry.pattern_center.tolist() == [0.4, 0.2, 0.6]
    assert geometry.crop(0, 1, 0, 1) is geometry
    assert geometry.at(1, 2).tolist() == [0.4, 0.2, 0.6]


def test_gaps_get_the_mean():
    center = np.array([[0.4, 0.2, 0.5], [-1, -1, -1], [0.6, 0.4, 0.7]])
    geometry = geometry_from_detector(_detector(center), (1, 3))
    np.testing.assert_allclose(geometry.at(0, 1), [0.5, 0.3, 0.6])


def test_wrong_shape():
    with pytest.raises(ScanError, match="x, y and z together"):
        Geometry(np.zeros((4, 2)))
