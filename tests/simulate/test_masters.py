"""Master patterns as values: grid, files, kikuchipy and back."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_spacegroup.errors import ResultError, SpecError
from napari_spacegroup.simulate import (
    DynamicalSpec,
    KinematicSpec,
    MasterPattern,
    from_kikuchipy,
    lambert_directions,
    master_spec,
    read_master,
)

MONOCLINIC = (5.1505, 5.2116, 5.3173, 90.0, 99.23, 90.0)


def master(energies: int = 2, half_size: int = 6, space_group: int = 14) -> MasterPattern:
    rng = np.random.default_rng(0)
    side = 2 * half_size + 1
    return MasterPattern(
        rng.random((energies, 2, side, side), dtype=np.float32),
        np.linspace(16.0, 19.0, energies),
        np.arange(1, energies + 1, dtype=float),
        "baddeleyite",
        space_group,
        MONOCLINIC if space_group == 14 else (5.65, 5.65, 5.65, 90.0, 90.0, 90.0),
        space_group == 14,
        DynamicalSpec(half_size=half_size, energy_bins=energies),
        {"de-ebsd": "0"},
    )


def test_lambert_grid_is_kikuchipys():
    from kikuchipy.signals.util._master_pattern import _lambert2vector, _vector2lambert

    directions = lambert_directions(20)
    line = np.linspace(-1, 1, 41)
    x, y = np.meshgrid(line, line)
    theirs = _lambert2vector(x.ravel(), y.ravel())
    np.testing.assert_allclose(directions[0].reshape(-1, 3), theirs, atol=1e-7)
    back = _vector2lambert(np.ascontiguousarray(directions[0].reshape(-1, 3)))
    inside = np.maximum(np.abs(x), np.abs(y)).ravel() < 0.99
    expected = np.stack([x.ravel(), y.ravel()], axis=1) * np.sqrt(np.pi / 2)
    np.testing.assert_allclose(back[inside], expected[inside], atol=1e-6)


def test_lower_hemisphere_mirrors_the_upper_one():
    upper, lower = lambert_directions(7)
    np.testing.assert_array_equal(lower, upper * [1, 1, -1])
    assert np.all(upper[..., 2] >= 0)
    np.testing.assert_allclose(np.linalg.norm(upper, axis=-1), 1, atol=1e-12)


def test_lambert_grid_has_equal_areas():
    """The mean of z over the upper hemisphere is 1/2, of x² 1/3."""
    upper = lambert_directions(200)[0][1:-1, 1:-1]
    assert upper[..., 2].mean() == pytest.approx(0.5, abs=6e-3)
    assert (upper[..., 0] ** 2).mean() == pytest.approx(1 / 3, abs=6e-3)


def test_file_round_trip(tmp_path):
    first = master()
    path = tmp_path / "deep" / "m.h5"
    first.save(path)
    second = MasterPattern.load(path)
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.energies, second.energies)
    np.testing.assert_array_equal(first.weights, second.weights)
    for name in ("phase_name", "space_group", "lattice", "is_centrosymmetric", "spec"):
        assert getattr(first, name) == getattr(second, name)
    assert dict(second.provenance) == {"de-ebsd": "0"}
    assert [p.name for p in path.parent.iterdir()] == ["m.h5"]
    np.testing.assert_array_equal(read_master(path).data, first.data)


def test_damaged_files_say_what_is_wrong(tmp_path):
    path = tmp_path / "m.h5"
    with pytest.raises(ResultError, match="missing"):
        MasterPattern.load(path)
    master().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResultError, match="truncated"):
        MasterPattern.load(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["data"][0, 0, 0, 0] += 1
    with pytest.raises(ResultError, match="checksum"):
        MasterPattern.load(path)
    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(ResultError, match="format"):
        MasterPattern.load(path)


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "m.h5"
    master().save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(ResultError, match="No space left"):
        master().save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.h5"]


def test_wrong_shapes_are_refused():
    good = master()
    with pytest.raises(SpecError, match="odd n"):
        MasterPattern(good.data[..., :-1], good.energies, good.weights, "x", 1, MONOCLINIC, True)
    with pytest.raises(SpecError, match="energies"):
        MasterPattern(good.data, good.energies[:1], good.weights, "x", 1, MONOCLINIC, True)


@pytest.mark.parametrize("energies", [1, 3])
def test_kikuchipy_and_back(energies):
    first = master(energies)
    signal = first.to_kikuchipy(weighted=False)
    assert signal.projection == "lambert"
    assert signal.hemisphere == "both"
    assert signal.phase.point_group.name == "2/m"
    second = from_kikuchipy(signal, weights=first.weights)
    np.testing.assert_array_equal(first.data, second.data)
    assert second.lattice == pytest.approx(MONOCLINIC)
    assert second.space_group == 14
    if energies > 1:
        np.testing.assert_allclose(second.energies, first.energies)


def test_kikuchipy_projects_the_weighted_pattern():
    from kikuchipy.detectors import EBSDDetector
    from orix.quaternion import Rotation

    detector = EBSDDetector(shape=(6, 8), pc=(0.4, 0.3, 0.6), sample_tilt=70)
    signal = master().to_kikuchipy()
    np.testing.assert_allclose(signal.data, master().weighted())
    patterns = signal.get_patterns(
        Rotation.from_euler([[0.3, 0.7, 1.1]]), detector, compute=True, show_progressbar=False
    )
    assert patterns.data.shape == (1, 6, 8)
    assert patterns.data.std() > 0


def test_one_hemisphere_of_an_acentric_crystal_is_refused():
    signal = master(1, space_group=216).to_kikuchipy()
    both = from_kikuchipy(signal)
    assert not both.is_centrosymmetric
    upper = signal.inav[0]
    upper.hemisphere = "upper"
    upper.projection = "lambert"
    upper.phase = signal.phase
    with pytest.raises(ResultError, match="no inversion center"):
        from_kikuchipy(upper)


def test_other_hemisphere_of_a_centric_crystal_is_the_inversion_image():
    signal = master(1).to_kikuchipy()
    upper = signal.inav[0]
    upper.hemisphere = "upper"
    upper.projection = "lambert"
    upper.phase = signal.phase
    whole = from_kikuchipy(upper)
    np.testing.assert_array_equal(whole.data[0, 0], signal.data[0])
    np.testing.assert_array_equal(whole.data[0, 1], signal.data[0, ::-1, ::-1])


def test_stereographic_patterns_are_refused():
    import kikuchipy as kp

    signal = kp.data.nickel_ebsd_master_pattern_small(projection="stereographic")
    with pytest.raises(ResultError, match="stereographic"):
        from_kikuchipy(signal)


def test_specs_come_from_plain_values():
    spec = master_spec({"method": "kinematic", "voltage": 15})
    assert spec == KinematicSpec(voltage=15)
    assert master_spec(spec.model_dump_json()) == spec
    with pytest.raises(SpecError, match="fancy"):
        master_spec({"method": "dynamical", "fancy": 1})
    with pytest.raises(SpecError, match="method"):
        master_spec({"voltage": 20})
