"""What recipes/ebsd-cubic/superstructures.py keeps out of training: held-out structure types."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from napari_spacegroup.crystal import AtomSite, Phase, wyckoff_positions
from napari_spacegroup.learn import MasterSet

SUZUKI = "225|24d|24e8c|4a"


@pytest.fixture(scope="module")
def module(repository):
    folder = repository / "recipes" / "ebsd-cubic"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        spec = importlib.util.spec_from_file_location(
            "superstructures", folder / "superstructures.py"
        )
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        yield found
    sys.modules.pop("masters", None)


@pytest.fixture(scope="module")
def sets(repository):
    return repository / "recipes" / "ebsd-cubic" / "sets"


def held_record(module, prototype: str, group: int) -> dict:
    """Return a held-out compound of a type."""
    formulas = (f"A{i}" for i in range(1000))
    formula = next(f for f in formulas if module.masters.share_of(f, 8) == 0)
    return {"formula": formula, "proto": prototype, "sg": group, "n": 4, "hyp": 0}


@pytest.mark.parametrize("group", [221, 223, 225, 227, 229, 230])
def test_a_type_has_one_name_whatever_its_origin(module, group):
    rng = np.random.default_rng(group)
    general = wyckoff_positions(group)[-1].point(np.array([0.137, 0.251, 0.089]))
    cell = (20.0, 20.0, 20.0, 90, 90, 90)
    seen = set()
    for position in wyckoff_positions(group)[:-1]:
        one = AtomSite("Fe", tuple(position.point(rng.uniform(0.05, 0.2, 3))))
        phase = Phase.from_asymmetric_unit("x", group, cell, [one, AtomSite("O", tuple(general))])
        moved = [AtomSite(s.element, tuple(np.array(s.position) + 0.5)) for s in phase.sites]
        names = [module.prototype_of(p) for p in (phase, Phase("y", group, cell, tuple(moved)))]
        assert module.settled(names[0]) == module.settled(names[1])
        seen.add(module.settled(names[0]))
    # As many types as there are positions that no choice of origin exchanges.
    pairs = len(module.CENTRED[group].split())
    assert len(seen) == len(wyckoff_positions(group)) - 1 - pairs


def test_a_held_out_type_and_what_may_be_one_are_refused(module):
    held = module.HeldTypes([held_record(module, SUZUKI, 225)], {"225|4a|4b|8c"})
    assert SUZUKI in held
    assert "225|24d|24e8c|4b" in held  # the same from another origin
    assert "225|24e|24e8c|4a" in held  # as many atoms: may be the same, so it is left out
    assert "225|24d|24e8c|4a|4b" not in held
    assert "225|4a|4b|8c" not in held


def test_a_held_out_compound_of_a_type_that_is_trained_does_not_hold_the_type(module):
    compound = held_record(module, "225|4a|4b|8c", 225)
    assert "225|4a|4b|8c" in module.HeldTypes([compound], set())
    assert "225|4a|4b|8c" not in module.HeldTypes([compound], {"225|4a|4b|8c"})


def test_no_type_that_only_the_held_out_sets_have_is_drawn(module, sets, shared_data):
    trained = module.trained_types(sets)
    structures = module.masters.load(shared_data / "structures")
    held = module.HeldTypes(structures, trained)
    records = MasterSet.load([sets / f"{n}.npz" for n in ("test", "calibration", "k18")]).records
    unseen = {module.settled(r.prototype) for r in records} - held.trained
    assert module.settled(SUZUKI) in unseen
    assert unseen <= held.held
    nothing = module.HeldTypes([], set())
    free, drawn = module.records(225, 16, nothing), module.records(225, 16, held)
    names = [{module.settled(r["proto"]) for r in found} for found in (free, drawn)]
    assert names[0] & held.held  # so that the next line can fail
    assert not names[1] & (held.held | unseen)
    for record in drawn:
        assert not module.masters.is_held(record["formula"])
        assert min(module.masters.hidden_shares(record)) >= 0.04
        assert record["lattice"][0] <= module.LONGEST_EDGE
        assert record["n"] <= 90
        assert record["id"].endswith("+o")
