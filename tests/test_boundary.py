"""The floors of the package: imports go down, and each room needs no more than it says.

Two views of one rule. The static one reads every import in the source, the lazy ones
inside functions too; the live one imports a room in a clean interpreter and looks at
what came along from other packages.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "napari_spacegroup"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE

FLOORS = {
    "_version": 0,
    "errors": 0,
    "jobs": 0,
    "config": 1,
    "crystal": 1,
    "imaging": 1,
    "models": 2,
    "patterns": 2,
    "simulate": 2,
    "infer": 3,
    "learn": 3,
    "stream": 3,
    "workflows": 4,
    "cli": 5,
    "plugin": 5,
}
# Within the ground floor, everybody may raise the package's errors.
GROUND = {"errors", "_version"}

WINDOW = {"napari", "qtpy", "PySide6", "PyQt5", "PyQt6", "magicgui", "superqt", "vispy"}
READERS = {"kikuchipy", "hyperspy", "rsciio", "orix", "diffsims"}

FORBIDDEN = {
    "errors": WINDOW | READERS | {"torch", "numpy"},
    "jobs": WINDOW | READERS | {"torch"},
    "config": WINDOW | READERS | {"torch", "dask", "h5py"},
    "crystal": WINDOW | {"torch", "kikuchipy", "hyperspy"},
    "imaging": WINDOW | READERS,
    "models": WINDOW | READERS,
    "learn": WINDOW | READERS,
    "simulate": WINDOW,
    "simulate.projector": WINDOW | READERS,
    "simulate.reflections": WINDOW | READERS,
    "simulate.spots": WINDOW | READERS,
    "simulate.spot_images": WINDOW | READERS,
    "simulate.bloch": WINDOW | READERS,
    "simulate.thick_spots": WINDOW | READERS,
    "simulate.detector": WINDOW | READERS,
    "patterns": WINDOW,
    "infer": WINDOW,
    "stream": WINDOW,
    "workflows": WINDOW,
    "cli": WINDOW | READERS | {"torch", "dask", "h5py"},
}


def rooms() -> list[str]:
    found = {p.stem if p.suffix == ".py" else p.name for p in SOURCE.iterdir() if _is_room(p)}
    return sorted(found)


def _is_room(path: Path) -> bool:
    if path.suffix == ".py":
        return path.name != "__init__.py"
    return path.is_dir() and any(path.glob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a source file imports from, wherever in the file it does."""
    here = path.relative_to(SOURCE.parent).with_suffix("").parts
    package = here[:-1]
    targets: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            targets |= {f"{stem}.{alias.name}" for alias in node.names}
    inside = [t.split(".") for t in targets if t.split(".")[0] == PACKAGE]
    return {parts[1] for parts in inside if len(parts) > 1}


def test_every_room_has_a_floor() -> None:
    assert set(rooms()) <= set(FLOORS), "draw the new room in FLOORS and in the docs"


@pytest.mark.parametrize("room", rooms())
def test_imports_go_down(room: str) -> None:
    files = sorted((SOURCE / room).rglob("*.py")) or [SOURCE / f"{room}.py"]
    wrong = [
        f"{path.relative_to(SOURCE)} imports {target}"
        for path in files
        for target in sorted(imported_rooms(path) & set(FLOORS))
        if target != room and target not in GROUND and FLOORS[target] >= FLOORS[room]
    ]
    assert not wrong


def import_in_clean_interpreter(name: str) -> tuple[set[str], float]:
    code = (
        "import json, sys, time; start = time.perf_counter();"
        f"import {name}; seconds = time.perf_counter() - start;"
        "print(json.dumps([sorted({m.split('.')[0] for m in sys.modules}), seconds]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    modules, seconds = json.loads(result.stdout.splitlines()[-1])
    return set(modules), seconds


@pytest.mark.parametrize("room", [r for r in FORBIDDEN if r.split(".")[0] in rooms()])
def test_room_needs_no_more_than_it_says(room: str) -> None:
    modules, _ = import_in_clean_interpreter(f"{PACKAGE}.{room}")
    assert not modules & FORBIDDEN[room]


def test_package_imports_quickly_and_alone() -> None:
    heavy = WINDOW | READERS | {"torch", "dask", "h5py", "matplotlib", "scipy", "numba", "numpy"}
    runs = [import_in_clean_interpreter(PACKAGE) for _ in range(3)]
    assert not runs[0][0] & heavy
    # The best of three: another process may hold the cores for a moment.
    assert min(seconds for _, seconds in runs) < 0.3


def test_public_names_are_there_and_match_the_stub() -> None:
    import napari_spacegroup as nsg

    stub = ast.parse((SOURCE / "__init__.pyi").read_text())
    declared = next(
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    assert sorted(declared) == sorted(nsg.__all__)
    for name in nsg.__all__:
        assert getattr(nsg, name) is not None
    for verb in ("read", "load_model", "classify", "load_map", "train", "evaluate", "demo"):
        assert callable(getattr(nsg, verb)), verb
    assert set(nsg.__all__) <= set(dir(nsg))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = nsg.nonsense


KINDS = """
import importlib, sys
first, room, *files = sys.argv[1:]
module = importlib.import_module(room)
names = sorted(set(files) & set(getattr(module, "__all__", ())))
if first == "modules":
    for name in names:
        importlib.import_module(f"{room}.{name}")
print({name: type(getattr(module, name)).__name__ for name in names})
"""


@pytest.mark.parametrize("room", sorted(p.parent.name for p in SOURCE.glob("*/__init__.py")))
def test_no_module_hides_a_public_name(room):
    """Once a module is imported it stands in its room under its name, and hides the other."""
    files = [path.stem for path in (SOURCE / room).glob("*.py")]
    kinds = [
        subprocess.run(
            [sys.executable, "-c", KINDS, first, f"{PACKAGE}.{room}", *files],
            capture_output=True, text=True, check=True, timeout=300,
        ).stdout
        for first in ("names", "modules")
    ]  # fmt: skip
    assert kinds[0] == kinds[1]
