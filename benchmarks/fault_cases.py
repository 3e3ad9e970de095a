"""Scans that go wrong under a follower or a classifier: the cases behind ``faults.py``.

Every case runs the real thing on a small simulated scan and compares the map with the one
of the same patterns when nothing went wrong. A case that does worse than the docs promise
is stored as failed, never left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import napari_spacegroup as nsg
from napari_spacegroup.config import FaultSpec, KinematicSpec, SimulatedMicroscopeSpec
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.infer import PixelStatus
from napari_spacegroup.infer.journal import SUFFIX, Journal
from napari_spacegroup.jobs import CancelToken, Log
from napari_spacegroup.models import Model, ModelCard, build, load_model
from napari_spacegroup.stream import SimulatedMicroscope, WrittenState
from napari_spacegroup.workflows.microscope import prepare_microscope

SEED = 0
FORMATS = ("up1", "up2", "nordif", "ebsp", "hdf5", "zarr", "tif", "png", "bmp")
NAMES = {
    "up1": "scan.up1", "up2": "scan.up2", "nordif": "nordif", "ebsp": "scan.ebsp",
    "hdf5": "scan.h5", "zarr": "scan.zarr", "tif": "tif", "png": "png", "bmp": "bmp",
}  # fmt: skip
IMAGES = ("tif", "png", "bmp")
FRAME = (40, 40)
CENTER = (0.5, 0.25, 0.6)
CLASSES = (221, 223, 225, 227, 229, 230)
CHUNK = 8
GRID = (10, 12)
STEP = 10
"""Patterns that are written between two polls."""
AT = 70
"""Before which pattern a fault happens."""
FAULTS = {
    "pause": f"pause:{AT}:0.4", "stop": f"stop:{AT}", "truncate": f"truncate:{AT}",
    "repeat": f"repeat:{AT}:3", "skip": f"skip:{AT}:5", "restart": f"restart:{AT}",
    "delete": f"delete:{AT}", "garbage": f"garbage:{AT}:3",
}  # fmt: skip
IDLE = 2.0
"""After how long without a new pattern a follower takes the scan for finished [s]."""
CIFS = Path(__file__).parents[1] / "tests" / "data" / "cif"
NO_ZARR = "reading zarr at rest needs the zarr package, which was not installed"


@dataclass(frozen=True)
class Case:
    """One fault on one format, and what came of it.

    Parameters
    ----------
    group
        Table it belongs to.
    fault, layout
        Row and column.
    passed
        Whether the promise held; None where it was not run.
    cell
        The figures, short.
    note
        What a person should know besides.
    numbers
        What was counted.
    """

    group: str
    fault: str
    layout: str
    passed: bool | None
    cell: str
    note: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


class CountingModel(Model):
    """A model that notes each pass in a file, so that passes of killed processes count too."""

    tally: Path | None = None

    def predict(self, patterns: Any, **options: Any) -> Any:
        """Return the probabilities; the number of patterns is on disk before and after."""
        note(self.tally, f"begun {len(patterns)}")
        answer = super().predict(patterns, **options)
        note(self.tally, f"done {len(patterns)}")
        return answer


def note(file: Path | None, words: str) -> None:
    """Append a line in one write, which a kill can't tear."""
    if file is not None:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{words}\n".encode())
        os.close(handle)


def passes(file: Path) -> tuple[int, int]:
    """Return how many whole chunks were begun and done, by a tally."""
    lines = file.read_text().splitlines() if file.exists() else []
    return tuple(sum(line == f"{word} {CHUNK}" for line in lines) for word in ("begun", "done"))


def target(path: Path, layout: str) -> Path:
    """Return what to open for a scan that the microscope writes to a path."""
    return path / "Pattern.dat" if layout == "nordif" else path


class Bench:
    """A folder, a model, and the undisturbed map of every format.

    Parameters
    ----------
    folder
        For everything that is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model_path = folder / "model"
        self._truth: dict[tuple[str, tuple[int, int]], Any] = {}
        self._model: Model | None = None
        self._places = 0

    def place(self) -> Path:
        """Return a new folder."""
        self._places += 1
        folder = self.folder / f"case{self._places:04d}"
        folder.mkdir()
        return folder

    @property
    def model(self) -> Model:
        """Return an untrained network that gives every class its share of the patterns."""
        if self._model is None:
            torch.manual_seed(SEED)
            card = ModelCard(
                name="untrained", technique="ebsd", classes=CLASSES, architecture="resnet18",
                options={"width": 4}, input=InputContract(shape=(32, 32)),
            )  # fmt: skip
            network = build(card.architecture, len(CLASSES), **card.options)
            made = Model(network, card)
            path = self.place() / NAMES["tif"]
            self.microscope(path, "tif").advance(GRID[0] * GRID[1])
            scan = nsg.read(path)
            patterns = np.asarray(scan.data).reshape(-1, *FRAME)
            with torch.no_grad():
                logits = made.network(made.prepare(patterns))
                network.head.weight.div_(logits.std(0)[:, None])
                network.head.bias.copy_(-((logits - network.head.bias).mean(0) / logits.std(0)))
            made.save(self.model_path)
            self._model = load_model(self.model_path, device="cpu")
        return self._model

    def counting(self, tally: Path) -> CountingModel:
        """Return the same model, with every pass noted."""
        model = CountingModel(self.model.network, self.model.card)
        model.tally = tally
        return model

    def microscope(
        self,
        path: Path,
        layout: str,
        *faults: str,
        grid: tuple[int, int] = GRID,
        seed: int = SEED,
    ) -> SimulatedMicroscope:
        """Return a microscope that goes step by step."""
        spec = SimulatedMicroscopeSpec(
            phases=(CIFS / "spinel_origin2.cif", CIFS / "rutile_rounded.cif"), format=layout,
            scan_shape=grid, pattern_shape=FRAME, grains=12, pattern_center=CENTER, seed=seed,
            master=KinematicSpec(half_size=20, d_min=1.2), device="cpu",
            faults=tuple(FaultSpec.from_text(text) for text in faults),
        )  # fmt: skip
        return prepare_microscope(spec, path)

    def written(
        self,
        layout: str,
        grid: tuple[int, int] = GRID,
        seed: int = SEED,
        folder: Path | None = None,
    ) -> Path:
        """Return the path of a finished scan."""
        path = (folder or self.place()) / NAMES[layout]
        self.microscope(path, layout, grid=grid, seed=seed).advance(grid[0] * grid[1])
        return path

    def truth(self, layout: str, grid: tuple[int, int] = GRID) -> Any:
        """Return the map of the undisturbed scan."""
        # A zarr array holds the patterns of the images, and no background, as they.
        layout = "tif" if layout == "zarr" and not has_zarr() else layout
        if (layout, grid) not in self._truth:
            path = target(self.written(layout, grid), layout)
            self._truth[layout, grid] = self.classify(path)
        return self._truth[layout, grid]

    def classify(self, path: Path, **options: Any) -> Any:
        """Classify as all cases do."""
        model = options.pop("model", self.model)
        return nsg.classify(path, model, batch_size=CHUNK, pattern_center=CENTER, **options)

    def follow(self, path: Path, layout: str, grid: tuple[int, int] = GRID, **options: Any) -> Any:
        """Follow as all cases do."""
        model = options.pop("model", self.model)
        if layout in IMAGES:
            options["scan_shape"] = grid
        return nsg.follow(
            target(path, layout), model, batch_size=CHUNK, pattern_center=CENTER,
            until_idle=options.pop("until_idle", IDLE), **options,
        )  # fmt: skip


def has_zarr() -> bool:
    """Return whether the zarr package is here."""
    return importlib.util.find_spec("zarr") is not None


def compared(result: Any, truth: Any) -> dict[str, Any]:
    """Return how a map differs from the undisturbed one."""
    status, known = result.status.ravel(), truth.status.ravel()
    has_answer = status == PixelStatus.OK
    mine, theirs = result.labels().ravel(), truth.labels().ravel()
    rows = [m.probabilities.reshape(-1, len(CLASSES)) for m in (result, truth)]
    off = np.abs(rows[0][has_answer] - rows[1][has_answer])
    return {
        "in_map": int(has_answer.sum()),
        "missing": int((status == PixelStatus.MISSING).sum()),
        "pending": int((status == PixelStatus.PENDING).sum()),
        "wrong": int((mine != theirs)[has_answer].sum()),
        "largest_difference": float(off.max()) if off.size else 0.0,
        "is_exact": bool(np.array_equal(rows[0], rows[1]) and np.array_equal(status, known)),
    }


class Stepper(CancelToken):
    """Lets the microscope go on before each poll, on the follower's own reading thread."""

    def __init__(self, microscope: SimulatedMicroscope) -> None:
        super().__init__()
        self.microscope = microscope
        self.first_scan = microscope.state.copy()
        self._go_on = 0.0

    @property
    def is_paused(self) -> bool:
        """Write the next patterns; the follower, who asks before each poll, is never paused."""
        microscope = self.microscope
        if not microscope.is_over and time.monotonic() >= self._go_on:
            before = microscope.state.copy()
            generation = microscope.generation
            microscope.advance(STEP)
            self._go_on = time.monotonic() + microscope.pause_seconds
            is_gone = microscope.generation > generation or not microscope.state.any()
            if microscope.generation == 0 and not is_gone:
                self.first_scan = microscope.state.copy()
            elif generation == 0:
                self.first_scan = before
        return False


def microscope_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Follow scans whose microscope misbehaves."""
    for kind, text in FAULTS.items():
        for layout in layouts:
            yield guarded("microscope", kind, layout, lambda k=kind, t=text, la=layout: (
                microscope_case(bench, k, t, la)))  # fmt: skip


def microscope_case(bench: Bench, kind: str, text: str, layout: str) -> Case:
    """Follow one scan that goes wrong."""
    folder = bench.place()
    path, out = folder / NAMES[layout], folder / "map.h5"
    step = Stepper(bench.microscope(path, layout, text))
    logs: list[str] = []

    def listen(event: Any) -> None:
        if isinstance(event, Log):
            logs.append(event.message)

    result = bench.follow(path, layout, out=out, cancel=step, on_event=listen)
    numbers = compared(result, bench.truth(layout))
    is_whole = step.first_scan == WrittenState.WHOLE
    has_answer = result.status.ravel() == PixelStatus.OK
    live = result.provenance["live"]
    numbers |= {
        "whole": int(is_whole.sum()),
        "lost": int((is_whole & ~has_answer).sum()),
        "invented": int((has_answer & ~is_whole).sum()),
        "state": live["state"],
        "withheld": live["withheld"],
        "is_saved": bool(out.exists() and not out.with_name("map.h5.partial").exists()),
    }
    cuts_short = kind in ("truncate", "restart", "delete")
    passed = (
        numbers["wrong"] == numbers["pending"] == numbers["invented"] == 0
        and numbers["lost"] <= (CHUNK if cuts_short else 0)
        and numbers["largest_difference"] < 1e-5
        and numbers["is_saved"]
    )
    cell = f"{numbers['in_map']}/{numbers['whole']}"
    return Case("microscope", kind, layout, passed, cell, logs[-1] if logs else "", numbers)


def guarded(group: str, fault: str, layout: str, run: Callable[[], Case]) -> Case:
    """Return the case; one that breaks is a failed case, told as such."""
    start = time.monotonic()
    try:
        case = run()
    except Exception as error:  # noqa: BLE001 - a table of faults must show its own
        case = Case(group, fault, layout, False, "broke", f"{type(error).__name__}: {error}")
    case.numbers["seconds"] = round(time.monotonic() - start, 2)
    return case


def needs_reader(group: str, fault: str, layout: str) -> Case | None:
    """Return the case that says why a format can't be classified at rest here."""
    if layout != "zarr" or has_zarr():
        return None
    return Case(group, fault, layout, None, "not run", NO_ZARR)


def records(out: Path) -> tuple[int, int]:
    """Return how many final chunks an unfinished map holds, and how many unfinished ones."""
    if not out.with_name(out.name + SUFFIX).exists():
        return 0, 0
    final: dict[int, bool] = {}
    with Journal(out) as journal:
        for record in journal.records():
            final[record.start] = final.get(record.start, False) or record.is_final
    return sum(final.values()), len(final) - sum(final.values())


@contextlib.contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Keep the master patterns of these scans out of the user's cache."""
    with mock.patch.dict(os.environ, {"NAPARI_SPACEGROUP_CACHE": str(folder / "cache")}):
        yield
