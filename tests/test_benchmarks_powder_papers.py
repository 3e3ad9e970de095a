"""What similar profiles give away on a random split."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineSet


@pytest.fixture(scope="module")
def papers(repository):
    path = repository / "benchmarks" / "powder_papers.py"
    spec = importlib.util.spec_from_file_location("powder_papers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lines() -> LineSet:
    phases = [
        library_phase(name).scaled(scale)
        for name in ("Ni", "Fe", "Si")
        for scale in np.linspace(0.97, 1.03, 10)
    ]
    return LineSet.from_lines(
        [lines_of_phase(phase, 7.0) for phase in phases], [phase.space_group for phase in phases]
    )


@pytest.mark.parametrize("name", ["profilenet, X-rays", "profilenet, neutrons"])
def test_near_copies_answer(papers, lines, name):
    row = papers.nearest(name, lines)
    known, test = papers.sides(name, lines)
    assert (row["trained_on"], row["tested"]) == (len(known), len(test))
    assert row["space_group"] == row["crystal_system"] == 1
    assert row["network"] == f"most similar profiles, {name.split(', ')[1]}"


def test_the_answer_is_the_label_of_what_is_similar(papers, lines, monkeypatch):
    name = "profilenet, X-rays"
    known, test = papers.sides(name, lines)
    other = {225: 229, 229: 227, 227: 225}
    wrong = replace(known, space_groups=np.array([other[int(g)] for g in known.space_groups]))
    monkeypatch.setattr(papers, "sides", lambda *_: (wrong, test))
    assert papers.nearest(name, lines)["space_group"] == 0
