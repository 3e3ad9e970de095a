"""Joint evidence: the paper's example, and Bayes against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.crystal import EffectiveGroup, zone_classes
from napari_spacegroup.errors import ResultError
from napari_spacegroup.infer import combine_probabilities, fit_independence

PAPER = (213, 221, 225, 227, 229)


def even_over_alike(axis: tuple[int, int, int], truth: int) -> np.ndarray:
    """Return what an ideal observer says who sees the class of a pattern and no more."""
    names = zone_classes([EffectiveGroup(g) for g in PAPER], [axis]).names
    seen = names[EffectiveGroup(truth), axis]
    alike = np.array([names[EffectiveGroup(g), axis] == seen for g in PAPER], float)
    return alike / alike.sum()


def test_the_papers_worked_example():
    """225 along [001]: 25 % for four groups; with [103]: 62.5 % and three times 12.5 %."""
    each = np.stack([even_over_alike((0, 0, 1), 225), even_over_alike((0, 1, 3), 225)])
    joint = combine_probabilities(each, PAPER, method="mean")
    np.testing.assert_allclose(joint.steps[0], [0, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(joint.probabilities, [0, 0.125, 0.625, 0.125, 0.125])
    # Bayes is sure: [103] shows itself for 225 alone.
    bayes = combine_probabilities(each, PAPER, error_share=1e-6)
    assert bayes.probabilities[2] > 0.999


def test_bayes_is_what_can_be_worked_out_by_hand():
    each = np.array([[0.6, 0.4], [0.75, 0.25]])
    joint = combine_probabilities(each, (225, 229), error_share=1e-12)
    np.testing.assert_allclose(joint.probabilities[0], 0.6 * 0.75 / (0.6 * 0.75 + 0.4 * 0.25))
    np.testing.assert_allclose(joint.steps[0], [0.6, 0.4], atol=1e-9)


def test_the_prior_of_training_is_taken_out_once():
    prior = np.array([0.8, 0.2])
    joint = combine_probabilities(np.stack([prior, prior]), (225, 229), prior=prior)
    np.testing.assert_allclose(joint.probabilities, prior)


def test_no_pattern_can_veto():
    each = np.array([[1.0, 0.0]] + 3 * [[0.1, 0.9]])
    joint = combine_probabilities(each, (225, 229), error_share=0.05)
    assert joint.probabilities[1] > 0.5


def test_order_does_not_matter():
    each = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    one = combine_probabilities(each, (1, 2, 3, 4)).probabilities
    other = combine_probabilities(each[::-1], (1, 2, 3, 4)).probabilities
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_repeated_patterns_are_found_to_be_dependent():
    rng = np.random.default_rng(1)
    groups, labels = [], []
    for _ in range(300):
        truth = int(rng.integers(2))
        # The crystal misleads in a quarter of the cases, and then in all its patterns.
        says = truth if rng.random() < 0.75 else 1 - truth
        row = np.where(np.arange(2) == says, 0.75, 0.25)
        groups.append(np.tile(row, (4, 1)))
        labels.append(truth)
    assert fit_independence(groups, labels) == pytest.approx(0.0, abs=0.06)


def test_independent_patterns_are_found_to_be_independent():
    rng = np.random.default_rng(2)
    truth = rng.integers(2, size=400)
    says = np.where(rng.random((400, 4)) < 0.75, truth[:, None], 1 - truth[:, None])
    groups = [np.where(np.arange(2) == row[:, None], 0.75, 0.25) for row in says]
    assert fit_independence(groups, truth.tolist(), error_share=1e-6) > 0.7


def test_one_pattern_counts_as_itself_whatever_the_independence():
    each = np.array([[0.7, 0.3]])
    for value in (0.0, 0.4, 1.0):
        joint = combine_probabilities(each, (225, 229), independence=value, error_share=1e-9)
        np.testing.assert_allclose(joint.probabilities, each[0], atol=1e-6)
    twice = combine_probabilities(np.repeat(each, 2, axis=0), (225, 229), independence=0.0,
                                  error_share=1e-9)  # fmt: skip
    np.testing.assert_allclose(twice.probabilities, each[0], atol=1e-6)


def test_wrong_shapes_are_refused():
    with pytest.raises(ResultError, match="one row per pattern"):
        combine_probabilities(np.ones((2, 3)), (225, 229))


def test_one_view_seen_often_is_one_view():
    each = np.array([[0.6, 0.4], [0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    classes = (221, 225)
    often = combine_probabilities(each, classes, views=[0, 0, 0, 1])
    once = combine_probabilities(each[2:], classes)
    np.testing.assert_allclose(often.steps[:3], np.broadcast_to(once.steps[0], (3, 2)))
    np.testing.assert_allclose(often.probabilities, once.probabilities)
    apart = combine_probabilities(each, classes)
    assert apart.steps[2, 0] > often.steps[2, 0]


def test_noise_of_one_view_averages():
    each = np.array([[0.9, 0.1], [0.5, 0.5]])
    joint = combine_probabilities(each, (221, 225), views=[7, 7], error_share=1e-9)
    ratio = joint.probabilities[0] / joint.probabilities[1]
    assert ratio == pytest.approx(np.sqrt(9 * 1), rel=1e-6)
    mean = combine_probabilities(each, (221, 225), method="mean", views=[7, 7])
    assert mean.probabilities[0] == pytest.approx(0.7)


def test_views_must_fit():
    with pytest.raises(ResultError, match="views"):
        combine_probabilities(np.full((2, 2), 0.5), (221, 225), views=[1])
