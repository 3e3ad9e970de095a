"""Pieces that come one by one: what is classified when, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.infer import SpaceGroupMap
from napari_spacegroup.infer.live import LiveMap
from napari_spacegroup.infer.view import PatternView

CHUNK, FRAME = 8, (6, 8)


@pytest.fixture
def live(classifier):
    """Two chunks of eight; the clock of the test gives the seconds."""
    empty = SpaceGroupMap.empty((2, CHUNK), classifier.classes)
    return LiveMap(classifier, PatternView(), empty, CHUNK, 2 * CHUNK)


def put(live, start, stop, came):
    patterns = np.random.default_rng(start).integers(1, 255, (stop - start, *FRAME), np.uint8)
    live.put(np.arange(start, stop), patterns, came)


def test_a_chunk_that_will_soon_be_whole_is_classified_once(live, classifier):
    put(live, 0, 5, came=10.0)
    assert list(live.new(10.2, soon=3, overdue=9.9)) == []
    put(live, 5, 8, came=10.3)
    (piece,) = [piece for piece, _ in live.whole()]
    assert piece.start == 0
    assert classifier.sizes == [8]


@pytest.mark.parametrize(("soon", "overdue"), [(2, 9.9), (3, 10.0)])
def test_a_slow_or_late_chunk_is_shown_before_it_is_whole(live, classifier, soon, overdue):
    put(live, 0, 5, came=10.0)
    (came,) = [came for _, came in live.new(10.2, soon=soon, overdue=overdue)]
    assert came == 10.0
    assert live.result.n_done == 5
    assert classifier.sizes == [5]
    put(live, 5, 8, came=10.3)
    assert len(list(live.whole())) == 1
    assert classifier.sizes == [5, 8]  # anew, in the company that a finished scan gives it
