"""Spots of thick crystals from their atoms: the Bloch waves of ``bloch``, made another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.config import SpotRangeSpec, sad_condition
from napari_spacegroup.crystal import AtomSite, Phase, SyntheticLimits, library_phase
from napari_spacegroup.crystal.synthetic import synthetic_phase
from napari_spacegroup.errors import ScanError, SpecError
from napari_spacegroup.simulate import atoms as module
from napari_spacegroup.simulate.atoms import CrystalAtoms, load_atoms, save_atoms, simulate_thick
from napari_spacegroup.simulate.bloch import crystal_potential, simulate_beams
from napari_spacegroup.simulate.projector import rotation_matrices
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spot_patterns import draw_patterns

ODD = torch.tensor([[0.31, -0.52, 0.44, 0.663]], dtype=torch.float64)
ODD = ODD / ODD.norm()
# Half a degree off [110].
NEAR_110 = torch.tensor([[0.653281, -0.270598, 0.653281, 0.275]], dtype=torch.float64)
NEAR_110 = NEAR_110 / NEAR_110.norm()

NEAR_001 = torch.tensor([[0.98, 0.012, 0.007, 0.2]], dtype=torch.float64)
NEAR_001 = NEAR_001 / NEAR_001.norm()


def quartz() -> Phase:
    """Without a center of symmetry and not cubic: a conjugate or an axis astray would show."""
    sites = [(s, p) for s, p in (
        ("Si", (0.4697, 0.0, 0.0)), ("Si", (0.0, 0.4697, 0.6667)), ("Si", (0.5303, 0.5303, 0.3333)),
        ("O", (0.4133, 0.2672, 0.1188)), ("O", (0.7328, 0.1461, 0.7855)),
        ("O", (0.8539, 0.5867, 0.4521)), ("O", (0.2672, 0.4133, 0.8812)),
        ("O", (0.1461, 0.7328, 0.2145)), ("O", (0.5867, 0.8539, 0.5479)),
    )]  # fmt: skip
    return Phase("quartz", 152, (4.9134, 4.9134, 5.4052, 90, 90, 120),
                 tuple(AtomSite(s, p, b_iso=0.6) for s, p in sites))  # fmt: skip


def intensities(phase, turn, **options) -> dict:
    found = simulate_thick(
        CrystalAtoms.from_phase(phase), rotation_matrices(turn)[0], voltage=200.0, **options
    )
    return dict(zip(map(tuple, found.hkl.tolist()), found.intensity.tolist(), strict=True))


def reference(phase, turn, **options) -> tuple[dict, dict]:
    potential = crystal_potential(phase, module.BEAM_G_MAX)
    found = simulate_beams(
        potential, turn, voltage=200.0, max_excitation=module.MAX_EXCITATION, **options
    )
    rows = [r for r in found.beam[0].tolist() if r > 0]
    hkl = [tuple(potential.hkl[r].tolist()) for r in rows]
    values = found.intensity[0, 0][found.beam[0] > 0].tolist()
    forbidden = dict(zip(hkl, potential.is_forbidden[rows].tolist(), strict=True))
    return dict(zip(hkl, values, strict=True)), forbidden


@pytest.mark.parametrize("turn", [ODD, NEAR_110], ids=["odd", "near 110"])
@pytest.mark.parametrize("name", ["Si", "GaAs", "quartz"])
@pytest.mark.parametrize("thickness", [80.0, 400.0])
def test_atoms_give_the_bloch_waves_of_the_potential(name, turn, thickness):
    phase = quartz() if name == "quartz" else library_phase(name)
    ours = intensities(phase, turn, thickness=thickness, max_beams=1000)
    theirs, _ = reference(phase, turn, thickness=thickness)
    top = max(theirs.values())
    assert top > 1e-4
    for hkl, value in theirs.items():
        assert ours.get(hkl, 0.0) == pytest.approx(value, abs=1e-3 * top), hkl


def test_absorption_is_right_to_first_order():
    phase = library_phase("Si")
    ours = intensities(phase, ODD, thickness=400.0, absorption=0.05)
    theirs, _ = reference(phase, ODD, thickness=400.0, absorption=0.05)
    none, _ = reference(phase, ODD, thickness=400.0)
    top = max(theirs, key=theirs.get)
    assert theirs[top] < 0.9 * none[top]
    assert ours[top] == pytest.approx(theirs[top], rel=0.03)


def test_forbidden_spots_light_up_and_fewer_beams_keep_them():
    rng = np.random.default_rng(3)
    phase = synthetic_phase(205, rng, limits=SyntheticLimits(atoms=72))
    allowed = set(map(tuple, simulate_reflections(phase, 1.4).hkl.tolist()))
    all_beams = intensities(phase, NEAR_001, thickness=400.0, max_beams=2000)
    few = intensities(phase, NEAR_001, thickness=400.0)
    forbidden = [h for h in all_beams if h not in allowed]
    top = max(all_beams.values())
    brightest = max(forbidden, key=all_beams.get)
    assert all_beams[brightest] > 1e-3 * top
    assert 0.5 < few[brightest] / all_beams[brightest] < 2
    hkl = [h for h in all_beams if all_beams[h] > 1e-3 * top]
    both = np.sqrt([[all_beams[h], few.get(h, 0.0)] for h in hkl])
    assert np.corrcoef(both.T)[0, 1] > 0.9


def test_atoms_come_back_from_a_file(tmp_path):
    crystals = {name: CrystalAtoms.from_phase(library_phase(name)) for name in ("Si", "NaCl")}
    save_atoms(tmp_path / "atoms.npz", crystals)
    read = load_atoms([tmp_path / "atoms.npz"])
    assert list(read) == ["Si", "NaCl"]
    for name, one in crystals.items():
        for field in ("reciprocal", "centring", "position", "kind", "occupancy", "factor"):
            np.testing.assert_array_equal(getattr(read[name], field), getattr(one, field))
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(ScanError, match="holds no atoms"):
        load_atoms([tmp_path / "bad.npz"])


def test_thick_patterns_differ_and_thin_ones_stay():
    silicon = library_phase("Si")
    reflections = simulate_reflections(silicon, 1.3)
    known = CrystalAtoms.from_phase(silicon)

    def pictures(asked: SpotRangeSpec, atoms=()):
        generator = torch.Generator().manual_seed(5)
        return draw_patterns([reflections] * 6, asked, generator, atoms=atoms)

    clean = sad_condition("clean").replace(zone_share=1.0)
    assert torch.equal(pictures(clean), pictures(clean, [known] * 6))
    mixed = pictures(clean.replace(thick_share=0.5), [known] * 5 + [None])
    assert mixed.shape == (6, 256, 256)
    assert bool(torch.isfinite(mixed).all())
    waves = pictures(clean.replace(thick_share=1.0), [known] * 6)
    two_beams = pictures(clean.replace(thick_share=1.0))
    assert not torch.equal(waves, two_beams)


def test_an_impossible_thickness_is_refused():
    for wrong in ({"thickness": (0.0, 10.0)}, {"absorption": (-0.1, 0.0)}, {"thick_share": 2.0}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            SpotRangeSpec.from_mapping(wrong)
