"""Followed and classified scans under kills, full disks, second processes and swapped files."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import napari_spacegroup as nsg
from napari_spacegroup.errors import ResultError, ScanError
from napari_spacegroup.infer import PixelStatus, load_map
from napari_spacegroup.infer.journal import Journal
from napari_spacegroup.jobs import Log
from napari_spacegroup.stream import MemorySource
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.follow_scan import LiveStatus, follow, follow_events

from .live_fakes import (
    COUNT,
    Card,
    Fake,
    equal,
    frames,
    info_of,
    orders,
    pushed,
    scan_of,
    write_up2,
)


@pytest.fixture(scope="module")
def patterns() -> np.ndarray:
    return frames()


def test_a_full_disk_is_said_and_the_map_is_saved_when_there_is_room(
    patterns, tmp_path, monkeypatch
):
    from napari_spacegroup.infer import journal as module

    out, events = tmp_path / "map.h5", []
    write, calls = module._write_all, []

    def full(file, content):
        calls.append(len(content))
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, content)

    monkeypatch.setattr(module, "_write_all", full)
    source = pushed(patterns, orders()["raster"])
    result = follow(source, Fake(), out=out, batch_size=16, on_event=events.append)
    assert any("No space left" in e.message for e in events if isinstance(e, Log))
    equal(load_map(out), result)


def test_no_room_for_the_map_keeps_the_journal(patterns, tmp_path, monkeypatch):
    from napari_spacegroup.infer import map_file

    out = tmp_path / "map.h5"

    def full(*_):
        raise ResultError("could not write the map: no space left; free some space")

    with monkeypatch.context() as patch:
        patch.setattr(map_file, "save_map", full)
        with pytest.raises(ResultError, match="free some space"):
            follow(pushed(patterns, orders()["raster"]), Fake(), out=out, batch_size=16)
    assert [p.name for p in tmp_path.iterdir()] == ["map.h5.partial"]
    model = Fake()
    result = follow(pushed(patterns, orders()["raster"]), model, out=out, batch_size=16)
    assert model.sizes == []  # all of it was in the journal
    equal(result, classify(scan_of(patterns), Fake(), batch_size=16))
    assert [p.name for p in tmp_path.iterdir()] == ["map.h5"]


def begin(patterns, out, count):
    """Classify some patterns, and go away as a killed process does."""
    source = MemorySource(info=info_of())
    source.push(patterns[:count], np.arange(count))
    events = follow_events(source, Fake(), out=out, batch_size=16)
    for event in events:
        if isinstance(event, LiveStatus) and event.shown == count:
            break
    events.close()


def test_going_on_does_only_what_is_missing(patterns, tmp_path):
    out = tmp_path / "map.h5"
    begin(patterns, out, 70)
    model = Fake()
    result = follow(pushed(patterns, orders()["snake"]), model, out=out, batch_size=16)
    equal(result, classify(scan_of(patterns), Fake(), batch_size=16))
    with Journal(out):
        pass
    assert sum(model.sizes) <= 2 * (COUNT - 64)
    assert max(e for e in model.sizes) == 16


def test_another_scan_in_the_same_place_is_refused(patterns, tmp_path):
    out = tmp_path / "map.h5"
    begin(patterns, out, 70)
    with pytest.raises(ScanError, match="another scan stands there"):
        follow(pushed(frames(seed=9), orders()["raster"]), Fake(), out=out, batch_size=16)
    other = Fake()
    other.card = type("Other", (Card,), {"sha256": "cd" * 32})()
    with pytest.raises(ResultError, match="another model"):
        follow(pushed(patterns, orders()["raster"]), other, out=out, batch_size=16)
    with pytest.raises(ResultError, match="another verb"):
        classify(scan_of(patterns), Fake(), out=out, batch_size=16)
    result = follow(
        pushed(frames(seed=9), orders()["raster"]), Fake(), out=out, batch_size=16, anew=True
    )
    assert result.n_done == COUNT


def test_a_second_process_on_one_output_is_refused(patterns, tmp_path):
    out = tmp_path / "map.h5"
    with Journal(out):
        with pytest.raises(ResultError, match="another process is working on"):
            follow(pushed(patterns, orders()["raster"]), Fake(), out=out)
        with pytest.raises(ResultError, match="another process is working on"):
            classify(scan_of(patterns), Fake(), out=out)


CHILD = """
import sys, time
sys.path.insert(0, {folder!r})
from live_fakes import Fake
from napari_spacegroup.workflows import {verb}

class Slow(Fake):
    def predict(self, patterns, **options):
        print(len(patterns), flush=True)
        time.sleep({seconds})
        return super().predict(patterns, **options)

model = Slow()
result = {verb}({scan!r}, model, out={out!r}, batch_size=16)
print("done", flush=True)
"""


def child(verb: str, scan: Path, out: Path, seconds: float) -> subprocess.Popen:
    folder = str(Path(__file__).parent)
    code = CHILD.format(folder=folder, verb=verb, scan=str(scan), out=str(out), seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("verb", ["classify", "follow"])
def test_a_kill_loses_at_most_one_chunk(patterns, tmp_path, verb):
    scan, out = tmp_path / "scan.up2", tmp_path / "map.h5"
    write_up2(scan, patterns)
    reference = classify(scan, Fake(), batch_size=16)
    first = child(verb, scan, out, 0.3)
    begun = [first.stdout.readline() for _ in range(4)]
    assert all(begun)
    with pytest.raises(ResultError, match="another process is working on"):
        Journal(out)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert not out.exists()
    second = child(verb, scan, out, 0.0)
    done, _ = second.communicate(timeout=60)
    sizes = done.split()
    assert sizes.pop() == "done"
    assert sum(map(int, sizes)) <= COUNT - 3 * 16  # four were begun: at most one is done again
    equal(load_map(out), reference)
    assert not out.with_name("map.h5.partial").exists()


def test_a_growing_file_that_does_not_exist_yet(patterns, tmp_path):
    scan = tmp_path / "scan.up2"

    def write():
        time.sleep(0.2)
        write_up2(scan, patterns, 30)
        for start, stop in ((30, 31), (31, 80), (80, COUNT)):
            time.sleep(0.15)
            with scan.open("ab") as file:
                file.write(patterns[start:stop].astype("<u2").tobytes())

    thread = threading.Thread(target=write)
    thread.start()
    result = nsg.follow(scan, Fake(), batch_size=16, until_idle=5)
    thread.join()
    equal(result, classify(scan, Fake(), batch_size=16))


def test_a_file_that_is_replaced_ends_it_and_keeps_the_map(patterns, tmp_path):
    scan, out, events = tmp_path / "scan.up2", tmp_path / "map.h5", []
    write_up2(scan, patterns, 70)

    def listen(event):
        events.append(event)
        if isinstance(event, LiveStatus) and event.shown == 70:
            write_up2(scan, frames(seed=8), 90)

    result = follow(scan, Fake(), out=out, batch_size=16, until_idle=10, on_event=listen)
    assert (result.status.ravel()[:70] == PixelStatus.OK).all()
    assert (result.status.ravel()[70:] == PixelStatus.MISSING).all()
    assert result.provenance["live"]["state"] == "replaced"
    labels = classify(scan_of(patterns), Fake(), batch_size=16).labels().ravel()
    np.testing.assert_array_equal(result.labels().ravel()[:70], labels[:70])
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["map.h5", "scan.up2"]
