"""The worker process that all windows share, and where they keep the models they make."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from ..jobs import Executor
from ..jobs.executor import SCHEDULER_VARIABLE

MODELS_VARIABLE = "NAPARI_SPACEGROUP_OWN_MODELS"
"""Environment variable that names another folder for the models made here."""

_lock = threading.Lock()
_worker: Executor | None = None


def worker() -> Executor:
    """Return the executor of this process, made when it is first asked for.

    A scheduler that the environment variable ``NAPARI_SPACEGROUP_SCHEDULER`` names, else
    one local worker process, which stays warm until the program ends.
    """
    global _worker
    with _lock:
        if _worker is None:
            from ..jobs.dask_executor import DaskExecutor

            _worker = DaskExecutor(os.environ.get(SCHEDULER_VARIABLE) or None)
            atexit.register(close_worker)
        return _worker


def close_worker() -> None:
    """End the worker process, if it runs; the next job starts another one."""
    global _worker
    with _lock:
        found, _worker = _worker, None
    if found is not None:
        found.close()


def models_folder() -> Path:
    """Return where models made in the window are kept, each in a folder of its name."""
    chosen = os.environ.get(MODELS_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-spacegroup", appauthor=False)) / "models"
