"""Crystals in bulk have the symmetry that they were asked for, and are dense enough."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal.skeleton import SkeletonPool
from napari_spacegroup.crystal.symmetry import operation_arrays
from napari_spacegroup.crystal.synthetic import PACKING, _radius, is_of_its_group

GROUPS = (2, 5, 14, 38, 43, 62, 82, 122, 139, 148, 155, 166, 186, 194, 205, 216, 225, 227)


@pytest.fixture(scope="module")
def pool() -> SkeletonPool:
    return SkeletonPool(GROUPS, seed=3)


@pytest.mark.parametrize("number", GROUPS)
def test_they_have_their_symmetry(pool, number):
    found = [c for _ in range(4) for c in pool.crystals(number, most=3)]
    phases = [c.as_phase() for c in found]
    # Only an accident gives a crystal more symmetry than its skeleton was tried for.
    assert np.mean([is_of_its_group(p) for p in phases]) > 0.85
    for crystal, phase in zip(found, phases, strict=True):
        rotations, _ = operation_arrays(phase.operations.sym_ops)
        turned = rotations.transpose(0, 2, 1) @ crystal.metric @ rotations
        np.testing.assert_allclose(turned, np.broadcast_to(crystal.metric, turned.shape), atol=1e-6)
        spheres = sum(4 / 3 * np.pi * _radius(s.element) ** 3 for s in phase.sites)
        assert 0.99 * PACKING[0] <= spheres / phase.volume <= 1.01 * PACKING[1]


@pytest.mark.parametrize("number", [2, 62, 166, 225])
def test_no_atoms_are_closer_than_allowed(pool, number):
    phase = pool.crystals(number)[0].as_phase()
    places = np.array([s.position for s in phase.sites])
    radii = np.array([_radius(s.element) for s in phase.sites])
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
    apart = places[:, None, None] - places[None, :, None] + steps
    length = np.linalg.norm(apart @ phase.structure_matrix.T, axis=-1)
    contact = length / (radii[:, None] + radii[None])[..., None]
    assert contact[length > 1e-6].min() > 0.74


def test_the_same_seed_gives_the_same_crystals():
    first, second = (SkeletonPool((62, 225), seed=7) for _ in range(2))
    for number in (62, 225, 62):
        one, two = first.crystals(number), second.crystals(number)
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a.places, b.places)
            np.testing.assert_array_equal(a.metric, b.metric)
