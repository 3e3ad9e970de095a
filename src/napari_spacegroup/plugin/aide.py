"""One helper thread per viewer for small questions: which models, which device, one pattern.

It answers the latest question of each kind and forgets the older ones, so that a cursor
that moves quickly over a slow file never builds up a queue. It knows no Qt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What became of a question.

    Attributes
    ----------
    kind, generation
        Which question; an answer whose generation is not the latest of its kind is stale.
    value
        The answer, None where there is an error.
    error
        What went wrong, or None.
    """

    kind: str
    generation: int
    value: Any = None
    error: BaseException | None = None


class Aide:
    """A thread that starts with the first question and ends with :meth:`close`.

    Parameters
    ----------
    on_answer
        Called on the helper's thread with each :class:`Answer`.
    """

    def __init__(self, on_answer: Callable[[Answer], None]) -> None:
        self._on_answer = on_answer
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[int, Callable[[], Any]]] = {}
        self._generation: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def ask(self, kind: str, question: Callable[[], Any]) -> int:
        """Queue a question in place of an older one of its kind; return its generation."""
        with self._changed:
            generation = self._generation.get(kind, 0) + 1
            self._generation[kind] = generation
            self._waiting[kind] = (generation, question)
            if self._thread is None:
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="nsg-aide", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()
        return generation

    def forget(self, kind: str) -> None:
        """Drop the question of a kind and make an answer under way stale."""
        with self._changed:
            self._waiting.pop(kind, None)
            self._generation[kind] = self._generation.get(kind, 0) + 1

    def is_latest(self, answer: Answer) -> bool:
        """Return whether no newer question of its kind was asked since."""
        with self._changed:
            return self._generation.get(answer.kind) == answer.generation

    def close(self, timeout: float = 10.0) -> bool:
        """Drop all questions, wait [s] for the thread to end; return whether it did."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._waiting.clear()
            for kind in self._generation:
                self._generation[kind] += 1
            self._stop.set()
            self._changed.notify_all()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self, stop: threading.Event) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or stop.is_set())
                if stop.is_set():
                    return
                kind, (generation, question) = next(iter(self._waiting.items()))
                del self._waiting[kind]
            try:
                answer = Answer(kind, generation, question())
            except Exception as error:  # noqa: BLE001 - job boundary: reported, never lost
                _log.warning("no answer to %r", kind, exc_info=error)
                answer = Answer(kind, generation, error=error)
            self._on_answer(answer)
