"""Learning from patterns without labels, for each technique."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_spacegroup.config import PowderTrainSpec, SpotTrainSpec, TrainSpec, UnlabelledSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError
from napari_spacegroup.imaging import ProfileAxis, ProfileContract
from napari_spacegroup.learn import (
    MasterRecord,
    MasterSet,
    TrainDone,
    TrainStep,
    UnlabelledScan,
    supply_of,
    train_events,
)
from napari_spacegroup.learn.disturbances import disturbed_pictures, disturbed_profiles
from napari_spacegroup.learn.propagation import Propagation
from napari_spacegroup.learn.unlabelled import Adversary, Consistency, unlabelled_loss
from napari_spacegroup.models import ProfileGenerator
from napari_spacegroup.simulate.lambert import lambert_directions
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.simulate.reflections import ReflectionSet, simulate_reflections

CONTRACT = ProfileContract(points=512, background=0)


@pytest.fixture(scope="module")
def lines() -> LineSet:
    phases = [library_phase(n).scaled(s) for n in ("Ni", "Fe", "Si") for s in (0.98, 1.0, 1.02)]
    return LineSet.from_lines(
        [lines_of_phase(p, 7.0) for p in phases], [p.space_group for p in phases],
        [LineRecord(p.name, f"{p.name} {k}") for k, p in enumerate(phases)],
    )  # fmt: skip


def powder_spec(**changes) -> PowderTrainSpec:
    return PowderTrainSpec.model_validate(
        {
            "lines": ["in memory"], "grid": {"points": 512, "background": 0}, "device": "cpu",
            "network": {"widths": [8, 16], "stem": 8, "layers": 1, "dropout": 0},
            "conditions": "clean", "validation_share": 0.01,
            "schedule": {"steps": 12, "batch_size": 16, "evaluate_every": 6},
            **changes,
        }
    )  # fmt: skip


def profiles(lines: LineSet, count: int = 24) -> UnlabelledScan:
    """Return profiles with a line wherever a crystal has one."""
    rng = np.random.default_rng(0)
    q = CONTRACT.q()
    found = np.zeros((count, 1, len(q)), np.float32)
    for row in range(count):
        part = lines.subset([row % len(lines.starts)])
        for place, height in zip(part.q, part.xray, strict=True):
            found[row, 0] += height * np.exp(-0.5 * ((q - place) / 0.01) ** 2)
        found[row] *= rng.uniform(0.5, 2)
    return UnlabelledScan(found, axis=ProfileAxis(q, "q"), name="profiles")


def asked(**changes) -> UnlabelledSpec:
    return UnlabelledSpec.model_validate({"scans": ["in memory"], **changes})


@pytest.mark.parametrize("method", ["consistency", "adversarial", "propagation"])
def test_training_takes_profiles_along_and_resumes(lines, tmp_path, method):
    torch.set_num_threads(1)
    spec = powder_spec(unlabelled=asked(method=method, threshold=0.0).model_dump())
    scans = [profiles(lines)]
    events = list(train_events(spec, tmp_path / "a", held=lines, unlabelled=scans, report_every=6))
    steps = [e for e in events if isinstance(e, TrainStep)]
    assert all(e.unlabelled_loss > 0 for e in steps)
    part = train_events(spec, tmp_path / "b", held=lines, unlabelled=scans, report_every=1)
    for event in part:
        if isinstance(event, TrainStep) and event.step == 8:
            break
    part.close()
    again = list(train_events(spec, tmp_path / "b", held=lines, unlabelled=scans, resume=True))[-1]
    assert isinstance(again, TrainDone)
    for key, value in events[-1].model.network.state_dict().items():
        if method != "adversarial":  # the optimiser of the drawing network starts anew
            torch.testing.assert_close(again.model.network.state_dict()[key], value)


def test_without_scans_nothing_is_added(lines, tmp_path):
    events = train_events(powder_spec(), tmp_path, held=lines, report_every=6)
    assert {e.unlabelled_loss for e in events if isinstance(e, TrainStep)} == {0.0}


def test_only_sure_answers_count(lines):
    """The loss is the sum over sure patterns, which a threshold of almost 1 has none of."""
    supply = supply_of(powder_spec(), torch.device("cpu"), lines)
    network = supply.build()
    scans = [profiles(lines)]
    unsure = unlabelled_loss(asked(threshold=0.999), supply, network, scans)
    every = unlabelled_loss(asked(threshold=0.0), supply, network, scans)
    assert isinstance(unsure, Consistency)
    assert float(unsure(network, network.eval(), 24).detach()) == 0.0
    assert float(every(network, network.eval(), 24).detach()) > 0.3


def test_an_answer_is_kept_where_labels_are_sure(lines):
    """Descending the loss makes the network agree with its teacher on disturbed patterns."""
    torch.manual_seed(0)
    supply = supply_of(powder_spec(), torch.device("cpu"), lines)
    network, teacher = supply.build(), supply.build()
    loss = unlabelled_loss(asked(threshold=0.0), supply, network, [profiles(lines)])
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    values = []
    for _ in range(30):
        found = loss(network.train(), teacher.eval(), 24)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        values.append(float(found.detach()))
    assert np.mean(values[-5:]) < 0.5 * np.mean(values[:5])


def test_the_adversary_follows_the_equations(lines):
    """D = Z / (Z + 1); the loss of the first network is -log D(real) - log(1 - D(drawn))."""
    supply = supply_of(powder_spec(), torch.device("cpu"), lines)
    network = supply.build().eval()
    adversary = unlabelled_loss(asked(method="adversarial"), supply, network, [profiles(lines)])
    assert isinstance(adversary, Adversary)
    state = supply.generator.get_state()
    before = {k: v.clone() for k, v in adversary.drawing.state_dict().items()}
    first = before["layers.0.weight"]
    loss = float(adversary(network, network, 8).detach())
    assert not torch.equal(adversary.drawing.state_dict()["layers.0.weight"], first)
    supply.generator.set_state(state)
    rows = torch.randint(len(adversary.kept), (8,), generator=supply.generator)
    noise = torch.randn(8, adversary.drawing.latent, generator=supply.generator)
    adversary.drawing.load_state_dict(before)

    def share(inputs: torch.Tensor) -> torch.Tensor:
        z = torch.exp(network(inputs).double()).sum(-1)
        return z / (z + 1)

    with torch.no_grad():
        real, drawn = share(adversary.kept[rows]), share(adversary.drawing(noise))
        expected = -(torch.log(real).mean() + torch.log(1 - drawn).mean())
    assert loss == pytest.approx(float(expected), rel=1e-4)
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("points", [64, 512, 1000, 10_001])
def test_profiles_are_drawn_at_any_length(points):
    drawn = ProfileGenerator(points)(torch.randn(3, 100)).detach()
    assert drawn.shape == (3, 1, 1, points)
    assert float(drawn.min()) > 0
    assert float(drawn.max()) < 1


def test_disturbed_profiles_stay_profiles():
    """Lines move by a hundredth at most, gaps are marked, and equal seeds give equal ones."""
    flat = torch.zeros(200, 1, 1, 512)
    flat[..., 300] = 1.0
    flat[..., 480:] = CONTRACT.outside
    first = disturbed_profiles(flat, CONTRACT, torch.Generator().manual_seed(3))
    again = disturbed_profiles(flat, CONTRACT, torch.Generator().manual_seed(3))
    torch.testing.assert_close(first, again)
    values = first[:, 0, 0]
    is_measured = values != CONTRACT.outside
    assert float(values[is_measured].min()) >= 0
    assert float(values.max()) <= 1
    assert not is_measured[:, 484:].any()
    assert 0.75 < float(is_measured[:, :476].float().mean()) < 0.95
    seen = values[values[:, 296:305].amax(1) > 0.2]
    reach = math.ceil(0.01 / CONTRACT.step)
    assert ((seen.argmax(1) - 300).abs() <= reach + 1).float().mean() > 0.9


def test_disturbed_pictures_keep_what_was_not_measured():
    pictures = torch.randn(4, 2, 40, 30)
    pictures[:, 0, :5] = 0
    found = disturbed_pictures(pictures, torch.Generator().manual_seed(0))
    assert (found[:, 0, :5] == 0).all()
    torch.testing.assert_close(found[:, 1], pictures[:, 1])
    covered = (found[:, 0, 5:] == 0).float().mean(dim=(1, 2))
    assert ((covered > 0.01) & (covered < 0.1)).all()


def toys() -> MasterSet:
    """Return bands along the faces of a cube, of four widths, as two groups."""
    directions = lambert_directions(20)[:1]
    widths = (0.06, 0.08, 0.14, 0.16)
    arrays = [(np.abs(directions @ np.eye(3)) < w).sum(-1).astype(np.float32) for w in widths]
    records = [MasterRecord(f"x{i}", 221 if i < 2 else 225, prototype=f"p{i}") for i in range(4)]
    return MasterSet.from_arrays(arrays, records, size=41)


def ebsd_spec(architecture: str, **changes) -> TrainSpec:
    return TrainSpec.from_mapping(
        {
            "masters": ["in memory"], "appearance": 0.0, "device": "cpu", "validation_share": 0.01,
            "network": {"architecture": architecture, "width": 8},
            "unlabelled": asked(threshold=0.0, **changes).model_dump(),
            "schedule": {"steps": 2, "batch_size": 8, "evaluate_every": 2},
        }
    )  # fmt: skip


def test_pictures_of_ebsd(tmp_path):
    masters, spec = toys(), ebsd_spec("bandnet")
    batch = supply_of(spec, torch.device("cpu"), masters).draw(6)
    scan = UnlabelledScan(batch.inputs[:, 0].numpy())
    events = train_events(spec, tmp_path, masters=masters, unlabelled=[scan], report_every=1)
    assert all(e.unlabelled_loss > 0 for e in events if isinstance(e, TrainStep))


def test_a_network_that_indexes_keeps_folded_pictures():
    """Patterns of the crystal are kept; noise, which no orientation explains, is not."""
    supply = supply_of(ebsd_spec("sectornet"), torch.device("cpu"), toys())
    network = supply.build()
    batch = supply.draw(6)
    center = batch.geometry.pattern_center.mean(0)
    noise = torch.randn(6, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    kept = supply.keep(network, torch.cat([batch.inputs, noise]), center)
    assert 0 < len(kept) <= 6
    assert kept.shape[1:] == (2, network.sector_side, network.sector_side)
    assert network.training
    network.resolution = 2.0
    # As they will be classified, not with the random blur of training.
    blurred = [supply.keep(network, torch.cat([batch.inputs, noise]), center) for _ in range(2)]
    torch.testing.assert_close(*blurred)
    assert not torch.allclose(blurred[0], kept, atol=0.1)
    logits = supply.read(network.eval(), supply.disturb(kept))
    assert logits.shape == (len(kept), 2)


def test_what_cannot_be_used_is_refused(lines):
    supply = supply_of(powder_spec(), torch.device("cpu"), lines)
    network = supply.build()
    flat = UnlabelledScan(
        np.ones((3, 1, 512), np.float32), axis=ProfileAxis(CONTRACT.q(), "q"), name="flat.xy"
    )
    with pytest.raises(ModelError, match=r"flat\.xy is constant"):
        unlabelled_loss(asked(), supply, network, [flat])
    one = UnlabelledScan(profiles(lines, 1).patterns, axis=ProfileAxis(CONTRACT.q(), "q"))
    with pytest.raises(ModelError, match="give a scan with two"):
        unlabelled_loss(asked(), supply, network, [one])


@pytest.mark.parametrize(("method", "verb"), [("adversarial", "draw"), ("propagation", "compare")])
def test_pictures_cannot_be_drawn_or_compared(tmp_path, method, verb):
    spec = ebsd_spec("bandnet", method=method)
    scan = UnlabelledScan(np.random.default_rng(0).random((4, 60, 60)))
    with pytest.raises(ModelError, match=f"can't {verb} pictures; choose the method consistency"):
        list(train_events(spec, tmp_path, masters=toys(), unlabelled=[scan]))


def test_spots_are_read_in_both_settings():
    phases = [library_phase(name) for name in ("Si", "Fe")]
    crystals = []
    for phase in phases:
        rotations = {tuple(np.ravel(op.rot)) for op in phase.operations.sym_ops}
        matrices = np.array([np.reshape(r, (3, 3)) for r in sorted(rotations)]) // 24
        crystals.append(
            (simulate_reflections(phase, 1.1), np.linalg.inv(phase.structure_matrix), matrices)
        )
    held = ReflectionSet.from_reflections(crystals)
    spec = SpotTrainSpec.from_mapping(
        {"sets": ["a.npz"], "validation": ["b.npz"], "network": {"width": 16}, "pool": 64}
    )
    supply = supply_of(spec, torch.device("cpu"), (held, held))
    inputs = torch.rand(3, 1, *supply.contract.shape)
    network = supply.build().eval()
    kept = supply.keep(network, inputs, None)
    assert kept.shape[:2] == (3, 2)
    torch.testing.assert_close(supply.read(network, kept), network(inputs))
    changed = supply.disturb(torch.ones_like(kept))
    assert 0.05 < float((changed == 0).float().mean()) < 0.15
    with pytest.raises(ModelError, match="can't compare pictures"):
        Propagation(asked(method="propagation"), supply, kept)
