"""Time from a moved slider to the new picture in the dock *Simulate*, and the orientation search.

Qt without a screen will do. The master pattern is kinematic and in memory; the picture counts
when the state has it and the dock has repainted. The search is held against the orientations
that come with kikuchipy's nickel patterns, up to symmetry.

    QT_QPA_PLATFORM=offscreen python benchmarks/simulate_dock.py \
        --json benchmarks/results/simulate_dock.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_spacegroup.config import EbsdViewSpec, KinematicSpec
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.crystal.orientations import proper_rotations, rotation_matrices
from napari_spacegroup.simulate import MasterCache, MasterPattern
from napari_spacegroup.workflows.provenance import provenance

SHAPES = ((60, 60), (120, 120), (240, 320), (480, 640))
MOVES = 40


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    master = MasterCache().fetch(library_phase("Ni"), KinematicSpec())
    report = {
        "load_average": os.getloadavg(),
        "slider_ms": {f"{shape[0]} x {shape[1]}": move(master, shape) for shape in SHAPES},
        "nickel": search(master),
        "provenance": provenance(),
    }
    print(json.dumps(report, indent=2, default=str))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2, default=str) + "\n")


def move(master: MasterPattern, shape: tuple[int, int]) -> dict[str, float]:
    """Return the median and the largest time [ms] from a slider to its picture."""
    from qtpy.QtWidgets import QApplication

    from napari_spacegroup.plugin.aide import Aide
    from napari_spacegroup.plugin.simulate_controller import SimulateController
    from napari_spacegroup.plugin.simulate_state import SimulateState
    from napari_spacegroup.plugin.state import PatternState, PatternView

    application = QApplication.instance() or QApplication([])
    pattern_state = PatternState()
    controller = SimulateController(SimulateState(), pattern_state, _no_executor)
    assert isinstance(controller._aide, Aide)
    controller.open()
    controller._asked = ("Ni", "kinematic", 20.0)
    controller.look(shape=shape)
    controller._on_master(master)
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    pattern_state.view = PatternView("noise", 0, 0, noise)
    times = []
    for step in range(MOVES + 5):
        before, start = controller.state.drawn, time.perf_counter()
        controller.look(phi1=float(step + 1))
        while controller.state.drawn is before:
            application.processEvents()
        times.append(1000 * (time.perf_counter() - start))
        # The hand rests a little: what is measured is one move.
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            application.processEvents()
    controller.close(5.0)
    kept = times[5:]
    return {"median": round(statistics.median(kept), 1), "largest": round(max(kept), 1)}


def search(master: MasterPattern) -> dict[str, Any]:
    """Return how far the search ends from the indexed orientation of each nickel pattern."""
    import kikuchipy as kp

    from napari_spacegroup.patterns import read
    from napari_spacegroup.simulate.orient import find_orientation
    from napari_spacegroup.simulate.single import bunge_quaternion
    from napari_spacegroup.workflows import demo_scan_path

    scan = read(demo_scan_path())
    assert scan.geometry is not None
    assert scan.static_background is not None
    known = kp.data.nickel_ebsd_small().xmap.rotations.to_euler(degrees=True).reshape(3, 3, 3)
    apart, matches, seconds = [], [], []
    for y, x in np.ndindex(3, 3):
        center = scan.geometry.at(y, x)
        view = EbsdViewSpec(
            shape=scan.pattern_shape,
            pattern_center_x=center[0],
            pattern_center_y=center[1],
            pattern_center_z=center[2],
            sample_tilt=scan.geometry.sample_tilt,
        )
        flat = scan.pattern(y, x) / scan.static_background.astype(np.float32)
        start = time.perf_counter()
        found = find_orientation(master.weighted()[:1], 225, view, flat)
        seconds.append(time.perf_counter() - start)
        got, wanted = (
            rotation_matrices(np.array(bunge_quaternion(*angles)))
            for angles in (found.euler, known[y, x])
        )
        traces = [np.trace(s @ got @ wanted.T) for s in proper_rotations(225)]
        apart.append(float(np.degrees(np.arccos(np.clip((max(traces) - 1) / 2, -1, 1)))))
        matches.append(found.match)
    return {
        "degrees_apart": [round(value, 2) for value in apart],
        "correlation": [round(value, 3) for value in matches],
        "median_seconds": round(statistics.median(seconds), 2),
    }


def _no_executor() -> Any:
    raise RuntimeError("nothing is simulated here")


if __name__ == "__main__":
    main()
