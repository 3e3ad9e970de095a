"""Unfinished maps: what a kill leaves, who may go on with it, and a disk that is full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_spacegroup.errors import ResultError, ScanError
from napari_spacegroup.infer import journal as module
from napari_spacegroup.infer.classifier import classify_events
from napari_spacegroup.infer.journal import Journal, JournalHeader, Record
from napari_spacegroup.jobs import Log
from napari_spacegroup.patterns import PatternScan

HEADER = JournalHeader("classify", "scan", "model", (1, 2, 3), 4, {"like": None}, {"mask": None})


def record(start: int, count: int = 4, *, is_final: bool = True) -> Record:
    rng = np.random.default_rng(start)
    rows = rng.dirichlet(np.ones(3), count).astype(np.float32)
    sums = rng.integers(1, 2**32, count, dtype=np.uint32)
    return Record(start, rows, np.zeros(count, np.uint8), sums, is_final)


def same(one: Record, other: Record) -> bool:
    arrays = ("probabilities", "status", "checksums")
    pairs = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in arrays)
    return pairs and (one.start, one.is_final) == (other.start, other.is_final)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "map.h5"


def test_what_was_written_comes_back(out):
    written = [record(0), record(8, 3, is_final=False), record(4)]
    with Journal(out) as journal:
        assert journal.header is None
        journal.begin(HEADER)
        for one in written:
            journal.write(one)
    with Journal(out) as journal:
        assert journal.header == HEADER
        found = list(journal.records())
        assert all(map(same, found, written))
        journal.write(record(12))
        assert len(list(journal.records())) == 4
        journal.discard()
    assert list(out.parent.iterdir()) == []


def test_a_journal_without_a_header_leaves_nothing(out):
    Journal(out).close()
    assert list(out.parent.iterdir()) == []


def test_a_kill_in_the_middle_of_a_record_loses_that_record(out):
    with Journal(out) as journal:
        journal.begin(HEADER)
        for start in (0, 4, 8):
            journal.write(record(start))
    content = journal.path.read_bytes()
    size = len(content)
    for cut in (size - 1, size - 40):
        journal.path.write_bytes(content[:cut])
        with Journal(out) as again:
            assert [r.start for r in again.records()] == [0, 4]
            again.write(record(8))
            assert same(list(again.records())[-1], record(8))


def test_a_damaged_record_is_left_out_and_said(out, caplog):
    with Journal(out) as journal:
        journal.begin(HEADER)
        for start in (0, 4, 8):
            journal.write(record(start))
    content = bytearray(journal.path.read_bytes())
    content[journal._first + journal._record_bytes + 20] ^= 1
    journal.path.write_bytes(content)
    with Journal(out) as again:
        assert [r.start for r in again.records()] == [0, 8]
    assert "1 chunks are damaged" in caplog.text


@pytest.mark.parametrize("cut", [3, 10, 60])
def test_a_kill_in_the_first_moment(out, cut):
    with Journal(out) as journal:
        journal.begin(HEADER)
    journal.path.write_bytes(journal.path.read_bytes()[:cut])
    with Journal(out) as again:
        assert again.header is None
        again.begin(HEADER)
        again.write(record(0))
        assert len(list(again.records())) == 1


def test_another_scan_or_model_is_refused(out):
    with Journal(out) as journal:
        journal.begin(HEADER)
        journal.write(record(0))
    with Journal(out) as again:
        again.check(verb="classify", scan="scan", model="model", request={"like": None})
        with pytest.raises(ResultError, match=r"with another scan .*start anew"):
            again.check(verb="classify", scan="other")
    with Journal(out, anew=True) as again:
        assert again.header is None
        again.check(scan="other")
        again.begin(replace(HEADER, scan="other"))
        assert list(again.records()) == []


@pytest.mark.parametrize("anew", [False, True])
def test_a_foreign_file_is_left_alone(out, anew):
    foreign = out.with_name("map.h5.partial")
    foreign.write_bytes(b"my thesis")
    with pytest.raises(ResultError, match="no unfinished map of this package"):
        Journal(out, anew=anew)
    assert foreign.read_bytes() == b"my thesis"


@pytest.mark.parametrize("name", ["missing/map.h5", "."])
def test_an_impossible_output(tmp_path, name):
    with pytest.raises(ResultError, match="folder"):
        Journal(tmp_path / name)


def test_a_second_run_is_refused_until_the_first_ends(out):
    with Journal(out) as journal:
        journal.begin(HEADER)
        with pytest.raises(ResultError, match="another process is working on"):
            Journal(out)
        code = f"from napari_spacegroup.infer.journal import Journal; Journal({str(out)!r})"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "another process is working on" in run.stderr
    Journal(out).close()


def test_a_full_disk_is_said_and_survived(out, monkeypatch, caplog):
    write = module._write_all

    def full(file, content):
        file.write(content[: len(content) // 2])  # the rest did not fit
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(out) as journal:
        journal.begin(HEADER)
        journal.write(record(0))
        monkeypatch.setattr(module, "_write_all", full)
        journal.write(record(4))
        journal.write(record(8))
        assert "No space left" in journal.problem
        assert caplog.text.count("No space left") == 1
        assert [r.start for r in journal.records()] == [0]
        monkeypatch.setattr(module, "_write_all", write)
        journal.write(record(12))
        assert journal.problem == ""
        assert [r.start for r in journal.records()] == [0, 4, 8, 12]


def test_no_room_for_the_first_byte(out, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write_all", full)
    with Journal(out) as journal, pytest.raises(ResultError, match="free some space"):
        journal.begin(HEADER)
    assert list(out.parent.iterdir()) == []


def run(scan, model, out):
    with Journal(out) as journal:
        yield from classify_events(scan, model, batch_size=4, journal=journal)


def scan_of(patterns, **facts):
    return PatternScan.from_array(patterns, technique="ebsd", name="scan", **facts)


def test_classify_goes_on_where_it_stopped(out, make_classifier, patterns):
    reference = list(classify_events(scan_of(patterns), make_classifier(), batch_size=4))[-1].result
    events = run(scan_of(patterns), make_classifier(), out)
    for _ in range(7):
        next(events)
    events.close()
    with Journal(out) as journal:
        kept = len(list(journal.records()))
    assert kept >= 3
    model = make_classifier()
    with Journal(out) as journal:
        events = list(classify_events(scan_of(patterns), model, batch_size=4, journal=journal))
    result = events[-1].result
    assert not events[-1].is_cancelled
    assert sum(model.sizes) == 35 - 4 * kept
    np.testing.assert_array_equal(result.probabilities, reference.probabilities)
    assert any("were classified before" in e.message for e in events if isinstance(e, Log))
    with Journal(out) as journal, pytest.raises(ResultError, match="another chunk"):
        list(classify_events(scan_of(patterns), model, batch_size=5, journal=journal))
    other = scan_of(patterns + np.uint8(1))
    with Journal(out) as journal, pytest.raises(ResultError, match="another scan"):
        list(classify_events(other, model, batch_size=4, journal=journal))


def test_a_scan_that_is_replaced_meanwhile_gives_no_map(out, tmp_path, classifier, patterns):
    path = tmp_path / "scan.npy"
    path.write_bytes(b"something")
    data = patterns.copy()
    scan = scan_of(data, path=path)

    def classify(journal):
        events = classify_events(scan, classifier, batch_size=4, journal=journal)
        for number, _ in enumerate(events):
            if number == 2:
                data[0, 0] += 1

    with Journal(out) as journal, pytest.raises(ScanError, match="was replaced or overwritten"):
        classify(journal)
