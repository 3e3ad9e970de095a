"""Sets of master patterns on disk: small where symmetry allows it, and without loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.learn import MasterRecord, MasterSet


def symmetric_sheet(side: int, seed: int) -> np.ndarray:
    sheet = np.random.default_rng(seed).normal(size=(side, side))
    sheet = sheet + sheet[::-1]
    sheet = sheet + sheet[:, ::-1]
    return (sheet + sheet.T)[None]


def made(sheets) -> MasterSet:
    records = [MasterRecord(f"A{i}", 221) for i in range(len(sheets))]
    return MasterSet.from_arrays(sheets, records, size=sheets[0].shape[-1])


def test_sheets_of_symmetry_4mm_are_stored_as_octants(tmp_path):
    masters = made([symmetric_sheet(33, seed) for seed in range(3)])
    masters.save(tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz") as content:
        assert content["octants"].shape == (3, 1, 17 * 18 // 2)
        assert "patterns" not in content
    again = MasterSet.load(tmp_path / "set.npz")
    torch.testing.assert_close(again.patterns, masters.patterns, atol=5e-3, rtol=0)
    assert again.records == masters.records


@pytest.mark.parametrize("broken", ["mirror", "diagonal"])
def test_others_are_stored_whole(tmp_path, broken):
    sheet = symmetric_sheet(33, 0)
    if broken == "mirror":
        sheet[0, 3, 5] += 1
    else:
        sheet = np.random.default_rng(0).normal(size=(1, 33, 33))
        sheet = sheet + sheet[:, ::-1]
        sheet = sheet + sheet[:, :, ::-1]
    masters = made([symmetric_sheet(33, 1), sheet])
    masters.save(tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz") as content:
        assert content["patterns"].shape == (2, 1, 33, 33)
    again = MasterSet.load(tmp_path / "set.npz")
    torch.testing.assert_close(again.patterns, masters.patterns, atol=5e-3, rtol=0)


def test_a_finer_grid_comes_without_aliases():
    """Lines that the coarse grid cannot hold average out instead of beating."""
    stripes = np.tile(np.arange(97) % 2, (97, 1))[None].astype(float)
    gentle = np.tile(np.cos(np.linspace(0, 2 * np.pi, 97)), (97, 1))[None]
    masters = MasterSet.from_arrays(
        [gentle + stripes, gentle], [MasterRecord("A", 221), MasterRecord("B", 221)], size=33
    )
    inner = masters.patterns[:, 0, 2:-2, 2:-2].flatten(1)
    assert torch.corrcoef(inner)[0, 1] > 0.99


def test_a_finer_grid_keeps_its_symmetry(tmp_path):
    MasterSet.from_arrays([symmetric_sheet(97, 0)], [MasterRecord("A", 221)], size=33).save(
        tmp_path / "set.npz"
    )
    with np.load(tmp_path / "set.npz") as content:
        assert "octants" in content


def test_both_kinds_load_together(tmp_path):
    one = made([symmetric_sheet(33, 0)])
    other = made([np.random.default_rng(0).normal(size=(1, 33, 33))])
    one.save(tmp_path / "a.npz")
    other.save(tmp_path / "b.npz")
    both = MasterSet.load(tmp_path)
    assert len(both) == 2
    torch.testing.assert_close(both.patterns[:1], one.patterns, atol=5e-3, rtol=0)
