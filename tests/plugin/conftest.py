"""A small model without torch in place of the installed ones, and no thread left behind."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest

from napari_spacegroup.infer.pixel_status import pattern_status
from napari_spacegroup.infer.spacegroup_map import SpaceGroupMap
from napari_spacegroup.jobs.events import Done, Partial, Progress
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.plugin.state import Choice, Reasons
from napari_spacegroup.workflows.combine_patterns import PatternEvidence, join_evidence

CLASSES = (221, 225, 227, 229)
SCAN_SHAPE = (3, 5)
PATTERN_SHAPE = (16, 20)


@pytest.fixture(autouse=True)
def _no_context_left():
    """Let go of the OpenGL context that a test made current.

    A closed window may be collected on a worker's thread, and Qt forgets a current context only
    on the thread that it dies on: the process would end by reading what is freed.
    """
    yield
    gui = sys.modules.get("PySide6.QtGui")
    context = None if gui is None else gui.QOpenGLContext.currentContext()
    if context is not None:
        context.doneCurrent()


class FakeModel:
    """Reads the class off a pattern's left edge, as :func:`patterns_of` wrote it there."""

    name = "fake-cubic"
    classes = CLASSES

    def predict(self, patterns):
        sure = np.clip(patterns[:, 0, 1].astype(np.float32) / 100, 0.3, 0.99)
        index = patterns[:, 0, 0].astype(int) % len(CLASSES)
        rest = (1 - sure) / (len(CLASSES) - 1)
        result = np.repeat(rest[:, None], len(CLASSES), axis=1)
        result[np.arange(len(patterns)), index] = sure
        return result.astype(np.float32)


class FakeProvider:
    """As :class:`napari_spacegroup.plugin.provider.ModelProvider`; ``gate`` holds the job."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.error = None
        self.predicted = []
        self.technique, self.read = "sad", 0

    def models(self):
        return (Choice("fake-cubic", "fake-cubic", "Tells apart 221, 225, 227, 229"),)

    def devices(self):
        return (
            Choice("auto", "Automatic"),
            Choice("cpu", "CPU"),
            Choice("cuda", "GPU", problem="No GPU here."),
        )

    def load(self, name, purpose):  # noqa: ARG002
        if self.error is not None:
            raise self.error
        return FakeModel()

    def empty_map(self, scan, model):
        return SpaceGroupMap.empty(
            scan.scan_shape,
            model.classes,
            step=scan.step,
            step_unit=scan.step_unit,
            model_name=model.name,
            scan_name=scan.name,
            equivalence_sets=[(221, 229)],
        )

    def events(self, scan, model, *, batch_size, device, cancel):  # noqa: ARG002
        result = self.empty_map(scan, model)
        done = 0
        for start, patterns in scan.batches(batch_size):
            while not self.gate.wait(0.01) and not cancel.is_cancelled:
                pass
            if cancel.is_cancelled:
                break
            status = pattern_status(patterns)
            probabilities = model.predict(patterns)
            result.merge(start, probabilities, status)
            yield Partial(start, probabilities, status)
            done += len(patterns)
            yield Progress(done, scan.n_patterns, "Classifying")
        yield Done(result, is_cancelled=cancel.is_cancelled)

    def warm_up(self):
        self.warmed_up = True

    def network_view(self, model, pattern, scan):  # noqa: ARG002
        return np.asarray(pattern, np.float32) - 100

    def reasons(self, model, pattern, scan):  # noqa: ARG002
        heat = np.zeros(pattern.shape, np.float32)
        heat[2:5, 3:6] = 1
        return Reasons(heat, (("[111]", 0.25, 0.5),))

    def evidence(self, model, scan, region):
        flat = scan.data.reshape((-1, *scan.pattern_shape)).compute()
        chosen = np.arange(len(flat)) if region is None else np.flatnonzero(region)
        alive = [i for i in chosen if flat[i].std() > 0]
        self.read += len(alive)
        return [
            PatternEvidence(
                f"{scan.name} {i}",
                model.predict(flat[i][None])[0],
                turned(11.0 * (self.read + n)) if self.technique == "sad" else None,
            )
            for n, i in enumerate(alive)
        ]

    def join(self, model, patterns, **options):
        return join_evidence(patterns, model.classes, technique=self.technique, **options)

    def predict(self, model, pattern, scan):  # noqa: ARG002
        self.predicted.append(pattern)
        return model.predict(pattern[None])[0]


def turned(degrees):
    """An orientation about a direction of no symmetry, so that each is another view."""
    axis = np.array([1.0, 2.0, 4.0]) / np.sqrt(21)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def patterns_of(shape=SCAN_SHAPE, pattern_shape=PATTERN_SHAPE):
    """Class index at [0, 0], confidence in percent at [0, 1]; the last pattern is constant."""
    rng = np.random.default_rng(3)
    data = rng.integers(60, 200, (*shape, *pattern_shape), dtype=np.uint8)
    flat = data.reshape(-1, *pattern_shape)
    flat[:, 0, 0] = np.arange(len(flat)) % len(CLASSES)
    flat[:, 0, 1] = 40 + 4 * np.arange(len(flat)) % 60
    flat[-1] = 7
    return data


@pytest.fixture
def make_patterns():
    return patterns_of


@pytest.fixture
def make_scan():
    def make(**facts):
        facts = {"name": "Steel", "step": (0.5, 0.25), "step_unit": "um"} | facts
        return PatternScan.from_array(patterns_of(), **facts)

    return make


@pytest.fixture
def scan(make_scan):
    return make_scan()


@pytest.fixture
def provider():
    provider = FakeProvider()
    yield provider
    provider.gate.set()


@pytest.fixture
def result(scan, provider):
    *_, done = provider.events(
        scan, FakeModel(), batch_size=4, device="cpu", cancel=_never_cancelled()
    )
    return done.result


def _never_cancelled():
    from napari_spacegroup.jobs import CancelToken

    return CancelToken()


def our_threads():
    return [t for t in threading.enumerate() if t.name.startswith("nsg-")]


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SPACEGROUP_SETTINGS", str(tmp_path / "settings.json"))


@pytest.fixture(scope="session", autouse=True)
def _no_worker_left():
    yield
    from napari_spacegroup.plugin.workers import close_worker

    close_worker()


@pytest.fixture(autouse=True)
def _no_leaked_thread():
    """Threads of a closed session may need a moment; they must end by themselves."""
    yield
    deadline = time.monotonic() + 5
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not our_threads()


@pytest.fixture
def fake_models(provider):
    """Let the docks find the fake model."""
    from napari_spacegroup.plugin.provider import set_provider

    set_provider(lambda: provider)
    yield provider
    set_provider(None)
    provider.gate.set()
