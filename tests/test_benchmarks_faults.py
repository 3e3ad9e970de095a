"""The table of faults in the docs is the one that the script makes of its stored counts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from napari_spacegroup.config.microscope import FaultKind, ScanFormat


@pytest.fixture(scope="module")
def script(repository: Path):
    spec = importlib.util.spec_from_file_location("faults", repository / "benchmarks/faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report(script) -> dict:
    return json.loads(script.RESULTS.read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_stored_counts(script, report) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.page(report)


def test_every_fault_of_every_format_is_there(script, report) -> None:
    found = {(c["group"], c["fault"], c["layout"]) for c in report["cases"]}
    assert len(found) == len(report["cases"])
    assert report["formats"] == list(ScanFormat.__args__)
    assert set(script.MEANING) == set(FaultKind.__args__)
    for layout in report["formats"]:
        assert {("microscope", fault, layout) for fault in script.MEANING} <= found
        assert {("kill", "follow", layout), ("kill", "classify", layout)} <= found
    assert {c["group"] for c in report["cases"]} == set(script.GROUPS)


def test_what_was_not_run_says_why(report) -> None:
    assert all(case["note"] for case in report["cases"] if case["passed"] is None)
