from __future__ import annotations

import threading

import pytest

from napari_spacegroup.errors import CancelledError
from napari_spacegroup.jobs import CancelToken


def test_a_token_is_cancelled_once_and_for_all():
    token, calls = CancelToken(), []
    token.on_cancel(lambda: calls.append(1))
    assert not token.is_cancelled
    token.raise_if_cancelled()
    token.cancel()
    token.cancel()
    assert token.is_cancelled
    assert calls == [1]
    with pytest.raises(CancelledError, match="start it again"):
        token.raise_if_cancelled()


def test_a_late_callback_comes_at_once_and_a_forgotten_one_never():
    token, calls = CancelToken(), []
    token.on_cancel(lambda: calls.append("forgotten"))()
    token.cancel()
    token.on_cancel(lambda: calls.append("late"))()
    assert calls == ["late"]


def test_many_threads_cancel_but_the_callback_comes_once():
    token, calls = CancelToken(), []
    token.on_cancel(lambda: calls.append(1))
    threads = [threading.Thread(target=token.cancel) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_a_pause_is_taken_back_and_passed_on():
    leader, follower = CancelToken(), CancelToken()
    follower.pause_with(leader)
    leader.pause()
    assert leader.is_paused
    assert follower.is_paused
    assert not follower.is_cancelled
    leader.resume()
    assert not follower.is_paused
    follower.pause()
    assert not leader.is_paused
