from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.stream import LiveSource, MemorySource, SourceState


def stack(count: int, start: int = 0) -> np.ndarray:
    return (np.arange(count)[:, None, None] + start + np.zeros((1, 5, 7))).astype(np.uint16)


def test_patterns_come_once_and_in_place() -> None:
    source = MemorySource((3, 4))
    assert isinstance(source, LiveSource)
    assert source.poll().state is SourceState.WAITING
    frame = stack(1)[0]
    source.push(frame)
    frame[:] = 99  # the camera fills its buffer again
    source.push(stack(2, 1))
    source.push(stack(2, 5), [11, 7])
    arrival = source.poll(max_patterns=4)
    assert arrival.indices.tolist() == [0, 1, 2, 11]
    assert arrival.backlog == 1
    assert (arrival.patterns[:, 0, 0] == [0, 1, 2, 5]).all()
    assert source.poll().indices.tolist() == [7]
    assert source.info.n_patterns == 12
    assert source.poll().state is SourceState.IDLE
    source.finish()
    assert source.poll().state is SourceState.ENDED
    with pytest.raises(ScanError, match="closed"):
        source.push(stack(1))


def test_a_pixel_pushed_again_is_named() -> None:
    source = MemorySource()
    source.push(stack(3), [4, 5, 6])
    source.push(stack(2, 50), [5, 9])
    arrival = source.poll()
    assert arrival.indices.tolist() == [4, 5, 6, 9]
    assert [w.index for w in arrival.withheld] == [5]
    assert (arrival.patterns[1] == 1).all()


def test_refusals() -> None:
    source = MemorySource((2, 2))
    with pytest.raises(ScanError, match="outside the scan"):
        source.push(stack(2), [0, 4])
    with pytest.raises(ScanError, match="1 indices"):
        source.push(stack(2), [0])
    source.push(stack(1))
    with pytest.raises(ScanError, match="as the first patterns were"):
        source.push(stack(1).astype(np.uint8))
    with pytest.raises(ScanError, match="shape"):
        source.push(np.zeros(4))
    with pytest.raises(ScanError, match="at least 1"):
        MemorySource(capacity=0)
    source.close()
    with pytest.raises(ScanError, match="closed"):
        source.poll()


def test_a_full_source_holds_the_camera_back() -> None:
    source = MemorySource(capacity=3)
    assert source.push(stack(5), timeout=0) == 3
    assert source.poll().indices.tolist() == [0, 1, 2]
    pushed = []
    thread = threading.Thread(target=lambda: pushed.append(source.push(stack(40, 3), range(3, 43))))
    thread.start()
    got: list[int] = []
    while len(got) < 40:
        got += source.poll().indices.tolist()
    thread.join(10)
    assert got == list(range(3, 43))
    assert pushed == [40]


def test_closing_frees_a_waiting_push() -> None:
    source = MemorySource(capacity=1)
    source.push(stack(1))
    errors = []

    def push() -> None:
        try:
            source.push(stack(1), [1])
        except ScanError as error:
            errors.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    source.close()
    thread.join(10)
    assert not thread.is_alive()
    assert len(errors) == 1
