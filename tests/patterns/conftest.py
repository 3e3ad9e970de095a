"""Scan files of every vendor, made once."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def vendor_files() -> ModuleType:
    """The module that writes vendors' files; the tests are no package to import it from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kikuchipy's and hyperspy's own imports
        import kikuchipy.signals  # noqa: F401
    name = "nsg_vendor_files"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("vendor_files.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
