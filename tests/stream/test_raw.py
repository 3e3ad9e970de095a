"""What only raw files have: grids without a size, hexagons, settings that come late."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from napari_spacegroup.stream import EdaxSource, NordifSource, SourceState, slots


def up1(path, patterns: np.ndarray, version: int = 3, hexagonal: bool = False, grid=(4, 7)):
    height, width = patterns.shape[1:]
    head = struct.pack("<IIII", version, width, height, 16 if version == 1 else 42)
    if version != 1:
        head += struct.pack("<BIIB", 0, grid[1], grid[0], hexagonal) + struct.pack("<dd", 0.5, 0.4)
    path.write_bytes(head + patterns.tobytes())


@pytest.fixture
def patterns(stage) -> np.ndarray:
    return stage("up1").patterns


def test_old_version_has_no_end(tmp_path, patterns) -> None:
    path = tmp_path / "old.up1"
    up1(path, patterns[:9], version=1)
    source = EdaxSource(path)
    arrival = source.poll()
    assert arrival.indices.tolist() == list(range(9))
    assert source.info.scan_shape is None
    assert source.info.n_patterns is None
    assert source.info.step is None
    up1(path, patterns[:20], version=1)
    assert source.poll().indices.tolist() == list(range(9, 20))
    assert source.poll().state is SourceState.IDLE
    shaped = EdaxSource(path, scan_shape=(4, 5), order="snake")
    assert shaped.poll().indices.tolist()[4:8] == [4, 9, 8, 7]
    assert shaped.poll().state is SourceState.ENDED


def test_hexagonal_grid(tmp_path, patterns) -> None:
    path = tmp_path / "hex.up1"
    up1(path, patterns[:10], hexagonal=True)
    source = EdaxSource(path)
    assert source.poll().indices.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    up1(path, patterns[:26], hexagonal=True)
    # Rows of 7, 6, 7, 6: places 13 and 27 are none.
    assert source.poll().indices.tolist() == [10, 11, 12, *range(14, 27)]
    assert source.poll().state is SourceState.ENDED
    assert source.info.is_hexagonal
    assert source.info.scan_shape == (4, 7)
    assert source.info.n_patterns == 26


def test_header_of_something_else(tmp_path) -> None:
    path = tmp_path / "wrong.up2"
    path.write_bytes(b"This is no scan at all, but a text of more than forty-two letters.")
    source = EdaxSource(path)
    for _ in range(3):
        arrival = source.poll()
    assert arrival.state is SourceState.DAMAGED
    assert "need the header of an EDAX file" in arrival.message


def test_more_than_the_header_says(tmp_path, patterns) -> None:
    path = tmp_path / "long.up1"
    up1(path, patterns, grid=(4, 6))
    source = EdaxSource(path)
    assert source.poll().indices.tolist() == list(range(24))
    assert source.poll().state is SourceState.ENDED


def test_a_long_stretch_that_was_skipped_takes_few_polls(tmp_path, patterns, monkeypatch) -> None:
    """As in a file that was laid out in advance, of which the ends were written."""
    path, seconds = tmp_path / "sparse.up1", itertools.count()
    whole = np.zeros((280, *patterns.shape[1:]), patterns.dtype)
    whole[:4], whole[-1] = patterns[:4], patterns[4]
    up1(path, whole, grid=(10, 28))
    monkeypatch.setattr(slots, "LOOK_BYTES", 2 * whole[0].nbytes)
    source = EdaxSource(path, clock=lambda: next(seconds))
    found, skipped = [], []
    for _ in range(8):
        arrival = source.poll(100)
        found += arrival.indices.tolist()
        skipped += [entry.index for entry in arrival.withheld]
        if arrival.state is SourceState.ENDED:
            break
    assert arrival.state is SourceState.ENDED
    assert found == [0, 1, 2, 3, 279]
    assert skipped == list(range(4, 279))


def test_settings_may_come_late(stage) -> None:
    rig = stage("nordif")
    rig.microscope.advance(10)
    setting = rig.path / "Setting.txt"
    text = setting.read_bytes()
    setting.unlink()
    follower = rig.follow()
    follower.poll(2)
    assert follower.states[-1] is SourceState.WAITING
    assert "Setting.txt" in follower.messages[-1]
    for end in (30, 400, len(text)):
        setting.write_bytes(text[:end])
        follower.poll()
    follower.check(rig.patterns, missing=set(range(10, 28)))
    setting.unlink()
    bare = NordifSource(rig.path, scan_shape=(4, 7), pattern_size=(40, 44))
    assert bare.poll().count == 10
