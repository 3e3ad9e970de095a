"""Partly ordered crystals of the recipe: between a structure and its disordered parent."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

EDGE = 3.64
CU3AU = {
    "id": "cu3au", "formula": "Cu3Au", "sg": 221, "proto": "221|1a|3c", "source": "test",
    "hyp": 0, "n": 4, "lattice": [EDGE] * 3 + [90.0] * 3,
    "sites": [["Au", 0, 0, 0, 1], ["Cu", 0, 0.5, 0.5, 1], ["Cu", 0.5, 0, 0.5, 1],
              ["Cu", 0.5, 0.5, 0, 1]],
}  # fmt: skip


@pytest.fixture
def ordering(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "recipes" / "ebsd-cubic"))
    yield pytest.importorskip("ordering")
    for name in ("ordering", "masters"):
        sys.modules.pop(name, None)


def structure_factor(record, hkl):
    numbers = {"Au": 79.0, "Cu": 29.0}
    return sum(
        numbers[e] * n * np.exp(2j * np.pi * np.dot(hkl, (x, y, z)))
        for e, x, y, z, n in record["sites"]
    )


def test_the_parent_of_cu3au_is_a_face_centred_alloy(ordering):
    parent, share = ordering.nearest_parent(CU3AU)
    assert parent["sg"] == 225
    assert share == pytest.approx(ordering.masters.hidden_by_lattice(CU3AU)["F"])
    assert structure_factor(parent, (1, 0, 0)) == pytest.approx(0, abs=1e-9)
    assert structure_factor(parent, (1, 1, 1)) == pytest.approx(79 + 3 * 29)


@pytest.mark.parametrize("hkl", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 0, 0)])
@pytest.mark.parametrize("order", [0.0, 0.3, 1.0])
def test_structure_factors_lie_between(ordering, hkl, order):
    parent, _ = ordering.nearest_parent(CU3AU)
    mixed = ordering.partly_ordered(CU3AU, parent, order)
    whole, none = structure_factor(CU3AU, hkl), structure_factor(parent, hkl)
    expected = order * whole + (1 - order) * none
    assert structure_factor(mixed, hkl) == pytest.approx(expected, abs=1e-6)


def test_a_pair_hides_as_much_as_asked(ordering):
    for seed in range(5):
        parent, mixed = ordering.pair_of(CU3AU, random.Random(seed))
        assert (parent.record["sg"], mixed.record["sg"]) == (225, 221)
        share = ordering.masters.hidden_by_lattice(mixed.record)["F"]
        assert ordering.LEAST_SHARE * 0.99 < share < ordering.MOST_SHARE * 1.01
