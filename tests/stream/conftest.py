"""A small scan on a non-square detector, a clock that a test moves, and collecting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_spacegroup.config import FaultSpec, SimulatedMicroscopeSpec
from napari_spacegroup.stream import SimulatedMicroscope, SourceState, open_source

GRID = (4, 7)
FRAME = (40, 44)
FORMATS = ("up1", "up2", "nordif", "ebsp", "hdf5", "hdf5-closed", "zarr", "tif", "png", "bmp")
NAMES = {
    "up1": "scan.up1", "up2": "scan.up2", "nordif": "nordif", "ebsp": "scan.ebsp",
    "hdf5": "scan.h5", "hdf5-closed": "scan.h5", "zarr": "scan.zarr",
    "tif": "images", "png": "images", "bmp": "images",
}  # fmt: skip


def make_patterns(count: int, dtype: str = "u1", seed: int = 3) -> np.ndarray:
    """Smooth images with noise, all different, nowhere 0."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: FRAME[0], : FRAME[1]]
    smooth = 90 + y + 0.5 * x + 20 * np.sin(y / 3 + np.arange(count)[:, None, None])
    values = np.clip(smooth + random.normal(0, 8, (count, *FRAME)), 1, 250)
    return (values * (1 if dtype == "u1" else 200)).astype(dtype)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Collector:
    """Polls a source and keeps what comes; a pixel that comes twice is an error."""

    def __init__(self, source, clock: Clock | None = None) -> None:
        self.source = source
        self.clock = clock
        self.patterns: dict[int, np.ndarray] = {}
        self.withheld: dict[int, str] = {}
        self.states: list[SourceState] = []
        self.messages: list[str] = []

    def poll(self, times: int = 1, **options):
        for _ in range(times):
            arrival = self.source.poll(**options)
            if self.clock is not None:
                self.clock.now += 1
            for index, pattern in zip(arrival.indices.tolist(), arrival.patterns, strict=True):
                assert index not in self.patterns, f"pixel {index} came twice"
                self.patterns[index] = pattern
            for entry in arrival.withheld:
                self.withheld[entry.index] = entry.reason.value
            self.states.append(arrival.state)
            self.messages.append(arrival.message)
        return arrival

    def check(self, expected: np.ndarray, missing: set[int] = frozenset()) -> None:
        wrong = [i for i, p in self.patterns.items() if not np.array_equal(p, expected[i])]
        assert not wrong, f"wrong patterns at {wrong}"
        assert set(range(len(expected))) - set(self.patterns) == set(missing)
        assert all(p.dtype == expected.dtype for p in self.patterns.values())


def make_microscope(
    folder: Path, layout: str, *faults: str, order: str = "raster", generation_seed: int = 50
) -> SimpleNamespace:
    """A microscope, its scan by row-major pixel, and how to follow it."""
    dtype = "u2" if layout == "up2" else "u1"
    spec = SimulatedMicroscopeSpec(
        phases=(folder,),
        format=layout.split("-")[0],
        swmr=layout != "hdf5-closed",
        scan_shape=GRID,
        pattern_shape=FRAME,
        scan_order=order,
        faults=tuple(FaultSpec.from_text(text) for text in faults),
    )
    count = spec.n_patterns
    scans = [make_patterns(count, dtype, seed=generation_seed + g) for g in range(3)]
    path = folder / NAMES[layout]
    microscope = SimulatedMicroscope(
        spec,
        path,
        lambda start, stop, generation: scans[generation][pixels[start:stop]],
        dtype=np.dtype(dtype),
    )
    pixels = microscope.pixels
    clock = Clock()

    def follow(**options) -> Collector:
        if layout in ("tif", "png", "bmp"):
            options = {"scan_shape": GRID, "origin": 0, **options}
        target = path / "Pattern.dat" if layout == "nordif" else path
        return Collector(open_source(target, order=order, clock=clock, **options), clock)

    return SimpleNamespace(
        microscope=microscope, patterns=scans[0], scans=scans, path=path, follow=follow,
        clock=clock, layout=layout, count=count,
    )  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., SimpleNamespace]]:
    """Makes a microscope in a fresh folder: ``stage(layout, *faults)``."""
    rigs = []

    def make(layout: str, *faults: str, **options) -> SimpleNamespace:
        rigs.append(make_microscope(tmp_path, layout, *faults, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.microscope.writer.close()


@pytest.fixture(params=FORMATS)
def layout(request: pytest.FixtureRequest) -> str:
    """Every layout that the microscope writes."""
    return request.param
