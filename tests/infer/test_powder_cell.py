"""From the peaks of a profile to its cell, its extinction group, and a joint answer."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.crystal.frequencies import space_group_shares
from napari_spacegroup.crystal.levels import level_name
from napari_spacegroup.imaging import ProfileAxis
from napari_spacegroup.infer.powder_cell import index_profile
from napari_spacegroup.infer.powder_joint import joint_probabilities
from napari_spacegroup.infer.powder_model import IndexingModel, with_positions
from napari_spacegroup.simulate.lines import lines_of_phase

WAVELENGTH = 1.5406
ANGLE = np.arange(8.0, 90.0, 0.02)
CLASSES = tuple(range(1, 231))


def profile_of(name, zero=0.0, seed=0):
    """Poisson counts of a phase's lines, Gaussian, on a background; the angles read too high."""
    lines = lines_of_phase(library_phase(name), 5.7)
    q = np.asarray(lines.q)
    heights = np.asarray(lines.xray)
    where = np.degrees(2 * np.arcsin(np.clip(q * WAVELENGTH / (4 * np.pi), 0, 1)))
    radians = np.radians(where)
    heights = heights * (1 + np.cos(radians) ** 2) / (np.sin(radians / 2) * np.sin(radians))
    values = np.full(len(ANGLE), 100.0)
    for place, height in zip(where + zero, 8000 * heights / heights.max(), strict=True):
        values += height * np.exp(-0.5 * ((ANGLE - place) / 0.06) ** 2)
    return np.random.default_rng(seed).poisson(values).astype(float)


AXIS = ProfileAxis(ANGLE, "two_theta", WAVELENGTH)


@pytest.mark.parametrize(("name", "zero"), [
    ("NaCl", 0.0), ("TiO2-rutile", 0.08), ("SiO2-quartz", -0.06), ("Mg2SiO4-forsterite", 0.05),
    ("CaSO4-gypsum", 0.0),
])  # fmt: skip
def test_the_cell_of_a_known_phase_is_found(name, zero):
    phase = library_phase(name)
    found = index_profile(AXIS, profile_of(name, zero))
    best = found.best[0]
    assert best.cell.volume == pytest.approx(phase.volume, rel=5e-3)
    assert phase.space_group in {g for row in found.best[:6] for g in row.groups
                                 if row.evidence > best.evidence - 6}  # fmt: skip
    if best.cell.family != "monoclinic":
        assert best.shift == pytest.approx(-zero, abs=0.03)
    joint = joint_probabilities(found, CLASSES, space_group_shares(), misled=0.0)
    systems = [level_name(number, "crystal_system") for number in CLASSES]
    right = level_name(phase.space_group, "crystal_system")
    assert sum(p for p, s in zip(joint, systems, strict=True) if s == right) > 0.3
    assert joint[phase.space_group - 1] > 2 * space_group_shares()[phase.space_group - 1]


def test_weak_lines_of_another_phase_do_not_hide_the_cell():
    counts = profile_of("TiO2-rutile") + 0.08 * profile_of("CaCO3-calcite", seed=1)
    best = index_profile(AXIS, counts).best[0]
    assert best.cell.volume == pytest.approx(library_phase("TiO2-rutile").volume, rel=5e-3)
    assert 136 in {g for row in index_profile(AXIS, counts).best[:6] for g in row.groups}


def test_q_and_d_say_the_same_as_angles():
    counts = profile_of("NaCl")
    q = AXIS.q()
    for axis in (ProfileAxis(q, "q"), ProfileAxis(2 * np.pi / q, "d")):
        found = index_profile(axis, counts, families=("cubic",))
        assert found.best[0].cell.parameters[0] == pytest.approx(5.64, abs=0.02)


def test_lines_of_a_cell_stop_where_they_are_told():
    found = index_profile(AXIS, profile_of("NaCl"), families=("cubic",)).best
    fcc = next(row for row in found if 225 in row.groups)
    lines, indices = fcc.lines(0.5)
    assert lines.max() <= 0.5
    assert (np.diff(lines) >= 0).all()
    parity = indices % 2
    assert (parity == parity[:, :1]).all()  # all even or all odd


def test_noise_leaves_the_answer_to_the_network():
    counts = np.random.default_rng(2).poisson(100.0, len(ANGLE)).astype(float)
    found = index_profile(AXIS, counts)
    assert not found.best
    assert np.isneginf(found.log_evidence).all()
    network = np.full(230, 1e-6)
    network[61] = 1.0
    joint = joint_probabilities(found, CLASSES, network, trust=1.0, unfound=1.0)
    assert joint.argmax() == 61
    assert joint.sum() == pytest.approx(1)


def test_all_cells_may_be_wrong():
    found = index_profile(AXIS, profile_of("NaCl"))
    network = np.full(230, 1e-9)
    network[61] = 1.0
    sure = joint_probabilities(found, CLASSES, network, misled=0.0)
    careful = joint_probabilities(found, CLASSES, network, misled=0.3)
    assert careful[61] == pytest.approx(0.7 * sure[61] + 0.3, abs=0.01)
    assert careful.sum() == pytest.approx(1)


class Flat:
    """A model that says what is common and no more."""

    classes = CLASSES
    device = "cpu"

    class card:  # noqa: N801
        name, technique, equivalence_sets, sha256, package_version = "flat", "powder", (), "", ""

    def to(self, device):  # noqa: ARG002
        return self

    def predict(self, patterns, *, axis=None, **options):  # noqa: ARG002
        return np.tile(space_group_shares(), (len(patterns), 1)).astype(np.float32)


def test_a_model_looks_at_positions_where_there_are_few_profiles():
    few = with_positions(Flat(), 2)
    assert isinstance(few, IndexingModel)
    assert with_positions(few, 2) is few
    assert not isinstance(with_positions(Flat(), 10_000), IndexingModel)
    found = few.predict(profile_of("NaCl")[None, None], axis=AXIS)
    alone = Flat().predict(np.zeros((1, 1, 8)))
    assert found.shape == (1, 230)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert found[0, 224] > 3 * alone[0, 224]
    np.testing.assert_allclose(few.predict(np.zeros((1, 1, 8))), alone)


def test_other_techniques_do_not():
    class Kikuchi(Flat):
        class card(Flat.card):  # noqa: N801
            technique = "ebsd"

    model = Kikuchi()
    assert with_positions(model, 1) is model


@pytest.mark.parametrize(("mineral", "family", "expected"), [
    ("EPIDOTE", "monoclinic", (8.89, 5.63, 10.15, 90, 115.4, 90)),
    ("NAHCOLITE", "monoclinic", (3.48, 9.69, 7.48, 90, 93.4, 90)),
    ("ANORTHITE", "triclinic", 1339.0 / 4),
])  # fmt: skip
def test_measured_minerals_have_their_cells(shared_data, mineral, family, expected):
    """Cells as in the Handbook of Mineralogy.

    The lines of anorthite that are strong have albite's C-centred lattice, a quarter of its own.
    """
    path = shared_data / "powder" / "rockjock_minerals" / "rockjock_minerals.npz"
    with np.load(path) as content:
        row = content["phase"].tolist().index(mineral)
        counts, angles = content["intensity"][row], content["two_theta"]
    found = index_profile(ProfileAxis(angles, "two_theta", 1.54184), counts)
    best = found.best[0].cell
    assert best.family == family
    if family == "triclinic":
        assert best.volume == pytest.approx(expected, rel=0.01)
        return
    edges = sorted(best.parameters[:3])
    assert edges == pytest.approx(sorted(expected[:3]), rel=4e-3)
    assert abs(best.parameters[4] - 90) == pytest.approx(abs(expected[4] - 90), abs=0.3)
