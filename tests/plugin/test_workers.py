"""Where the jobs of the window run, and how that is chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_spacegroup.errors import SpecError
from napari_spacegroup.jobs import ThreadExecutor
from napari_spacegroup.jobs.dask_executor import DaskExecutor
from napari_spacegroup.plugin import workers


@pytest.fixture(autouse=True)
def _no_executor_yet(monkeypatch):
    monkeypatch.setattr(workers, "_executors", {})


@pytest.fixture
def settings(tmp_path) -> Path:
    return tmp_path / "settings.json"


def test_a_worker_process_unless_somebody_says_otherwise(settings):
    assert workers.place() == "worker"
    assert isinstance(workers.worker(), DaskExecutor)
    assert workers.worker() is workers.worker()
    assert not workers.worker().is_warm  # nothing is started before the first job
    assert not settings.exists()


def test_a_choice_is_remembered(settings):
    workers.choose_place("window")
    assert json.loads(settings.read_text()) == {"runs_in": "window"}
    assert isinstance(workers.worker(), ThreadExecutor)
    workers.choose_place("tcp://127.0.0.1:1")
    assert workers.worker().address == "tcp://127.0.0.1:1"
    assert [choice.key for choice in workers.places()] == ["worker", "window", "tcp://127.0.0.1:1"]


def test_what_is_no_address_is_refused(settings):
    with pytest.raises(SpecError, match="looks like tcp"):
        workers.choose_place("cluster")
    assert not settings.exists()


def test_the_environment_goes_first(monkeypatch):
    monkeypatch.setenv("NAPARI_SPACEGROUP_SCHEDULER", "tcp://127.0.0.1:2")
    assert workers.place() == "tcp://127.0.0.1:2"
    with pytest.raises(SpecError, match="unset it"):
        workers.choose_place("window")


@pytest.mark.parametrize("text", ["{", "[]", '{"other": 1}'])
def test_settings_that_are_not_understood_do_no_harm(settings, text):
    settings.write_text(text)
    assert workers.place() == "worker"
