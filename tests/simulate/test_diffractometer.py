"""Diffractometers at random: conditions as documented, backgrounds and noise as asked."""

from __future__ import annotations

import pytest
import torch

from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import SpecError
from napari_spacegroup.imaging import ProfileContract
from napari_spacegroup.simulate.diffractometer import ProfileRange, draw_profiles, raw_profiles
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.simulate.profile import DeviceLines

CONTRACT = ProfileContract(points=1024)


@pytest.fixture(scope="module")
def lines() -> LineSet:
    phases = [library_phase(name) for name in ("Ni", "Fe", "Si")]
    return LineSet.from_lines(
        [lines_of_phase(p, 6.5) for p in phases], [p.space_group for p in phases],
        [LineRecord(p.name) for p in phases],
    )  # fmt: skip


def _draw(lines, condition, count=64, seed=0):
    device = DeviceLines(lines, "xray", torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.arange(count) % len(lines)
    scope = ProfileRange.of(condition, "xray")
    return raw_profiles(device, chosen, scope, CONTRACT, generator)


@pytest.mark.parametrize("condition", ["clean", "standard", "hard"])
def test_the_table_in_the_docs(repository, condition):
    text = (repository / "docs" / "conventions.md").read_text(encoding="utf-8")
    part = text.split("## Evaluation conditions for powder profiles")[1].split("## Floors")[0]
    column = 1 + ["clean", "standard", "hard"].index(condition)
    rows = {}
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4:
            rows[cells[0]] = cells[column]

    def limits(name):
        words = rows[name].replace("none", "0").replace("no noise", "0").split(" to ")
        numbers = [float(w.split(", ")[-1]) for w in words]
        return (numbers[0], numbers[-1])

    for radiation in ("xray", "neutron"):
        scope = ProfileRange.of(condition, radiation)
        kind = "X-rays" if radiation == "xray" else "neutrons"
        angles = limits(f"2θ, {kind}")
        assert (scope.start, scope.stop) == ((angles[0],) * 2, (angles[1],) * 2)
        assert scope.width == limits(f"FWHM of the instrument, {kind}")
        assert scope.size_width == limits("size_width")
        assert scope.strain_width == limits("strain_width")
        assert scope.zero_shift == limits("zero_shift")[0]
        if scope.textured:
            assert scope.texture == limits("texture")
        assert bool(scope.textured) == (rows["texture"] != "none")
        assert scope.noise == (rows["counts at the highest peak"] != "no noise")
        if scope.noise:
            assert scope.counts == limits("counts at the highest peak")
            assert scope.background == limits("background")
        assert scope.impure == (0.5 if condition == "hard" else 0.0)
        assert scope.hump == (0.5 if condition == "hard" else 0.0)
        if scope.impure:
            assert scope.impurity == limits("second phase")
    scope = ProfileRange.of(condition, "xray")
    assert scope.displacement == limits("displacement, X-rays")[0]
    assert (scope.doublets, scope.anodes) == (1.0, False)


def test_the_same_seed_draws_the_same(lines):
    first, second = _draw(lines, "hard")[0], _draw(lines, "hard")[0]
    torch.testing.assert_close(first, second)
    assert (first != _draw(lines, "hard", seed=1)[0]).any()


def test_counts_scatter_as_counts_do(lines):
    """Deviation between two draws of one sample is that of Poisson counts."""
    device = DeviceLines(lines, "xray", torch.device("cpu"))
    scope = ProfileRange.of("standard", "xray").model_copy(
        update={"zero_shift": 0.0, "displacement": 0.0, "textured": 0.0, "background": (1e-6, 1e-6),
                "size_width": (0.05, 0.05), "strain_width": (0.05, 0.05)}
    )  # fmt: skip
    chosen = torch.zeros(400, dtype=torch.long)
    values, inside = raw_profiles(device, chosen, scope, CONTRACT, torch.Generator().manual_seed(0))
    # At the highest peak, 10,000 counts in 0.02 degrees: 1 % for one step, less for a wide cell.
    place = int(torch.where(inside, values, 0.0).mean(0).argmax())
    relative = values[:, place].std() / values[:, place].mean()
    width = 0.00269 * 2 * 0.405 * 180 / 3.14159  # step of ln q times 2 tan(θ of 111) in degrees
    assert relative.item() == pytest.approx(0.01 / (width / 0.02) ** 0.5, rel=0.2)


def test_inputs_are_finite_and_scaled(lines):
    device = DeviceLines(lines, "xray", torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    chosen = torch.arange(96) % len(lines)
    for scope in (ProfileRange.training("xray"), ProfileRange.of("clean", "xray")):
        inputs = draw_profiles(device, chosen, scope, CONTRACT, generator)
        assert inputs.shape == (96, 1, 1, 1024)
        assert torch.isfinite(inputs).all()
        assert (inputs.amax(-1) == 1).all()
        assert inputs.min() >= CONTRACT.outside
    neutrons = DeviceLines(lines, "neutron", torch.device("cpu"))
    scope = ProfileRange.training("neutron")
    grid = ProfileContract(radiation="neutron", start=0.5, stop=8.0, points=1024)
    assert torch.isfinite(draw_profiles(neutrons, chosen, scope, grid, generator)).all()


def test_there_is_no_fourth_condition():
    with pytest.raises(SpecError, match="clean, standard, hard"):
        ProfileRange.of("nice", "xray")


def test_sets_join_and_part(lines, tmp_path):
    lines.save(tmp_path / "a.npz")
    both = LineSet.joined([lines, LineSet.load(tmp_path / "a.npz")])
    assert len(both) == 6
    part = both.subset([4, 2])
    assert part.space_groups.tolist() == [229, 227]
    assert [r.name for r in part.records] == [both.records[4].name, both.records[2].name]
    start, end = lines.starts[1], lines.ends[1]
    torch.testing.assert_close(
        torch.tensor(part.q[: part.ends[0]]), torch.tensor(lines.q[start:end])
    )
