from __future__ import annotations

import threading
import time

import pytest

from napari_spacegroup.jobs import CancelToken, Prefetcher


class CountingSource:
    """Counts what was read; waits for permission where told to."""

    def __init__(self, n: int) -> None:
        self.n, self.read = n, 0
        self.closed_on: str | None = None
        self.reached = threading.Condition()

    def __iter__(self):
        try:
            for item in range(self.n):
                with self.reached:
                    self.read += 1
                    self.reached.notify_all()
                yield item
        finally:
            self.closed_on = threading.current_thread().name

    def wait_for(self, count: int) -> bool:
        with self.reached:
            return self.reached.wait_for(lambda: self.read >= count, timeout=5)


def test_items_arrive_in_order_and_the_thread_ends():
    with Prefetcher(range(100), depth=3) as items:
        assert list(items) == list(range(100))
        assert list(items) == []
    assert not items.is_alive


def test_a_slow_consumer_can_see_that_more_is_there():
    source = CountingSource(2)
    with Prefetcher(source, depth=1) as items:
        assert next(items) == 0
        assert source.wait_for(2)
        for _ in range(500):
            if items.is_ahead:
                break
            time.sleep(0.01)
        assert items.is_ahead
        assert next(items) == 1
        assert not items.is_ahead


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_reading_ahead_is_bounded(depth):
    source = CountingSource(50)
    with Prefetcher(source, depth=depth) as items:
        for taken in range(1, 20):
            assert next(items) == taken - 1
            assert source.wait_for(taken + depth)  # it does read ahead ...
            assert source.read <= taken + depth  # ... and no further
    assert source.closed_on is not None
    assert source.closed_on.startswith("nsg-reader")
    assert not items.is_alive


def test_an_error_of_the_reader_arrives_in_its_place():
    def source():
        yield 1
        yield 2
        raise KeyError("gone")

    with Prefetcher(source(), depth=2) as items:
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(KeyError, match="gone"):
            next(items)
        with pytest.raises(StopIteration):
            next(items)


def test_cancel_ends_a_wait_for_a_slow_source():
    token, release = CancelToken(), threading.Event()
    started = threading.Event()

    def source():
        started.set()
        release.wait(10)
        yield 1

    items = Prefetcher(source(), cancel=token)
    assert started.wait(5)
    threading.Thread(target=token.cancel).start()
    assert list(items) == []  # does not hang, although the source does
    assert items.is_alive
    release.set()
    items.close()
    assert not items.is_alive


def test_a_hanging_read_is_left_behind(caplog):
    release, started = threading.Event(), threading.Event()

    def source():
        started.set()
        release.wait(10)
        yield 1

    items = Prefetcher(source())
    assert started.wait(5)
    items.close(timeout=0.01)
    assert "leaving it behind" in caplog.text
    release.set()
    items.close()
    assert not items.is_alive


def test_leaving_early_closes_the_source():
    source = CountingSource(1000)
    with Prefetcher(source, depth=2) as items:
        next(items)
    assert source.read <= 4
    assert source.closed_on is not None


def test_depth_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Prefetcher([], depth=0)
