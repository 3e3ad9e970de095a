"""Followed powder profiles give the answers of classify: a folder of files, and maps that grow."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_spacegroup.cli import main
from napari_spacegroup.crystal import library_phase
from napari_spacegroup.errors import ModelError, ResultError, ScanError, SpecError
from napari_spacegroup.infer import PixelStatus, load_map
from napari_spacegroup.jobs import Log, Partial
from napari_spacegroup.models import load_model
from napari_spacegroup.patterns import from_profiles, read
from napari_spacegroup.patterns.options import ReadOptions
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.stream import ProfileFolderSource
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.follow_scan import LiveStatus, follow, follow_events

SETTLE = 0.05
NAMES = ("Ni", "Fe", "Si", "W", "Al")
RANGES = ((20, 90, 0.02), (15, 110, 0.05), (20, 90, 0.02), (25, 80, 0.033), (20, 100, 0.01))
"""First and last angle and step [degrees], not alike."""


def simulated(name: str, start: float, stop: float, step: float) -> np.ndarray:
    """Angles and counts of a phase for Cu Kα, shape (n, 2); drawn without the code under test."""
    angle = np.arange(start, stop, step).round(4)
    lines = lines_of_phase(library_phase(name), 7.0)
    theta = np.arcsin(np.clip(lines.q * 1.54184 / (4 * np.pi), 0, 0.999))
    strength = lines.xray * (1 + np.cos(2 * theta) ** 2) / np.sin(theta) ** 2
    profile = sum(
        s * np.exp(-0.5 * ((angle - p) / 0.06) ** 2)
        for s, p in zip(strength, np.degrees(2 * theta), strict=True)
    )
    rng = np.random.default_rng(len(angle))
    return np.column_stack([angle, rng.poisson(3000 * profile / profile.max() + 60)])


@pytest.fixture(scope="module")
def model():
    return load_model("xrd-symmetry", device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Simulated profiles, no two axes alike but the first and third."""
    folder = tmp_path_factory.mktemp("profiles")
    paths = [folder / f"run_{number}.xy" for number in range(len(NAMES))]
    for path, name, limits in zip(paths, NAMES, RANGES, strict=True):
        np.savetxt(path, simulated(name, *limits), fmt="%g")
    return paths


def alone(paths, model, **told) -> np.ndarray:
    """What classify says of each file, with the network alone, shape (n, class)."""
    found = [classify(read(p, **told), model, positions=False).probabilities[0, 0] for p in paths]
    return np.stack(found)


def source_of(folder: Path, **options) -> ProfileFolderSource:
    told = {key: options.pop(key) for key in ("wavelength", "difc") if key in options}
    return ProfileFolderSource(
        folder, told=ReadOptions(**told), settle_seconds=SETTLE, **options
    )  # fmt: skip


def fill(folder: Path, paths, *, pause: float = 0.0, half: bool = False) -> threading.Thread:
    """Copy files one by one on another thread, each in two halves if that is asked for."""

    def copy() -> None:
        folder.mkdir(exist_ok=True)
        for path in paths:
            raw = path.read_bytes()
            if half:
                (folder / path.name).write_bytes(raw[: len(raw) // 2])
                time.sleep(3 * SETTLE)
            (folder / path.name).write_bytes(raw)
            time.sleep(pause)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("half", [False, True])
def test_a_series_gives_the_answers_of_classify(files, model, tmp_path, half):
    events, out = [], tmp_path / "map.h5"
    thread = fill(tmp_path / "series", files, pause=0.1, half=half)
    result = follow(
        source_of(tmp_path / "series"), model, out=out, until_idle=2, on_event=events.append
    )
    thread.join()
    assert result.scan_shape == (1, len(files))
    assert (result.status == PixelStatus.OK).all()
    np.testing.assert_allclose(result.probabilities[0], alone(files, model), atol=1e-6)
    assert load_map(out).provenance["scan"]["files"] == [p.name for p in files]
    if half:  # after a stall of this machine a half may have been shown before
        return
    said = [e.message for e in events if isinstance(e, Log)]
    assert sum("Cu Kα (1.54184 Å) is assumed" in message for message in said) == 1
    news = [line for e in events if isinstance(e, LiveStatus) for line in e.news]
    assert [line.partition(":")[0] for line in news] == [p.name for p in files]
    assert news[0].startswith("run_0.xy: cubic ")
    last = [e for e in events if isinstance(e, LiveStatus)][-1]
    assert (last.read, last.shown, last.final, last.total) == (5, 5, 5, 0)


def test_by_its_path_with_what_is_told(files, model, tmp_path):
    (tmp_path / "series").mkdir()
    for path in files[:2]:
        shutil.copy(path, tmp_path / "series")
    result = follow(tmp_path / "series", model, wavelength=1.2, until_idle=0.3)
    expected = alone(files[:2], model, wavelength=1.2)
    np.testing.assert_allclose(result.probabilities[0], expected, atol=1e-6)
    assert result.provenance["view"]["axis"]["wavelength"] == 1.2


def test_a_file_that_is_no_profile_gets_its_status_and_stops_nothing(files, model, tmp_path):
    folder, events = tmp_path / "series", []
    folder.mkdir()
    shutil.copy(files[0], folder / "a.xy")
    (folder / "b.xy").write_text("the shutter was closed\n")
    table = np.loadtxt(files[1])
    np.savetxt(folder / "c.xy", np.column_stack([table[:, 0], np.zeros(len(table))]))
    np.savetxt(folder / "d.xy", np.column_stack([table[:, 0] / 100, table[:, 1]]))  # no angles
    shutil.copy(files[4], folder / "e.xy")
    (folder / "f.xy").write_text("nor here\n")
    result = follow(source_of(folder), model, until_idle=2, on_event=events.append)
    wanted = [PixelStatus.OK, PixelStatus.UNREADABLE, PixelStatus.CONSTANT,
              PixelStatus.UNREADABLE, PixelStatus.OK, PixelStatus.UNREADABLE]  # fmt: skip
    assert result.status[0].tolist() == wanted
    expected = alone([files[0], files[4]], model)
    np.testing.assert_allclose(result.probabilities[0, [0, 4]], expected, atol=1e-6)
    news = " ".join(line for e in events if isinstance(e, LiveStatus) for line in e.news)
    assert "b.xy is no single powder profile: it has 0 lines" in news
    assert "c.xy: unknown, the pattern is constant" in news
    assert "d.xy: the profile covers q from" in news
    said = " ".join(e.message for e in events if isinstance(e, Log))
    assert "3 of 6 pixels unknown: its file is no pattern" in said
    assert result.provenance["scan"]["files"][1] == "b.xy"


def test_going_on_after_a_kill_does_only_what_is_missing(files, model, tmp_path, monkeypatch):
    out, folder = tmp_path / "map.h5", tmp_path / "series"
    folder.mkdir()
    for path in files[:2]:
        shutil.copy(path, folder)
    events = follow_events(source_of(folder), model, out=out)
    for event in events:
        if isinstance(event, LiveStatus) and event.final == 2:
            break
    events.close()
    for path in files[2:]:
        shutil.copy(path, folder)
    asked = []
    predict = type(model).predict
    monkeypatch.setattr(
        type(model), "predict", lambda *a, **o: asked.append(len(a[1])) or predict(*a, **o)
    )
    said = []
    result = follow(
        source_of(folder), model, out=out, until_idle=2, on_event=said.append
    )  # fmt: skip
    assert asked == [1, 1, 1]
    np.testing.assert_allclose(result.probabilities[0], alone(files, model), atol=1e-6)
    assert result.provenance["scan"]["files"] == [p.name for p in files]
    assert any("2 patterns were classified before" in e.message for e in said if isinstance(e, Log))


def test_an_unfinished_map_belongs_to_its_series_and_its_request(files, model, tmp_path):
    out, folder = tmp_path / "map.h5", tmp_path / "series"
    folder.mkdir()
    for path in files[:2]:
        shutil.copy(path, folder)
    events = follow_events(source_of(folder), model, out=out)
    for event in events:
        if isinstance(event, Partial):
            break
    events.close()
    with pytest.raises(ResultError, match="another request"):
        follow(folder, model, out=out, until_idle=1, wavelength=0.7)
    shutil.copy(files[3], folder / files[0].name)
    with pytest.raises(ScanError, match="another scan stands there"):
        follow(source_of(folder), model, out=out, until_idle=1)


def test_a_file_that_changes_is_done_again(files, model, tmp_path):
    folder, swapped = tmp_path / "series", []
    folder.mkdir()
    for path in files[:2]:
        shutil.copy(path, folder)

    def listen(event):
        if isinstance(event, LiveStatus) and event.shown == 2 and not swapped:
            swapped.append(True)
            shutil.copy(files[4], folder / files[0].name)

    result = follow(source_of(folder), model, until_idle=3, on_event=listen)
    expected = alone([files[4], files[1]], model)
    np.testing.assert_allclose(result.probabilities[0], expected, atol=1e-6)


def test_sampling_keeps_up_and_comes_back(files, model, tmp_path):
    folder, events = tmp_path / "series", []
    folder.mkdir()
    for number in range(30):  # of one axis, so that several come at once
        shutil.copy(files[number % 2 * 2], folder / f"{number:02d}.xy")
    result = follow(
        source_of(folder), model, if_behind="sample", until_idle=1, on_event=events.append
    )  # fmt: skip
    said = [e.message for e in events if isinstance(e, Log)]
    assert any("patterns that were left out to keep up" in message for message in said)
    expected = np.tile(alone([files[0], files[2]], model), (15, 1))
    np.testing.assert_allclose(result.probabilities[0], expected, atol=1e-6)


def test_a_map_by_the_numbers_of_the_files(files, model, tmp_path):
    folder = tmp_path / "series"
    thread = fill(folder, [files[i] for i in (2, 0, 3, 1)], pause=0.05)
    source = source_of(folder, scan_shape=(2, 2), origin=0)
    result = follow(source, model)
    thread.join()
    assert result.scan_shape == (2, 2)
    expected = alone(files[:4], model).reshape(2, 2, -1)
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("is_map", [True, False])
def test_a_map_in_hdf5_that_grows(files, model, tmp_path, is_map):
    path = tmp_path / "map.h5"
    table = np.loadtxt(files[0])
    rng = np.random.default_rng(0)
    stack = rng.poisson(table[:, 1], (6, len(table))).astype(np.float32)
    shape = (2, 3, len(table)) if is_map else (6, len(table))
    with h5py.File(path, "w", libver="latest") as file:
        file["two_theta"] = table[:, 0]
        counts = file.create_dataset("counts", shape, np.float32)
        file.swmr_mode = True
        begun = threading.Event()

        def write():
            for pixel in range(6):
                begun.wait(5)
                counts[np.unravel_index(pixel, shape[:-1])] = stack[pixel]
                counts.flush()
                time.sleep(0.05)

        threading.Thread(target=write, daemon=True).start()
        result = follow(
            path, model, wavelength=1.54184, out=tmp_path / "out.h5",
            on_event=lambda _: begun.set(),
        )  # fmt: skip
    reference = classify(read(path, wavelength=1.54184), model, positions=False)
    same = from_profiles(stack.reshape(shape), two_theta=table[:, 0], wavelength=1.54184)
    np.testing.assert_array_equal(result.probabilities, reference.probabilities)
    np.testing.assert_array_equal(
        result.probabilities, classify(same, model, positions=False).probabilities
    )
    assert result.scan_shape == ((2, 3) if is_map else (1, 6))


def test_neutrons_and_what_contradicts_them(files, model, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    table = np.loadtxt(files[0])
    d = 1.54184 / (2 * np.sin(np.radians(table[:, 0] / 2)))
    np.savetxt(folder / "tof.xy", np.column_stack([7000 * d, table[:, 1]])[::-1])
    shutil.copy(folder / "tof.xy", folder / "tof2.xy")
    neutron = load_model("neutron-symmetry", device="cpu")
    result = follow(folder, neutron, difc=7000.0, until_idle=0.3)
    expected = alone(sorted(folder.glob("*.xy")), neutron, difc=7000.0)
    np.testing.assert_allclose(result.probabilities[0], expected, atol=1e-6)
    with pytest.raises(ModelError, match="is for xray"):
        follow(folder, model, difc=7000.0)
    with pytest.raises(SpecError, match="wavelength"):
        follow(folder, model, wavelength=-1.0)
    with pytest.raises(ScanError, match="follow the folder"):
        follow(folder / "tof.xy", model)
    with pytest.raises(ScanError, match="no pattern came"):
        follow(folder, neutron, until_idle=0.3)  # nobody says what the first column is


@pytest.mark.slow
def test_positions_are_weighed_as_in_classify(files, model, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    shutil.copy(files[0], folder)
    result = follow(source_of(folder), model, positions=True, until_idle=1)
    expected = classify(read(files[0]), model, positions=True)
    np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=1e-6)
    assert result.provenance["model"]["looks_at_positions"]


def measured(folder: Path, radiation: str) -> list[Path]:
    powder = folder / "powder"
    if radiation == "neutron":
        names = ("lbco_hrpt.xye", "herbertsmithite_hrpt.xye", "co2sio4_d20.xye")
        return [powder / "easydiffraction_neutron" / name for name in names]
    return sorted((powder / "xrd_autoanalyzer").glob("*.xy"))[:5] + sorted(
        (powder / "oviedo_perovskites" / "sg225").glob("*.xy")
    )


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
def test_measured_profiles_give_the_answers_of_classify(shared_data, tmp_path, radiation):
    paths = measured(shared_data, radiation)
    model = load_model(f"{'xrd' if radiation == 'xray' else radiation}-symmetry", device="cpu")
    wavelength = 1.54184 if radiation == "xray" else 1.494
    fill(tmp_path / "series", paths, pause=0.05)
    result = follow(
        source_of(tmp_path / "series", wavelength=wavelength), model, until_idle=2,
        out=tmp_path / "map.h5",
    )  # fmt: skip
    expected = alone(paths, model, wavelength=wavelength)
    np.testing.assert_allclose(result.probabilities[0], expected, atol=1e-6)
    assert result.provenance["scan"]["files"] == [p.name for p in paths]


def test_measured_minerals_as_a_map(shared_data, tmp_path):
    model = load_model("xrd-symmetry", device="cpu")
    with np.load(shared_data / "powder" / "rockjock_minerals" / "rockjock_minerals.npz") as content:
        counts, angle = content["intensity"], content["two_theta"]
    path = tmp_path / "minerals.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = counts.reshape(4, 8, -1)
        file["two_theta"] = angle
    result = follow(path, model, wavelength=1.54184)
    scan = from_profiles(counts.reshape(4, 8, -1), two_theta=angle, wavelength=1.54184)
    reference = classify(scan, model, positions=False)
    np.testing.assert_array_equal(result.probabilities, reference.probabilities)


def test_on_the_command_line(files, model, tmp_path, capsys):
    folder, out = tmp_path / "series", tmp_path / "map.h5"
    folder.mkdir()
    for path in files[:2]:
        table = np.loadtxt(path)
        table[:, 0] = 4 * np.pi / 1.54184 * np.sin(np.radians(table[:, 0] / 2))
        np.savetxt(folder / path.name, table)
    command = ["follow", str(folder), "--model", "xrd-symmetry", "--out", str(out), "--axis", "q"]
    assert main([*command, "--until-idle", "0.5", "--json", str(tmp_path / "report.json")]) == 0
    told = capsys.readouterr()
    assert "run_0.xy: cubic " in told.err
    assert "run_1.xy: cubic " in told.err
    assert "1 x 2 pixels of series" in told.out
    assert "assumed" not in told.err
    expected = alone([folder / path.name for path in files[:2]], model, axis="q")
    np.testing.assert_allclose(load_map(out).probabilities[0], expected, atol=1e-6)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["provenance"]["scan"]["files"] == [path.name for path in files[:2]]
    command = ["classify", str(folder / files[0].name), "--model", "xrd-symmetry", "--axis", "q"]
    assert main([*command, "--no-positions", "--out", str(tmp_path / "one.h5")]) == 0
    found = load_map(tmp_path / "one.h5").probabilities[0, 0]
    np.testing.assert_allclose(found, expected[0], atol=1e-6)
