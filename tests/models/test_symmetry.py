"""The symmetry that a pattern shows: axes of the Laue classes, their fit, the pattern center."""

from __future__ import annotations

import collections
import math

import gemmi
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_spacegroup.crystal.levels import level_names
from napari_spacegroup.imaging import InputContract, prepare
from napari_spacegroup.models import SymmetryNet, build, symmetry_center
from napari_spacegroup.models.sector import screen_rays
from napari_spacegroup.models.symmetry_axes import (
    LAUE_CLASSES,
    Screen,
    symmetry_axes,
    turns,
)
from napari_spacegroup.models.symmetry_center import find_symmetry_center
from napari_spacegroup.models.symmetry_fit import fit_laue_classes
from napari_spacegroup.models.symmetrynet import describe, feature_count

CENTER = torch.tensor([[0.48, 0.3, 0.55]])
SIDE = 60
FIRST_GROUPS = {"2/m": 10, "mmm": 47, "4/m": 83, "4/mmm": 123, "-3": 147, "-3m": 162,
                "6/m": 175, "6/mmm": 191, "m-3": 200, "m-3m": 221}  # fmt: skip


def operations_of(laue: str) -> Tensor:
    """Return the proper rotations of a class, closed under products, shape ``(n, 3, 3)``."""
    axes = symmetry_axes(laue)
    steps = turns(axes.directions, 2 * math.pi / axes.orders)
    found = [torch.eye(3)]
    for element in found:
        for step in steps:
            product = step @ element
            if not any(torch.allclose(product, known, atol=1e-4) for known in found):
                found.append(product)
    return torch.stack(found)


def pattern_of(laue: str, rotation: Tensor, center: Tensor = CENTER, seed: int = 1) -> Tensor:
    """Return a prepared pattern of bands with the symmetry of a class, turned by a matrix."""
    generator = torch.Generator().manual_seed(seed)
    normals = functional.normalize(torch.randn(5, 3, generator=generator), dim=-1)
    strength = 0.5 + torch.rand(5, generator=generator)
    operations = operations_of(laue) if laue != "-1" else torch.eye(3)[None]
    if len(operations) < 4:  # else there are too few bands to see
        normals = functional.normalize(torch.randn(16, 3, generator=generator), dim=-1)
        strength = 0.5 + torch.rand(16, generator=generator)
    rays = screen_rays(center, SIDE)[0]
    picture = torch.zeros(len(rays))
    for operation in operations:
        planes = normals @ (rotation @ operation).T
        picture += (torch.exp(-((rays @ planes.T) ** 2) / (2 * 0.04**2)) * strength).sum(1)
    return prepare(picture.reshape(1, SIDE, SIDE), InputContract(shape=(SIDE, SIDE)))


def random_rotation(seed: int) -> Tensor:
    """Return a rotation matrix."""
    generator = torch.Generator().manual_seed(seed)
    axis = functional.normalize(torch.randn(3, generator=generator), dim=0)
    return turns(axis, 3 * torch.rand((), generator=generator))


def test_classes_follow_the_levels() -> None:
    assert level_names("laue_class") == LAUE_CLASSES


@pytest.mark.parametrize("laue", LAUE_CLASSES[1:])
def test_axes_are_those_of_the_point_group(laue: str) -> None:
    """Counted by order, against gemmi's operations of a space group of the class."""
    operations = gemmi.find_spacegroup_by_number(FIRST_GROUPS[laue]).operations()
    traces = collections.Counter()
    for operation in operations.sym_ops:
        matrix = torch.tensor(operation.rot, dtype=torch.float64) / operation.DEN
        if torch.linalg.det(matrix) > 0:
            traces[round(float(matrix.trace()))] += 1
    by_order = {2: traces[-1], 3: traces[0] // 2, 4: traces[1] // 2, 6: traces[2] // 2}
    ours = collections.Counter(symmetry_axes(laue).orders.tolist())
    assert {n: ours[n] for n in (2, 3, 4, 6)} == by_order
    assert len(operations_of(laue)) == sum(traces.values())


def test_a_pattern_is_itself_where_it_is_not_turned() -> None:
    screen = Screen.of(pattern_of("mmm", random_rotation(1)), CENTER, 0.8, 40)
    correlation, share = screen.correlate(torch.eye(3)[None])
    assert float(correlation) == pytest.approx(1, abs=0.02)
    assert float(share) == pytest.approx(1, abs=1e-3)


def test_what_is_turned_off_the_screen_is_not_compared() -> None:
    screen = Screen.of(pattern_of("mmm", random_rotation(1)), CENTER, 0.8, 40)
    away = turns(torch.tensor([[1.0, 0, 0]]), torch.tensor([math.pi / 2]))
    assert float(screen.correlate(away)[1]) < 0.1


@pytest.mark.parametrize("laue", ["mmm", "4/mmm", "-3m", "6/mmm", "m-3", "m-3m"])
@pytest.mark.parametrize("seed", [2, 3])
def test_the_axes_of_a_pattern_are_found(laue: str, seed: int) -> None:
    rotation = random_rotation(seed)
    _, fits = fit_laue_classes(pattern_of(laue, rotation), CENTER)
    fit = fits[laue]
    seen = fit.share > 0.2
    assert float(fit.correlation[seen].min()) > 0.7
    # Every turn that can be seen is one of the crystal; which of two axes off the screen is the
    # principal one, nobody can see.
    axes = symmetry_axes(laue)
    found = turns(fit.axes(laue), 2 * math.pi / axes.orders)[seen]
    true = rotation @ operations_of(laue) @ rotation.T
    trace = (found[:, None] * true[None]).sum((2, 3)).amax(1)
    angle = torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))
    assert float(angle.max()) < 2.5


def test_a_crystal_without_axes_shows_none() -> None:
    _, fits = fit_laue_classes(pattern_of("-1", random_rotation(4)), CENTER)
    _, symmetric = fit_laue_classes(pattern_of("mmm", random_rotation(4)), CENTER)
    worst = fits["mmm"].correlation[fits["mmm"].share > 0.2].min()
    assert float(symmetric["mmm"].correlation.min()) > 0.85
    assert float(worst) < 0.6


def test_the_wrong_side_of_the_pattern_center_shows_less() -> None:
    """Turned upside down, the center is wrong: a swapped convention can't go unseen."""
    image = pattern_of("m-3m", random_rotation(5))
    swapped = CENTER * torch.tensor([1.0, -1, 1]) + torch.tensor([0.0, 1, 0])
    right, wrong = (fit_laue_classes(image, c)[1]["m-3m"].evidence for c in (CENTER, swapped))
    assert right > 2 * max(wrong, 0.0)


def test_the_pattern_center_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetry_center, "GRID_X", (0.45, 0.55))
    monkeypatch.setattr(symmetry_center, "GRID_Y", (0.24, 0.34))
    monkeypatch.setattr(symmetry_center, "GRID_Z", (0.53, 0.62))
    monkeypatch.setattr(symmetry_center, "STARTS", 1)
    images = torch.cat([pattern_of("m-3m", random_rotation(seed)) for seed in (6, 7)])
    found = find_symmetry_center(images)
    torch.testing.assert_close(found.center, CENTER[0], atol=0.02, rtol=0)
    stated = find_symmetry_center(images, torch.tensor([0.5, 0.5, 0.9]))
    torch.testing.assert_close(stated.center, torch.tensor([0.5, 0.5, 0.9]))
    assert stated.score < found.score


def test_features_are_finite_and_do_not_depend_on_the_company() -> None:
    images = torch.cat([pattern_of("4/mmm", random_rotation(s)) for s in (8, 9)])
    images = torch.cat([images, torch.zeros(1, 1, SIDE, SIDE)])
    both = describe(images, CENTER.expand(3, 3))
    assert both.shape == (3, feature_count())
    assert bool(both.isfinite().all())
    torch.testing.assert_close(describe(images[1:2], CENTER), both[1:2])


def test_space_groups_share_their_laue_class() -> None:
    network = build("symmetrynet", 3, width=8)
    assert isinstance(network, SymmetryNet)
    network.laue.copy_(torch.tensor([10, 10, 9]))
    network.prior.copy_(torch.tensor([0.25, 0.75, 1.0]).log())
    logits = torch.zeros(1, len(LAUE_CLASSES))
    logits[0, 10] = 2.0
    found = network.eval().spread(logits).softmax(-1)[0]
    assert float(found[1] / found[0]) == pytest.approx(3)
    assert float((found[0] + found[1]) / found[2]) == pytest.approx(math.exp(2.0))
