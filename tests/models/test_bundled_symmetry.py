"""The bundled ``ebsd-symmetry`` on measured patterns, none of which it was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_spacegroup as nsg
from napari_spacegroup.crystal.levels import aggregate, level_names
from napari_spacegroup.patterns import Geometry, PatternScan


def shares(result: nsg.SpaceGroupMap, level: str) -> np.ndarray:
    """Return the mean probability of the classes of a level over the map."""
    flat = np.asarray(result.probabilities).reshape(-1, len(result.classes))
    return (flat @ aggregate(result.classes, level)[1]).mean(0)


@pytest.mark.slow
def test_ferrite_shows_a_cubic_laue_class_without_being_told(shared_data: Path) -> None:
    """Patterns of good quality; pattern center of the vendor's file, y counted from below there."""
    with np.load(shared_data / "ebsd" / "fe_ferrite_openxy" / "fe_ferrite_899_binned4.npz") as file:
        patterns = file["patterns"][np.argsort(file["iq"])[-200::20]]
    scan = PatternScan.from_array(patterns, name="ferrite")
    center = Geometry(pattern_center=np.array([0.5017, 1 - 0.7189, 0.5342]))
    scan = replace(scan, mask=scan.detect_mask(), geometry=center)
    result = nsg.classify(scan, "ebsd-symmetry")
    assert result.finest_level == "laue_class"
    laue = shares(result, "laue_class")
    assert level_names("laue_class")[int(laue.argmax())] == "m-3m"
    system = shares(result, "crystal_system")
    assert system[level_names("crystal_system").index("cubic")] > 0.6


def test_below_the_laue_class_known_structures_decide() -> None:
    model = nsg.load_model("ebsd-symmetry")
    logits = model.network.spread(torch.zeros(1, 11))
    probabilities = logits.softmax(-1).detach().numpy()
    laue = probabilities @ aggregate(model.classes, "laue_class")[1]
    np.testing.assert_allclose(laue, 1 / 11, atol=1e-5)
    assert model.card.temperature == 1
