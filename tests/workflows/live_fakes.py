"""A classifier without torch, a small scan, and a source that fills: shared by the live tests."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path

import numpy as np

from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.stream import MemorySource, ScanInfo

SHAPE, FRAME = (9, 13), (20, 24)
COUNT = SHAPE[0] * SHAPE[1]
CLASSES = (221, 225, 229)


class Card:
    name, technique, equivalence_sets = "fake", "ebsd", ()
    sha256, package_version = "ab" * 32, "0"


class Fake:
    """Reads the class off the first pixel; its last bits depend on the company, on purpose."""

    classes, card, device = CLASSES, Card(), "cpu"

    def __init__(self, seconds: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.seconds = seconds

    def to(self, device):  # noqa: ARG002
        return self

    def predict(self, patterns, *, static_background=None, mask=None):  # noqa: ARG002
        self.sizes.append(len(patterns))
        time.sleep(self.seconds * len(patterns))
        place = patterns[:, 0, 0].astype(int) % len(CLASSES)
        weights = np.ones((len(patterns), len(CLASSES)), np.float64)
        weights += 1e-5 * patterns.mean() * np.arange(len(CLASSES))
        weights[np.arange(len(patterns)), place] += 3 + patterns.std(axis=(1, 2)) / 100
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def frames(seed: int = 0, count: int = COUNT) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 255, (count, *FRAME), dtype=np.uint8)


def scan_of(patterns: np.ndarray, **facts) -> PatternScan:
    return PatternScan.from_array(
        patterns.reshape(*SHAPE, *FRAME), technique="ebsd", name="scan", **facts
    )


def info_of(**facts) -> ScanInfo:
    facts = {"scan_shape": SHAPE, "n_patterns": COUNT, "technique": "ebsd"} | facts
    return ScanInfo(FRAME, np.dtype(np.uint8), **facts)


def orders() -> dict[str, np.ndarray]:
    grid = np.arange(COUNT).reshape(SHAPE)
    snake = grid.copy()
    snake[1::2] = snake[1::2, ::-1]
    shuffled = np.random.default_rng(4).permutation(COUNT)
    return {
        "raster": grid.ravel(),
        "snake": snake.ravel(),
        "columns": grid.T.ravel(),
        "backwards": grid.ravel()[::-1],
        "shuffled": shuffled,
    }


def pushed(patterns, order, *, slowly: bool = False, info: ScanInfo | None = None) -> MemorySource:
    """A source that another thread fills, in uneven pieces."""
    source = MemorySource(info=info_of() if info is None else info)

    def push():
        rng = np.random.default_rng(1)
        left = np.asarray(order)
        while len(left):
            part, left = np.split(left, [int(rng.integers(1, 18))])
            source.push(patterns[part], part)
            if slowly:
                time.sleep(0.03)
        source.finish()

    threading.Thread(target=push, daemon=True).start()
    return source


def equal(one, other) -> None:
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(one.status, other.status)


def write_up2(
    path: Path, patterns: np.ndarray, count: int = COUNT, shape: tuple[int, int] = SHAPE
) -> None:
    """EDAX up2, version 3, raster grid."""
    height, width = patterns.shape[1:]
    header = struct.pack("<IIII", 3, width, height, 42)
    header += struct.pack("<BII", 1, shape[1], shape[0]) + struct.pack("<B", 0)
    header += struct.pack("<dd", 0.5, 0.5)
    content = header + patterns[:count].astype("<u2").tobytes()
    path.write_bytes(content)
