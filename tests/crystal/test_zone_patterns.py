"""Classes of zone-axis patterns: what the paper on the five ResNets says of them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import (
    EffectiveGroup,
    coinciding_groups,
    effective_groups,
    low_index_axes,
    zone_basis,
    zone_classes,
    zone_pattern,
)


def test_the_named_axes_are_among_sixteen():
    axes = {tuple(sorted(axis)) for axis in low_index_axes(16)}
    assert {(0, 0, 1), (0, 1, 1), (1, 1, 1), (0, 1, 2), (0, 1, 3), (1, 1, 2), (1, 2, 4)} <= axes


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 2, 3), (2, -1, 4), (-3, 1, 0)])
def test_a_zone_basis_generates_the_zone(axis):
    basis = zone_basis(axis)
    assert (basis @ np.array(axis) == 0).all()
    np.testing.assert_array_equal(np.cross(*basis), axis)


def test_a_zone_axis_has_no_common_divisor():
    with pytest.raises(ValueError, match="common divisor"):
        zone_basis((2, 0, 2))


@pytest.mark.parametrize(
    ("group", "axis", "category", "angles"),
    [
        (225, (0, 0, 1), "A", ()),
        (225, (1, 1, 1), "C", ()),
        (225, (1, 0, 2), "B", (24.0948,)),  # diagonal of 1 : √5, the paper's figure 4a
        (225, (1, 1, 0), "D", (70.5288, 54.7356)),  # rows 111 and 200, the centred rectangle
        (229, (0, 0, 1), "A", ()),
    ],
)
def test_lattices_are_those_of_textbooks(group, axis, category, angles):
    lattice = zone_pattern(EffectiveGroup(group), axis).lattice
    assert lattice.category == category
    np.testing.assert_allclose(lattice.angles, angles, atol=1e-3)


def test_an_oblique_zone_and_its_mirror_image_differ_in_chirality():
    one, other = (
        zone_pattern(EffectiveGroup(225), axis).lattice for axis in ((1, 2, 3), (2, 1, 3))
    )
    assert one.chirality == -other.chirality != 0
    np.testing.assert_allclose(one.angles, other.angles)


def test_groups_that_always_coincide_come_out():
    """The paper's sets, and the groups of class 432 that it does not mention."""
    groups = [EffectiveGroup(g) for g in (195, 196, 197, 199, 200, 202, 204, 207, 209, 211, 212,
                                          213, 215, 216, 217, 221, 225, 227, 229)]  # fmt: skip
    found = {tuple(g.space_group for g in members)
             for members in coinciding_groups(groups, low_index_axes(9))}  # fmt: skip
    assert found == {
        (195, 200, 207, 215, 221), (196, 202, 209, 216, 225), (197, 199, 204, 211, 217, 229),
        (212, 213), (227,),
    }  # fmt: skip


def test_group_227_looks_three_ways():
    """By the orbits that scatter: diamond's, pyrochlore's, and all others."""
    ways = effective_groups(227)
    assert len(ways) == 3
    assert [str(w).split()[0] for w in ways] == ["227", "227", "227"]
    diamond = next(w for w in ways if w.orbits and "8 at 0,0,0" in str(w))
    # 222 is what diamond lacks and the group allows; it shows along [110].
    plain, lacking = (zone_pattern(w, (1, 1, 0)) for w in (ways[0], diamond))
    assert plain.key != lacking.key


def test_other_groups_of_the_paper_look_one_way():
    assert [len(effective_groups(g)) for g in (221, 225, 229)] == [1, 1, 1]


def test_001_of_four_groups_is_one_class_without_213():
    """The paper's worked example: 25 % each from [001] alone."""
    groups = [EffectiveGroup(g) for g in (213, 221, 225, 227, 229)]
    names = zone_classes(groups, [(0, 0, 1)]).names
    assert [names[g, (0, 0, 1)] for g in groups] == ["A1-1", "A1-0", "A1-0", "A1-0", "A1-0"]


def test_classes_do_not_depend_on_the_equivalent_axis():
    for group in (213, 227):
        first = zone_pattern(EffectiveGroup(group), (0, 1, 2))
        # Cyclic permutations are symmetric in every cubic group.
        assert zone_pattern(EffectiveGroup(group), (1, 2, 0)).key == first.key
