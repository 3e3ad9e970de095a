"""Bands added to master patterns: what the groups allow, where it lies, and in the right class."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from napari_spacegroup.errors import ModelError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterRecord, MasterSet
from napari_spacegroup.learn.added_bands import (
    ALLOWED,
    PARENTS,
    AddedBands,
    band_picture,
    families,
)
from napari_spacegroup.learn.batches import TrainingBatches
from napari_spacegroup.simulate.detector import Appearance, GeometryRange

GROUPS = tuple(ALLOWED)


@pytest.mark.parametrize("group", GROUPS)
def test_reflections_are_allowed_as_by_gemmi(group):
    hkl = np.stack(np.meshgrid(*3 * [np.arange(-6, 7)], indexing="ij"), -1).reshape(-1, 3)
    hkl = hkl[(hkl != 0).any(1)]
    operations = gemmi.find_spacegroup_by_number(group).operations()
    absent = np.array([operations.is_systematically_absent(h) for h in hkl.tolist()])
    assert np.array_equal(ALLOWED[group](hkl), ~absent)


def test_a_parent_allows_less():
    hkl = np.stack(np.meshgrid(*3 * [np.arange(9)], indexing="ij"), -1).reshape(-1, 3)[1:]
    for group, parents in PARENTS.items():
        for parent in parents:
            more, less = ALLOWED[group](hkl), ALLOWED[parent](hkl)
            assert (more | ~less).all()
            assert (more & ~less).any()


def test_families_end_at_the_shortest_spacing():
    hkl = families(225, 3.52)
    assert [1, 1, 1] in hkl.tolist()
    assert [2, 1, 1] not in hkl.tolist()
    assert (3.52 / np.linalg.norm(hkl, axis=1)).min() >= 0.75


def test_a_band_lies_where_its_planes_are_edge_on():
    tilts = np.radians(np.linspace(-12, 12, 481))
    directions = torch.tensor(
        np.stack([np.sin(tilts), np.cos(tilts), 0.1 + 0 * tilts], 1), dtype=torch.float32
    )
    directions = directions / directions.norm(dim=1, keepdim=True)
    scale = 0.0859 / 2 / 3.0
    picture = band_picture((1, 0, 0), directions, scale, 0.003).numpy()
    bright = np.sin(tilts[picture > picture.mean()])
    # The planes (010) and (001) are steep here: what varies is the band of (100).
    assert abs(bright).max() == pytest.approx(scale, rel=0.25)
    drop = np.sin(tilts[np.abs(np.diff(picture)).argmax()])
    assert abs(drop) == pytest.approx(scale, rel=0.1)


def masters(edge: float = 4.0) -> MasterSet:
    generator = torch.Generator().manual_seed(0)
    flat = torch.rand((6, 1, 31, 31), generator=generator)
    whole = sum(f(flat) for f in (lambda p: p, lambda p: p.flip(-1)))
    whole = whole + whole.flip(-2)
    whole = whole + whole.mT
    records = [MasterRecord(str(g), g, edge=edge) for g in GROUPS]
    return MasterSet.from_arrays(whole.numpy(), records, size=31)


def all_of(added: AddedBands) -> list[torch.Tensor]:
    """Return what the pool of 13 holds now, class by class."""
    draws = [(k, (i + 0.5) / n) for k in range(6) for n in [3 if k == 0 else 2] for i in range(n)]
    return [added.drawn(label, draw).clone() for label, draw in draws]


def test_patterns_keep_their_symmetry_and_scale():
    for sheet in all_of(AddedBands(masters(), GROUPS, seed=3, size=13)):
        for image in (sheet.flip(1), sheet.flip(2), sheet.mT):
            assert torch.allclose(sheet, image, atol=1e-4)
        assert abs(float(sheet.mean())) < 1e-4
        assert float(sheet.std()) == pytest.approx(1, abs=1e-3)


def test_the_pool_is_renewed_from_its_oldest():
    added = AddedBands(masters(), GROUPS, seed=3, size=13)
    first = all_of(added)
    assert len({p.numpy().tobytes() for p in first}) == 13
    added.renewed += 2
    changed = [not torch.equal(a, b) for a, b in zip(first, all_of(added), strict=True)]
    # Places 0 and 1 are the first ones of the first two classes.
    assert np.flatnonzero(changed).tolist() == [0, 3]


def test_a_stopped_training_goes_on_with_the_same_patterns():
    whole = AddedBands(masters(), GROUPS, seed=3, size=13)
    all_of(whole)
    whole.renewed += 30
    again = AddedBands(masters(), GROUPS, seed=3, size=13)
    again.renewed = 30
    pairs = zip(all_of(whole), all_of(again), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_two_hemispheres_get_the_same_bands():
    both = masters()
    both = MasterSet(both.patterns.expand(-1, 2, -1, -1), both.records)
    pattern = AddedBands(both, GROUPS, seed=3, size=13).drawn(2, 0.5)
    assert pattern.shape == (2, 31, 31)
    assert torch.equal(pattern[0], pattern[1])


def test_a_band_finer_than_the_grid_is_averaged_over_its_pixels():
    tilts = torch.linspace(-0.2, 0.2, 24_001)
    directions = torch.stack([torch.sin(tilts), torch.cos(tilts), torch.zeros(24_001)], 1)
    fine = band_picture((1, 0, 0), directions, 0.0143, 0.001)
    pixel = float(tilts[1] - tilts[0]) * 1000
    centers = torch.arange(500, 23_501, 1000)
    expected = torch.stack([fine[c - 500 : c + 501].mean() for c in centers])
    found = band_picture((1, 0, 0), directions[centers], 0.0143, 0.001, pixel)
    sampled = fine[centers]
    # The other two bands run along these directions and add a constant.
    missed = [1 - float(torch.corrcoef(torch.stack([p, expected]))[0, 1]) for p in (found, sampled)]
    assert missed[0] < 0.2 * missed[1]
    assert missed[0] < 0.005


def test_masters_without_a_cell_edge_are_refused():
    with pytest.raises(ModelError, match="cell edge"):
        AddedBands(masters(edge=0.0), GROUPS)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_a_batch_is_drawn_from_the_pool(share, monkeypatch):
    added = AddedBands(masters(), GROUPS, seed=3, size=13)
    drawn = []
    make = added.drawn
    monkeypatch.setattr(
        added, "drawn", lambda label, draw: drawn.append(label) or make(label, draw)
    )
    batches = TrainingBatches(
        masters(), GROUPS, geometry=GeometryRange(), appearance=Appearance(),
        contract=InputContract(shape=(24, 24)), generator=torch.Generator().manual_seed(1),
        added=added, added_share=share,
    )  # fmt: skip
    batch = batches.draw(24)
    assert drawn == (batch.labels.tolist() if share else [])
    assert added.renewed == 2
    assert torch.isfinite(batch.inputs).all()
