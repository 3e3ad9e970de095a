"""One warm local worker for the tests that need no more, and no process left behind."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cloudpickle
import psutil
import pytest

from napari_spacegroup.jobs.dask_executor import DaskExecutor


@pytest.fixture(scope="session")
def toys():
    name = "nsg_toy_jobs"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "toy_jobs.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        cloudpickle.register_pickle_by_value(module)
    return sys.modules[name]


@pytest.fixture(scope="module")
def dask_executor():
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    executor = DaskExecutor()
    yield executor
    executor.close()
    left = [
        p
        for p in psutil.Process().children(recursive=True)
        if p.pid not in before and "resource_tracker" not in " ".join(p.cmdline())
    ]
    psutil.wait_procs(left, timeout=10)
    assert not [p for p in left if p.is_running()]
