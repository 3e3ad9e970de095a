"""The command line: what reaches the verbs, exit statuses, and files that are whole or absent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import BaseModel

import napari_spacegroup as nsg
from napari_spacegroup import cli
from napari_spacegroup.errors import CancelledError, ModelError, ResultError, ScanError
from napari_spacegroup.jobs import Log, Progress

ROW = SimpleNamespace(
    label=225, symbol="Fm-3m", system="cubic", share=0.9, mean_confidence=0.8, color=(1, 0, 0, 1)
)


@dataclass
class FakeMap:
    scan_name: str = "nickel"
    model_name: str = "ebsd-cubic"
    status: np.ndarray = field(default_factory=lambda: np.zeros((2, 3), np.uint8))
    finest_level: str = "space_group"

    def legend(self, level: str) -> list[SimpleNamespace]:
        assert level == self.finest_level
        return [ROW]


@dataclass
class FakeReport:
    accuracy: dict[str, float]
    per_phase: dict[str, dict[str, float]]
    ece: np.float32


class FakeWorkflows:
    """The verbs, recorded instead of carried out."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple, dict]] = []
        self.error: BaseException | None = None

    def _record(self, name: str, args: tuple, kwargs: dict) -> None:
        on_event = kwargs.pop("on_event")
        on_event(Progress(1, 4, "patterns"))
        on_event(Log("a remark"))
        self.calls.append((name, args, kwargs))
        if self.error is not None:
            raise self.error

    def classify(self, *args, **kwargs):
        self._record("classify", args, kwargs)
        kwargs["out"].write_bytes(b"map")
        return FakeMap()

    def follow(self, *args, **kwargs):
        self._record("follow", args, kwargs)
        kwargs["out"].write_bytes(b"map")
        return FakeMap()

    def map_report(self, result):
        return {"scan": result.scan_name}

    def demo(self, *args, **kwargs):
        self._record("demo", args, kwargs)
        return FakeMap()

    def simulate(self, *args, **kwargs):
        self._record("simulate", args, kwargs)

    def train(self, *args, **kwargs):
        self._record("train", args, kwargs)

    def evaluate(self, *args, **kwargs):
        self._record("evaluate", args, kwargs)
        return FakeReport(
            {"space_group": 0.5}, {"Ni": {"space_group": 0.5, "n": 2}}, np.float32(0.25)
        )


@pytest.fixture
def workflows(monkeypatch) -> FakeWorkflows:
    fake = FakeWorkflows()
    monkeypatch.setattr(nsg, "workflows", fake, raising=False)
    return fake


def test_classify_passes_everything_on_and_writes_both_files(workflows, tmp_path, capsys):
    out, report = tmp_path / "map.h5", tmp_path / "report.json"
    status = cli.main(
        f"classify scan.h5 --model ebsd-cubic --device cpu --batch-size 32 --out {out} "
        f"--json {report}".split()
    )
    assert status == 0
    assert workflows.calls == [
        (
            "classify",
            (Path("scan.h5"), "ebsd-cubic"),
            {"device": "cpu", "batch_size": 32, "out": out},
        )
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.h5", "report.json"]
    assert json.loads(report.read_text()) == {"scan": "nickel"}
    printed = capsys.readouterr()
    assert "Fm-3m (225)" in printed.out
    assert "90.0%" in printed.out
    assert "patterns: 1 of 4" in printed.err
    assert "a remark" in printed.err


def test_classify_leaves_the_device_to_the_library(workflows, tmp_path):
    assert cli.main(["classify", "s", "--model", "m", "--out", str(tmp_path / "a.h5")]) == 0
    out = tmp_path / "a.h5"
    assert workflows.calls[0][2] == {"device": "auto", "batch_size": 256, "out": out}


def test_classify_is_told_whether_to_look_at_positions(workflows, tmp_path):
    arguments = ["classify", "s", "--model", "m", "--out", str(tmp_path / "a.h5")]
    assert cli.main([*arguments, "--no-positions"]) == 0
    assert workflows.calls[0][2]["positions"] is False
    assert cli.main([*arguments, "--positions", "--anew"]) == 0
    assert workflows.calls[1][2]["positions"] is True


def test_classify_may_be_told_where_the_pattern_center_is(workflows, tmp_path, capsys):
    arguments = ["classify", "s", "--model", "m", "--out", str(tmp_path / "a.h5")]
    center = ["--pattern-center", "0.5", "0.3", "0.6"]
    assert cli.main([*arguments, *center, "--anew"]) == 0
    assert workflows.calls[0][2]["pattern_center"] == (0.5, 0.3, 0.6)
    assert workflows.calls[0][2]["anew"]
    assert cli.main([*arguments, "--like", "live.h5"]) == 0
    assert workflows.calls[1][2]["like"] == Path("live.h5")
    assert cli.main([*arguments, *center, "--like", "live.h5"]) == 2
    assert "give one" in capsys.readouterr().err


def test_the_work_may_be_sent_to_a_scheduler(workflows, tmp_path):
    (tmp_path / "t.yaml").write_text("masters: [set.npz]\nname: m\n")
    asked = {
        "classify": ["classify", "s.h5", "--model", "m", "--out", str(tmp_path / "map.h5")],
        "train": ["train", str(tmp_path / "t.yaml"), "--out", str(tmp_path / "model")],
    }
    places = {"tcp://10.0.0.5:8786": {"scheduler": "tcp://10.0.0.5:8786"},
              "dask": {"executor": "dask"}}  # fmt: skip
    for arguments in asked.values():
        for place, expected in places.items():
            assert cli.main([*arguments, "--scheduler", place]) == 0
            assert expected.items() <= workflows.calls[-1][2].items()
        assert cli.main(arguments) == 0
        assert not {"scheduler", "executor"} & set(workflows.calls[-1][2])


def test_a_scheduler_that_is_not_there_is_said_by_the_real_verb(tmp_path, capsys):
    path = tmp_path / "scan.npy"
    np.save(path, np.random.default_rng(0).integers(0, 255, (2, 3, 20, 20)).astype(np.uint8))
    arguments = ["classify", str(path), "--model", "ebsd-cubic", "--out", str(tmp_path / "m.h5")]
    assert cli.main([*arguments, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "no dask scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert not (tmp_path / "m.h5").exists()


def test_follow_passes_everything_on(workflows, tmp_path, capsys):
    out = tmp_path / "map.h5"
    arguments = ["follow", "scan.up2", "--model", "ebsd-cubic", "--out", str(out)]
    assert cli.main([*arguments, "--until-idle", "30", "--if-behind", "sample"]) == 0
    (name, args, kwargs) = workflows.calls[0]
    assert (name, args) == ("follow", (Path("scan.up2"), "ebsd-cubic"))
    assert not kwargs.pop("cancel").is_cancelled
    assert kwargs == {
        "out": out,
        "until_idle": 30.0,
        "if_behind": "sample",
        "device": "auto",
        "batch_size": 256,
        "scan_shape": None,
        "scan_order": "raster",
    }
    assert "Fm-3m (225)" in capsys.readouterr().out
    assert cli.main([*arguments, "--until-idle", "-1"]) == 2
    assert cli.main([*arguments, "--if-behind", "panic"]) == 2


def test_the_first_interrupt_ends_following_with_a_map(workflows, tmp_path, capsys):
    out = tmp_path / "map.h5"

    def follow(*_, cancel, out, **__):
        signal.raise_signal(signal.SIGINT)
        assert cancel.is_cancelled
        out.write_bytes(b"map")
        return FakeMap()

    workflows.follow = follow
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    assert cli.main(["follow", "s.up2", "--model", "m", "--out", str(out)]) == 0
    assert "stopping; the map is saved" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ScanError("got 3 bytes; need a scan; choose another file"), 2),
        (ModelError("sha256 differs; fetch it again"), 2),
        (ResultError("disk full; free some space"), 2),
        (CancelledError("stopped by hand"), 1),
        (KeyboardInterrupt(), 1),
    ],
)
def test_errors_become_one_message_and_no_file(workflows, tmp_path, capsys, error, status):
    workflows.error = error
    arguments = ["classify", "s", "--model", "m", "--out", str(tmp_path / "a.h5")]
    assert cli.main([*arguments, "--json", str(tmp_path / "a.json")]) == status
    assert list(tmp_path.iterdir()) == []
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: " if status == 2 else "cancelled: ")
    assert str(error) in message


@pytest.mark.parametrize("out", ["missing/map.h5", "."])
def test_an_impossible_output_is_refused_before_the_work(workflows, tmp_path, capsys, out):
    assert cli.main(["classify", "s", "--model", "m", "--out", str(tmp_path / out)]) == 2
    assert workflows.calls == []
    assert "error:" in capsys.readouterr().err


def test_a_bad_option_is_refused_with_its_bounds(workflows, tmp_path, capsys):
    arguments = ["classify", "s", "--model", "m", "--out", str(tmp_path / "a.h5")]
    assert cli.main([*arguments, "--batch-size", "0"]) == 2
    assert "batch_size: got 0" in capsys.readouterr().err
    assert workflows.calls == []


def test_demo_has_a_default_folder(workflows):
    assert cli.main(["demo"]) == 0
    assert workflows.calls == [("demo", (Path("demo-out"),), {})]


def test_evaluate_on_phases_writes_the_whole_report(workflows, tmp_path, capsys):
    report = tmp_path / "report.json"
    arguments = ["evaluate", "ebsd-cubic", "--phases", "cifs", "--patterns-per-phase", "7"]
    assert cli.main([*arguments, "--condition", "hard", "--json", str(report)]) == 0
    (name, args, kwargs) = workflows.calls[0]
    assert (name, args) == ("evaluate", ("ebsd-cubic",))
    assert kwargs == {
        "phases": Path("cifs"),
        "scan": None,
        "truth": None,
        "condition": "hard",
        "patterns_per_phase": 7,
        "thick_share": 0.0,
        "seed": 0,
        "device": "auto",
        "batch_size": 256,
    }
    assert json.loads(report.read_text()) == {
        "accuracy": {"space_group": 0.5},
        "per_phase": {"Ni": {"space_group": 0.5, "n": 2}},
        "ece": 0.25,
    }
    assert json.loads(capsys.readouterr().out)["accuracy"] == {"space_group": 0.5}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scan", "s.h5"], "a scan needs truth"),
        (["--phases", "cifs", "--truth", "225"], "truth belongs to a scan"),
        (["--scan", "s.h5", "--truth", "231"], "less than or equal to 230"),
        (["--phases", "cifs", "--condition", "easy"], "condition: got 'easy'"),
    ],
)
def test_evaluate_refuses_what_makes_no_sense(workflows, capsys, arguments, words):
    assert cli.main(["evaluate", "m", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert workflows.calls == []


def test_simulate_and_train_read_their_specs(workflows, tmp_path):
    (tmp_path / "s.yaml").write_text("phases: [Ni.cif]\nseed: 3\n")
    (tmp_path / "t.yaml").write_text("masters: [masters]\nname: mine\n")
    assert cli.main(["simulate", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "m.h5")]) == 0
    assert cli.main(["train", str(tmp_path / "t.yaml"), "--out", "model", "--resume"]) == 0
    (_, (simulate_spec, out), _), (_, (train_spec, folder), kwargs) = workflows.calls
    assert simulate_spec.phases == (tmp_path / "Ni.cif",)
    assert (simulate_spec.seed, out) == (3, tmp_path / "m.h5")
    assert train_spec.masters == (tmp_path / "masters",)
    assert (folder, kwargs) == (Path("model"), {"resume": True})


@pytest.mark.parametrize("text", [None, "", "phases: [", "phases: [a.cif]\nfasess: 3\n"])
def test_a_bad_spec_is_refused(workflows, tmp_path, capsys, text):
    spec = tmp_path / "s.yaml"
    if text is not None:
        spec.write_text(text)
    assert cli.main(["simulate", str(spec), "--out", str(tmp_path / "m.h5")]) == 2
    assert str(spec) in capsys.readouterr().err
    assert workflows.calls == []


class Card(BaseModel):
    name: str = "ebsd-cubic"


@pytest.fixture
def models(monkeypatch) -> SimpleNamespace:
    fake = SimpleNamespace(
        list_models=lambda: ["ebsd-cubic", "other"],
        show_model=lambda name: Card(name=name),
        check_model=lambda name: ["weights differ"] if name == "broken" else [],
    )
    monkeypatch.setattr(nsg, "models", fake, raising=False)
    return fake


@pytest.mark.usefixtures("models")
def test_models_are_listed_shown_and_checked(capsys):
    for arguments in (["models"], ["models", "list"]):
        assert cli.main(arguments) == 0
        assert capsys.readouterr().out.split() == ["ebsd-cubic", "other"]
    assert cli.main(["models", "show", "other"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "other"}
    assert cli.main(["models", "check", "other"]) == 0
    assert cli.main(["models", "check", "broken"]) == 2
    assert "weights differ" in capsys.readouterr().err


def test_json_has_no_nan(tmp_path):
    cli._write_json(tmp_path / "a.json", {"ece": float("nan"), "n": np.int64(3)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"ece": None, "n": 3}


def test_a_terminal_gets_one_line_that_is_rewritten(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with cli._ProgressLine() as line:
        line.show(Progress(100, 200))
        line.show(Progress(200, 200))
    assert capsys.readouterr().err == "\r100 of 200\r200 of 200\n"


def test_a_log_gets_a_line_per_tenth(capsys):
    with cli._ProgressLine() as line:
        for done in range(101):
            line.show(Progress(done, 100))
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_the_verbs_are_those_of_the_design(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for verb in ("demo", "classify", "follow", "simulate", "train", "evaluate", "models"):
        assert f"\n    {verb} " in text


def test_the_installed_command_tells_its_version():
    script = Path(sys.executable).with_name("napari-spacegroup")
    result = subprocess.run(
        [script, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == nsg.__version__


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + b"\0" * 40, b"not a scan" * 100])
def test_a_file_that_is_no_scan_is_refused_by_the_real_verb(tmp_path, capsys, content):
    scan, out = tmp_path / "scan.h5", tmp_path / "map.h5"
    scan.write_bytes(content)
    assert cli.main(["classify", str(scan), "--model", "ebsd-cubic", "--out", str(out)]) == 2
    assert str(scan) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [scan]


def test_explain_draws_a_picture_and_says_what_lies_behind_it(tmp_path, capsys):
    from napari_spacegroup.workflows import demo_scan_path

    picture, report = tmp_path / "why.png", tmp_path / "why.json"
    words = f"explain {demo_scan_path()} --model ebsd-cubic --pixel 1 2 --patterns 2"
    assert cli.main([*words.split(), "--out", str(picture), "--json", str(report)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(report.read_text())
    assert found["space_group"] == 225
    assert found["patterns"] == 2
    assert set(found["near_zone_axes"]) >= {"[001]", "[011]", "[111]"}
    assert "times the mean" in capsys.readouterr().out
    picture.unlink()
    assert cli.main([*words.split(), "--space-group", "14", "--out", str(picture)]) == 2
    assert "choose one of 221" in capsys.readouterr().err
    assert not picture.exists()


def test_phases_are_found_and_written(capsys, tmp_path):
    report, folder = tmp_path / "found.json", tmp_path / "cifs"
    asked = ["phases", "--elements", "Fe", "C", "--only", "--space-group", "62"]
    assert cli.main([*asked, "--json", str(report), "--cif", str(folder)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split()[:3] == ["name", "formula", "mineral"]
    assert "Fe3C-cementite" in lines[1]
    assert "5.0910, 6.7434, 4.5260" in lines[1]
    assert "2 phases" in captured.err
    found = json.loads(report.read_text())
    assert [entry["name"] for entry in found] == ["Fe3C-cementite", "Fe7C3"]
    assert found[0]["symbol"] == "Pnma"
    from napari_spacegroup.crystal import read_cif

    assert {read_cif(path).space_group for path in folder.glob("*.cif")} == {62}


def test_phases_that_do_not_exist(capsys):
    assert cli.main(["phases", "--system", "qubic"]) == 2
    assert "hexagonal" in capsys.readouterr().err
    assert cli.main(["phases", "nothing", "like", "this"]) == 0
    assert "0 phases" in capsys.readouterr().err
