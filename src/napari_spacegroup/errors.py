"""The errors that users meet, under one base.

Every message says what we got, what is needed and what to do next. Each class also
inherits the builtin that a caller without knowledge of this package would catch.
"""

from __future__ import annotations


class SpaceGroupError(Exception):
    """Base of all errors that this package raises on purpose."""


class PhaseError(SpaceGroupError, ValueError):
    """A crystal structure that can't be used."""


class ScanError(SpaceGroupError, ValueError):
    """A scan that can't be read or has the wrong shape."""


class ModelError(SpaceGroupError, ValueError):
    """A model that can't be loaded or does not fit the data."""


class SpecError(SpaceGroupError, ValueError):
    """A spec that asks for something impossible."""


class ResultError(SpaceGroupError, OSError):
    """A result that can't be written or read."""


class MissingPartError(SpaceGroupError, ImportError):
    """An optional dependency that is not installed."""


class CancelledError(SpaceGroupError, RuntimeError):
    """A job that was cancelled before it had a result."""


class WorkerLostError(SpaceGroupError, ConnectionError):
    """A worker process that died, and whose job can't go on by itself."""


class SchedulerLostError(SpaceGroupError, ConnectionError):
    """A scheduler that can't be reached, or that went away during a job."""
