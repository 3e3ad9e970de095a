"""Our shortcuts around de-ebsd change nothing: held against its own simulator."""

from __future__ import annotations

import numpy as np
import pytest

de_ebsd = pytest.importorskip("de_ebsd")
import torch  # noqa: E402
from de_ebsd.diffraction.prism import BlochPrismBackend  # noqa: E402
from de_ebsd.sim.montecarlo.depth import DepthDistribution  # noqa: E402

from napari_spacegroup.errors import SpecError  # noqa: E402
from napari_spacegroup.simulate import DynamicalSpec, simulate_dynamical, simulate_master  # noqa: E402
from napari_spacegroup.simulate.dynamical import as_crystal, fold_directions  # noqa: E402
from napari_spacegroup.simulate.montecarlo import simulate_depths  # noqa: E402

HALF_SIZE = 6
CUTOFFS = (5.0, 12.0, 40.0)
D_MIN = {"Ni": 0.6, "GaAs": 0.9, "Ti": 0.8, "ZrO2": 1.1}


def exponential_depths() -> DepthDistribution:
    return DepthDistribution.single_energy(20.0, thickness=40.0, decay_length=12.0)


@pytest.fixture(scope="module", params=["single", "double"])
def precision(request):
    return request.param


@pytest.mark.parametrize("name", ["Ni", "GaAs", "Ti", "ZrO2"])
def test_equals_de_ebsd(crystals, name, precision):
    """P1 expansion, symmetry folding and the fast solver together; 1e-4 of the pattern."""
    ours, plans = simulate_dynamical(
        crystals.phase(name),
        np.array([20.0]),
        voltage=20.0,
        half_size=HALF_SIZE,
        d_min=D_MIN[name],
        ladder=(CUTOFFS,),
        depths=exponential_depths(),
        precision=precision,
    )
    double = precision == "double"
    backend = BlochPrismBackend(torch.complex128 if double else torch.complex64)
    backend.class_chunk = 16  # its pair table would need gigabytes
    theirs = de_ebsd.MasterPatternSimulator(
        crystals.de_ebsd_crystal(name),
        de_ebsd.Microscope(energy=20e3),
        npx=HALF_SIZE,
        dmin=D_MIN[name] / 10,
        bethe=de_ebsd.BetheParameters(*CUTOFFS),
        monte_carlo=exponential_depths(),
        backend=backend,
    ).compute(
        device="cpu", dtype=torch.float64 if double else torch.float32, symmetry=False
    )  # fmt: skip
    reference = theirs.data[0].numpy()
    assert plans[0].cutoffs == CUTOFFS
    assert plans[0].mean_strong > 4
    error = np.abs(ours[0] - reference) / np.abs(reference)
    # de-ebsd rounds positions to six decimals, which shows at 1/3.
    assert np.quantile(error, 0.9) < (1e-5 if double else 1e-4)
    # A beam within rounding of a threshold may change its class in single precision.
    assert np.corrcoef(ours[0].ravel(), reference.ravel())[0, 1] > 0.9999
    if double:
        assert error.max() < 1e-4


@pytest.mark.parametrize("name", ["Ti", "ZrO2", "GaAs"])
def test_crystal_frame_is_a_along_x_and_c_star_along_z(crystals, name):
    ours = crystals.phase(name).structure_matrix
    np.testing.assert_allclose(
        ours, crystals.de_ebsd_crystal(name).direct_structure_matrix * 10, atol=1e-9
    )
    np.testing.assert_allclose(ours[1:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.inv(ours)[2, :2], 0, atol=1e-12)


@pytest.mark.parametrize("name", ["Ni", "GaAs", "Ti", "ZrO2"])
def test_expanded_cell_has_the_same_structure_factors(crystals, name):
    from de_ebsd.crystal.structure_factors import compute_structure_factors

    ours = compute_structure_factors(as_crystal(crystals.phase(name)), 20.0, 0.12)
    theirs = compute_structure_factors(crystals.de_ebsd_crystal(name), 20.0, 0.12)
    # de-ebsd rounds positions to six decimals.
    np.testing.assert_allclose(ours.ucg_lut, theirs.ucg_lut, atol=1e-4)


@pytest.fixture(scope="module")
def gallium_arsenide(crystals):
    spec = DynamicalSpec(
        half_size=12, d_min=0.9, cutoffs=(5, 5.1, 40), energy_bins=1, electrons=2000
    )
    return simulate_master(crystals.phase("GaAs"), spec)


def test_acentric_crystal_has_two_hemispheres(gallium_arsenide):
    upper, lower = gallium_arsenide.weighted()
    assert not gallium_arsenide.is_centrosymmetric
    contrast = upper.std()
    # -4 takes (x, y, z) to (y, -x, -z): the lower half is the upper one turned.
    quarter = np.rot90(upper)
    np.testing.assert_allclose(lower, quarter, atol=1e-3 * contrast)
    # 2 along z and no 4: a quarter turn is a different pattern, as is the inversion image.
    assert np.abs(lower - upper).max() > 0.1 * contrast
    assert np.abs(lower - upper[::-1, ::-1]).max() > 0.1 * contrast
    np.testing.assert_allclose(upper, upper[::-1, ::-1], atol=1e-3 * contrast)


def test_centric_crystal_is_its_own_inversion_image(crystals):
    spec = DynamicalSpec(
        half_size=10, d_min=1.2, cutoffs=(4, 4.1, 40), energy_bins=1, electrons=2000
    )
    master = simulate_master(crystals.phase("ZrO2"), spec)
    upper, lower = master.weighted()
    assert master.is_centrosymmetric
    np.testing.assert_allclose(lower, upper[::-1, ::-1], rtol=1e-6)
    # b is the two-fold axis, so the hemispheres are not copies of each other.
    assert np.abs(lower - upper).max() > 0.1 * upper.std()


def test_folding_loses_nothing(crystals):
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    operations = crystals.phase("GaAs").point_operations
    images = np.concatenate([directions @ op.T for op in operations])
    representatives, inverse = fold_directions(images, operations)
    assert len(operations) == 24
    assert len(representatives) == 300
    # Each image is the same crystal direction as its representative.
    found = representatives[inverse]
    distances = [np.linalg.norm(images @ op.T - found, axis=1) for op in operations]
    assert np.min(distances, axis=0).max() < 1e-5


def test_monte_carlo_bins_share_the_electrons(crystals):
    one = simulate_depths(crystals.phase("Ni"), voltage=20.0, electrons=3000)
    four = simulate_depths(crystals.phase("Ni"), voltage=20.0, electrons=3000, energy_bins=4)
    assert len(one.energies_kev) == 1
    assert 15 < one.energies_kev[0] < 20
    assert np.all(np.diff(four.energies_kev) > 0.8)
    assert np.abs(four.energies_kev - [15.6, 16.9, 18.1, 19.4]).max() < 0.4
    # One seed, and bins finer than 0.25 keV only where asked: nearly the same electrons.
    assert four.accum_z.sum() == pytest.approx(one.accum_z.sum(), rel=0.02)


def test_energies_are_weighted_by_the_exit_histogram(crystals):
    spec = DynamicalSpec(
        half_size=5, d_min=1.0, cutoffs=(2, 2.1, 20), energy_bins=3, electrons=3000
    )
    master = simulate_master(crystals.phase("Ni"), spec)
    assert master.weights.sum() == pytest.approx(1)
    assert master.weights.argmax() == 2  # most backscattered electrons lost little
    by_hand = np.average(master.data, axis=0, weights=master.weights)
    np.testing.assert_allclose(master.weighted(), by_hand, rtol=1e-5)
    plain = simulate_master(crystals.phase("Ni"), spec.replace(weighting="yield"))
    np.testing.assert_array_equal(plain.weights, 1)
    np.testing.assert_array_equal(plain.data, master.data)


def test_progress_can_end_the_simulation(crystals):
    class StopError(Exception):
        pass

    calls = []

    def stop(done, total):
        calls.append((done, total))
        raise StopError

    spec = DynamicalSpec(
        half_size=5, d_min=1.0, cutoffs=(2, 2.1, 20), energy_bins=3, electrons=2000
    )
    with pytest.raises(StopError):
        simulate_master(crystals.phase("Ni"), spec, on_progress=stop)
    assert calls == [(1, 3)]


def test_impossible_specs_are_refused():
    with pytest.raises(SpecError, match="rise"):
        DynamicalSpec().replace(cutoffs=(8, 4, 50))
    with pytest.raises(SpecError, match="lose"):
        DynamicalSpec().replace(voltage=5, energy_range=6)
