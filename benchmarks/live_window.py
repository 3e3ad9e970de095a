"""The measurements of ``live.py`` that need a window; it starts each in a process of its own.

    xvfb-run -a -s "-screen 0 1600x1200x24" python benchmarks/live_window.py latency FOLDER

Writes its figures to ``FOLDER/latency.json``. The window is a real one, driven by its
buttons; the microscope is another process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from probe import PaintProbe, SizeProbe, StallProbe
from qtpy.QtCore import QEventLoop, QTimer
from row import median_seconds
from scans import HEADER, PATTERN, RECORD, report_of, start_microscope

PLUGIN = "napari-spacegroup"
MODEL = "ebsd-cubic"
FAST = 1000
"""Patterns per second that the small network has to keep up with."""

BATCH = 256


class Window:
    """A napari window with one of our docks, without the settings of who runs this.

    Parameters
    ----------
    folder
        For settings and models.
    dock
        Its name.
    """

    def __init__(self, folder: Path, dock: str) -> None:
        os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
        os.environ["NAPARI_SPACEGROUP_OWN_MODELS"] = str(folder / "models")
        import napari

        from napari_spacegroup.plugin import session_of

        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window._qt_window.resize(1360, 860)
        _, self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, dock)
        self.session = session_of(self.viewer)
        self.until(lambda: self.session.map_state.models and self.session.map_state.devices)

    def until(self, condition: Callable[[], object], limit: float = 900.0) -> None:
        """Let the window live until something is true, at most so long [s].

        Qt's own loop runs, as in napari: ``QTest.qWait`` would sleep 10 ms at a time.
        """
        loop, timer, end = QEventLoop(), QTimer(), time.monotonic() + limit

        def look() -> None:
            if condition() or time.monotonic() > end:
                loop.quit()

        timer.timeout.connect(look)
        timer.start(50)
        loop.exec()
        timer.stop()
        if not condition():
            state = self.session.live_state
            raise TimeoutError(f"waited {limit:g} s; live says {state.message!r}")

    def close(self) -> None:
        """Close it, and let what it started end."""
        self.viewer.close()
        self.session.close()


def follow(
    folder: Path, model: str, shape: tuple[int, int], rate: float, *, is_curious: bool
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Follow a scan in the dock Live, from before its file is there to its end.

    Returns
    -------
    facts
        What was measured; see the keys.
    painted
        When each pixel was drawn [s], shape ``(n,)``.
    written
        When the last byte of each pattern was in the file [s], shape ``(n,)``.
    """
    from napari_spacegroup.jobs import JobState

    window = Window(folder, "Live")
    state, path = window.session.live_state, folder / "scan.up2"
    count = shape[0] * shape[1]
    state.path, window.session.map_state.model = str(path), model
    painted = PaintProbe(window.viewer, lambda: window.session.live.presenter.layer)
    statuses = []
    state.events.status.connect(statuses.append)
    size = SizeProbe(path, HEADER + count * RECORD)
    with StallProbe(is_curious=is_curious) as stalls:
        window.dock.start_button.click()
        window.until(lambda: state.message.startswith("Waiting for the first"))
        microscope = start_microscope(folder, path, shape, rate)
        window.until(lambda: state.job.is_final)
    if state.job is not JobState.COMPLETED:
        raise RuntimeError(f"following ended as {state.job}: {state.message}")
    layer = window.session.live.presenter.layer
    told = [s for s in statuses if s is not None and np.isfinite(s.latency)]
    facts = {
        "count": count,
        "microscope": report_of(microscope),
        "stalls": stalls.facts(),
        "draws": painted.draws,
        "told": [told[-1].latency, told[-1].latency_99] if told else None,
        "labels": np.asarray(layer.data).tolist(),
        "repaint": idle_repaint(window.session.live.presenter),
    }
    window.close()
    return facts, painted.times, size.written(count, RECORD)


def idle_repaint(presenter: Any) -> float:
    """Return how long one repaint of the map takes while nothing else runs [s]."""
    from qtpy.QtWidgets import QApplication

    def repaint() -> None:
        presenter.repaint()
        for _ in range(4):  # the canvas, then the thumbnail, and what they ask for
            QApplication.processEvents()

    repaint()
    return median_seconds(repaint, 15)


def latency(folder: Path, *, is_quick: bool, is_curious: bool) -> dict[str, Any]:
    """Measure from the last byte of a pattern to its pixel on the canvas, 1,000 patterns/s."""
    model = save_small_model(folder / "models" / "small")
    shape = (30, 100) if is_quick else (120, 100)
    facts, painted, written = follow(folder, str(model), shape, FAST, is_curious=is_curious)
    late = painted - written
    if not np.isfinite(late).all():
        raise RuntimeError(f"{int((~np.isfinite(late)).sum())} pixels were never drawn")
    facts["median"], facts["p99"] = (float(v) for v in np.percentile(late, (50, 99)))
    facts["worst"] = float(late.max())
    check(facts, folder, str(model))
    return facts


def undrawn(folder: Path, *, is_quick: bool, is_curious: bool) -> dict[str, Any]:  # noqa: ARG001
    """Measure :func:`latency` to the arrival in this process, with no window at all."""
    import napari_spacegroup as nsg
    from napari_spacegroup.infer import PixelStatus
    from napari_spacegroup.jobs import Partial
    from napari_spacegroup.jobs.dask_executor import DaskExecutor
    from napari_spacegroup.workflows.follow_scan import follow_on
    from napari_spacegroup.workflows.live_status import LiveStatus

    model = nsg.load_model(save_small_model(folder / "models" / "small"))
    shape, path = (30, 100) if is_quick else (120, 100), folder / "scan.up2"
    count = shape[0] * shape[1]
    size, arrived = SizeProbe(path, HEADER + count * RECORD), np.full(count, np.inf)
    executor, microscope = DaskExecutor(), None
    for event in follow_on(executor, path, model, out=Path(f"{path}.map.h5")):
        if isinstance(event, LiveStatus) and microscope is None:
            microscope = start_microscope(folder, path, shape, FAST)
        if isinstance(event, Partial):
            part = arrived[event.start : event.start + len(event.status)]
            known = event.status != PixelStatus.PENDING
            part[known] = np.minimum(part[known], time.monotonic())
    executor.close()
    late = arrived - size.written(count, RECORD)
    if microscope is None or not np.isfinite(late).all():
        raise RuntimeError(f"{int((~np.isfinite(late)).sum())} pixels never arrived")
    median, latest = (float(v) for v in np.percentile(late, (50, 99)))
    return {"median": median, "p99": latest, "microscope": report_of(microscope)}


def throughput(folder: Path, *, is_quick: bool, is_curious: bool) -> dict[str, Any]:
    """Measure live patterns per second, file to drawn map, against the bare forward pass."""
    shape = (16, 32) if is_quick else (96, 64)
    facts, painted, _ = follow(folder, MODEL, shape, FAST, is_curious=is_curious)
    first, last = np.nanmin(painted), np.nanmax(painted)
    facts["live"] = float((painted > first).sum() / (last - first))
    stored = check(facts, folder, MODEL)
    import napari_spacegroup as nsg

    scan = nsg.read(folder / "scan.up2")
    patterns = scan.data.compute().reshape(-1, *PATTERN)
    facts["bare"] = 1 / bare_seconds(patterns, stored, 1 if is_quick else 3)
    return facts


def bare_seconds(patterns: np.ndarray, view: Any, repeats: int) -> float:
    """Return the time of one pattern in the network alone, the batches in memory and prepared."""
    import torch

    import napari_spacegroup as nsg
    from napari_spacegroup.infer.view import restored_view
    from napari_spacegroup.models.pattern_center import square_centers

    model = nsg.load_model(MODEL)
    center = np.array([0.5, 0.25, 0.6])
    if view is not None:
        center = restored_view(view, None, None, PATTERN).center.of(0, 1)
    centers = square_centers(center, PATTERN)
    inputs = model.prepare(patterns).split(BATCH)
    work = lambda: torch.cat([model.probabilities(part, centers) for part in inputs])  # noqa: E731
    return median_seconds(work, repeats) / len(patterns)


def check(facts: dict[str, Any], folder: Path, model: str) -> Any:
    """Compare the layer with what ``classify`` says of the finished file; return the view."""
    import napari_spacegroup as nsg
    from napari_spacegroup.workflows.classify_scan import view_of_map

    saved = folder / "scan.up2.map.h5"
    expected = nsg.classify(folder / "scan.up2", model, like=saved, batch_size=BATCH).labels()
    shown = np.array(facts.pop("labels"))
    if not np.array_equal(shown, expected):
        wrong = int((shown != expected).sum())
        raise RuntimeError(f"{wrong} pixels of the layer are not what classify says")
    facts["classes"] = len(np.unique(expected))
    return view_of_map(saved)


def training(folder: Path, *, is_quick: bool, is_curious: bool) -> dict[str, Any]:
    """Train in the dock Train, and measure stalls from the button to the finished model."""
    from napari_spacegroup.crystal.library import library_phase

    window = Window(folder, "Train")
    controller = window.session.train
    state = controller.state
    controller.add([library_phase(name) for name in ("Ni", "Fe", "Si")])
    state.minutes = 0.5 if is_quick else 1.0
    with StallProbe(is_curious=is_curious) as stalls:
        window.dock.train_button.click()
        window.until(lambda: not state.is_busy)
    if not state.finished or not state.training:
        raise RuntimeError(f"no model was made: {state.message}")
    facts = {"stalls": stalls.facts(), "steps": state.training[-1].step}
    window.close()
    from napari_spacegroup.plugin.workers import close_worker

    close_worker()
    return facts


def save_small_model(folder: Path) -> Path:
    """Save a small untrained network that takes its input as the bundled one does.

    Its last layer is scaled so that every class gets a share of noisy patterns: one label
    everywhere would prove little.
    """
    import torch

    from napari_spacegroup.models import Model, ModelCard, build, show_model

    torch.manual_seed(0)
    like = show_model(MODEL)
    card = ModelCard(
        name="small", technique="ebsd", classes=like.classes, architecture="resnet18",
        options={"width": 8}, input=like.input,
    )  # fmt: skip
    model = Model(build(card.architecture, len(card.classes), **card.options), card)
    patterns = np.random.default_rng(0).normal(128, 30, (256, *PATTERN)).clip(1, 255)
    with torch.no_grad():
        head = model.network.head
        logits = model.network(model.prepare(patterns.astype(np.uint8)))
        head.weight.div_(logits.std(0)[:, None])
        head.bias.copy_((head.bias - logits.mean(0)) / logits.std(0))
    return model.save(folder)


def main() -> None:
    """Measure one thing."""
    measurements = {
        "latency": latency, "undrawn": undrawn, "throughput": throughput, "training": training,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(measurements))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="a short run, to try it out")
    parser.add_argument("--culprits", action="store_true", help="note what stalls the window")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    measure = measurements[options.name]
    facts = measure(options.folder, is_quick=options.quick, is_curious=options.culprits)
    out = options.folder / f"{options.name}.json"
    out.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
