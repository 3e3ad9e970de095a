"""A folder that fills with powder profiles: each whole, once, at its pixel, with its own axis."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_spacegroup.errors import ScanError
from napari_spacegroup.patterns.options import ReadOptions
from napari_spacegroup.stream import LiveSource, SourceState, WithheldReason, open_source

from .conftest import Clock

SETTLE = 1.0
WHOLE, LATE = 1.5 * SETTLE, 25 * SETTLE


def profile(seed: int, start: float = 10.0, stop: float = 60.0, count: int = 200) -> np.ndarray:
    """Angles and counts, shape (count, 2)."""
    counts = np.random.default_rng(seed).integers(10, 900, count)
    return np.column_stack([np.linspace(start, stop, count).round(4), counts])


def text_of(table: np.ndarray) -> str:
    return "".join(f"{x:.4f} {y:g}\n" for x, y in table)


class Series:
    """A folder, its source, and what came of it by file name."""

    def __init__(self, folder: Path, **options) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.clock = Clock()
        options = {"settle_seconds": SETTLE, "clock": self.clock} | options
        self.source = open_source(folder, technique="powder", **options)
        self.came: dict[str, np.ndarray] = {}
        self.pixels: dict[str, int] = {}
        self.times: dict[str, int] = {}
        self.withheld: list = []

    def write(self, name: str, content: np.ndarray | str) -> Path:
        text = content if isinstance(content, str) else text_of(content)
        (self.folder / name).write_text(text)
        return self.folder / name

    def poll(self, seconds: float = WHOLE, times: int = 4):
        """Poll, let time pass, and poll until all is delivered."""
        self._poll_once()
        self.clock.now += seconds
        return [self._poll_once() for _ in range(times)][-1]

    def _poll_once(self):
        arrival = self.source.poll()
        for place, name, counts in zip(
            arrival.indices.tolist(), arrival.names, arrival.patterns, strict=True
        ):
            self.came[name] = np.column_stack([arrival.axis.values, counts[0]])
            self.pixels[name] = place
            self.times[name] = self.times.get(name, 0) + 1
        self.withheld += arrival.withheld
        return arrival

    def check(self, **expected: np.ndarray) -> None:
        assert set(self.came) == {f"{name}.xy" for name in expected}
        for name, table in expected.items():
            np.testing.assert_allclose(self.came[f"{name}.xy"], table, err_msg=name)


@pytest.fixture
def series(tmp_path):
    return Series(tmp_path / "series")


def test_profiles_of_different_axes_come_in_the_order_of_their_files(series):
    assert isinstance(series.source, LiveSource)
    assert series.poll().state is SourceState.WAITING
    assert series.source.info is None
    tables = {"b": profile(1), "a": profile(2), "c": profile(3, 5, 90, 333), "d": profile(4, 8)}
    for name, table in tables.items():
        series.write(f"{name}.xy", table)
        series.poll(0.01)
    last = series.poll(LATE)
    series.check(**tables)
    assert series.pixels == {"b.xy": 0, "a.xy": 1, "c.xy": 2, "d.xy": 3}
    assert last.state is SourceState.IDLE
    assert not last.is_unsettled
    info = series.source.info
    assert (info.technique, info.is_series, info.pattern_shape) == ("powder", True, (1, 200))
    assert (info.scan_shape, info.n_patterns, info.dtype) == (None, None, np.float64)
    assert set(series.times.values()) == {1}
    assert len(series.source.missing()) == 0


def test_one_arrival_has_one_axis(series):
    for number in range(6):
        series.write(f"{number}.xy", profile(number, stop=60 if number < 4 else 70))
    series.source.poll()
    series.clock.now += LATE
    first, second = series.source.poll(3), series.source.poll(3)
    assert first.names == ("0.xy", "1.xy", "2.xy")
    assert (second.names, second.backlog) == (("3.xy",), 2)
    assert series.source.poll(3).axis.values[-1] == 70
    same = open_source(series.folder, technique="powder", told=ReadOptions(wavelength=0.7))
    same.poll()
    same._clock = lambda: 1e9
    assert same.poll().axis.wavelength == 0.7


def test_an_old_folder_is_taken_in_the_order_in_which_it_was_filled(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for number, name in enumerate(("late", "early", "10", "9")):
        (folder / f"{name}.xy").write_text(text_of(profile(number)))
        os.utime(folder / f"{name}.xy", ns=(0, 10**9 * (9 - number)))  # as cp -p leaves it
        while (folder / f"{name}.xy").stat().st_ctime_ns == _now(tmp_path):
            pass
    series = Series(folder)
    series.poll(LATE)
    assert list(series.pixels) == ["late.xy", "early.xy", "10.xy", "9.xy"]


def _now(folder: Path) -> int:
    (folder / "clock").write_text("")
    (folder / "clock").touch()
    return (folder / "clock").stat().st_ctime_ns


def test_a_file_that_is_being_written_is_waited_for(series):
    whole = profile(1)
    text = text_of(whole)
    for stop in range(0, len(text), 97):
        series.write("a.xy", text[:stop])
        assert series.poll(0.4 * SETTLE, times=1).count == 0
        assert series.source.poll().is_unsettled == (stop > 0)
    series.write("a.xy", text)
    # Nothing tells that the first of all is whole, so it is looked at for longer...
    assert series.poll(3 * SETTLE).count == 0
    series.write("b.xy", profile(2))  # ... or until the next one is there.
    series.poll(0)
    series.check(a=whole)
    series.poll()
    assert set(series.came) == {"a.xy", "b.xy"}


@pytest.mark.parametrize("cut", [0.6, "in a number", "at the end of a line"])
def test_a_pause_in_the_middle_of_a_file(series, cut):
    series.write("a.xy", profile(1))
    whole = profile(2)
    text = text_of(whole)
    stop = {"in a number": -2, "at the end of a line": len(text[:-40].rpartition("\n")[0]) + 1}
    series.write("b.xy", text[: stop.get(cut, int(0.6 * len(text)))])
    series.poll(5 * SETTLE)
    assert set(series.came) == {"a.xy"}
    series.write("b.xy", text)
    series.poll()
    series.check(a=profile(1), b=whole)
    assert series.times["b.xy"] == 1


def test_a_shorter_profile_is_believed_after_a_while_and_then_it_is_no_news(series):
    series.write("a.xy", profile(1))
    short = [profile(seed, stop=40, count=120) for seed in (2, 3)]
    series.write("b.xy", short[0])
    assert series.poll(10 * SETTLE).is_unsettled
    assert set(series.came) == {"a.xy"}
    series.poll(LATE)
    series.check(a=profile(1), b=short[0])
    series.write("c.xy", short[1])
    series.poll()
    series.check(a=profile(1), b=short[0], c=short[1])


def test_a_file_that_goes_on_after_all_is_delivered_again(series):
    whole = profile(1)
    series.write("a.xy", whole[:120])
    series.poll(LATE)
    series.check(a=whole[:120])
    series.write("a.xy", whole)
    series.poll(LATE)
    series.check(a=whole)
    assert series.times["a.xy"] == 2
    os.utime(series.folder / "a.xy")  # another time and the same content
    series.poll(LATE)
    assert series.times["a.xy"] == 2


def test_what_is_no_profile_is_told_with_its_pixel_and_may_be_mended(series):
    series.write("a.xy", profile(1))
    series.write("b.xy", "the beam was lost\n")
    series.write("c.xy", profile(3))
    series.write("d.xy", text_of(profile(4)) + "12.0 3\n")  # begins anew
    series.write("e.xy", "\n".join(f"{x} 1 2 3" for x in range(20)) + "\n")
    series.poll(LATE)
    series.check(a=profile(1), c=profile(3))
    told = {entry.name: entry for entry in series.withheld}
    assert {name: entry.index for name, entry in told.items()} == {"b.xy": 1, "d.xy": 3, "e.xy": 4}
    assert all(entry.reason is WithheldReason.UNREADABLE for entry in told.values())
    assert "0 lines with two or more numbers" in told["b.xy"].message
    assert "rise or fall" in told["d.xy"].message
    assert "no single powder profile: it holds 3 profiles" in told["e.xy"].message
    assert series.source.missing().tolist() == [1, 3, 4]
    assert not series.poll(LATE).is_unsettled
    assert len(series.withheld) == 3  # said once
    series.write("b.xy", profile(2))
    series.poll(LATE)
    series.check(a=profile(1), b=profile(2), c=profile(3))
    assert series.pixels["b.xy"] == 1


def test_other_files_take_no_pixel(series):
    series.write("notes.txt", "in situ, 300 to 900 K\n")
    series.write("log.csv", "time,temperature\n")
    series.write(".a.xy.swp", profile(9))
    (series.folder / "raw.xy").mkdir()
    series.poll()
    series.write("empty.xy", "")
    series.write("bad.xy", "no numbers\n")
    series.write("a.xy", profile(1))
    series.poll(LATE)
    series.poll(LATE)
    series.check(a=profile(1))
    pixels = {entry.name: entry.index for entry in series.withheld if entry.index >= 0}
    assert pixels == {"bad.xy": 1}
    assert series.pixels == {"a.xy": 2}


def test_a_map_by_the_numbers_of_its_files(tmp_path):
    series = Series(tmp_path / "map", scan_shape=(2, 3), origin=1)
    names = [f"scan_{number:03d}.xy" for number in (3, 1, 2, 6, 4)]
    for seed, name in enumerate(names):
        series.write(name, profile(seed))
    series.write("copy_004.xy", profile(8))
    series.write("scan_007.xy", profile(9))
    assert series.poll(LATE).state is SourceState.IDLE
    assert [series.pixels[name] for name in names] == [2, 0, 1, 5, 3]
    left = {entry.name for entry in series.withheld if entry.index == -1}
    assert left == {"copy_004.xy", "scan_007.xy"}
    assert series.source.missing().tolist() == [4]
    series.write("scan_005.xy", profile(10))
    assert series.poll(LATE).state is SourceState.ENDED
    assert series.source.info.n_patterns == 6


def test_a_map_without_numbers_follows_the_beam(tmp_path):
    series = Series(tmp_path / "map", scan_shape=(2, 2), order="snake")
    for seed, name in enumerate("abcd"):
        series.write(f"{name}.xy", profile(seed))
        series.poll(0)
    series.poll(LATE)
    assert [series.pixels[f"{name}.xy"] for name in "abcd"] == [0, 1, 3, 2]


def test_the_folder_goes_and_comes_back(series):
    series.write("a.xy", profile(1))
    series.poll(LATE)
    shutil.move(series.folder, series.folder.with_name("away"))
    assert series.source.poll().state is SourceState.VANISHED
    shutil.move(series.folder.with_name("away"), series.folder)
    series.write("b.xy", profile(2))
    series.poll(LATE)
    series.check(a=profile(1), b=profile(2))
    assert series.times["a.xy"] == 1
    series.source.restart()
    series.poll(LATE)
    assert series.times == {"a.xy": 2, "b.xy": 2}
    series.source.close()
    with pytest.raises(ScanError, match="is closed"):
        series.source.poll()


def test_a_folder_that_is_not_there_yet(tmp_path):
    source = open_source(tmp_path / "later", technique="powder")
    arrival = source.poll()
    assert arrival.state is SourceState.WAITING
    assert "is not there yet" in arrival.message


def test_a_single_file_is_refused(tmp_path):
    with pytest.raises(ScanError, match="follow the folder"):
        open_source(tmp_path / "a.xye", technique="powder")


def test_xrdml_is_whole_when_it_can_be_read(series):
    counts = " ".join(str(y) for y in range(1, 60))
    text = (
        '<?xml version="1.0"?><xrdMeasurements><xrdMeasurement><scan><dataPoints>'
        '<positions axis="2Theta" unit="deg"><startPosition>10</startPosition>'
        "<endPosition>60</endPosition></positions>"
        f'<intensities unit="counts">{counts}</intensities>'
        "</dataPoints></scan></xrdMeasurement></xrdMeasurements>"
    )
    series.write("a.xrdml", text[:-60])
    assert series.poll(5 * SETTLE).is_unsettled
    series.write("a.xrdml", text)
    series.poll()
    assert set(series.came) == {"a.xrdml"}
