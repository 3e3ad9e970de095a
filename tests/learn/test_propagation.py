"""Labels that spread over similar profiles, and what a network learns of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.config import PowderTrainSpec, UnlabelledSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError
from napari_spacegroup.imaging import ProfileAxis, ProfileContract, prepare_inputs
from napari_spacegroup.learn import UnlabelledScan, supply_of
from napari_spacegroup.learn.propagation import (
    Propagation,
    certain_shares,
    neighbour_weights,
    similar_profiles,
    spread_labels,
)
from napari_spacegroup.learn.unlabelled import unlabelled_loss
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet

NAMES = ("Ni", "Fe", "Si")
SIZES = np.linspace(0.92, 1.08, 8)
CONTRACT = ProfileContract(points=512, background=0)
ANGLES = ProfileContract(grid="two_theta", start=10, stop=110, points=2000, background=0)


def lines_of(sizes, groups=None) -> LineSet:
    """Return the lines of three structures, each with cells of some sizes."""
    phases = [library_phase(name).scaled(size) for name in NAMES for size in sizes]
    return LineSet.from_lines(
        [lines_of_phase(p, 7.0) for p in phases],
        [p.space_group for p in phases] if groups is None else groups,
        [LineRecord(p.name, f"{p.name} {k}") for k, p in enumerate(phases)],
    )


@pytest.fixture(scope="module")
def known() -> LineSet:
    """One crystal of each structure; those without labels have other cells."""
    return lines_of([1.0])


@pytest.fixture(scope="module")
def hidden() -> LineSet:
    return lines_of(SIZES)


def spec_of(**changes) -> PowderTrainSpec:
    return PowderTrainSpec.model_validate(
        {
            "lines": ["in memory"], "grid": {"points": 512, "background": 0}, "device": "cpu",
            "network": {"widths": [8, 16], "stem": 8, "layers": 1, "dropout": 0},
            "conditions": "clean", "validation_share": 0.01,
            "schedule": {"steps": 12, "batch_size": 16, "evaluate_every": 6},
            **changes,
        }
    )  # fmt: skip


def profiles(lines: LineSet, contract: ProfileContract = CONTRACT) -> np.ndarray:
    """Return a line wherever a crystal has one, shape ``(n, 1, points)``."""
    q = contract.q()
    found = np.zeros((len(lines), 1, len(q)), np.float32)
    for row in range(len(lines)):
        part = lines.subset([row])
        for place, height in zip(part.q, part.xray, strict=True):
            found[row, 0] += height * np.exp(-0.5 * ((q - place) / 0.015) ** 2)
    return found


def scan_of(lines: LineSet) -> UnlabelledScan:
    return UnlabelledScan(profiles(lines), axis=ProfileAxis(CONTRACT.q(), "q"), name="profiles")


def prepared(lines: LineSet, contract: ProfileContract) -> torch.Tensor:
    axis = ProfileAxis(contract.q(), "q")
    return prepare_inputs(torch.as_tensor(profiles(lines, contract)), contract, axis=axis)


def taught(known: LineSet, hidden: LineSet, **changes) -> Propagation:
    supply = supply_of(spec_of(**changes), torch.device("cpu"), known)
    asked = UnlabelledSpec.model_validate({"scans": ["in memory"], "method": "propagation"})
    loss = unlabelled_loss(asked, supply, supply.build(), [scan_of(hidden)])
    assert isinstance(loss, Propagation)
    return loss


def groups_of(loss: Propagation) -> np.ndarray:
    return np.asarray(loss.supply.classes)[loss.shares.argmax(1).numpy()]


def test_one_label_of_each_structure_comes_to_cells_of_all_sizes(known, hidden):
    loss = taught(known, hidden)
    np.testing.assert_array_equal(groups_of(loss), hidden.space_groups)
    torch.testing.assert_close(loss.shares.sum(1), torch.ones(len(hidden)))
    assert float(loss.certainty.min()) > 0.5


def test_wrong_labels_are_passed_on_as_they_are(hidden):
    """What comes out is what the crystals with labels say, not what the profiles are of."""
    turned = {225: 227, 227: 229, 229: 225}
    groups = [turned[g] for g in lines_of([1.0]).space_groups]
    loss = taught(lines_of([1.0], groups), hidden)
    np.testing.assert_array_equal(groups_of(loss), [turned[g] for g in hidden.space_groups])


def test_labels_walk_along_a_chain_and_stay_where_they_are():
    """Ten profiles in a row, one label at each end: each takes the nearer one's."""
    count = 10
    index = np.stack([np.arange(count) - 1, np.arange(count) + 1], 1).clip(0, count - 1)
    weight = np.full((count, 2), 0.5, np.float32)
    labels = np.full(count, -1)
    labels[0], labels[-1] = 0, 1
    found = spread_labels(index, weight, labels, 2, rounds=40)
    assert found[0].tolist() == [1, 0]
    assert found.argmax(1).tolist() == [0] * 5 + [1] * 5
    assert (found[1:5, 0] > found[2:6, 0]).all()
    np.testing.assert_array_equal(spread_labels(index, weight, labels, 2, rounds=3)[4:6], 0)


def test_profiles_with_labels_need_no_neighbours_of_their_own():
    """Rows of the first profiles alone give the same, as the others keep their labels."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, 30, (30, 4))
    weight = neighbour_weights(rng.uniform(0.9, 1, (30, 4)).astype(np.float32))
    labels = np.where(np.arange(30) < 20, -1, np.arange(30) % 3)
    every = spread_labels(index, weight, labels, 3)
    some = spread_labels(index[:20], weight[:20], labels, 3)
    np.testing.assert_array_equal(some, every)
    assert every[:20].sum() > 5


def test_certainty_is_that_of_the_entropy():
    found = np.array(
        [[0.3, 0, 0, 0], [0.2, 0.2, 0, 0], [0.1, 0.1, 0.1, 0.1], [0, 0, 0, 0], [1e-9, 0, 0, 0]],
        np.float32,
    )
    shares, certainty = certain_shares(found)
    np.testing.assert_allclose(certainty, [1, 0.5, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(shares[:2], [[1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(shares[2:], 0.25)


def test_a_neighbour_that_may_not_give_weighs_nothing():
    cosine = np.array([[0.99, 0.98, 0.2], [0.3, 0.2, 0.1]], np.float32)
    every = neighbour_weights(cosine)
    np.testing.assert_allclose(every[0, 1] / every[0, 0], (0.98 / 0.99) ** 80, rtol=1e-4)
    np.testing.assert_allclose(every.sum(1), [1, 0], atol=1e-6)
    some = neighbour_weights(cosine, np.array([[False, True, True]] * 2))
    np.testing.assert_allclose(some[0], [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("contract", [CONTRACT, ANGLES], ids=["log_q", "two_theta"])
def test_neighbours_are_of_the_same_structure_whatever_its_cell(hidden, contract):
    """On angles a larger cell is no shift; all are compared over ln q."""
    inputs = prepared(hidden, contract)
    index, cosine = similar_profiles(inputs, contract, count=5)
    assert index.shape == cosine.shape == (24, 5)
    assert not (index == np.arange(24)[:, None]).any()
    assert (np.diff(cosine, axis=1) <= 0).all()
    same = hidden.space_groups[index] == hidden.space_groups[:, None]
    assert same.mean() > 0.95
    some, _ = similar_profiles(inputs, contract, count=5, asked=7)
    np.testing.assert_array_equal(some, index[:7])


def test_similarity_is_the_best_cosine_over_shifts():
    """Against sums written out; the two profiles differ by three of 256 points, and by noise."""
    rng = np.random.default_rng(1)
    first = np.zeros(512)
    first[[100, 180, 181, 300]] = 1, 0.5, 0.4, 0.7
    second = np.roll(first, 6) + 0.05 * rng.random(512)
    inputs = torch.as_tensor(np.stack([first, second]), dtype=torch.float32)[:, None, None]
    _, cosine = similar_profiles(inputs, CONTRACT)

    def unit(values: np.ndarray) -> np.ndarray:
        pairs = values.reshape(-1, 2).mean(1)
        smooth = np.convolve(pairs, np.ones(3) / 3, "same")
        return (smooth - smooth.mean()) / np.linalg.norm(smooth - smooth.mean())

    best = max(unit(first) @ np.roll(unit(second), k) for k in range(-10, 11))
    np.testing.assert_allclose(cosine, best, rtol=1e-5)
    assert best > 0.95
    far = inputs.clone()
    far[1] = far[1].roll(60, -1)
    assert similar_profiles(far, CONTRACT)[1].max() < 0.7


def test_what_was_not_measured_counts_as_nothing():
    inputs = torch.rand(6, 1, 1, 512, generator=torch.Generator().manual_seed(0))
    inputs[..., 400:] = 0
    marked = inputs.clone()
    marked[..., 400:] = CONTRACT.outside
    np.testing.assert_array_equal(
        similar_profiles(marked, CONTRACT)[1], similar_profiles(inputs, CONTRACT)[1]
    )


def test_the_loss_is_the_cross_entropy_times_the_certainty(known, hidden):
    loss = taught(known, hidden)
    network = loss.supply.build().eval()
    loss.certainty = torch.linspace(0, 1, len(hidden))
    state = loss.supply.generator.get_state()
    value = float(loss(network, network, 16).detach())
    loss.supply.generator.set_state(state)
    rows = torch.randint(len(hidden), (16,), generator=loss.supply.generator)
    with torch.no_grad():
        logits = network(loss.supply.disturb(loss.kept[rows])).double()
    logarithms = torch.log(torch.softmax(logits, 1))
    each = -(loss.shares[rows] * logarithms).sum(1)
    assert value == pytest.approx(float((each * loss.certainty[rows]).mean()), rel=1e-4)
    loss.certainty = torch.zeros(len(hidden))
    assert float(loss(network, network, 16).detach()) == 0


def test_a_network_learns_the_labels_that_came(known, hidden):
    torch.manual_seed(0)
    loss = taught(known, hidden)
    network = loss.supply.build()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(40):
        value = loss(network.train(), network, 24)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    with torch.no_grad():
        answers = loss.supply.read(network.eval(), loss.kept).argmax(1).numpy()
    right = np.asarray(loss.supply.classes)[answers] == hidden.space_groups
    assert right.mean() > 0.9


def test_random_numbers_of_training_stay_as_they_are(known, hidden):
    """Neither those of the supply nor torch's own move, and equal seeds give equal labels."""
    supply = supply_of(spec_of(conditions="training"), torch.device("cpu"), known)
    asked = UnlabelledSpec.model_validate({"scans": ["in memory"], "method": "propagation"})
    network = supply.build()
    before, own = supply.generator.get_state(), torch.get_rng_state()
    first = unlabelled_loss(asked, supply, network, [scan_of(hidden)])
    assert torch.equal(supply.generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), own)
    supply.draw(8)
    again = unlabelled_loss(asked, supply, network, [scan_of(hidden)])
    assert torch.equal(first.shares, again.shares)


def test_profiles_are_compared_with_clean_ones(known, hidden):
    """Noise, gaps and impurities of training would hide which profiles are alike."""
    wide = supply_of(spec_of(conditions="training"), torch.device("cpu"), known)
    clean = supply_of(spec_of(conditions="clean"), torch.device("cpu"), known)
    assert torch.equal(wide.labelled(3).inputs, clean.labelled(3).inputs)
    assert not torch.allclose(wide.draw(3).inputs, clean.draw(3).inputs)
    np.testing.assert_array_equal(
        groups_of(taught(known, hidden, conditions="training")), hidden.space_groups
    )


def test_no_more_crystals_stand_in_the_graph_than_asked_for(hidden):
    supply = supply_of(spec_of(validation_share=0.01), torch.device("cpu"), hidden)
    assert len(supply.labelled(100).labels) == supply.facts()["structures"]
    some = supply.labelled(7)
    assert some.inputs.shape == (7, 1, 1, 512)
    assert some.labels.shape == (7,)


def test_profiles_that_resemble_nothing_are_refused(known):
    rng = np.random.default_rng(0)
    noise = UnlabelledScan(
        rng.random((5, 1, 512), np.float32), axis=ProfileAxis(CONTRACT.q(), "q"), name="noise"
    )
    supply = supply_of(spec_of(), torch.device("cpu"), known)
    asked = UnlabelledSpec.model_validate({"scans": ["in memory"], "method": "propagation"})
    with pytest.raises(ModelError, match="no label comes to them; choose the method consistency"):
        unlabelled_loss(asked, supply, supply.build(), [noise])
