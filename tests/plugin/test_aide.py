from __future__ import annotations

import queue
import threading

from napari_spacegroup.plugin.aide import Aide


def test_only_the_latest_question_of_a_kind_is_answered():
    answers, held, entered = queue.Queue(), threading.Event(), threading.Event()
    aide = Aide(answers.put)

    def wait():
        entered.set()
        held.wait(5)

    aide.ask("slow", wait)
    assert entered.wait(5)
    for number in range(50):
        aide.ask("pattern", lambda n=number: n)
    held.set()
    assert answers.get(timeout=5).kind == "slow"
    answer = answers.get(timeout=5)
    assert (answer.kind, answer.value, answer.generation) == ("pattern", 49, 50)
    assert aide.is_latest(answer)
    aide.forget("pattern")
    assert not aide.is_latest(answer)
    assert aide.close()
    assert answers.empty()


def test_an_error_is_an_answer():
    answers = queue.Queue()
    aide = Aide(answers.put)
    aide.ask("models", lambda: 1 / 0)
    assert isinstance(answers.get(timeout=5).error, ZeroDivisionError)
    assert aide.close()


def test_an_aide_works_again_after_a_close_that_did_not_wait():
    answers, held, entered = queue.Queue(), threading.Event(), threading.Event()
    aide = Aide(answers.put)
    aide.ask("slow", lambda: entered.set() or held.wait(5))
    assert entered.wait(5)
    aide.close(timeout=0.0)
    aide.ask("next", lambda: 2)
    assert answers.get(timeout=5).value == 2
    held.set()
    stale = answers.get(timeout=5)
    assert not aide.is_latest(stale)
    assert aide.close()
