"""Every fault of the simulated microscope on every layout: named, and never a wrong pixel."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_spacegroup.stream import SourceState

IMAGES = ("tif", "png", "bmp")
RAW = ("up1", "up2", "nordif")


def scan(rig, follower, step: int = 3, last_polls: int = 5) -> None:
    """Advance to the end, polling after every few patterns."""
    while not rig.microscope.is_over:
        rig.microscope.advance(step)
        follower.poll()
    follower.poll(last_polls)


def test_pause(stage, layout: str) -> None:
    rig = stage(layout, "pause:11:2.5")
    follower = rig.follow()
    assert rig.microscope.advance(20) == 11
    assert rig.microscope.pause_seconds == 2.5
    follower.poll(4)
    assert set(follower.patterns) == set(range(11))
    assert follower.states[-1] is SourceState.IDLE
    scan(rig, follower)
    follower.check(rig.patterns)
    assert follower.states[-1] is SourceState.ENDED


def test_stop_for_good(stage, layout: str) -> None:
    rig = stage(layout, "stop:17")
    follower = rig.follow()
    scan(rig, follower)
    follower.check(rig.patterns, missing=set(range(17, 28)))
    assert follower.states[-1] is SourceState.IDLE
    assert follower.source.missing().tolist() == list(range(17, 28))


def test_last_pattern_cut(stage, layout: str) -> None:
    rig = stage(layout, "truncate:17")
    follower = rig.follow()
    scan(rig, follower)
    assert 17 not in follower.patterns
    assert set(follower.patterns) <= set(range(17))
    follower.check(rig.patterns, missing=set(range(28)) - set(follower.patterns))
    # A chunk that is cut takes its own patterns with it, those that were read stay.
    assert len(follower.patterns) >= (12 if layout.startswith(("hdf5", "zarr")) else 17)
    named = " ".join(follower.messages)
    if layout in RAW:
        assert "cut" in named
    elif layout != "ebsp":
        assert "can't be read" in named


def test_repeated_patterns(stage, layout: str) -> None:
    rig = stage(layout, "repeat:9:2")
    follower = rig.follow()
    scan(rig, follower)
    follower.check(rig.patterns, missing={9, 10})
    assert follower.withheld == {9: "repeated", 10: "repeated"}
    assert any("once more" in message for message in follower.messages)


def test_repeats_are_kept_on_demand(stage) -> None:
    rig = stage("up1", "repeat:9:2")
    follower = rig.follow(withholds_repeats=False)
    scan(rig, follower)
    assert set(follower.patterns) == set(range(28))


@pytest.mark.parametrize("step", [1, 28])
def test_skipped_patterns(stage, layout: str, step: int) -> None:
    rig = stage(layout, "skip:9:3")
    follower = rig.follow()
    scan(rig, follower, step)
    follower.check(rig.patterns, missing={9, 10, 11})
    assert follower.source.missing().tolist() == [9, 10, 11]
    if layout != "ebsp":  # its patterns may come in any order
        assert follower.withheld == {9: "skipped", 10: "skipped", 11: "skipped"}
        assert follower.states[-1] is SourceState.ENDED


def test_long_skip(stage, layout: str, monkeypatch) -> None:
    """More is skipped than is looked at in one poll."""
    monkeypatch.setattr("napari_spacegroup.stream.slots.LOOK_BYTES", 3 * 1760)
    rig = stage(layout, "skip:5:16")
    follower = rig.follow()
    scan(rig, follower, 4, last_polls=30)
    follower.check(rig.patterns, missing=set(range(5, 21)))


@pytest.mark.parametrize("at", [1, 9, 20])
def test_restart_in_the_same_file(stage, layout: str, at: int) -> None:
    rig = stage(layout, f"restart:{at}")
    follower = rig.follow()
    rig.microscope.advance(at)
    follower.poll(3)
    before = dict(follower.patterns)
    assert len(before) >= at - 1
    rig.microscope.advance(4)
    follower.poll(2)
    while not rig.microscope.is_over:
        rig.microscope.advance(4)
        follower.poll()
    follower.poll(5)
    # What had arrived is of the old scan and stays so; nothing of the new one is mixed in.
    for index, pattern in follower.patterns.items():
        assert np.array_equal(pattern, rig.scans[0][index]), index
    assert follower.states[-1] is SourceState.REPLACED
    assert "stay valid" in follower.messages[-1]
    follower.source.restart()
    again = type(follower)(follower.source, follower.clock)
    again.poll(4)
    again.check(rig.scans[1])


def test_restart_between_two_polls(stage, layout: str) -> None:
    """The file has grown beyond its old length before anybody looked."""
    rig = stage(layout, "restart:9")
    follower = rig.follow()
    rig.microscope.advance(9)
    follower.poll(3)
    rig.microscope.advance(20)
    follower.poll(3)
    for index, pattern in follower.patterns.items():
        assert np.array_equal(pattern, rig.scans[0][index]), index
    assert follower.states[-1] is SourceState.REPLACED


def test_deleted(stage, layout: str) -> None:
    rig = stage(layout, "delete:13")
    follower = rig.follow()
    rig.microscope.advance(13)
    follower.poll(3)
    count = len(follower.patterns)
    assert count >= 12
    scan(rig, follower)
    assert follower.states[-1] is SourceState.VANISHED
    assert "stay valid" in follower.messages[-1]
    assert len(follower.patterns) == count


def test_vanished_share_comes_back(stage, layout: str) -> None:
    rig = stage(layout)
    follower = rig.follow()
    rig.microscope.advance(13)
    follower.poll(3)
    rig.microscope.writer.close()
    folder = rig.path.parent
    away = folder.with_name(folder.name + "-away")
    folder.rename(away)
    follower.poll(2)
    assert follower.states[-1] is SourceState.VANISHED
    # It comes back as another file with the same content, as a remounted share does.
    shutil.copytree(away, folder)
    follower.poll(2)
    shutil.rmtree(away)
    assert follower.states[-1] is SourceState.IDLE
    follower.check(rig.patterns, missing=set(range(13, 28)))


@pytest.mark.parametrize("late", [False, True])
def test_garbage(stage, layout: str, late: bool) -> None:
    rig = stage(layout, "garbage:9:2")
    follower = rig.follow()
    if late:
        rig.microscope.advance(28)
    scan(rig, follower)
    follower.check(rig.patterns, missing={9, 10})
    reason = "damaged" if layout in (*IMAGES, "ebsp") else "random"
    assert {follower.withheld[9], follower.withheld[10]} <= {reason, "skipped"}
    assert reason in follower.withheld.values()


def test_garbage_over_what_was_read(stage) -> None:
    rig = stage("up1")
    follower = rig.follow()
    rig.microscope.advance(10)
    follower.poll(2)
    with rig.path.open("r+b") as file:
        file.write(np.random.default_rng(0).bytes(100))
    rig.microscope.advance(5)
    follower.poll(2)
    assert follower.states[-1] is SourceState.REPLACED
    assert "header" in follower.messages[-1]
    follower.check(rig.patterns, missing=set(range(10, 28)))


@pytest.mark.parametrize("layout", ["hdf5", "zarr", "tif"])
def test_garbage_over_the_index(stage, layout: str) -> None:
    rig = stage(layout)
    follower = rig.follow()
    rig.microscope.advance(10)
    follower.poll(3)
    count = len(follower.patterns)
    rig.microscope.writer.close()
    target = {"hdf5": rig.path, "zarr": rig.path / ".zarray"}.get(layout)
    if target is None:
        target = sorted(rig.path.iterdir())[0]
    target.write_bytes(np.random.default_rng(0).bytes(2000))
    follower.poll(5)
    assert follower.states[-1] is SourceState.DAMAGED
    assert follower.messages[-1]
    assert len(follower.patterns) == count


def test_shrunken_file(stage) -> None:
    rig = stage("up2")
    follower = rig.follow()
    rig.microscope.advance(10)
    follower.poll(2)
    rig.microscope.writer.close()
    whole = rig.path.read_bytes()
    rig.path.write_bytes(whole[: len(whole) // 2])
    follower.poll(4)
    assert follower.states[-1] is SourceState.DAMAGED
    assert "shrank" in follower.messages[-1]
    rig.path.write_bytes(whole)
    rig.microscope.advance(18)
    follower.poll(2)
    follower.check(rig.patterns)


def test_another_scan_moved_to_its_place(stage, tmp_path) -> None:
    rig = stage("up1")
    follower = rig.follow()
    rig.microscope.advance(10)
    follower.poll(2)
    head = rig.path.read_bytes()[:42]
    other = tmp_path / "other.up1"
    other.write_bytes(head + rig.scans[1].tobytes())
    other.replace(rig.path)
    follower.poll()
    assert follower.states[-1] is SourceState.REPLACED
    follower.check(rig.patterns, missing=set(range(10, 28)))


def test_locked_file_is_waited_for(stage) -> None:
    fcntl = pytest.importorskip("fcntl")
    rig = stage("hdf5-closed")
    follower = rig.follow()
    rig.microscope.advance(10)
    with rig.path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        follower.poll()
        assert follower.states[-1] is SourceState.WAITING
        assert "another program" in follower.messages[-1]
        anyway = rig.follow(ignores_locks=True)
        anyway.poll(3)
        assert len(anyway.patterns) == 10
    follower.poll(3)
    assert len(follower.patterns) == 10
