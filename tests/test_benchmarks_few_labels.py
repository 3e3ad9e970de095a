"""The parts of benchmarks/few_labels.py that no training hides: splits, neighbours, answers."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet


@pytest.fixture(scope="module")
def module(repository):
    path = repository / "benchmarks" / "few_labels.py"
    spec = importlib.util.spec_from_file_location("few_labels", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def lines() -> LineSet:
    """Three structures, each with sixteen sizes of its cell."""
    phases = [library_phase(n).scaled(s) for n in ("Ni", "Fe", "Si")
              for s in np.linspace(0.97, 1.03, 16)]  # fmt: skip
    return LineSet.from_lines(
        [lines_of_phase(p, 6.3, radiation=("neutron",)) for p in phases],
        [p.space_group for p in phases],
        [LineRecord(p.name, f"{p.name} {k}") for k, p in enumerate(phases)],
    )


def test_no_crystal_stands_on_two_sides(module, lines):
    for seed in range(5):
        known, hidden, test = module.sides(lines, 0.2, seed)
        assert (known.astype(int) + hidden + test == 1).all()
        assert test.sum() == len(lines.space_groups) // 10
        assert set(lines.space_groups[known]) == set(lines.space_groups)
        assert known.sum() == round(0.2 * len(lines.space_groups))


def test_similar_profiles_are_of_the_same_structure_whatever_its_cell(module, lines, tmp_path):
    module.NEIGHBOURS = 6
    index, cosine = module.neighbours(lines, tmp_path / "graph.npz")
    assert index.shape == cosine.shape == (48, 6)
    assert not (index == np.arange(48)[:, None]).any()
    assert (np.diff(cosine, axis=1) <= 0).all()
    same = lines.space_groups[index] == lines.space_groups[:, None]
    assert same.mean() > 0.95
    again, _ = module.neighbours(lines, tmp_path / "graph.npz")
    np.testing.assert_array_equal(again, index)


def test_unlabelled_profiles_lead_to_a_far_one(module, lines, tmp_path):
    """With one label for each structure, the hidden ones between carry it along."""
    module.NEIGHBOURS = 6
    graph = module.neighbours(lines, tmp_path / "graph.npz")
    runs = {m: module.graph_run(lines, m, 0.0, 1, graph) for m in module.GRAPHS}
    assert runs["nearest"]["labelled"] == 3
    assert runs["propagation"]["space_group"] >= runs["nearest"]["space_group"]
    assert runs["propagation"]["space_group"] > 0.7


def test_the_stored_table_is_that_of_the_stored_runs(module, repository):
    path = repository / "benchmarks" / "results" / "few_labels.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["table"] == module.table(stored["runs"])
