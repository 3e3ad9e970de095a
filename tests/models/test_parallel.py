"""A batch shared among threads: the same answers, in their order, whatever the threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from napari_spacegroup.models import load_model, parallel
from napari_spacegroup.models.parallel import PIECE, in_pieces


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("count", [0, 1, PIECE, PIECE + 1, 5 * PIECE - 3])
def test_pieces_come_back_in_their_order(count):
    values, shared = torch.arange(float(count)), torch.tensor([7.0])

    def work(part, one, none):
        assert none is None
        assert len(part) <= PIECE
        return part + one

    found = in_pieces(work, count, values, shared, None)
    assert torch.equal(found, values + 7)


@pytest.mark.usefixtures("two_threads")
def test_pieces_run_on_threads_that_do_not_share_operations():
    seen = set()

    def work(part):
        seen.add((threading.current_thread().name, torch.get_num_threads()))
        return part

    for _ in range(3):
        in_pieces(work, 4 * PIECE, torch.zeros(4 * PIECE))
    assert {threads for _, threads in seen} == {1}
    assert threading.current_thread().name not in {name for name, _ in seen}
    assert torch.get_num_threads() == 2
    later: list[int] = []
    other = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert later == [2]


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_a_piece_is_raised():
    def work(_):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_pieces(work, 3 * PIECE, torch.zeros(3 * PIECE))


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="64"):
        in_pieces(lambda a, b: a + b, 128, torch.zeros(128), torch.zeros(64))


@pytest.mark.usefixtures("two_threads")
def test_threads_that_cannot_be_had_are_done_without(monkeypatch):
    monkeypatch.setattr(parallel, "_pools", {})

    class NoThread(threading.Thread):
        def start(self):
            if self.name.startswith("napari-spacegroup-pieces"):
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(threading, "Thread", NoThread)
    values = torch.arange(3.0 * PIECE)
    assert torch.equal(in_pieces(lambda part: 2 * part, len(values), values), 2 * values)
    assert torch.get_num_threads() == 2


def test_labels_and_probabilities_do_not_depend_on_the_threads():
    model = load_model("ebsd-cubic")
    patterns = np.random.default_rng(0).normal(128, 30, (2 * PIECE + 5, 60, 44))
    centers = np.array([0.5, 0.2, 0.6])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(model.predict(patterns, pattern_center=centers))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    each = np.tile(centers, (len(patterns), 1))
    assert np.array_equal(found[0], model.predict(patterns, pattern_center=each))
