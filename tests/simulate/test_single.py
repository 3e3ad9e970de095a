"""One pattern at a time: angles against orix, patterns against kikuchipy, the match, the search."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.config import EbsdViewSpec, KinematicSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.crystal.orientations import proper_rotations, rotation_matrices
from napari_spacegroup.errors import SpecError
from napari_spacegroup.simulate import simulate_master
from napari_spacegroup.simulate.orient import find_orientation
from napari_spacegroup.simulate.single import (
    bunge_angles,
    bunge_quaternion,
    correlation,
    draw_ebsd,
)

VIEW = EbsdViewSpec(
    shape=(48, 64), pattern_center_x=0.47, pattern_center_y=0.31, pattern_center_z=0.58,
    detector_tilt=7.0, azimuthal=-4.0, phi1=73.0, capital_phi=51.0, phi2=217.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def masters():
    """A trigonal crystal without mirror symmetry of its axes, and a cubic one."""
    spec = KinematicSpec(half_size=60, d_min=1.0)
    return {name: simulate_master(library_phase(name), spec) for name in ("SiO2-quartz", "Ni")}


@pytest.mark.parametrize(
    "angles", [(73, 51, 217), (0, 0, 0), (350, 179, 10), (5, 0, 7), (9, 180, 2)]
)
def test_angles_are_those_of_orix(angles):
    rotations = pytest.importorskip("orix.quaternion")
    ours = np.array(bunge_quaternion(*angles))
    theirs = rotations.Rotation.from_euler(np.radians(angles)).data[0]
    assert abs(ours @ theirs) == pytest.approx(1, abs=1e-9)
    back = np.array(bunge_quaternion(*bunge_angles(tuple(ours))))
    assert abs(back @ ours) == pytest.approx(1, abs=1e-12)


def test_patterns_are_those_of_kikuchipy(masters):
    """A wide screen, tilted and turned, and a crystal whose pattern has few symmetries."""
    kp = pytest.importorskip("kikuchipy")
    from orix.quaternion import Rotation

    master = masters["SiO2-quartz"]
    detector = kp.detectors.EBSDDetector(
        shape=VIEW.shape, pc=VIEW.pattern_center, sample_tilt=70, tilt=7, azimuthal=-4,
        convention="bruker",
    )  # fmt: skip
    expected = (
        master.to_kikuchipy()
        .get_patterns(
            Rotation.from_euler(np.radians([VIEW.euler])), detector, dtype_out="float32",
            compute=True, show_progressbar=False,
        )
        .data[0]
    )  # fmt: skip
    found = draw_ebsd(master.weighted(), VIEW)
    assert found.shape == (48, 64)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9999


def test_the_match_is_1_with_itself_and_survives_background_size_and_mask(masters):
    master = masters["SiO2-quartz"].weighted()
    large = draw_ebsd(master, VIEW.replace(shape=(96, 128)))
    rows = np.linspace(-1, 1, 48)[:, None]
    measured = 1000 + 400 * np.exp(-(rows**2)) + 30 * draw_ebsd(master, VIEW)
    assert correlation(large, large) == pytest.approx(1, abs=1e-5)
    assert correlation(large, measured) > 0.9
    mask = np.ones((48, 64), bool)
    mask[:, :16] = False
    spoiled = np.where(mask, measured, 0)
    assert correlation(large, spoiled, mask) > 0.9
    assert correlation(large, np.where(mask, measured, np.nan)) > 0.9
    turned = draw_ebsd(master, VIEW.replace(phi1=100.0))
    assert correlation(turned, measured) < 0.5
    with pytest.raises(ValueError, match="ratio"):
        correlation(large, np.ones((60, 60)))


@pytest.mark.parametrize("name", ["Ni", "SiO2-quartz"])
def test_a_noisy_pattern_is_oriented(masters, name):
    master = masters[name]
    pattern = draw_ebsd(master.weighted(), VIEW)
    noise = np.random.default_rng(5).normal(0, pattern.std(), pattern.shape)
    start = VIEW.replace(phi1=0.0, capital_phi=0.0, phi2=0.0)
    found = find_orientation(master.weighted(), master.space_group, start, pattern + noise)
    wanted, got = (
        rotation_matrices(np.array(bunge_quaternion(*angles)))
        for angles in (VIEW.euler, found.euler)
    )
    # Sample-to-crystal matrices: symmetry acts on their crystal side. Friedel's law makes a
    # kinematic pattern of 32 look like one of -3m, whose rotations are those of 32.
    apart = [
        np.degrees(np.arccos(np.clip((np.trace((s @ got) @ wanted.T) - 1) / 2, -1, 1)))
        for s in proper_rotations(master.space_group)
    ]
    assert min(apart) < 0.8
    assert found.match > 0.4


def test_a_view_out_of_bounds_is_refused():
    with pytest.raises(SpecError, match="shape"):
        VIEW.replace(shape=(4, 4))
    with pytest.raises(SpecError, match="pattern_center_z"):
        VIEW.replace(pattern_center_z=0.0)
