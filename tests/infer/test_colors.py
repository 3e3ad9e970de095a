from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import LEVELS, level_names
from napari_spacegroup.errors import SpecError
from napari_spacegroup.infer import color, hex_color
from napari_spacegroup.infer.colors import perceived


def smallest_gap(level, labels):
    """Smallest CIELAB distance of two classes, for the worst of three kinds of eyes."""
    seen = perceived(np.array([color(level, label)[:3] for label in labels]))
    gaps = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1)
    return gaps[:, *np.triu_indices(len(labels), 1)].min()


def test_lab_against_the_standard():
    lab = perceived(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))[0]
    np.testing.assert_allclose(lab[0], (100, 0, 0), atol=0.01)
    np.testing.assert_allclose(lab[1], (53.24, 80.09, 67.20), atol=0.02)
    np.testing.assert_allclose(lab[2], 0, atol=0.01)


def test_colour_blind_eyes_confuse_red_and_green():
    pair = np.array([[0.8, 0.1, 0.0], [0.35, 0.45, 0.0]])
    gaps = np.linalg.norm(np.diff(perceived(pair), axis=1), axis=-1)[:, 0]
    assert gaps[1] < gaps[0] / 2
    assert gaps[2] < gaps[0] / 2


def test_neighbours_are_told_apart_by_all_eyes():
    assert smallest_gap("space_group", range(221, 231)) > 20
    assert smallest_gap("space_group", (221, 223, 225, 227, 229, 230)) > 25
    assert smallest_gap("crystal_system", range(1, 8)) > 30
    assert smallest_gap("laue_class", range(1, 12)) > 20
    assert smallest_gap("bravais_lattice", range(1, 15)) > 15


@pytest.mark.parametrize("level", LEVELS)
def test_every_class_has_a_colour_of_its_own(level):
    n_class = len(level_names(level))
    colors = [color(level, label) for label in range(1, n_class + 1)]
    assert len(set(colors)) == n_class
    values = np.array(colors)
    assert ((values >= 0) & (values <= 1)).all()
    assert (values[:, 3] == 1).all()
    assert np.ptp(values[:, :3], axis=1).min() > 0.1  # grey means unknown
    assert color(level, 0) == (0.0, 0.0, 0.0, 0.0)
    assert hex_color(level, 0) == "#808080"


def test_colours_stay_what_they_are():
    assert hex_color("space_group", 225) == "#d34f23"
    assert color("space_group", 225) == color("space_group", 225)


def test_a_class_that_does_not_exist():
    with pytest.raises(ValueError, match="numbered 1 to 7"):
        color("crystal_system", 8)
    with pytest.raises(SpecError, match="no symmetry level"):
        color("colour", 1)
