"""The package as others get it: a wheel, an editable install, a manifest, a licence."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import napari_spacegroup

ASK_NPE2 = """
import json, sys
sys.path.append(sys.argv[1])  # npe2 itself, after all that the clean environment has
from importlib.metadata import distribution
from npe2 import PluginManifest
import napari_spacegroup
manifest = PluginManifest.from_distribution("napari-spacegroup")
print(json.dumps({
    "name": manifest.name,
    "display_name": manifest.display_name,
    "version": manifest.package_version,
    "package": napari_spacegroup.__file__,
    "distribution": str(distribution("napari-spacegroup").locate_file("")),
    "entry": [e.value for e in distribution("napari-spacegroup").entry_points
              if e.group == "napari.manifest"],
}))
"""


def run(*command: str | Path) -> str:
    result = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def source(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that installing does not touch the one under test."""
    folder = tmp_path_factory.mktemp("source")
    for name in (
        "pyproject.toml",
        "hatch_build.py",
        "napari.yaml",
        "README.md",
        "LICENSE",
        ".gitignore",
    ):
        shutil.copy2(repository / name, folder / name)
    shutil.copytree(
        repository / "src",
        folder / "src",
        ignore=shutil.ignore_patterns("__pycache__", "napari.yaml"),
    )
    return folder


@pytest.fixture
def clean_environment(tmp_path: Path) -> Path:
    folder = tmp_path / "env"
    venv.create(folder, with_pip=False)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(python: Path, *what: str | Path) -> None:
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir", *what),
    )


def build_editable(source: Path, folder: Path) -> Path:
    """Return the wheel that an editable install puts into an environment (PEP 660)."""
    code = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=source, check=True, timeout=120)
    return next(folder.glob("*.whl"))


def ask_npe2(python: Path) -> dict[str, str]:
    answer = json.loads(run(python, "-c", ASK_NPE2, sysconfig.get_path("purelib")))
    # Otherwise it would be the environment of the tests that answered.
    assert Path(answer["distribution"]).is_relative_to(python.parents[1].resolve())
    return answer


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--no-cache-dir", "-w", folder, source),
    )
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_brings_its_manifest(wheel: Path, clean_environment: Path) -> None:
    install(clean_environment, wheel)
    answer = ask_npe2(clean_environment)
    assert answer["name"] == "napari-spacegroup"
    assert answer["version"] == napari_spacegroup.__version__
    assert answer["entry"] == ["napari_spacegroup:napari.yaml"]
    assert Path(answer["package"]).is_relative_to(clean_environment.parents[1])


@pytest.mark.slow
def test_editable_install_brings_its_manifest(
    source: Path, clean_environment: Path, tmp_path: Path
) -> None:
    install(clean_environment, build_editable(source, tmp_path))
    answer = ask_npe2(clean_environment)
    assert answer["name"] == "napari-spacegroup"
    assert Path(answer["package"]).is_relative_to(source)
    # An edit of the top-level file must be seen without installing again.
    if (source / "src/napari_spacegroup/napari.yaml").is_symlink():
        text = (source / "napari.yaml").read_text()
        try:
            (source / "napari.yaml").write_text(
                re.sub("display_name: .*", "display_name: Edited", text, count=1)
            )
            assert ask_npe2(clean_environment)["display_name"] == "Edited"
        finally:
            (source / "napari.yaml").write_text(text)


@pytest.mark.slow
def test_wheel_holds_what_it_should(wheel: Path, repository: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.read("napari_spacegroup/napari.yaml") == (
            (repository / "napari.yaml").read_bytes()
        )
    assert "napari_spacegroup/py.typed" in names
    assert "napari_spacegroup/__init__.pyi" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert len(names) == len(set(names))
    inside = {p.relative_to(repository / "src").as_posix() for p in _tracked_modules(repository)}
    assert inside <= set(names)
    assert wheel.stat().st_size < 25e6


def _tracked_modules(repository: Path) -> list[Path]:
    return list((repository / "src").rglob("*.py"))


@pytest.mark.slow
def test_source_distribution_can_be_built_from(source: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"napari.yaml", "hatch_build.py", "LICENSE", "pyproject.toml"} <= names


def test_manifest_is_copied_where_links_are_refused(source: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(source))
    import hatch_build

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    target = source / "src/napari_spacegroup/napari.yaml"
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert hatch_build.link_manifest(source) == target
    assert not target.is_symlink()
    assert target.read_text() == (source / "napari.yaml").read_text()
    target.unlink()


def test_manifest_names_commands_that_exist(repository: Path) -> None:
    manifest = yaml.safe_load((repository / "napari.yaml").read_text())
    commands = manifest["contributions"].get("commands", [])
    assert len({c["id"] for c in commands}) == len(commands)
    for command in commands:
        module, _, name = command["python_name"].partition(":")
        path = repository / "src" / Path(*module.split("."))
        candidates = [path.with_suffix(".py"), path / "__init__.py"]
        texts = [c.read_text() for c in candidates if c.is_file()]
        assert texts, f"{command['id']} names the missing module {module}"
        assert any(re.search(rf"\b{name}\b", text) for text in texts), command


def test_the_window_that_the_demo_offers_exists(repository: Path) -> None:
    contributions = yaml.safe_load((repository / "napari.yaml").read_text())["contributions"]
    text = (repository / ".ci" / "offer_window.py").read_text()
    assert [s["key"] for s in contributions["sample_data"] if f'"{s["key"]}"' in text]
    docks = {widget["display_name"] for widget in contributions["widgets"]}
    (line,) = re.findall(r"^DOCKS = \((.*)\)$", text, re.MULTILINE)
    assert set(re.findall(r'"([^"]+)"', line)) <= docks
    assert "Space-group map" in line


def test_version_comes_from_the_file() -> None:
    assert metadata.version("napari-spacegroup") == napari_spacegroup.__version__


def test_licence_is_gpl3(repository: Path) -> None:
    text = (repository / "LICENSE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 3, 29 June 2007" in text
    assert len(text) > 30_000


def test_a_qt_binding_comes_with_all_alone(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"gui", "dynamical", "rings", "test", "docs", "all"}

    def names(requirements: list[str]) -> set[str]:
        return {canonicalize_name(Requirement(r).name) for r in requirements}

    bindings = {"pyside6", "pyside6-essentials", "pyqt5", "pyqt6"}
    assert not bindings & names(project["dependencies"] + extras["gui"])
    assert "pyside6-essentials" in names(extras["all"])
    assert "napari" not in names(project["dependencies"])
    assert not {"torchvision", "timm"} & names(
        project["dependencies"] + [r for extra in extras.values() for r in extra]
    )


def test_constraints_pin_all_direct_dependencies(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    pins = {}
    for line in (repository / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            pins[canonicalize_name(pin.name)] = pin.specifier
    wanted = project["dependencies"] + [
        r for extra in project["optional-dependencies"].values() for r in extra
    ]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name == "napari-spacegroup":
            continue
        assert name in pins, f"{name} is not pinned in constraints.txt"
        version = str(pins[name]).removeprefix("==")
        assert requirement.specifier.contains(version), (requirement, version)
    assert str(pins["torch"]) == "==2.13.0"
