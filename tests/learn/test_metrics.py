"""Scores against independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_spacegroup.learn.metrics import (
    balanced_accuracy,
    coverage_risk,
    expected_calibration_error,
    fit_temperature,
)


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(6), size=800)
    truth = rng.integers(0, 6, size=800)
    return probabilities, truth


def test_calibration_error_equals_torchmetrics(answers):
    metrics = pytest.importorskip("torchmetrics.functional.classification")
    probabilities, truth = answers
    ours = expected_calibration_error(probabilities.max(1), probabilities.argmax(1) == truth)
    theirs = metrics.multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(truth), num_classes=6, n_bins=15, norm="l1"
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_balanced_accuracy_equals_sklearn(answers):
    metrics = pytest.importorskip("sklearn.metrics")
    probabilities, truth = answers
    chosen = probabilities.argmax(1)
    expected = metrics.balanced_accuracy_score(truth, chosen)
    assert balanced_accuracy(truth, chosen == truth) == pytest.approx(expected)


def test_temperature_undoes_overconfidence():
    rng = np.random.default_rng(1)
    logits = torch.tensor(rng.normal(size=(4000, 5)), dtype=torch.float32)
    labels = torch.distributions.Categorical(logits=logits).sample()
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, rel=0.15)


def test_risk_falls_when_the_unsure_are_left_out():
    confidence = np.linspace(0, 1, 1000)
    is_right = np.random.default_rng(0).random(1000) < confidence
    curve = coverage_risk(confidence, is_right)
    risks = [risk for _, risk in curve]
    assert risks == sorted(risks)
    assert curve[-1] == (1.0, pytest.approx(1 - is_right.mean()))
