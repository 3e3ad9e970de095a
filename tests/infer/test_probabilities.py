from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_spacegroup.infer.probabilities import GRAIN, exact_probabilities, normalised_entropy


@settings(deadline=None)
@given(n_class=st.integers(1, 230), seed=st.integers(0, 10**6), sharpness=st.floats(0, 30))
def test_sums_are_exact_in_any_order(n_class, seed, sharpness):
    logits = np.random.default_rng(seed).normal(0, 1 + sharpness, (3, n_class))
    values = np.exp(logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
    rows = exact_probabilities(values)
    assert rows.dtype == np.float32
    assert (rows >= 0).all()
    for order in (slice(None), slice(None, None, -1)):
        total = np.zeros(len(rows), np.float32)
        for column in rows.T[order]:
            total += column  # one float32 addition after the other
        np.testing.assert_array_equal(total, 1.0)
    np.testing.assert_array_equal(rows / GRAIN, np.rint(rows / GRAIN))
    np.testing.assert_array_equal(exact_probabilities(rows), rows)
    wide = values.astype(float) / values.astype(float).sum(axis=1, keepdims=True)
    assert np.abs(rows - wide).max() <= GRAIN * values.shape[1]


def test_the_likeliest_class_stays_so():
    values = np.float32([[1e-9, 1.0, 1e-9], [0.2, 0.3, 0.5]])
    np.testing.assert_array_equal(exact_probabilities(values).argmax(axis=1), [1, 2])


def test_entropy_against_closed_forms():
    np.testing.assert_array_equal(normalised_entropy(np.float32([[1, 0, 0, 0]])), 0)
    np.testing.assert_allclose(normalised_entropy(np.full((1, 6), 1 / 6, np.float32)), 1)
    np.testing.assert_allclose(normalised_entropy(np.float32([[0.5, 0.5, 0, 0]])), 0.5)
    three = normalised_entropy(np.float32([[0.25, 0.75]]))
    np.testing.assert_allclose(three, 2 - 0.75 * np.log2(3), rtol=1e-6)
    np.testing.assert_array_equal(normalised_entropy(np.ones((2, 1), np.float32)), 0)
