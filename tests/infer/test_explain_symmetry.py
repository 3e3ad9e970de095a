"""What a model that measures symmetry shows of a pattern: axes, mirror traces, agreement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.imaging import InputContract
from napari_spacegroup.infer.explain import explain_pattern
from napari_spacegroup.infer.explain_figure import draw_explanation
from napari_spacegroup.models import Model, ModelCard, SymmetryNet

CENTER = np.array([0.5, 0.45, 0.6])
SIDE = 80
FOURFOLD = np.array([0.1, 0.05, 1.0]) / np.linalg.norm([0.1, 0.05, 1.0])


def tetragonal_pattern() -> np.ndarray:
    """Return bands of a 4/mmm crystal whose fourfold axis meets the screen at a known place."""
    x = np.cross(FOURFOLD, [0.3, 1.0, 0.2])
    x /= np.linalg.norm(x)
    basis = np.stack([x, np.cross(FOURFOLD, x), FOURFOLD])
    step = (np.arange(SIDE) + 0.5) / SIDE
    across, down = np.meshgrid(step, step)
    rays = np.stack([(across - CENTER[0]) / CENTER[2], (CENTER[1] - down) / CENTER[2],
                     np.ones_like(down)], -1)  # fmt: skip
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    pattern = np.zeros((SIDE, SIDE))
    for h, k, m, strength in ((1, 0, 0, 1), (1, 1, 0, 0.6), (2, 1, 1, 0.8), (1, 0, 2, 0.7)):
        for a, b in ((h, k), (k, h)):
            for i in (-1, 1):
                for j in (-1, 1):
                    normal = np.array([i * a, j * b, m]) @ basis
                    angle = rays @ (normal / np.linalg.norm(normal))
                    pattern += strength * np.exp(-((angle / 0.04) ** 2) / 2)
    return pattern.astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    network = SymmetryNet(2, width=8)
    network.laue.copy_(torch.tensor([4, 0]))
    card = ModelCard(name="axes", technique="ebsd", classes=(123, 2), architecture="symmetrynet",
                     options={"width": 8}, input=InputContract(shape=(60, 60)))  # fmt: skip
    return Model(network, card)


def test_axes_and_mirrors_stand_where_they_are(model: Model, tmp_path) -> None:
    found = explain_pattern(model, tetragonal_pattern(), space_group=123, pattern_center=CENTER)
    (four,) = [mark for mark in found.zone_axes if mark.name == "4"]
    x, y, z = FOURFOLD
    place = ((CENTER[0] + CENTER[2] * x / z) * SIDE, (CENTER[1] - CENTER[2] * y / z) * SIDE)
    assert np.hypot(four.x + 0.5 - place[0], four.y + 0.5 - place[1]) < 2
    # Four mirror planes hold the axis; the fifth, across it, does not meet the screen.
    through = 0
    for trace in found.bands:
        assert trace.name == "m"
        (a, b), (c, d) = trace.start, trace.stop
        across = abs((c - a) * (b - four.y) - (a - four.x) * (d - b)) / np.hypot(c - a, d - b)
        through += across < 2.5
    assert through == 4
    assert 0.9 < np.nanmax(found.heat) <= 1  # enlarged, a peak loses a little
    assert draw_explanation(found, tmp_path / "why.png").stat().st_size > 10_000


def test_a_class_without_axes_has_nothing_to_show(model: Model) -> None:
    found = explain_pattern(model, tetragonal_pattern(), space_group=2, pattern_center=CENTER)
    assert found.zone_axes == found.bands == ()
    assert np.nanmax(found.heat) == 0
