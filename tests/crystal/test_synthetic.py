"""Synthetic crystals are of their group, packed as crystals are, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal.library import library_phase
from napari_spacegroup.crystal.phase import AtomSite, Phase
from napari_spacegroup.crystal.synthetic import (
    PACKING,
    SyntheticLimits,
    is_of_its_group,
    synthetic_phase,
    synthetic_phases,
)
from napari_spacegroup.errors import PhaseError

GROUPS = [1, 2, 5, 14, 36, 62, 88, 123, 141, 155, 166, 186, 194, 198, 216, 221, 225, 229, 230]


@pytest.fixture(scope="module")
def crystals():
    return list(synthetic_phases(GROUPS, 2, seed=3))


def test_every_group_gets_its_share(crystals):
    assert [c.space_group for c in crystals] == [g for g in GROUPS for _ in range(2)]


def test_they_have_the_symmetry_of_their_group_and_no_more(crystals):
    for crystal in crystals:
        crystal.check_symmetry(1e-3)
        assert is_of_its_group(crystal)


def test_atoms_touch_and_fill_space(crystals):
    import gemmi

    for crystal in crystals:
        radii = np.array([gemmi.Element(s.element).covalent_r for s in crystal.sites])
        packing = (4 / 3 * np.pi * radii**3).sum() / crystal.volume
        assert PACKING[0] - 1e-6 <= packing <= PACKING[1] + 1e-6
        places = np.array([s.position for s in crystal.sites])
        steps = np.array(list(np.ndindex(5, 5, 5))) - 2.0
        apart = (places[:, None] - places[None])[..., None, :] + steps
        length = np.linalg.norm(apart @ crystal.structure_matrix.T, axis=-1)
        length[length < 1e-3] = np.inf
        ratio = length.min(-1) / (radii[:, None] + radii[None])
        assert 0.74 < ratio.min() < 1.2


def test_the_same_seed_gives_the_same_crystals_whatever_else_is_asked_for():
    (alone,) = synthetic_phases([194], 1, seed=8)
    *_, last = synthetic_phases([62, 194], 1, seed=8)
    assert alone == last
    (other,) = synthetic_phases([194], 1, seed=9)
    assert alone != other


def test_a_crystal_of_more_symmetry_than_asked_for_is_refused():
    assert is_of_its_group(library_phase("Ni"))
    copper = AtomSite("Cu", (0.0, 0.0, 0.0))
    faces = [AtomSite("Cu", p) for p in ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))]
    disguised = Phase("Cu", 221, (3.6, 3.6, 3.6, 90, 90, 90), (copper, *faces))
    assert not is_of_its_group(disguised)


def test_limits_hold_and_what_cannot_be_is_told():
    rng = np.random.default_rng(0)
    phase = synthetic_phase(225, rng, limits=SyntheticLimits(atoms=4, sites=2, elements=2))
    assert len(phase.sites) <= 16
    with pytest.raises(PhaseError, match="allow more atoms"):
        synthetic_phase(230, rng, limits=SyntheticLimits(atoms=4))
