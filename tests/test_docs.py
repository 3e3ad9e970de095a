"""What the README and the docs show, done."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_spacegroup.config import SimulateSpec, read_train_spec


def blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_ten_lines_of_the_readme_run(repository: Path, tmp_path: Path, monkeypatch) -> None:
    import kikuchipy

    source = Path(kikuchipy.__file__).parent / "data/kikuchipy_h5ebsd/patterns.h5"
    shutil.copy(source, tmp_path / "scan.h5")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(repository / "README.md", "python")
    assert len(code.strip().splitlines()) <= 12
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["labels"].shape == (3, 3)
    assert names["laue"].sum(-1) == pytest.approx(1, abs=1e-5)
    assert (tmp_path / "map.h5").is_file()


@pytest.mark.parametrize("page", ["live.md", "powder.md"])
def test_following_a_series_of_profiles_runs_as_shown(
    repository: Path, tmp_path: Path, monkeypatch, capsys, page: str
) -> None:
    (code,) = [
        block for block in blocks(repository / "docs" / page, "python") if '"series", "xrd' in block
    ]
    angle = np.arange(5, 40, 0.02)
    (tmp_path / "series").mkdir()
    for number, a in enumerate((3.52, 4.05)):  # two cells of the lines of copper's type
        lines = [np.sqrt(n) / a * 0.4959 / 2 for n in (3, 4, 8, 11, 12, 16, 19, 20)]
        centers = 2 * np.degrees(np.arcsin(lines))
        counts = 50 + 900 * sum(np.exp(-0.5 * ((angle - c) / 0.03) ** 2) for c in centers)
        table = np.column_stack([angle, counts.round()])
        np.savetxt(tmp_path / "series" / f"run_{number}.xye", table)
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("until_idle=600", "until_idle=1"), page, "exec"), {})
    shown = capsys.readouterr().out
    assert "run_0.xye" in shown
    assert "run_1.xye" in shown
    assert (tmp_path / "map.h5").is_file()


def test_yaml_of_the_docs_is_a_valid_spec(repository: Path, tmp_path: Path) -> None:
    (text,) = blocks(repository / "docs" / "index.md", "yaml")
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    spec = SimulateSpec.from_yaml(tmp_path / "spec.yaml")
    assert len(spec.phases) == 2


def test_specs_of_the_page_on_training_are_valid(repository: Path, tmp_path: Path) -> None:
    masters, train, adapt = blocks(repository / "docs" / "train.md", "yaml")
    (tmp_path / "masters.yaml").write_text(masters, encoding="utf-8")
    assert SimulateSpec.from_yaml(tmp_path / "masters.yaml").output.kind == "master"
    for name, text in (("train", train), ("adapt", adapt)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        spec = read_train_spec(tmp_path / f"{name}.yaml")
        assert spec.technique == "ebsd"
        assert (spec.unlabelled is not None) == (name == "adapt")
        assert spec.masters == (tmp_path / "masters.npz",)


def test_the_table_of_adaptation_is_what_is_stored(repository: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import adaptation

    page = (repository / "docs" / "train.md").read_text(encoding="utf-8")
    shown = page.split(adaptation.BEGIN)[1].split(adaptation.END)[0].strip()
    stored = json.loads((adaptation.RESULTS / "adaptation.json").read_text(encoding="utf-8"))
    assert shown == "\n".join(adaptation.table(stored)).strip()


def test_links_lead_somewhere(repository: Path) -> None:
    pages = [repository / "README.md", *(repository / "docs").rglob("*.md")]
    missing = [
        f"{page.relative_to(repository)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not missing


def test_floors_of_the_docs_are_those_of_the_boundary_test(repository: Path) -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("boundary", repository / "tests" / "test_boundary.py")
    boundary = module_from_spec(spec)
    spec.loader.exec_module(boundary)
    page = (repository / "docs" / "conventions.md").read_text(encoding="utf-8")
    drawn = {
        room: int(floor)
        for floor, cells in re.findall(
            r"^\| (\d) \| (.*?) \|$", page.split("## Floors")[1], flags=re.MULTILINE
        )
        for room in re.findall(r"`(\w+)`", cells)
    }
    assert drawn
    assert {room: boundary.FLOORS[room] for room in drawn} == drawn
    assert set(boundary.rooms()) - {"_version"} <= set(drawn)


def test_yaml_of_the_page_on_spots_is_a_valid_spec(repository: Path, tmp_path: Path) -> None:
    (text,) = blocks(repository / "docs" / "sad.md", "yaml")
    (tmp_path / "thick.yaml").write_text(text, encoding="utf-8")
    spec = SimulateSpec.from_yaml(tmp_path / "thick.yaml")
    assert spec.output.intensities.kind == "bloch"


def test_the_results_on_spots_are_what_is_stored(repository: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import sad_report

    page = (repository / "docs" / "sad_results.md").read_text(encoding="utf-8")
    for name, section in (
        ("sad-cubic", sad_report.model_section),
        ("bloch", sad_report.bloch_section),
        ("photographs", sad_report.photograph_section),
    ):
        assert "\n".join(section(sad_report.load(name))) in page


def test_the_table_of_elliptic_distortion_is_what_is_stored(repository: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import sad_ellipse

    stored = json.loads(sad_ellipse.RESULT.read_text(encoding="utf-8"))
    page = (repository / "docs" / "sad.md").read_text(encoding="utf-8")
    assert "\n".join(sad_ellipse.table(stored)) in page
    assert f"{stored['patterns']} clean patterns of {stored['phases']} cubic phases" in page
