"""What dragging and typing does to the marks of a calibration; no window."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from napari_spacegroup.config import CalibrationSpec
from napari_spacegroup.plugin.calibration_marks import CalibrationMarks

MARKS = CalibrationMarks((160.0, 90.0), ellipse=(1.21, 90.0), radius=50.0)


def test_marks_of_a_calibration_say_the_same():
    told = CalibrationSpec(center=(12.0, 70.5), camera_constant=99.0, ellipse=(1.05, 20.0))
    marks = CalibrationMarks.of(told, (100, 140), is_fixed=False)
    assert marks.calibration() == told
    bare = CalibrationMarks.of(None, (100, 140), is_fixed=False)
    assert bare.center == (69.5, 49.5)  # column first
    assert bare.calibration() == CalibrationSpec()


def test_the_ring_is_drawn_with_y_up_and_its_long_axis_there():
    column, row = MARKS.ring(50.0, math.pi / 2)
    assert (column, row) == pytest.approx((160.0, 90.0 - 55.0))
    assert MARKS.ring(50.0, 0.0) == pytest.approx((160.0 + 50 / 1.1, 90.0))
    oblique = replace(MARKS, ellipse=(1.44, 45.0))
    column, row = oblique.handles()[0]
    assert column > 160
    assert row < 90  # up to the right
    assert math.hypot(column - 160, row - 90) == pytest.approx(60.0)
    for end in oblique.handles():
        assert oblique.radius_at(*end) == pytest.approx(50.0)


def test_the_center_is_fixed_by_dragging_it():
    moved = MARKS.with_center(150.0, 95.0)
    assert moved.calibration().center == (150.0, 95.0)
    assert MARKS.calibration().center is None


def test_dragging_the_ring_onto_spots_of_a_known_spacing_gives_the_scale():
    known = MARKS.with_spacing(2.0)
    assert known.camera_constant == pytest.approx(100.0)
    assert known.radius == 50.0
    column, row = known.ring(60.0, 0.3)
    dragged = known.with_ring_through(column, row)
    assert dragged.radius == pytest.approx(60.0)
    assert dragged.camera_constant == pytest.approx(120.0)
    assert dragged.ellipse == known.ellipse


def test_typing_a_spacing_moves_the_ring_and_keeps_the_scale():
    known = replace(MARKS, camera_constant=120.0)
    typed = known.with_spacing(3.0)
    assert (typed.radius, typed.camera_constant) == (pytest.approx(40.0), 120.0)
    free = typed.with_spacing(None).with_ring_through(160.0 + 30 / 1.1, 90.0)
    assert free.camera_constant == 120.0  # an unknown ring only measures
    assert free.shown_spacing == pytest.approx(4.0)
    assert typed.with_camera_constant(150.0).radius == pytest.approx(50.0)
    assert typed.with_camera_constant(None).radius == pytest.approx(40.0)


def test_a_second_ring_lies_where_the_scale_puts_it_and_sets_it():
    both = replace(MARKS.with_spacing(2.0), second_spacing=1.0)
    assert both.second_radius == pytest.approx(100.0)
    dragged = both.with_second_through(*both.ring(110.0, 2.0))
    assert dragged.camera_constant == pytest.approx(110.0)
    assert dragged.radius == pytest.approx(55.0)


def test_an_axis_is_dragged_longer_and_shorter():
    circle = replace(MARKS, ellipse=(1.0, 0.0))
    long = circle.with_axis_through(160.0 + 40, 90.0 - 40)
    assert long.ellipse == pytest.approx(((math.hypot(40, 40) / 50) ** 2, 45.0))
    assert long.radius == 50.0
    short = circle.with_axis_through(160.0, 90.0 - 45)
    assert short.ellipse == pytest.approx(((50 / 45) ** 2, 0.0))
    far = circle.with_axis_through(160.0 + 500, 90.0)
    assert far.ellipse[0] == 1.5  # no lens does more; the marks stay valid
    assert far.calibration().ellipse[0] == 1.5
