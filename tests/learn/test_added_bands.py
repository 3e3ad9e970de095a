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
    wavelength,
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


def test_wavelength_of_twenty_kilovolt():
    assert wavelength(20.0) == pytest.approx(0.08588, abs=1e-5)  # International Tables C, 4.2.1


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


def test_patterns_keep_their_symmetry_and_scale_and_are_renewed():
    added = AddedBands(masters(), GROUPS, seed=3, size=13)
    again = AddedBands(masters(), GROUPS, seed=3, size=13)
    assert torch.equal(added.patterns, again.patterns)
    for sheet in added.patterns[:, 0]:
        for image in (sheet.flip(0), sheet.flip(1), sheet.T):
            assert torch.allclose(sheet, image, atol=1e-4)
        assert abs(float(sheet.mean())) < 1e-4
        assert float(sheet.std()) == pytest.approx(1, abs=1e-3)
    before = added.patterns.clone()
    added.renew(2)
    changed = (added.patterns != before).flatten(1).any(1)
    assert changed.tolist() == [True, True, *11 * [False]]


def test_a_class_is_drawn_from_its_own_places():
    added = AddedBands(masters(), GROUPS, seed=3, size=13)
    for label in range(len(GROUPS)):
        places = set()
        for _ in range(40):
            drawn = added.drawn(label)
            places |= {i for i, p in enumerate(added.patterns) if torch.equal(p, drawn)}
        assert places == set(range(label, 13, len(GROUPS)))


def test_masters_without_a_cell_edge_are_refused():
    with pytest.raises(ModelError, match="cell edge"):
        AddedBands(masters(edge=0.0), GROUPS)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_a_batch_is_drawn_from_the_pool(share, monkeypatch):
    added = AddedBands(masters(), GROUPS, seed=3, size=13)
    drawn, renewed = [], []
    monkeypatch.setattr(added, "drawn", lambda label: drawn.append(label) or added.patterns[label])
    monkeypatch.setattr(added, "renew", renewed.append)
    batches = TrainingBatches(
        masters(), GROUPS, geometry=GeometryRange(), appearance=Appearance(),
        contract=InputContract(shape=(24, 24)), generator=torch.Generator().manual_seed(1),
        added=added, added_share=share,
    )  # fmt: skip
    batch = batches.draw(24)
    assert drawn == (batch.labels.tolist() if share else [])
    assert renewed == [2]
    assert torch.isfinite(batch.inputs).all()
