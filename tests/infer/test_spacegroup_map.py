from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_spacegroup.crystal import LEVELS, level_index, level_name
from napari_spacegroup.errors import ResultError, SpecError
from napari_spacegroup.infer import PixelStatus, SpaceGroupMap

CLASSES = (230, 62, 225, 194, 229, 14, 227, 221)  # not ascending, of several systems


def rows_and_status(n, seed):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(len(CLASSES), 0.3), n).astype(np.float32)
    status = rng.choice([0, 0, 0, 2, 3, 4], n).astype(np.uint8)
    return rows, status


def everything(result):
    parts = [result.probabilities, result.status]
    for level in LEVELS:
        parts += [result.probability(level), result.labels(level), result.confidence(level)]
        parts += [result.runner_up(level), result.entropy(level)]
    return [part.tobytes() for part in parts]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 7)),
    seed=st.integers(0, 10_000),
    data=st.data(),
)
def test_any_order_of_any_pieces_gives_the_same_bits(shape, seed, data):
    n = shape[0] * shape[1]
    rows, status = rows_and_status(n, seed)
    whole = SpaceGroupMap.empty(shape, CLASSES)
    whole.merge(0, rows, status)

    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, n - 1)), max_size=5)) - {n})
    pieces = data.draw(st.permutations(np.split(np.arange(n), cuts)))
    merged = SpaceGroupMap.empty(shape, CLASSES)
    watched = data.draw(st.sampled_from(LEVELS))
    for piece in pieces:
        merged.labels(watched)  # a ranking that exists is kept up to date
        if data.draw(st.booleans()):
            merged.merge(piece, rows[piece], status[piece])
        else:
            merged.merge(int(piece[0]), rows[piece], status[piece])
    assert merged.is_complete
    assert everything(merged) == everything(whole)


def test_levels_are_sums_and_sum_to_exactly_one(random_map):
    result = random_map((3, 5), CLASSES)
    is_ok = result.status == PixelStatus.OK
    for level in LEVELS:
        probability = result.probability(level)
        labels = result.level_classes(level)
        assert probability.dtype == np.float32
        assert probability.shape == (3, 5, len(labels))
        np.testing.assert_array_equal(probability[is_ok].sum(axis=-1), 1.0)
        np.testing.assert_array_equal(probability[~is_ok], 0.0)
        for column, label in enumerate(labels):
            members = [i for i, g in enumerate(CLASSES) if level_index(g, level) == label]
            expected = result.probabilities[..., members].sum(axis=-1)
            np.testing.assert_array_equal(probability[..., column], expected)


def test_labels_are_numbers_of_the_tables(random_map):
    result = random_map((4, 6), CLASSES)
    labels = result.labels("space_group")
    assert labels.dtype == np.int16
    assert labels.shape == (4, 6)
    best = np.array(CLASSES)[result.probabilities.argmax(axis=-1)]
    np.testing.assert_array_equal(labels, np.where(result.status == 0, best, 0))
    systems = result.labels("crystal_system")
    top = np.argmax(result.probability("crystal_system"), axis=-1)
    expected = np.array(result.level_classes("crystal_system"))[top]
    np.testing.assert_array_equal(systems, np.where(result.status == 0, expected, 0))


def test_runner_up_and_ties():
    result = SpaceGroupMap.empty((1, 3), (229, 225, 221))
    rows = np.float32([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    result.merge(0, rows, np.zeros(3, np.uint8))
    np.testing.assert_array_equal(result.labels(), [[225, 229, 221]])  # a tie: the lower one
    np.testing.assert_array_equal(result.runner_up(), [[229, 0, 225]])
    np.testing.assert_array_equal(result.runner_up("crystal_system"), [[0, 0, 0]])
    np.testing.assert_array_equal(result.confidence("crystal_system"), 1.0)
    np.testing.assert_array_equal(result.entropy("crystal_system"), 0.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_higher_threshold_only_takes_away(seed, low, high):
    low, high = sorted((low, high))
    rows, status = rows_and_status(20, seed)
    result = SpaceGroupMap.empty((4, 5), CLASSES)
    result.merge(0, rows, status)
    for level in ("space_group", "bravais_lattice"):
        many, few = (result.labels(level, threshold=t) for t in (low, high))
        assert ((few == many) | (few == 0)).all()
        assert (result.confidence(level)[few > 0] >= np.float32(high)).all()


def test_unknown_pixels_say_why(random_map):
    result = random_map((2, 3))
    result.merge(0, np.zeros((1, 6), np.float32), np.uint8([PixelStatus.MISSING]))
    assert "lost" in result.reason(0, 0)
    assert "constant" in result.reason(0, 2)
    assert "NaN" in result.reason(1, 0)
    assert result.reason(0, 1) == ""
    assert "below the threshold 1.00" in result.reason(0, 1, "space_group", 1.0)
    np.testing.assert_array_equal(result.labels()[result.status != 0], 0)
    np.testing.assert_array_equal(result.confidence()[result.status != 0], 0)
    np.testing.assert_array_equal(result.entropy()[result.status != 0], 1)
    assert "not computed" in SpaceGroupMap.empty((1, 1), (1,)).reason(0, 0)


def test_equivalence_sets(random_map):
    result = random_map((2, 3), equivalence_sets=[(229, 221), (221, 99)])
    labels = result.labels()
    for y, x in np.ndindex(2, 3):
        expected = {0: (), 221: (99, 221, 229), 229: (221, 229)}
        assert result.equivalence_set(y, x) == expected.get(int(labels[y, x]), (labels[y, x],))


def test_a_later_answer_wins_and_a_pending_one_never_does():
    result = SpaceGroupMap.empty((1, 2), (225, 229))
    ok, pending = np.zeros(1, np.uint8), np.ones(1, np.uint8)
    result.merge(0, np.float32([[0.9, 0.1]]), ok)
    result.merge(0, np.float32([[0.2, 0.8]]), pending)
    assert result.labels()[0, 0] == 225
    result.merge(0, np.float32([[0.2, 0.8]]), ok)
    assert result.labels()[0, 0] == 229
    assert (result.n_done, result.is_complete) == (1, False)


def test_views_are_read_only(random_map):
    result = random_map()
    with pytest.raises(ValueError, match="read-only"):
        result.probabilities[0, 0, 0] = 1
    result.labels()[...] = 0  # a copy
    assert result.labels().any()


def test_legend_counts_and_sorts(random_map):
    result = random_map((10, 10), equivalence_sets=[(221, 229)])
    rows = result.legend("space_group", 0.5)
    labels = result.labels(threshold=0.5)
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert rows[-1].label == 0
    assert rows[-1].symbol == "unknown"
    assert [r.share for r in rows[:-1]] == sorted((r.share for r in rows[:-1]), reverse=True)
    for row in rows[:-1]:
        assert row.symbol == level_name(row.label, "space_group")
        assert row.system == "cubic"
        assert row.share == np.mean(labels == row.label)
        mean = result.confidence()[labels == row.label].mean()
        assert row.mean_confidence == pytest.approx(mean, abs=1e-6)
        assert row.inseparable_from == ((221, 229) if row.label in (221, 229) else ())
    empty = SpaceGroupMap.empty((2, 2), (1, 2))
    assert empty.legend() == []


def test_a_hexagonal_lattice_names_both_its_systems(random_map):
    result = random_map((6, 6), (152, 194))
    (row, _) = result.legend("bravais_lattice")
    assert (row.symbol, row.system) == ("hP", "trigonal, hexagonal")


@pytest.mark.parametrize(
    ("start", "rows", "status", "words"),
    [
        (0, np.ones((2, 3)), np.zeros(2), "came with"),
        (0, np.ones((2, 2)) / 2, np.zeros(1), "came with"),
        (3, np.ones((2, 2)) / 2, np.zeros(2), "pixels 0 to 3"),
        (-1, np.ones((2, 2)) / 2, np.zeros(2), "pixels 0 to 3"),
        (0, np.ones((1, 2)), np.zeros(1), "no probabilities"),
        (0, np.float32([[1.5, -0.5]]), np.zeros(1), "no probabilities"),
        (0, np.float32([[np.nan, 1.0]]), np.zeros(1), "no probabilities"),
        (0, np.ones((1, 2)) / 2, np.uint8([9]), "status 9"),
    ],
)
def test_bad_pieces_are_refused_and_change_nothing(start, rows, status, words):
    result = SpaceGroupMap.empty((2, 2), (225, 229))
    with pytest.raises(ResultError, match=words):
        result.merge(start, rows.astype(np.float32), status.astype(np.uint8))
    assert result.n_done == 0


def test_an_empty_piece_is_fine():
    result = SpaceGroupMap.empty((2, 2), (225, 229))
    result.merge(0, np.zeros((0, 2), np.float32), np.zeros(0, np.uint8))
    assert result.n_done == 0


def test_bad_questions_and_bad_maps(random_map):
    result = random_map()
    with pytest.raises(SpecError, match="no symmetry level 'phase'"):
        result.labels("phase")
    with pytest.raises(SpecError, match="from 0 to 1"):
        result.labels(threshold=1.5)
    for shape, classes in [((0, 3), (1, 2)), ((2, 2), ()), ((2, 2), (225, 225)), ((2, 2), (231,))]:
        with pytest.raises(ResultError):
            SpaceGroupMap.empty(shape, classes)
    with pytest.raises(ResultError, match="do not fit"):
        SpaceGroupMap(np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.uint8), (1, 2))
    with pytest.raises(ResultError, match="float32"):
        SpaceGroupMap(np.zeros((2, 2, 1)), np.zeros((2, 2), np.uint8), (1,))
