"""Bloch-wave intensities: limits that theory knows, absences, and abTEM's numbers.

``tests/data/bloch_abtem.json`` was computed by abTEM 1.0.11,
``benchmarks/make_bloch_reference.py``.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_spacegroup.crystal import AtomSite, Phase, library_phase
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.simulate.bloch import crystal_potential, simulate_beams
from napari_spacegroup.simulate.reflections import simulate_reflections
from napari_spacegroup.simulate.spots import (
    REST_ENERGY,
    Beam,
    ReflectionBatch,
    electron_wavelength,
    excite,
    extinction_distance,
    two_beam_intensity,
)

STORED = json.loads((Path(__file__).parents[1] / "data/bloch_abtem.json").read_text("utf-8"))
ODD = torch.tensor([[0.31, -0.52, 0.44, 0.663]], dtype=torch.float64)
ODD = ODD / ODD.norm()


def along(axis) -> torch.Tensor:
    """Return a quaternion that brings a direction of a cubic crystal to the electron source."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.align_vectors([axis], [[0, 0, 1]])[0].as_quat()
    return torch.tensor([[w, x, y, z]], dtype=torch.float64)


def by_index(potential, beams, thickness=0) -> dict:
    rows, values = beams.beam[0].tolist(), beams.intensity[0, thickness].tolist()
    return {
        tuple(potential.hkl[r].tolist()): v for r, v in zip(rows, values, strict=True) if r >= 0
    }


def quartz() -> Phase:
    return _phase(next(c for c in STORED["cases"] if c["structure"] == "SiO2"))


def _phase(case) -> Phase:
    made = STORED["structures"][case["structure"]]
    sites = tuple(AtomSite(s, (x, y, z), b_iso=case["b_iso"]) for s, x, y, z in made["sites"])
    return Phase(case["structure"], made["space_group"], tuple(made["lattice"]), sites)


def test_a_thin_crystal_is_kinematic():
    phase, depth, voltage = quartz(), 2.0, 200.0
    potential = crystal_potential(phase, 1.0)
    beams = simulate_beams(potential, ODD, voltage=voltage, thickness=depth)
    found = by_index(potential, beams)
    reflections = simulate_reflections(phase, 1.0)
    # ``sin2c`` has its fifth zero at the width: sin²(πst) / (πst)² for a width of 5 / t.
    beam = Beam.fixed(1, voltage=voltage, width=5 / depth, cutoff=0.1, shape_factor="sin2c",
                      dtype=torch.float64)  # fmt: skip
    spots = excite(ReflectionBatch.of([reflections], dtype=torch.float64), ODD, beam)
    mass = 1 + voltage / REST_ENERGY
    unit = (float(electron_wavelength(voltage)) * mass * depth / phase.volume) ** 2
    expected = {
        tuple(reflections.hkl[r].tolist()): unit * i
        for r, i in zip(spots.reflection.tolist(), spots.intensity.tolist(), strict=True)
    }
    top = max(expected.values())
    assert len(expected) > 30
    assert max(abs(found[h] - i) for h, i in expected.items()) < 0.02 * top
    strong = [h for h, i in expected.items() if i > 0.2 * top]
    assert [found[h] for h in strong] == pytest.approx([expected[h] for h in strong], rel=0.05)


def test_two_beams_are_those_of_the_textbook():
    """Williams & Carter (2009), eq. 13.48, of all thicknesses, at some deviation."""
    silicon = library_phase("Si")
    potential = crystal_potential(silicon, 0.6)
    depths = torch.linspace(0.0, 1500.0, 40, dtype=torch.float64)
    theirs = simulate_reflections(silicon, 0.6)
    for lean in (0.0, 0.004):
        # A systematic row near 220, turned off the row's other neighbours: two beams alone.
        beams = simulate_beams(potential, _at_bragg(0.52073, lean), voltage=100.0,
                               thickness=depths, max_beams=2)  # fmt: skip
        row = int(beams.beam[0, 1])
        index = int(np.flatnonzero((theirs.hkl == potential.hkl[row]).all(axis=1))[0])
        extinction = extinction_distance(
            torch.tensor(theirs.factor[index]), torch.tensor(0.0, dtype=torch.float64),
            torch.tensor(silicon.volume), torch.tensor(100.0, dtype=torch.float64),
        )  # fmt: skip
        expected = two_beam_intensity(beams.excitation[0, 1], extinction, depths)
        assert float(expected.max()) > 0.2
        assert beams.intensity[0, :, 1].numpy() == pytest.approx(expected.numpy(), abs=2e-3)


def _at_bragg(length: float, lean: float) -> torch.Tensor:
    """Return an orientation with g = 220 of silicon near its Bragg angle."""
    from scipy.spatial.transform import Rotation

    g = np.array([1.0, 1.0, 0.0]) / math.sqrt(2)
    source = np.array([0.31, -0.31, 0.9])
    source /= np.linalg.norm(source)
    # From crystal to picture: g along x and then lifted by the Bragg angle, and a bit more.
    rows = np.array([g, np.cross(source, g), source])
    angle = math.asin(float(electron_wavelength(100.0)) * length / 2) + lean
    turn = Rotation.from_euler("y", -angle) * Rotation.from_matrix(rows)
    x, y, z, w = turn.inv().as_quat()
    return torch.tensor([[w, x, y, z]], dtype=torch.float64)


@pytest.mark.parametrize("orientation", [ODD, along((1, 1, 0))])
def test_no_current_is_lost_without_absorption_and_some_with(orientation):
    potential = crystal_potential(quartz(), 1.0)
    depths = [0.0, 10.0, 300.0, 2000.0]
    whole = simulate_beams(potential, orientation, voltage=200.0, thickness=depths)
    assert whole.intensity.sum(-1).numpy() == pytest.approx(1.0, abs=1e-10)
    assert whole.intensity[0, 0, 0] == pytest.approx(1.0)
    lost = simulate_beams(
        potential, orientation, voltage=200.0, thickness=depths, absorption=0.05
    ).intensity.sum(-1)[0]
    assert (lost.diff() < 0).all()
    assert 0 < float(lost[-1]) < 0.9


def test_forbidden_spots_of_silicon_need_double_diffraction():
    silicon = library_phase("Si")
    potential = crystal_potential(silicon, 1.3)
    assert not {(0, 0, 2), (2, 2, 2)} & set(map(tuple, simulate_reflections(silicon, 1.3).hkl))
    forbidden = set(map(tuple, potential.hkl[potential.is_forbidden].tolist()))
    assert {(0, 0, 2), (2, 0, 0), (2, 2, 2), (0, 0, 6)} <= forbidden
    assert (1, 1, 1) not in forbidden
    options = {"voltage": 200.0, "thickness": [5.0, 500.0]}
    lit = simulate_beams(potential, along((1, 1, 0)), **options)
    assert by_index(potential, lit, 0)[(0, 0, 2)] < 1e-6
    # 1-11 and -111 add up to 002: brighter than a tenth of the strongest allowed spot.
    at = by_index(potential, lit, 1)
    assert at[(0, 0, 2)] > 0.1 * max(v for h, v in at.items() if any(h) and h not in forbidden)
    # At [001] no two allowed reflections of the zeroth zone add up to 200, and none else is near.
    dark = by_index(potential, simulate_beams(potential, along((0, 0, 1)), **options), 1)
    assert all(h[2] == 0 for h in dark)
    assert dark[(2, 0, 0)] < 1e-12
    assert dark[(2, 2, 0)] > 1e-3


def test_a_lattice_absence_stays_dark_in_any_thickness():
    potential = crystal_potential(library_phase("Al"), 1.3)
    assert not potential.is_forbidden.any()
    parity = potential.hkl % 2
    assert (parity == parity[:, :1]).all()


def against_abtem(case, phase: Phase, g_max=None, max_excitation=None) -> dict:
    """Return the largest differences to each of abTEM's series, shape ``(thickness,)``.

    With the beams of its Bloch waves unless told.
    """
    from scipy.spatial.transform import Rotation

    potential = crystal_potential(phase, g_max or STORED["made"]["g_max"])
    # abTEM's beam runs along +z.
    turn = np.diag([1.0, -1.0, -1.0]) @ np.array(case["turn"])
    x, y, z, w = Rotation.from_matrix(turn.T).as_quat()
    orientation = torch.tensor([[w, x, y, z]], dtype=torch.float64)
    beams = simulate_beams(
        potential, orientation, voltage=case["voltage"], thickness=case["thicknesses"],
        max_excitation=max_excitation or STORED["made"]["sg_max"], max_beams=1000,
    )  # fmt: skip
    series = [by_index(potential, beams, t) for t in range(len(case["thicknesses"]))]
    found = np.array([[row[tuple(h)] for row in series] for h in case["hkl"]])
    return {
        program: np.abs(found - np.array(values)).max(axis=0)
        for program, values in case["intensities"].items()
    }


@pytest.mark.parametrize(
    "case", STORED["cases"], ids=lambda c: f"{c['structure']}-{c['voltage']:.0f}kV"
)
def test_intensities_are_those_of_abtem(case):
    apart = against_abtem(case, _phase(case))
    assert apart.pop("Bloch waves, lobato").max() < 1e-3
    if apart:
        # Multislice knows no list of beams, so a large one here; shares of the beam at about 60,
        # 200 and 500 Å.
        apart = against_abtem(case, _phase(case), 2.5, 0.2)
        assert (apart["multislice, lobato"] < [0.005, 0.01, 0.02]).all()
        assert (apart["multislice, kirkland"] < [0.005, 0.01, 0.03]).all()


@pytest.mark.parametrize(
    ("structure", "program", "factor"),
    [("GaAs", "Bloch waves, lobato", 100), ("GaAs", "multislice, lobato", 2),
     ("SiO2", "Bloch waves, lobato", 10)],
)  # fmt: skip
def test_the_inverted_crystal_is_another(structure, program, factor):
    """What the test above can see, of a polar and of a chiral crystal."""
    case = next(c for c in STORED["cases"] if c["structure"] == structure)
    phase = _phase(case)
    inverted = replace(
        phase, sites=tuple(replace(s, position=tuple(-x for x in s.position)) for s in phase.sites)
    )
    right, wrong = (against_abtem(case, p)[program].max() for p in (phase, inverted))
    assert wrong > factor * right


def test_a_batch_is_what_its_patterns_are_alone():
    potential = crystal_potential(quartz(), 1.2)
    orientations = torch.cat([ODD, along((0, 0, 1)), along((1, 2, 3))])
    voltages = torch.tensor([100.0, 200.0, 300.0])
    depths = torch.tensor([[50.0, 90.0], [300.0, 10.0], [400.0, 700.0]])
    together = simulate_beams(potential, orientations, voltage=voltages, thickness=depths)
    assert (together.beam < 0).any()
    for index in range(3):
        alone = simulate_beams(
            potential, orientations[index : index + 1], voltage=voltages[index : index + 1],
            thickness=depths[index],
        )  # fmt: skip
        for t in range(2):
            one = by_index(potential, alone, t)
            shown = together.beam[index] >= 0
            many = {
                tuple(potential.hkl[r].tolist()): v for r, v in zip(
                    together.beam[index][shown].tolist(),
                    together.intensity[index, t][shown].tolist(), strict=True)
            }  # fmt: skip
            assert many == pytest.approx(one, abs=1e-10)
    spots = together.spots(1)
    assert spots.count == 3
    assert len(spots.intensity) == int((together.beam > 0).sum())
    assert (together.intensity[together.beam[:, None].expand(-1, 2, -1) < 0] == 0).all()


def test_what_is_refused():
    potential = crystal_potential(library_phase("Al"), 0.6)
    with pytest.raises(ValueError, match="0 or more"):
        simulate_beams(potential, ODD, voltage=200.0, thickness=-1.0)
    with pytest.raises(ValueError, match="0 or more"):
        simulate_beams(potential, ODD, voltage=200.0, thickness=1.0, absorption=-0.1)
    with pytest.raises(PhaseError, match="no reciprocal vector"):
        crystal_potential(library_phase("Al"), 0.1)
