"""The disk cache of master patterns: what a key depends on, and what a bad disk does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_spacegroup.simulate import (
    DynamicalSpec,
    KinematicSpec,
    MasterCache,
    cache_folder,
    master_key,
)
from napari_spacegroup.simulate import cache as cache_module

SPEC = KinematicSpec(half_size=6, d_min=1.5)


@pytest.fixture
def counted(monkeypatch):
    """A simulator that counts its calls."""
    calls = []
    real = cache_module.simulate_master

    def simulate(phase, spec, **options):
        calls.append(phase.name)
        return real(phase, spec, **options)

    monkeypatch.setattr(cache_module, "simulate_master", simulate)
    return calls


def test_keys_follow_the_content(crystals, monkeypatch):
    phase = crystals.phase("Ti")
    key = master_key(phase, SPEC)
    assert key == master_key(crystals.phase("Ti"), SPEC)
    assert key == master_key(replace(phase, name="titanium"), SPEC)
    others = [
        master_key(phase.scaled(1.0001), SPEC),
        master_key(phase.with_b_iso(0.41), SPEC),
        master_key(replace(phase, sites=phase.sites[:1]), SPEC),
        master_key(phase, SPEC.replace(voltage=19)),
        master_key(phase, DynamicalSpec()),
        master_key(phase, DynamicalSpec(seed=1)),
    ]
    monkeypatch.setattr(cache_module, "_source_hash", lambda _: "other code")
    others.append(master_key(phase, SPEC))
    monkeypatch.undo()
    monkeypatch.setattr(cache_module, "versions", lambda *names: dict.fromkeys(names, "99"))
    others.append(master_key(phase, SPEC))
    assert len({key, *others}) == len(others) + 1


def test_second_fetch_simulates_nothing(crystals, tmp_path, counted):
    cache = MasterCache(tmp_path)
    first = cache.fetch(crystals.phase("Ni"), SPEC)
    second = cache.fetch(replace(crystals.phase("Ni"), name="nickel"), SPEC)
    assert counted == ["Ni"]
    np.testing.assert_array_equal(first.data, second.data)
    assert (first.phase_name, second.phase_name) == ("Ni", "nickel")
    assert cache.size()[0] == 1
    assert cache.clear() == 1
    assert cache.size() == (0, 0)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_entry_is_simulated_again(crystals, tmp_path, counted, damage, caplog):
    cache = MasterCache(tmp_path)
    phase = crystals.phase("Ni")
    first = cache.fetch(phase, SPEC)
    path = cache.path(master_key(phase, SPEC))
    whole = bytearray(path.read_bytes())
    start = whole.find(first.data.tobytes()[:64])
    assert start > 0
    if damage == "flipped":
        whole[start + 8] ^= 0xFF
    path.write_bytes({"truncated": whole[:-200], "flipped": whole, "empty": b""}[damage])
    again = cache.fetch(phase, SPEC)
    assert counted == ["Ni", "Ni"]
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(first.data, again.data)
    cache.fetch(phase, SPEC)
    assert counted == ["Ni", "Ni"]


def test_unwritable_cache_still_gives_the_pattern(crystals, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    cache = MasterCache(tmp_path / "file" / "cache")
    master = cache.fetch(crystals.phase("Ni"), SPEC)
    assert master.half_size == 6
    assert "not cached" in caplog.text


def test_folder_is_the_variable_or_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SPACEGROUP_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "masters"
    assert MasterCache().folder == tmp_path / "masters"
    monkeypatch.delenv("NAPARI_SPACEGROUP_CACHE")
    assert "napari-spacegroup" in str(cache_folder())
