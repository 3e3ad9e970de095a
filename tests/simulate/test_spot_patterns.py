"""Orientations of drawn spot patterns: along the crystal's own zone axes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.simulate.projector import rotation_matrices
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spot_patterns import AXES, zone_axes, zone_quaternions


@pytest.mark.parametrize("name", ["Mg", "TiO2-rutile", "Fe3C-cementite"])
def test_a_zone_axis_has_reflections_at_right_angles(name: str) -> None:
    crystal = simulate_reflections(library_phase(name), 1.1)
    axes = zone_axes(crystal)
    assert axes is not None
    assert axes.shape == (2 * AXES, 3)
    # hu + kv + lw = 0 for whole numbers: whole layers of the reciprocal lattice.
    share = np.abs(crystal.g @ axes.numpy().T) < 1e-5
    assert (share.sum(axis=0) >= 4).all()
    turns = zone_quaternions(60, 0.0, torch.Generator().manual_seed(1), [axes] * 60)
    along = rotation_matrices(turns)[:, :, 2].numpy()
    near = np.abs(along @ axes.numpy().T).max(axis=1)
    np.testing.assert_allclose(near, 1, atol=1e-5)
    assert len(np.unique(np.abs(along @ axes.numpy().T).argmax(axis=1))) > 12


def test_cubic_crystals_keep_the_axes_that_they_had() -> None:
    crystal = simulate_reflections(library_phase("NaCl"), 1.1)
    assert zone_axes(crystal) is None
    first, second = (
        zone_quaternions(8, 1.0, torch.Generator().manual_seed(3), axes)
        for axes in ((), [zone_axes(crystal)] * 8)
    )
    torch.testing.assert_close(first, second, atol=0, rtol=0)
