"""What the window's worker does first: it gives way to the window and to acquisition programs.

dask calls :func:`dask_setup` in every worker that is started with this module as a preload, also
after a restart.
"""

from __future__ import annotations

import logging
from typing import Any

NICENESS = 10
"""Of a worker process, on systems that count it (0 is usual, 19 gives way to everything)."""

_log = logging.getLogger(__name__)


def dask_setup(worker: Any) -> None:  # noqa: ARG001  the signature is dask's
    """Lower the priority of this process; its threads inherit it."""
    import psutil

    process = psutil.Process()
    try:
        if not psutil.WINDOWS:
            process.nice(max(NICENESS, process.nice()))
        elif process.nice() == psutil.NORMAL_PRIORITY_CLASS:
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    except (OSError, psutil.Error) as error:
        _log.debug("the worker keeps its priority: %s", error)
