"""Long work as streams of events: what happened, who may stop it, and who runs it.

A job is a generator of frozen events. A script loops over it (:func:`run_inline`), a
window runs it on a thread (:class:`ThreadRunner`); both see the same events and the same
states. An :class:`Executor` runs a :class:`Task` here, on a thread, or on dask workers
(``dask_executor``, imported when it is needed). Nothing here knows of Qt, torch or crystals.
"""

from __future__ import annotations

from .cancel import CancelToken
from .events import Done, Event, Failed, Log, Partial, Progress
from .executor import Executor, InlineExecutor, ThreadExecutor, as_executor
from .prefetch import Prefetcher
from .runner import Job, JobState, ThreadRunner, run_inline
from .task import Priority, Task

__all__ = [
    "CancelToken",
    "Done",
    "Event",
    "Executor",
    "Failed",
    "InlineExecutor",
    "Job",
    "JobState",
    "Log",
    "Partial",
    "Prefetcher",
    "Priority",
    "Progress",
    "Task",
    "ThreadExecutor",
    "ThreadRunner",
    "as_executor",
    "run_inline",
]
