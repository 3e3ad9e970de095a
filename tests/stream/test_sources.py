"""Every source over every way in which a scan can grow: all patterns, once, at their pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_spacegroup.stream import LiveSource, SourceState


@pytest.mark.parametrize("step", [1, 5, 28])
@pytest.mark.parametrize("order", ["raster", "snake"])
def test_growing_by_patterns(stage, layout: str, step: int, order: str) -> None:
    rig = stage(layout, order=order)
    follower = rig.follow()
    assert isinstance(follower.source, LiveSource)
    assert follower.poll().state is SourceState.WAITING
    assert follower.source.info is None
    while not rig.microscope.is_over:
        rig.microscope.advance(step)
        follower.poll()
    follower.poll(3)
    follower.check(rig.patterns)
    assert not follower.withheld
    assert follower.states[-1] is SourceState.ENDED
    info = follower.source.info
    assert info.pattern_shape == (40, 44)
    assert info.scan_shape == (4, 7)
    assert info.n_patterns == 28
    assert info.dtype == rig.patterns.dtype
    assert len(follower.source.missing()) == 0


@pytest.mark.parametrize("most", [1, 3])
def test_few_at_a_time(stage, layout: str, most: int) -> None:
    rig = stage(layout)
    rig.microscope.advance(28)
    follower = rig.follow()
    for _ in range(40):
        assert follower.poll(max_patterns=most).count <= most
    follower.check(rig.patterns)


def drip(source: Path, target: Path, step: int):
    """Copy a file, or the files of a folder, in odd steps; yields after each."""
    if source.is_dir():
        target.mkdir()
        for part in sorted(source.iterdir(), key=lambda p: (p.name[0] != ".", natural(p))):
            yield from drip(part, target / part.name, step)
        return
    raw = source.read_bytes()
    for start in range(0, len(raw), step):
        with target.open("ab") as file:
            file.write(raw[start : start + step])
        yield


def natural(path: Path) -> list[int]:
    return [int(part) for part in path.stem.replace("_", ".").split(".") if part.isdigit()]


@pytest.mark.parametrize("step", [997, 4001])
@pytest.mark.parametrize("layout", ["up1", "up2", "nordif", "ebsp", "hdf5", "zarr", "tif", "png"])
def test_growing_by_odd_bytes(stage, layout: str, step: int) -> None:
    rig = stage(layout)
    rig.microscope.advance(28)
    target = rig.path.with_name("copy" + rig.path.suffix)
    options = {"scan_shape": (4, 7), "origin": 0} if layout in ("tif", "png") else {}
    if layout == "nordif":
        target = target / "Pattern.dat"
    from napari_spacegroup.stream import open_source

    source = open_source(target, clock=rig.clock, settle_seconds=3, **options)
    follower = type(rig.follow())(source, rig.clock)
    place = target.parent if layout == "nordif" else target
    for number, _ in enumerate(drip(rig.path, place, step)):
        if number % 3 != 1 or layout in ("up2", "ebsp"):
            follower.poll()
    follower.poll(8)
    follower.check(rig.patterns)
    if layout not in ("hdf5",):
        assert SourceState.DAMAGED not in follower.states


@pytest.mark.parametrize("layout", ["up1", "ebsp", "nordif"])
def test_laid_out_in_advance(stage, layout: str) -> None:
    """A file that has its full size from the start, and fills byte by byte."""
    rig = stage(layout)
    rig.microscope.advance(28)
    file = rig.path / "Pattern.dat" if layout == "nordif" else rig.path
    raw = file.read_bytes()
    follower = rig.follow(settle_seconds=2)
    with file.open("r+b") as live:
        live.truncate(0)
        live.truncate(len(raw))
        for start in range(0, len(raw), 1013):
            live.seek(start)
            live.write(raw[start : start + 1013])
            live.flush()
            follower.poll()
            for index, pattern in follower.patterns.items():
                assert np.array_equal(pattern, rig.patterns[index]), index
            if start // 1013 == 20:
                follower.poll(6)  # a pause in the middle of a pattern
    follower.poll(5)
    follower.check(rig.patterns)


def test_records_of_ebsp_in_any_order(stage) -> None:
    rng = np.random.default_rng(4)
    rig = stage("ebsp")
    rig.microscope.begin()
    follower = rig.follow()
    for pixel in rng.permutation(28).tolist():
        rig.microscope.writer.write(np.array([pixel]), rig.patterns[pixel : pixel + 1])
        follower.poll()
    follower.poll(3)
    follower.check(rig.patterns)
    assert not follower.withheld
    assert follower.source.info.scan_shape == (4, 7)


@pytest.mark.parametrize("layout", ["hdf5", "hdf5-closed", "zarr", "tif"])
def test_places_filled_in_any_order(stage, layout: str) -> None:
    rig = stage(layout)
    rig.microscope.begin()
    follower = rig.follow()
    follower.source.order = type(follower.source.order)("any")
    for pixel in np.random.default_rng(4).permutation(28).tolist():
        rig.microscope.writer.write(np.array([pixel]), rig.patterns[pixel : pixel + 1])
        follower.poll()
    follower.poll(4)
    follower.check(rig.patterns)


def test_late_patterns_are_taken(stage, layout: str) -> None:
    if layout in ("up1", "up2", "nordif"):
        pytest.skip("a raw file is written in order")
    rig = stage(layout, "skip:9:3")
    follower = rig.follow()
    rig.microscope.advance(28)
    follower.poll(4)
    assert set(follower.patterns) == set(range(28)) - {9, 10, 11}
    assert follower.source.missing().tolist() == [9, 10, 11]
    late = np.arange(9, 12)
    rig.microscope.writer.write(late, rig.patterns[9:12])
    rig.microscope.writer.close()
    follower.poll(4)
    follower.check(rig.patterns)


def test_read_gives_the_same(stage, layout: str) -> None:
    from napari_spacegroup.patterns import read

    if layout == "zarr":
        pytest.importorskip("zarr")
    rig = stage(layout)
    rig.microscope.advance(28)
    options = {"scan_size": (4, 7)} if layout in ("tif", "png", "bmp") else {}
    scan = read(rig.path, mask=None, **options)
    assert scan.scan_shape == (4, 7)
    np.testing.assert_array_equal(np.asarray(scan.data).reshape(-1, 40, 44), rig.patterns)
    if layout in ("up1", "up2", "nordif", "ebsp", "hdf5"):
        assert scan.step == pytest.approx((0.5, 0.5))
        assert scan.step_unit == "um"
    if layout == "hdf5":
        np.testing.assert_allclose(scan.geometry.pattern_center, [0.5, 0.25, 0.6])
        assert scan.geometry.voltage == 20


@pytest.mark.parametrize("layout", ["up2", "hdf5", "nordif", "ebsp"])
def test_info_is_what_read_says(stage, layout: str) -> None:
    from napari_spacegroup.patterns import read

    rig = stage(layout)
    follower = rig.follow()
    rig.microscope.advance(12)
    follower.poll(2)
    info = follower.source.info
    rig.microscope.advance(16)
    scan = read(rig.path, mask=None)
    assert info.step == pytest.approx(scan.step)
    assert info.step_unit == scan.step_unit
    assert (info.static_background is None) == (scan.static_background is None)
    if scan.geometry is not None:
        np.testing.assert_array_equal(info.geometry.pattern_center, scan.geometry.pattern_center)


def test_nothing_is_held_open(stage, layout: str) -> None:
    rig = stage(layout)
    follower = rig.follow()
    rig.microscope.advance(20)
    rig.microscope.writer.close()
    before = open_files(rig.path)
    follower.poll(2)
    assert open_files(rig.path) == before


def open_files(path: Path) -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    links = []
    for link in folder.iterdir():
        try:
            links.append(str(link.readlink()))
        except OSError:
            continue
    return sum(link.startswith(str(path)) for link in links)


def test_closed_source_refuses(stage, layout: str) -> None:
    follower = stage(layout).follow()
    follower.source.close()
    follower.source.close()
    with pytest.raises(ValueError, match="closed"):
        follower.source.poll()
