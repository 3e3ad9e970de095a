"""Every recipe is a spec that the program reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_spacegroup.config.train import read_train_spec

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*/*.yaml"))


def test_there_are_recipes():
    assert len(RECIPES) >= 4


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_can_be_read(path):
    spec = read_train_spec(path)
    assert spec.name
