"""Disks that are full and files that are replaced: more of the cases of ``faults.py``."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from fault_cases import (
    AT,
    GRID,
    NAMES,
    SEED,
    Bench,
    Case,
    compared,
    guarded,
    needs_reader,
    passes,
    records,
    target,
)

from napari_spacegroup.errors import ResultError, SpaceGroupError
from napari_spacegroup.infer import journal as journal_module
from napari_spacegroup.infer import load_map, map_file
from napari_spacegroup.jobs import Log, Partial
from napari_spacegroup.workflows.live_status import LiveStatus


def disk_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Fill the disk while a map is made, and at its end."""
    for verb in ("follow", "classify"):
        for fault, run in (("journal", full_for_a_while), ("map", full_at_the_end)):
            name = f"{verb}, {'while it works' if fault == 'journal' else 'when it saves'}"
            for layout in layouts:
                skipped = needs_reader("disk", name, layout) if verb == "classify" else None
                yield skipped or guarded("disk", name, layout, lambda v=verb, n=name, la=layout,
                    r=run: r(bench, v, n, la))  # fmt: skip


def _run(bench: Bench, verb: str, path: Path, layout: str, **options: Any) -> Any:
    if verb == "follow":
        return bench.follow(path, layout, **options)
    return bench.classify(target(path, layout), **options)


def full_for_a_while(bench: Bench, verb: str, name: str, layout: str) -> Case:
    """Refuse the third to fifth write of the journal, as a full disk does."""
    path = bench.written(layout)
    out = path.parent / "map.h5"
    logs: list[str] = []
    write, calls = journal_module._write_all, []
    in_journal: list[int] = []

    def full(file: Any, content: bytes) -> None:
        calls.append(len(content))
        if 4 <= len(calls) <= 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, content)

    def listen(event: Any) -> None:
        if isinstance(event, Log):
            logs.append(event.message)
        if isinstance(event, Partial) and len(calls) >= 8:
            in_journal.append(1)

    with mock.patch.object(journal_module, "_write_all", full):
        result = _run(bench, verb, path, layout, out=out, on_event=listen)
    numbers = compared(load_map(out), bench.truth(layout))
    numbers["is_said"] = sum("No space left" in line for line in logs)
    passed = numbers["is_exact"] and numbers["is_said"] == 1 and result.is_complete
    cell = f"{numbers['in_map']}/{result.status.size}"
    return Case("disk", name, layout, passed, cell, "", numbers)


def full_at_the_end(bench: Bench, verb: str, name: str, layout: str) -> Case:
    """Refuse the map itself; the journal has to be enough for the next run."""
    path = bench.written(layout)
    out = path.parent / "map.h5"

    def full(*_: Any, **__: Any) -> None:
        raise ResultError("could not write the map: No space left on device; free some space")

    message = ""
    with mock.patch.object(map_file, "save_map", full):
        try:
            _run(bench, verb, path, layout, out=out)
        except ResultError as error:
            message = str(error)
    kept = records(out)[0]
    tally = path.parent / "tally"
    _run(bench, verb, path, layout, out=out, model=bench.counting(tally))
    numbers = compared(load_map(out), bench.truth(layout))
    numbers |= {"kept_chunks": kept, "done_again": passes(tally)[0]}
    passed = numbers["is_exact"] and numbers["done_again"] == 0 and "space" in message
    return Case("disk", name, layout, passed, f"{numbers['in_map']}/{GRID[0] * GRID[1]}", "",
                numbers)  # fmt: skip


def replaced_cases(bench: Bench, layouts: tuple[str, ...]) -> Iterator[Case]:
    """Put another scan in the place of the one that is being read."""
    for verb in ("follow", "classify"):
        for way in ("moved there", "written over it"):
            name = f"{verb}, {way}"
            for layout in layouts:
                skipped = needs_reader("replaced", name, layout) if verb == "classify" else None
                yield skipped or guarded("replaced", name, layout, lambda v=verb, w=way, n=name,
                    la=layout: replaced_case(bench, v, w, n, la))  # fmt: skip


def replaced_case(bench: Bench, verb: str, way: str, name: str, layout: str) -> Case:
    """Put another scan of the same size and other noise under the same name."""
    folder = bench.place()
    path, out = folder / NAMES[layout], folder / "map.h5"
    (folder / "other").mkdir()
    other = bench.written(layout, seed=SEED + 1, folder=folder / "other")
    count = GRID[0] * GRID[1] if verb == "classify" else AT
    microscope = bench.microscope(path, layout)
    microscope.advance(count)
    microscope.writer.close()
    seen: list[int] = []

    def swap(event: Any) -> None:
        is_due = isinstance(event, Partial) if verb == "classify" else (
            isinstance(event, LiveStatus) and event.shown == AT)  # fmt: skip
        if is_due:
            seen.append(1)
            if len(seen) == (2 if verb == "classify" else 1):
                (move if way == "moved there" else write_over)(other, path)

    message, result = "", None
    try:
        result = _run(bench, verb, path, layout, out=out, on_event=swap)
    except SpaceGroupError as error:
        message = str(error)
    if result is None:
        numbers: dict[str, Any] = {"is_saved": out.exists(), "is_refused": True}
        passed = not out.exists() and any(w in message for w in ("replaced", "can't be read"))
        return Case("replaced", name, layout, passed, "refused", message, numbers)
    numbers = compared(load_map(out), bench.truth(layout))
    numbers["lost"] = count - numbers["in_map"]
    numbers["state"] = result.provenance.get("live", {}).get("state", "")
    passed = numbers["lost"] == numbers["wrong"] == numbers["pending"] == 0
    passed = passed and numbers["largest_difference"] < 1e-5
    cell = f"{numbers['in_map']}/{count}"
    return Case("replaced", name, layout, passed, cell, numbers["state"], numbers)


def move(other: Path, path: Path) -> None:
    """Give another file or folder the name."""
    if path.is_dir():
        path.rename(path.with_name("away"))
    other.replace(path)


def write_over(other: Path, path: Path) -> None:
    """Write the content of another scan into the same files."""
    for file in sorted(f for f in other.rglob("*") if f.is_file()) if other.is_dir() else [other]:
        there = path / file.relative_to(other) if other.is_dir() else path
        with there.open("r+b" if there.exists() else "wb") as handle:
            handle.write(file.read_bytes())
            handle.truncate()
