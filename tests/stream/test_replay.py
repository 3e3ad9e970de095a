from __future__ import annotations

import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.stream import LiveSource, ReplaySource, SourceState


@pytest.fixture
def scan() -> PatternScan:
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 9, 11)).astype(np.uint8)
    return PatternScan.from_array(array, step=(1.0, 2.0), step_unit="um")


@pytest.mark.parametrize("order", ["raster", "snake", [7, 3, 4, 19, 18, 17, 0]])
@pytest.mark.parametrize("most", [1, 6, None])
def test_all_patterns_in_order(scan: PatternScan, order, most) -> None:
    source = ReplaySource(scan, order=order)
    assert isinstance(source, LiveSource)
    indices, patterns = [], []
    while (arrival := source.poll(most)).state is SourceState.GROWING:
        indices += arrival.indices.tolist()
        patterns += list(arrival.patterns)
    assert arrival.state is SourceState.ENDED
    if order == "raster":
        assert indices == list(range(20))
    elif order == "snake":
        assert indices[:12] == [0, 1, 2, 3, 4, 9, 8, 7, 6, 5, 10, 11]
    else:
        assert indices == order
    flat = np.asarray(scan.data).reshape(20, 9, 11)
    np.testing.assert_array_equal(np.stack(patterns), flat[indices])
    assert source.info.step == (1.0, 2.0)


def test_rate_is_kept(scan: PatternScan) -> None:
    now = [50.0]
    source = ReplaySource(scan, 4.0, clock=lambda: now[0])
    source.open()
    assert source.poll().state is SourceState.IDLE
    now[0] += 1.3
    assert source.poll(3).indices.tolist() == [0, 1, 2]
    assert source.poll().indices.tolist() == [3, 4]
    now[0] += 100
    assert source.poll(10).backlog == 5
    assert source.poll().count == 5
    assert source.poll().state is SourceState.ENDED


def test_absent_patterns_are_left_out(scan: PatternScan) -> None:
    present = np.ones((4, 5), bool)
    present[1, 2] = False
    holey = PatternScan.from_array(scan, present=present)
    assert ReplaySource(holey).poll().indices.tolist() == [*range(7), *range(8, 20)]


def test_refusals(scan: PatternScan) -> None:
    for options in ({"rate": 0}, {"order": "any"}, {"order": [3, 20]}):
        with pytest.raises(ScanError):
            ReplaySource(scan, **options)
