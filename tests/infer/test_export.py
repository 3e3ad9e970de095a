from __future__ import annotations

import builtins

import numpy as np
import pytest

from napari_spacegroup.errors import MissingPartError, SpecError


def test_crystal_map(random_map):
    result = random_map((4, 6), (225, 229, 194), step=(0.5, 0.25), step_unit="um")
    crystal_map = result.to_crystal_map(threshold=0.5)
    labels = result.labels(threshold=0.5)
    assert crystal_map.shape == (4, 6)
    assert crystal_map.scan_unit == "um"
    np.testing.assert_allclose([crystal_map.dy, crystal_map.dx], [0.5, 0.25])
    np.testing.assert_array_equal(
        crystal_map.phase_id.reshape(4, 6), np.where(labels > 0, labels, -1)
    )
    for number in np.unique(labels[labels > 0]):
        assert crystal_map.phases[int(number)].space_group.number == number
    np.testing.assert_array_equal(crystal_map.prop["confidence"].reshape(4, 6), result.confidence())
    assert set(crystal_map.prop) == {"confidence", "entropy", "runner_up", "status"}
    assert len({phase.color for _, phase in crystal_map.phases}) == len(crystal_map.phases.ids)


def test_a_map_without_any_answer_or_step(random_map):
    crystal_map = random_map((2, 2), (225, 229)).to_crystal_map(threshold=1.0)
    assert crystal_map.scan_unit == "px"
    assert set(crystal_map.phase_id) == {-1}


def test_other_levels_have_no_phases(random_map):
    with pytest.raises(SpecError, match="at level 'space_group'"):
        random_map().to_crystal_map("laue_class")


def test_without_orix(random_map, monkeypatch):
    real = builtins.__import__

    def no_orix(name, *args, **kwargs):
        if name.startswith("orix"):
            raise ImportError("no orix")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_orix)
    with pytest.raises(MissingPartError, match="pip install orix"):
        random_map().to_crystal_map()
