"""Where the jobs of all windows run, and where they keep the models they make.

Usually in one worker process of this machine, which is started once and stays warm; on the
user's wish in the window's own process, or on a cluster. The wish is remembered.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
from pathlib import Path

from ..errors import SpecError
from ..jobs import Executor, ThreadExecutor
from ..jobs.executor import SCHEDULER_VARIABLE
from .state import Choice

_log = logging.getLogger(__name__)

MODELS_VARIABLE = "NAPARI_SPACEGROUP_OWN_MODELS"
"""Environment variable that names another folder for the models made here."""

SETTINGS_VARIABLE = "NAPARI_SPACEGROUP_SETTINGS"
"""Environment variable that names another file for what the windows remember."""

WORKER, WINDOW = "worker", "window"

PRELOADED = ("napari_spacegroup.models", "napari_spacegroup.workflows.follow_scan")
"""What a new worker process imports before it is asked for anything."""

_lock = threading.Lock()
_executors: dict[str, Executor] = {}


def place() -> str:
    """Return where jobs run: ``"worker"``, ``"window"``, or the address of a scheduler.

    The environment variable ``NAPARI_SPACEGROUP_SCHEDULER`` goes before what was chosen.
    """
    return os.environ.get(SCHEDULER_VARIABLE) or _remembered() or WORKER


def places() -> tuple[Choice, ...]:
    """Return what can be chosen."""
    found = [
        Choice(WORKER, "Worker process", "Started once, warm afterwards"),
        Choice(WINDOW, "This window", "No second process; the window may stutter"),
    ]
    now = place()
    if now not in (WORKER, WINDOW):
        found.append(Choice(now, now, "A dask scheduler"))
    return tuple(found)


def choose_place(chosen: str) -> None:
    """Remember where the next jobs run; those under way stay where they are.

    Parameters
    ----------
    chosen
        As :func:`place` returns it.

    Raises
    ------
    SpecError
        If it is none of them, or the environment variable has decided already.
    """
    if chosen not in (WORKER, WINDOW) and "://" not in chosen:
        raise SpecError(
            f"{chosen!r} is no address of a dask scheduler; one looks like tcp://10.0.0.5:8786"
        )
    decided = os.environ.get(SCHEDULER_VARIABLE)
    if decided and decided != chosen:
        raise SpecError(f"the environment variable {SCHEDULER_VARIABLE} says {decided}; unset it")
    path = _settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"runs_in": chosen}, indent=2) + "\n")
    except OSError as error:
        raise SpecError(f"can't write {path}: {error.strerror}; the choice is lost") from error


def worker() -> Executor:
    """Return what jobs run on at present, made when it is first asked for."""
    now = place()
    with _lock:
        if now not in _executors:
            _executors[now] = _make(now)
            atexit.register(close_worker)
        return _executors[now]


def ready_executor() -> Executor:
    """Return what jobs run on, started and connected; takes seconds the first time.

    Raises
    ------
    SchedulerLostError
        If there is no scheduler at the address.
    """
    found = worker()
    found.open()
    return found


def close_worker() -> None:
    """End the worker process, if it runs; the next job starts another one."""
    with _lock:
        found = list(_executors.values())
        _executors.clear()
    for executor in found:
        executor.close()


def models_folder() -> Path:
    """Return where models made in the window are kept, each in a folder of its name."""
    chosen = os.environ.get(MODELS_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-spacegroup", appauthor=False)) / "models"


def _make(where: str) -> Executor:
    if where == WINDOW:
        return ThreadExecutor()
    from ..jobs.dask_executor import DaskExecutor

    return DaskExecutor(None if where == WORKER else where, preload=PRELOADED, gives_way=True)


def _settings_path() -> Path:
    chosen = os.environ.get(SETTINGS_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    folder = platformdirs.user_config_dir("napari-spacegroup", appauthor=False)
    return Path(folder) / "settings.json"


def _remembered() -> str:
    path = _settings_path()
    try:
        return str(json.loads(path.read_text()).get("runs_in", ""))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError) as error:
        _log.warning("%s is not understood (%s); it is left alone", path, error)
        return ""
