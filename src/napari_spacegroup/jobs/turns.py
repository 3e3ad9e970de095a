"""Turns at the device of one process: one job computes at a time, and live goes first.

A job looks at its cancel token before every batch. The token that an executor hands it
uses that moment to let a more important job pass: training stands still, with all it has
in memory, while a live map or a classification runs in the same process.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .cancel import CancelToken

LOOK_SECONDS = 0.05
"""How often a job that waits for its turn looks whether it was cancelled."""

_numbers = itertools.count()


@dataclass(order=True)
class Ticket:
    """A place in the line; the smallest one is served."""

    rank: tuple[int, int] = field(default=(0, 0))


class Turns:
    """The line before one device."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: list[Ticket] = []
        self._holder: Ticket | None = None

    @property
    def n_waiting(self) -> int:
        """Return how many jobs stand in the line, the one being served included."""
        with self._changed:
            return len(self._line)

    def enter(self, priority: int) -> Ticket:
        """Stand in the line; :meth:`leave` it in the end."""
        ticket = Ticket((-int(priority), next(_numbers)))
        with self._changed:
            self._line.append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up the place, and the turn."""
        with self._changed:
            if ticket in self._line:
                self._line.remove(ticket)
            if self._holder is ticket:
                self._holder = None
            self._changed.notify_all()

    def rest(self, ticket: Ticket) -> None:
        """Give up the turn but stay in the line, at its end among equals."""
        with self._changed:
            if ticket in self._line:
                self._line.remove(ticket)
            if self._holder is ticket:
                self._holder = None
            self._changed.notify_all()

    def wait(self, ticket: Ticket, is_over: Callable[[], bool]) -> None:
        """Return when it is this ticket's turn, or when ``is_over`` says so.

        A job that has its turn already keeps it, unless a more important one waits.
        """
        with self._changed:
            if ticket not in self._line:
                self._line.append(ticket)
            while not is_over():
                if min(self._line) is ticket and self._holder in (None, ticket):
                    self._holder = ticket
                    return
                if self._holder is ticket:
                    self._holder = None
                    self._changed.notify_all()
                self._changed.wait(LOOK_SECONDS)

    @contextmanager
    def turn(self, priority: int, cancel: CancelToken | None = None) -> Iterator[None]:
        """Have the device for the block."""
        token = CancelToken() if cancel is None else cancel
        ticket = self.enter(priority)
        try:
            self.wait(ticket, lambda: token.is_cancelled)
            yield
        finally:
            self.leave(ticket)


TURNS = Turns()
"""The line before this process's device."""


class PoliteToken(CancelToken):
    """A cancel token that lets more important jobs pass whenever the job looks at it.

    Parameters
    ----------
    turns
        The line.
    priority
        Of the job.
    """

    def __init__(self, turns: Turns, priority: int) -> None:
        super().__init__()
        self._turns = turns
        self._ticket = turns.enter(priority)

    @property
    def is_cancelled(self) -> bool:
        """Return whether somebody asked to stop; first waits for the job's turn."""
        self.take_turn()
        return self._event.is_set()

    def take_turn(self) -> None:
        """Wait for the job's turn at the device."""
        self._turns.wait(self._ticket, self._event.is_set)

    def rest(self) -> None:
        """Let others have the device until the job looks at :attr:`is_cancelled` again."""
        self._turns.rest(self._ticket)

    def leave(self) -> None:
        """Leave the line for good."""
        self._turns.leave(self._ticket)
