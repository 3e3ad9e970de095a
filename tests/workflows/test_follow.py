"""Followed scans give the map of classify, whatever comes first, goes wrong or is killed."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from napari_spacegroup.errors import CancelledError, ModelError, ScanError
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.infer import PixelStatus, load_map
from napari_spacegroup.jobs import CancelToken, Done, Log, Partial
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.patterns import Geometry, PatternScan
from napari_spacegroup.stream import Arrival, MemorySource, ReplaySource, SourceState
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.follow_scan import LiveStatus, MapBegun, follow

from .live_fakes import (
    CLASSES,
    COUNT,
    FRAME,
    SHAPE,
    Fake,
    equal,
    frames,
    info_of,
    orders,
    pushed,
    scan_of,
)


@pytest.fixture(scope="module")
def patterns() -> np.ndarray:
    return frames()


@pytest.fixture(scope="module")
def network() -> Model:
    """A small untrained network."""
    import torch

    torch.manual_seed(0)
    card = ModelCard(
        name="small",
        technique="ebsd",
        classes=CLASSES,
        architecture="resnet18",
        options={"width": 4},
        input=InputContract(shape=(24, 24)),
    )
    return Model(build("resnet18", len(CLASSES), width=4), card)


@pytest.mark.parametrize("order", orders())
@pytest.mark.parametrize("batch_size", [16, 1000])
def test_any_order_gives_the_map_of_classify(patterns, order, batch_size):
    reference = classify(scan_of(patterns), Fake(), batch_size=batch_size)
    live = follow(pushed(patterns, orders()[order]), Fake(), batch_size=batch_size)
    equal(live, reference)
    replay = follow(
        ReplaySource(scan_of(patterns), order=list(orders()[order])), Fake(), batch_size=batch_size
    )
    equal(replay, reference)


@pytest.mark.parametrize("order", ["raster", "shuffled"])
def test_a_real_network_gives_the_same_bits(patterns, network, order):
    reference = classify(scan_of(patterns), network, batch_size=32)
    live = follow(pushed(patterns, orders()[order], slowly=True), network, batch_size=32)
    equal(live, reference)
    np.testing.assert_array_equal(live.labels(), reference.labels())


def test_pieces_that_come_slowly_are_shown_at_once_and_done_again(patterns):
    model, events = Fake(), []
    source = pushed(patterns, orders()["raster"], slowly=True)
    result = follow(source, model, batch_size=64, on_event=events.append)
    equal(result, classify(scan_of(patterns), Fake(), batch_size=64))
    assert min(model.sizes) < 40  # something was shown before its chunk was whole
    status = [e for e in events if isinstance(e, LiveStatus)][-1]
    assert (status.read, status.shown, status.final, status.total) == (COUNT,) * 4
    assert 0 < status.latency <= status.latency_99 < 1.5
    begun = [e for e in events if isinstance(e, MapBegun)]
    assert len(begun) == 1
    shown = begun[0].result
    for piece in events:
        if isinstance(piece, Partial):
            shown.merge(piece.start, piece.probabilities, piece.status)
    equal(shown, result)
    assert isinstance(events[-1], Done)


def test_an_unknown_shape_is_a_line_that_grows(patterns, monkeypatch):
    from napari_spacegroup.workflows import live_session

    monkeypatch.setattr(live_session, "LINE", 40)
    events = []
    source = MemorySource()
    source.push(patterns[:50])
    source.push(patterns[50:])
    source.finish()
    result = follow(source, Fake(), batch_size=16, on_event=events.append)
    assert result.scan_shape == (1, COUNT)
    assert len([e for e in events if isinstance(e, MapBegun)]) >= 1
    line = PatternScan.from_array(patterns[None], technique="ebsd")
    equal(result, classify(line, Fake(), batch_size=16))


def test_a_shape_that_becomes_known_later(patterns):
    class Late:
        def __init__(self):
            self.info, self.at = None, 0

        def open(self):
            pass

        def close(self):
            pass

        def poll(self, max_patterns=None):  # noqa: ARG002
            start, self.at = self.at, min(self.at + 30, COUNT)
            known = {} if self.at > 60 else {"scan_shape": None, "n_patterns": None}
            self.info = info_of(**known)
            state = SourceState.GROWING if start < COUNT else SourceState.ENDED
            places = np.arange(start, self.at, dtype=np.int64)
            return Arrival(places, patterns[start : self.at], state)

    result = follow(Late(), Fake(), batch_size=16)
    equal(result, classify(scan_of(patterns), Fake(), batch_size=16))


def test_pixels_that_were_never_written_are_missing_and_said(patterns, tmp_path):
    events, out = [], tmp_path / "map.h5"
    source = MemorySource(info=info_of())
    written = np.delete(np.arange(COUNT), [3, 20, *range(100, COUNT)])
    source.push(patterns[written], written)
    result = follow(source, Fake(), out=out, batch_size=16, until_idle=0.4, on_event=events.append)
    lost = np.setdiff1d(np.arange(COUNT), written)
    assert set(np.flatnonzero(result.status == PixelStatus.MISSING)) == set(lost)
    assert result.is_complete
    said = " ".join(e.message for e in events if isinstance(e, Log))
    assert "Nothing new came for 0.4 s" in said
    assert f"{len(lost)} of {COUNT} pixels unknown" in said
    present = np.ones(COUNT, bool)
    present[lost] = False
    reference = classify(scan_of(patterns, present=present.reshape(SHAPE)), Fake(), batch_size=16)
    equal(result, reference)
    equal(load_map(out), reference)
    assert [p.name for p in tmp_path.iterdir()] == ["map.h5"]


def test_nothing_at_all(tmp_path):
    with pytest.raises(ScanError, match=r"no pattern came from .*scan.up2 within 0.3 s"):
        follow(tmp_path / "scan.up2", Fake(), out=tmp_path / "map.h5", until_idle=0.3)
    assert list(tmp_path.iterdir()) == []
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(CancelledError, match="before the first pattern"):
        follow(tmp_path / "scan.up2", Fake(), cancel=token)


def test_stopping_saves_what_is_there(patterns, tmp_path):
    source = MemorySource(info=info_of())
    source.push(patterns[:50], np.arange(50))
    token = CancelToken()

    def listen(event):
        if isinstance(event, LiveStatus) and event.shown == 50:
            token.cancel()

    out = tmp_path / "map.h5"
    result = follow(source, Fake(), out=out, batch_size=16, cancel=token, on_event=listen)
    assert (result.status.ravel()[:50] == PixelStatus.OK).all()
    assert (result.status.ravel()[50:] == PixelStatus.MISSING).all()
    equal(load_map(out), result)
    labels = classify(scan_of(patterns), Fake(), batch_size=16).labels().ravel()
    np.testing.assert_array_equal(result.labels().ravel()[:50], labels[:50])


def test_a_pause_reads_nothing_and_is_no_end(patterns):
    source = MemorySource(info=info_of())
    source.push(patterns[:40], np.arange(40))
    token, seen = CancelToken(), []

    def listen(event):
        if not isinstance(event, LiveStatus):
            return
        if event.read == 40 and not seen:
            seen.append(time.monotonic())
            token.pause()
            source.push(patterns[40:], np.arange(40, COUNT))
            source.finish()
        elif token.is_paused and time.monotonic() - seen[0] > 0.8:
            assert event.read <= 80  # what was under way when it was paused
            token.resume()

    result = follow(source, Fake(), batch_size=40, until_idle=0.5, cancel=token, on_event=listen)
    assert result.n_done == COUNT
    equal(result, classify(scan_of(patterns), Fake(), batch_size=40))


class Restarting:
    """A finished file of which a good part lies there at once; it can be read again."""

    def __init__(self, patterns):
        self.patterns, self.info, self.path = patterns, info_of(), None
        self.restart()
        self.starts = 0

    def open(self):
        pass

    def close(self):
        pass

    def restart(self):
        self.at = 0
        self.starts = getattr(self, "starts", 0) + 1

    def poll(self, max_patterns=None):
        start = self.at
        self.at = min(COUNT, start + min(20, max_patterns or COUNT))
        state = SourceState.GROWING if start < COUNT else SourceState.ENDED
        places = np.arange(start, self.at, dtype=np.int64)
        backlog = COUNT - self.at
        return Arrival(places, self.patterns[start : self.at], state, backlog=backlog)


def test_sampling_keeps_up_and_comes_back(patterns):
    events, model, source = [], Fake(), Restarting(patterns)
    result = follow(source, model, batch_size=16, if_behind="sample", on_event=events.append)
    assert max(e.left_out for e in events if isinstance(e, LiveStatus)) >= 0
    assert any("were left out to keep up" in e.message for e in events if isinstance(e, Log))
    assert source.starts == 1
    equal(result, classify(scan_of(patterns), Fake(), batch_size=16))


def test_sampling_from_a_source_that_can_not_be_read_again(patterns):
    source = Restarting(patterns)
    source.restart = None
    events = []
    result = follow(source, Fake(), batch_size=16, if_behind="sample", on_event=events.append)
    left = int((result.status == PixelStatus.PENDING).sum())
    assert left > 0
    assert any(f"{left} patterns were left out" in e.message for e in events if isinstance(e, Log))
    assert not (result.status == PixelStatus.MISSING).any()


def test_a_bounded_memory_ends_the_oldest_chunk(patterns, monkeypatch):
    from napari_spacegroup.infer import live

    monkeypatch.setattr(live, "HOLD_BYTES", 40 * FRAME[0] * FRAME[1])
    result = follow(pushed(patterns, orders()["shuffled"]), Fake(), batch_size=16)
    reference = classify(scan_of(patterns), Fake(), batch_size=16)
    assert (result.status == PixelStatus.OK).all()
    np.testing.assert_array_equal(result.labels(), reference.labels())


def test_a_wrong_technique_is_refused(patterns):
    source = MemorySource(info=info_of(technique="powder"))
    source.push(patterns, np.arange(COUNT))
    with pytest.raises(ModelError, match="is powder"):
        follow(source, Fake())


class Finder(Fake):
    """A model that wants the pattern center, and answers by it."""

    needs_pattern_center = True

    def find_pattern_center(self, patterns, *, start=None, **_):
        center = np.array([0.5, 0.3, 0.6]) + patterns.mean() / 1e4
        found = lambda: None  # noqa: E731
        found.center, found.score, found.start_score = center, 0.5, 0.1
        found.scores = np.full(len(patterns), 0.5)
        if start is not None:
            found.score, found.start_score = 0.5, 0.5
        return found

    def predict(self, patterns, *, pattern_center, **options):
        shift = np.asarray(pattern_center).reshape(-1, 3).sum(axis=1) * 7
        found = super().predict(patterns, **options) + shift[:, None].astype(np.float32) % 0.3
        return found / found.sum(axis=1, keepdims=True)


def test_the_same_pattern_center_gives_the_same_map(patterns, tmp_path):
    order = orders()["shuffled"]
    given = (0.48, 0.27, 0.61)
    reference = classify(scan_of(patterns), Finder(), batch_size=16, pattern_center=given)
    live = follow(pushed(patterns, order), Finder(), batch_size=16, pattern_center=given)
    equal(live, reference)
    geometry = Geometry(np.array(given))
    stated = follow(
        pushed(patterns, order, info=info_of(geometry=geometry)), Finder(), batch_size=16
    )
    equal(stated, classify(scan_of(patterns, geometry=geometry), Finder(), batch_size=16))
    # Nobody says it: the first patterns decide, and classify can be told to do alike.
    source = pushed(patterns, order)
    found = follow(source, Finder(), batch_size=16, out=tmp_path / "live.h5")
    assert found.provenance["pattern_center"]["source"] == "found"
    alike = classify(scan_of(patterns), Finder(), batch_size=16, like=tmp_path / "live.h5")
    equal(alike, found)
