"""A classifier without torch: its answer depends on each pattern alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

CLASSES = (221, 223, 225, 227, 229, 230)


@dataclass(frozen=True)
class FakeCard:
    name: str = "fake-cubic"
    technique: str = "ebsd"
    equivalence_sets: tuple[tuple[int, ...], ...] = ((221, 229),)
    sha256: str = "ab" * 32
    package_version: str = "0"


@dataclass
class FakeClassifier:
    """Reads the class from the upper left pixel of a pattern; counts what it was asked."""

    classes: tuple[int, ...] = CLASSES
    card: FakeCard = field(default_factory=FakeCard)
    device: str = "cpu"
    sizes: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    options: list[dict[str, Any]] = field(default_factory=list)

    def to(self, device: str) -> FakeClassifier:
        self.device = device
        return self

    def predict(self, patterns, *, static_background=None, mask=None):
        assert np.isfinite(patterns).all()
        self.sizes.append(len(patterns))
        self.threads.add(threading.current_thread().name)
        self.options.append({"static_background": static_background, "mask": mask})
        place = np.asarray(patterns)[:, 0, 0].astype(int) % len(self.classes)
        spread = np.asarray(patterns, float).reshape(len(patterns), -1).std(axis=1)
        weights = np.ones((len(patterns), len(self.classes))) + spread[:, None] / 1e3
        weights[np.arange(len(patterns)), place] += 4
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def classifier() -> FakeClassifier:
    return FakeClassifier()


@pytest.fixture
def make_classifier():
    return FakeClassifier


@pytest.fixture
def make_card():
    return FakeCard


@pytest.fixture
def patterns() -> np.ndarray:
    """A scan of 5 by 7 noisy patterns of 6 by 8 pixels."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 255, (5, 7, 6, 8)).astype(np.uint8)


@pytest.fixture
def random_map():
    """Return a function that makes a filled map."""
    from napari_spacegroup.infer import SpaceGroupMap

    def make(shape=(4, 6), classes=CLASSES, seed=0, **facts):
        rng = np.random.default_rng(seed)
        n = shape[0] * shape[1]
        rows = rng.dirichlet(np.full(len(classes), 0.4), n).astype(np.float32)
        status = np.zeros(n, np.uint8)
        status[n // 3] = 2
        status[n // 2] = 3
        result = SpaceGroupMap.empty(shape, classes, **facts)
        result.merge(0, rows, status)
        return result

    return make
