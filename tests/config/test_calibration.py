"""The calibration of spot patterns: what it refuses, and its ellipse in numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_spacegroup.config import CalibrationSpec, ellipse_matrix, ellipse_of
from napari_spacegroup.errors import SpecError


def test_a_circle_becomes_an_ellipse_of_the_same_area_with_its_long_axis_there():
    spec = CalibrationSpec(ellipse=(1.21, 30.0))
    matrix = np.array(spec.distortion)
    assert np.linalg.det(matrix) == pytest.approx(1)
    long = np.array([math.cos(math.radians(30)), math.sin(math.radians(30))])
    np.testing.assert_allclose(matrix @ long, 1.1 * long, atol=1e-12)
    short = np.array([-long[1], long[0]])
    np.testing.assert_allclose(matrix @ short, short / 1.1, atol=1e-12)
    np.testing.assert_allclose(np.array(spec.correction) @ matrix, np.eye(2), atol=1e-12)


@pytest.mark.parametrize(("ratio", "angle"), [(1.02, 5.0), (1.3, 91.0), (1.07, 179.0)])
def test_an_ellipse_is_read_off_a_matrix_even_after_a_turn(ratio, angle):
    c, s = math.cos(0.4), math.sin(0.4)
    turned = np.array(ellipse_matrix(ratio, angle)) @ np.array([[c, -s], [s, c]])
    (a, b), (d, e) = (1.7 * turned).tolist()
    assert ellipse_of(((a, b), (d, e))) == pytest.approx((ratio, angle))


def test_a_circle_has_no_direction():
    assert ellipse_of(((2.0, 0.0), (0.0, 2.0))) == (1.0, 0.0)


def test_fields_that_say_something_are_what_changes_another_one():
    assert CalibrationSpec().given() == {}
    assert CalibrationSpec(center=(3, 4)).given() == {"center": (3.0, 4.0)}
    assert CalibrationSpec(camera_constant=100.0).nm_per_pixel == pytest.approx(0.1)
    assert CalibrationSpec().nm_per_pixel is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ellipse": (0.9, 0.0)}, "turn its direction by 90"),
        ({"ellipse": (2.0, 0.0)}, "1 to 1.5"),
        ({"ellipse": (1.1, 400.0)}, "-360 to 360"),
        ({"camera_constant": 0.0}, "camera_constant: got 0.0"),
        ({"center": (math.nan, 3.0)}, "finite"),
        ({"centre": (2.0, 3.0)}, "no such key; it knows center"),
    ],
)
def test_nonsense_is_refused(values, words):
    with pytest.raises(SpecError, match=words):
        CalibrationSpec.from_mapping(values)
