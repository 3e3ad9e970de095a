"""Powder lines against pymatgen's peak lists and gemmi's structure factors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from napari_spacegroup.crystal import AtomSite, Phase, library_phase
from napari_spacegroup.imaging import ProfileContract
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineSet
from napari_spacegroup.simulate.profile import (
    DeviceLines,
    ProfileConditions,
    draw_lines,
    march_dollase,
)

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "data" / "powder_pymatgen.json").read_text(encoding="utf-8")
)


def _phase(name: str, case: dict) -> Phase:
    sites = [AtomSite(element, tuple(xyz), b_iso=1e-12) for element, *xyz in case["sites"]]
    phase = Phase.from_asymmetric_unit(name, case["space_group"], tuple(case["lattice"]), sites)
    assert len(phase.sites) == case["atoms"]
    return phase


def _pymatgen_form_factor(case: dict):
    """Return the law that pymatgen uses, so that all else is compared to 1e-3."""
    table = {gemmi.Element(e).atomic_number: np.array(c) for e, c in case["form_factors"].items()}

    def law(number: int, s_squared):
        a, b = table[number].T
        return number - 41.78214 * s_squared * (np.exp(-s_squared[..., None] * b) @ a)

    return law


@pytest.mark.parametrize("name", list(REFERENCE["cases"]))
@pytest.mark.parametrize("radiation", ["xray", "neutron"])
def test_peak_list_of_an_independent_program(name, radiation):
    case, wavelength = REFERENCE["cases"][name], REFERENCE["wavelength"]
    q_max = 4 * math.pi / wavelength * math.sin(math.radians(30.0))
    lines = lines_of_phase(_phase(name, case), q_max, form_factor=_pymatgen_form_factor(case))
    theta = np.arcsin(lines.q * wavelength / (4 * math.pi))
    volume = _phase(name, case).volume
    strength = getattr(lines, radiation) * volume**2 / (np.sin(theta) ** 2 * np.cos(theta))
    if radiation == "xray":
        strength = strength * (1 + np.cos(2 * theta) ** 2)
    else:
        # pymatgen has lengths of its own table; where it has the same, all must agree.
        ours = {e: gemmi.Element(e).neutron92.calculate_sf(0) for e in case["lengths"]}
        for element, length in case["lengths"].items():
            assert ours[element] == pytest.approx(length, rel=5e-3)
    angles = np.degrees(2 * theta)
    wanted = case[radiation]
    strongest = max(wanted["intensity"])
    theirs = np.array(wanted["two_theta"])
    nearest = np.abs(theirs[:, None] - angles).argmin(0)
    is_theirs = np.abs(theirs[nearest] - angles) < 2e-4
    found = np.bincount(nearest[is_theirs], strength[is_theirs], minlength=len(theirs))
    # Strengths to 1e-3 of the strongest line; scattering lengths differ in the last digit.
    np.testing.assert_allclose(
        found / strongest, np.array(wanted["intensity"]) / strongest, atol=1e-3, rtol=0
    )
    # And no strong line of ours is missing in theirs.
    for angle, value in zip(angles, strength, strict=True):
        if value > 2e-3 * strongest and angle > 5.01:
            assert np.abs(theirs - angle).min() < 2e-4


def test_displacement_and_occupancy_as_gemmi_has_them():
    phase = Phase.from_asymmetric_unit(
        "test", 14, (5.1, 6.3, 7.9, 90, 101.0, 90),
        [AtomSite("Fe", (0.1, 0.2, 0.3), 0.7, 0.9), AtomSite("Si", (0.31, 0.77, 0.02), 1, 0.4),
         AtomSite("O", (0.6, 0.4, 0.8), 0.5, 1.6)],
    )  # fmt: skip
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*phase.lattice)
    small.spacegroup = gemmi.SpaceGroup(1)
    for site in phase.sites:
        one = gemmi.SmallStructure.Site()
        one.element = gemmi.Element(site.element)
        one.fract = gemmi.Fractional(*site.position)
        one.occ, one.u_iso = site.occupancy, site.b_iso / (8 * math.pi**2)
        small.add_site(one)
    lines = lines_of_phase(phase, 7.0)
    for key, calculator in (("xray", gemmi.StructureFactorCalculatorX(small.cell)),
                            ("neutron", gemmi.StructureFactorCalculatorN(small.cell))):  # fmt: skip
        wanted = np.array(
            [abs(calculator.calculate_sf_from_small_structure(small, row)) ** 2
             for row in lines.indices.tolist()]
        )  # fmt: skip
        wanted *= lines.multiplicity / small.cell.volume**2
        np.testing.assert_allclose(getattr(lines, key), wanted, rtol=1e-4, atol=1e-5 * wanted.max())


@pytest.mark.parametrize("number", [2, 5, 15, 43, 61, 82, 122, 148, 155, 169, 187, 199, 206, 228])
def test_families_hold_every_plane_that_is_not_extinguished(number):
    operations = gemmi.find_spacegroup_by_number(number).operations()
    lattice = gemmi.find_spacegroup_by_number(number)
    cell = {"triclinic": (5, 6, 7, 80, 95, 105), "monoclinic": (5, 6, 7, 90, 105, 90)}.get(
        lattice.crystal_system_str(), (5.0, 5.0, 5.0, 90, 90, 90)
    )
    if lattice.crystal_system_str() in ("trigonal", "hexagonal"):
        cell = (5.0, 5.0, 7.0, 90, 90, 120)
    phase = Phase(f"group {number}", number, tuple(map(float, cell)), (AtomSite("C", (0, 0, 0)),))
    lines = lines_of_phase(phase, 8.0)
    span = np.arange(-12, 13)
    planes = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    metric = phase.structure_matrix.T @ phase.structure_matrix
    lengths = np.sqrt(((planes @ np.linalg.inv(metric)) * planes).sum(1)) * 2 * math.pi
    planes = planes[(lengths > 0) & (lengths <= 8.0)].astype(np.int32)
    assert lines.multiplicity.sum() == (~operations.systematic_absences(planes)).sum()


def test_texture_keeps_the_sum_over_all_directions():
    # Equally spread cosines: March's function has mean 1 over the sphere (Dollase 1986).
    cosines = torch.linspace(0, 1, 20001, dtype=torch.float64)[None] ** 2
    for r in (0.3, 0.7, 1.0, 1.8):
        mean = march_dollase(cosines, torch.tensor([r], dtype=torch.float64))
        assert mean.item() == pytest.approx(1.0, abs=2e-3)


def _conditions(**changes) -> ProfileConditions:
    values = dict.fromkeys(ProfileConditions.__dataclass_fields__, 0.0)
    values |= {"wavelength": 1.5406, "second_ratio": 1.0, "polarization": 1.0, "texture": 1.0,
               "stretch": 1.0, "caglioti_w": 0.01} | changes  # fmt: skip
    return ProfileConditions(**{k: torch.tensor([v]) for k, v in values.items()})


@pytest.mark.parametrize("grid", ["log_q", "two_theta"])
def test_areas_and_places_of_drawn_lines(grid):
    phase = library_phase("Ni")
    lines = lines_of_phase(phase, 6.5)
    device = DeviceLines(LineSet.from_lines([lines], [225]), "xray", torch.device("cpu"))
    two_theta = grid == "two_theta"
    contract = ProfileContract(
        grid=grid, start=30.0 if two_theta else 2.0, stop=100.0 if two_theta else 6.2,
        points=8000, wavelength=1.5406,
    )  # fmt: skip
    profile = draw_lines(device, torch.tensor([0]), _conditions(), contract)[0].numpy()
    angle = 2 * np.degrees(np.arcsin(contract.q() * 1.5406 / (4 * math.pi)))
    theta = np.arcsin(lines.q * 1.5406 / (4 * math.pi))
    wanted = lines.xray * (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    areas, places = [], []
    for place in np.degrees(2 * theta)[:4]:
        here = np.abs(angle - place) < 1.0
        areas.append(np.trapezoid(profile[here], angle[here]))
        places.append((profile * angle)[here].sum() / profile[here].sum())
    np.testing.assert_allclose(np.array(areas) / areas[0], wanted[:4] / wanted[0], rtol=2e-3)
    np.testing.assert_allclose(places, np.degrees(2 * theta)[:4], atol=5e-3)


def test_shift_displacement_and_doublet_move_lines_as_they_should():
    lines = lines_of_phase(library_phase("Ni"), 6.5)
    device = DeviceLines(LineSet.from_lines([lines], [225]), "xray", torch.device("cpu"))
    contract = ProfileContract(grid="two_theta", start=40, stop=48, points=4001, wavelength=1.5406)
    angle = np.linspace(40, 48, 4001)

    def top(**changes):
        drawn = draw_lines(device, torch.tensor([0]), _conditions(**changes), contract)[0]
        return angle[int(drawn.argmax())], drawn.numpy()

    place, _ = top()
    assert top(zero_shift=0.1)[0] == pytest.approx(place + 0.1, abs=2e-3)
    moved = -2 * 5e-4 * math.cos(math.radians(place / 2))  # Δ2θ = -2 s cos θ / R
    assert top(displacement=5e-4)[0] == pytest.approx(place + math.degrees(moved), abs=3e-3)
    both = {"second_ratio": 1.544426 / 1.540598, "second_share": 0.5, "caglioti_w": 0.0004}
    # The axis is that of the mean wavelength; the two lines stand 0.11 degrees apart there.
    _, drawn = top(**both)
    peaks = angle[1:-1][
        (drawn[1:-1] > drawn[:-2]) & (drawn[1:-1] > drawn[2:]) & (drawn[1:-1] > 0.2)
    ]
    assert len(peaks) == 2
    tangent = math.tan(math.radians(place / 2))
    apart = math.degrees(2 * tangent * (1.544426 / 1.540598 - 1))
    assert peaks[1] - peaks[0] == pytest.approx(apart, abs=5e-3)
