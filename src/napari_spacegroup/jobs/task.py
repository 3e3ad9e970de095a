"""What an executor is asked to run: a function that makes events, and how it is to be run."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


class Priority(enum.IntEnum):
    """Who goes first where several jobs want one device."""

    TRAIN = 0
    BATCH = 10
    LIVE = 20


@dataclass(frozen=True, eq=False)
class Task:
    """A job that can be sent to another process.

    Parameters
    ----------
    function
        Called as ``function(*arguments, cancel=token, **options)``; makes events, the last
        of them a :class:`~.events.Done`. It lives in a module, so that it can be pickled.
    arguments, options
        What it is called with, all of it picklable.
    name
        For logs.
    priority
        The higher one has the device.
    uses_device
        False where the job needs no turn at the device: reading, writing, counting.
    again
        Options that change when the job is started again because its worker died, such as
        ``{"resume": True}``; None where it can't go on by itself.
    """

    function: Callable[..., Iterable[Any]]
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = "job"
    priority: Priority = Priority.BATCH
    uses_device: bool = True
    again: Mapping[str, Any] | None = None
