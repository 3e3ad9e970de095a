"""Rows of ``make bench`` on following a scan: speed, latency, stalls, memory, the same map.

Files, processes and windows are real: the simulated microscope writes in a process of its
own, and what needs a window runs in one (``live_window.py``), on a virtual display where
there is no other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from row import Row
from scans import CENTER, report_of, sparse_array, sparse_up2, start_microscope

HERE = Path(__file__).parent
SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1600x1200x24"]

STALL = 50.0
"""Most that the window may stand still, 99 of 100 times [ms]."""

MEDIAN, LATEST = 0.5, 1.5
"""Most from the last byte of a pattern to its pixel: median and 99th percentile [s]."""


def in_window(name: str, folder: Path, *, is_quick: bool) -> dict[str, Any] | None:
    """Return the figures of a measurement of ``live_window.py``; None without a display.

    Raises
    ------
    RuntimeError
        If it failed.
    """
    command = [sys.executable, str(HERE / "live_window.py"), name, str(folder / name)]
    command += ["--quick"] if is_quick else []
    has_display = sys.platform != "linux" or "DISPLAY" in os.environ
    if not has_display:
        if shutil.which(SCREEN[0]) is None:
            return None
        command = [*SCREEN, *command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads((folder / name / f"{name}.json").read_text(encoding="utf-8"))


def speed(folder: Path, *, is_quick: bool) -> list[Row]:
    """Follow with the bundled model, in the window, and compare with the network alone."""
    name, target = "live, growing file to drawn map, against the bare forward pass", "at least 0.7"
    found = in_window("throughput", folder, is_quick=is_quick)
    if found is None:
        return [no_display(name, target), no_display(f"{STALLS} with ebsd-cubic", ONE)]
    detail = (
        f"{found['live']:.0f} against {found['bare']:.0f} patterns/s with ebsd-cubic, up2 written "
        f"at {found['microscope']}; {found['count']} labels as classify gives them"
    )
    return [
        Row(name, found["live"] / found["bare"], target, detail),
        stall_row("with ebsd-cubic", found),
    ]


def latency(folder: Path, *, is_quick: bool) -> list[Row]:
    """Follow 1,000 patterns a second with a small network, in the window."""
    names = (
        f"median from last byte to drawn pixel against {MEDIAN} s",
        f"99th percentile from last byte to drawn pixel against {LATEST} s",
    )
    found = in_window("latency", folder, is_quick=is_quick)
    if found is None:
        shown = [no_display(name, ONE) for name in names]
        return [*shown, no_display(f"{STALLS} with a small network", ONE)]
    bare = in_window("undrawn", folder, is_quick=is_quick)
    undrawn = f"without a window {bare['median']:.3f} s, 99th percentile {bare['p99']:.3f} s"
    median, latest = found["median"], found["p99"]
    told = found["told"] or (float("nan"), float("nan"))
    where = (
        f"{found['count']} patterns at {found['microscope']}; small untrained network, on whose "
        "weights this does not depend"
    )
    check = (
        f"worst {found['worst']:.2f} s; the dock told {told[0]:.2f} and {told[1]:.2f} s "
        f"without drawing; labels of {found['classes']} classes as classify gives them"
    )
    return [
        Row(names[0], median / MEDIAN, ONE, f"{median:.3f} s, {where}; {undrawn}"),
        Row(names[1], latest / LATEST, ONE, f"{latest:.3f} s, {check}"),
        stall_row("with a small network", found),
    ]


def training(folder: Path, *, is_quick: bool) -> list[Row]:
    """Train in the window, and look at its stalls."""
    found = in_window("training", folder, is_quick=is_quick)
    if found is None:
        return [no_display("99th percentile of the window's stalls in training", ONE)]
    row = stall_row("in training", found)
    name = row.name.replace(" live", "")
    return [Row(name, row.ratio, row.target, f"{row.detail}; {found['steps']} steps of training")]


STALLS = "99th percentile of the window's stalls live"
ONE = "at most 1"


def stall_row(what: str, found: dict[str, Any]) -> Row:
    """Return a row on the stalls of the main thread."""
    stalls = found["stalls"]
    detail = (
        f"{stalls['p99_ms']:.0f} ms, median {stalls['median_ms']:.1f}, worst "
        f"{stalls['worst_ms']:.0f} ms (first layer of a map) of {stalls['ticks']} ticks of 5 ms"
    )
    if "repaint" in found:
        detail += f"; one repaint of the map takes the idle window {1000 * found['repaint']:.0f} ms"
    return Row(f"{STALLS} {what} against 50 ms", stalls["p99_ms"] / STALL, ONE, detail)


def no_display(name: str, target: str) -> Row:
    """Return a row that could not be measured."""
    return Row(name, None, target, "not measured: no display, and no xvfb-run")


CLASSIFY = """
import resource, sys, time
import napari_spacegroup as nsg
begun = time.monotonic()
result = nsg.classify(sys.argv[1], "ebsd-cubic", pattern_center=(0.5, 0.25, 0.6))
result.save(sys.argv[1] + ".map.h5")
"""

FOLLOW = """
import resource, sys, time
import napari_spacegroup as nsg
begun = time.monotonic()
result = nsg.follow(
    sys.argv[1], "ebsd-cubic", pattern_center=(0.5, 0.25, 0.6), out=sys.argv[1] + ".map.h5",
    until_idle=60,
)
"""

FIGURES = """
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.monotonic() - begun,
      (result.labels() > 0).sum(), result.status.size)
"""


def memory(folder: Path, *, is_quick: bool) -> list[Row]:
    """Compare the peak memory of a huge sparse file with that of 0.1 GB: classify and follow."""
    large = 6.0 if is_quick else 60.0
    verbs: tuple[tuple[str, str, Callable[[Path, float], int], str], ...] = (
        ("classifying", CLASSIFY, sparse_array, ".npy"),
        ("following", FOLLOW, sparse_up2, ".up2"),
    )
    rows = []
    for verb, code, write, suffix in verbs:
        peaks, detail = [], ""
        for gigabytes in (0.1, large):
            path = folder / f"sparse{suffix}"
            count = write(path, gigabytes)
            peak, seconds, named, size = figures_of(code, path)
            path.unlink()
            Path(f"{path}.map.h5").unlink()
            if size != count or named == 0:
                raise RuntimeError(f"{verb}: {named:.0f} of {size:.0f} pixels named, {count} there")
            peaks.append(peak)
            detail = f"{seconds:.0f} s for {count} patterns of 480 x 640, {named:.0f} not empty"
        rows.append(
            Row(
                f"memory of {verb} a sparse {large:g} GB file against 0.1 GB",
                peaks[1] / peaks[0],
                "at most 1.3",
                f"peak {peaks[1]:.0f} against {peaks[0]:.0f} MiB; {detail}",
            )
        )
    return rows


def figures_of(code: str, path: Path) -> list[float]:
    """Run a program on a file in a process of its own; return the numbers that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code + FIGURES, str(path)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return [float(word) for word in done.stdout.split()[-4:]]


def same_labels(folder: Path, *, is_quick: bool) -> list[Row]:
    """Classify one scan in six ways: four executors, a replay, and while it was written."""
    import napari_spacegroup as nsg
    from napari_spacegroup.jobs.dask_executor import DaskExecutor
    from napari_spacegroup.stream import ReplaySource

    path = folder / "same.up2"
    options: dict[str, Any] = {"pattern_center": CENTER, "device": "cpu"}
    options["batch_size"] = 16 if is_quick else 64
    microscope = start_microscope(folder, path, (4, 16) if is_quick else (24, 32), 200)
    maps = {"live": nsg.follow(path, "ebsd-cubic", **options, until_idle=600)}
    report_of(microscope)
    scan = nsg.read(path)
    maps["replay"] = nsg.follow(ReplaySource(scan), "ebsd-cubic", **options, until_idle=60)
    for name in ("inline", "thread"):
        maps[name] = nsg.classify(path, "ebsd-cubic", **options, executor=name)
    for workers in (1, 3):
        executor = DaskExecutor(workers=workers)
        maps[f"dask, {workers}"] = nsg.classify(path, "ebsd-cubic", **options, executor=executor)
        executor.close()
    labels = maps["inline"].labels()
    same = [name for name, found in maps.items() if np.array_equal(found.labels(), labels)]
    exact = [
        name
        for name, found in maps.items()
        if np.array_equal(found.probabilities, maps["inline"].probabilities)
    ]
    others = sorted(set(maps) - set(same))
    detail = (
        f"{labels.size} patterns of nickel, iron and aluminium, ebsd-cubic, "
        f"{len(np.unique(labels))} different labels; probabilities bit for bit in {len(exact)}"
    )
    if others:
        detail += f"; not the same: {', '.join(others)}"
    name = f"ways that give the same labels: {len(same)} of {len(maps)}"
    return [Row(name, len(same) / len(maps), "1", detail)]


PARTS: dict[str, Callable[..., list[Row]]] = {
    "same": same_labels,
    "speed": speed,
    "latency": latency,
    "training": training,
    "memory": memory,
}


def rows(folder: Path, only: str = "", *, is_quick: bool = False) -> list[Row]:
    """Return all rows, or those of one part.

    Parameters
    ----------
    folder
        For scans; the large ones are sparse and removed again.
    only
        A key of :data:`PARTS`; all if empty.
    is_quick
        Small scans, to see that it works; such figures are not to be kept.
    """
    found = []
    for name, measure in PARTS.items():
        if only in ("", name):
            begun = time.monotonic()
            found += measure(folder, is_quick=is_quick)
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return found
