"""Long work as streams of events: what happened, who may stop it, and who runs it.

A job is a generator of frozen events. A script loops over it (:func:`run_inline`), a
window runs it on a thread (:class:`ThreadRunner`); both see the same events and the same
states. Nothing here knows of Qt, torch or crystals.
"""

from __future__ import annotations

from .cancel import CancelToken
from .events import Done, Event, Failed, Log, Partial, Progress
from .prefetch import Prefetcher
from .runner import Job, JobState, ThreadRunner, run_inline

__all__ = [
    "CancelToken",
    "Done",
    "Event",
    "Failed",
    "Job",
    "JobState",
    "Log",
    "Partial",
    "Prefetcher",
    "Progress",
    "ThreadRunner",
    "run_inline",
]
