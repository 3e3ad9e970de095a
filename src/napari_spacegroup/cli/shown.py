"""What the command line prints: progress and messages to stderr, a short summary to stdout."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ResultError

if TYPE_CHECKING:
    from ..infer import SpaceGroupMap
    from ..jobs import Event, Progress
    from ..workflows.live_status import LiveStatus

STATUS_SECONDS = 10.0
"""How often a followed scan gets a line in a log; on a terminal the line is rewritten."""


def say(message: str) -> None:
    """Print a message to stderr."""
    print(message, file=sys.stderr)


def check_output(*paths: Path | None) -> None:
    """Refuse an output that can't be written before hours are spent on it."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise ResultError(f"{path} is a folder; give the name of a file in it")
        folder = path.absolute().parent
        if not folder.is_dir():
            raise ResultError(f"there is no folder {folder} for {path.name}; make it first")
        if not os.access(folder, os.W_OK):
            raise ResultError(f"the folder {folder} can't be written to; choose another one")


def write_json(path: Path, value: Any) -> None:
    """Write a report, whole or not at all."""
    from pydantic_core import to_json

    from ..infer.whole_file import whole_file

    with whole_file(path) as file:
        file.write(to_json(value, indent=2, inf_nan_mode="null", fallback=_plain_number) + b"\n")


def _plain_number(value: Any) -> Any:
    """Return a numpy scalar or array as plain Python numbers."""
    return value.tolist()


def print_summary(result: SpaceGroupMap) -> None:
    """Print the share of each space group, or of what else the model tells apart."""
    scan_y, scan_x = result.status.shape
    print(f"{scan_y} x {scan_x} pixels of {result.scan_name}, model {result.model_name}")
    level = result.finest_level
    print(f"{level.replace('_', ' '):<14}{'system':<14}{'share':>8}{'confidence':>12}")
    for row in result.legend(level):
        is_numbered = row.label and level == "space_group"
        name = f"{row.symbol} ({row.label})" if is_numbered else row.symbol
        print(f"{name:<14}{row.system:<14}{row.share:>8.1%}{row.mean_confidence:>12.2f}")
    if (scan_y, scan_x) == (1, 1):
        print_candidates(result)


def print_candidates(result: SpaceGroupMap) -> None:
    """Print the likeliest answers for a single pattern, such as a powder profile."""
    from ..infer.candidate import candidates

    finest = result.finest_level
    middle = ("bravais_lattice",) if finest == "space_group" else ()
    for level in ("crystal_system", *middle, finest):
        found = candidates(result, level=level)
        rows = [f"{c.symbol} ({c.label})" if level == "space_group" else c.symbol for c in found]
        told = ", ".join(f"{row} {c.probability:.1%}" for row, c in zip(rows, found, strict=True))
        print(f"{level.replace('_', ' ')}: {told}")


def print_accuracy(report: Any) -> None:
    """Print the scores of an evaluation."""
    from pydantic_core import to_jsonable_python

    table = to_jsonable_python(report, fallback=_plain_number)
    print(json.dumps({"accuracy": table["accuracy"], "ece": table.get("ece")}, indent=2))


class ProgressLine:
    """Progress on stderr: one line that is rewritten on a terminal, a few lines in a log."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last_tenth = -1
        self._told = 0.0
        self._width = 0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            print(file=sys.stderr)

    def show(self, event: Event) -> None:
        """Show an event that a person wants to read."""
        from ..jobs import Log, Progress

        if isinstance(event, Log):
            self._write(event.message, is_final=True)
        elif isinstance(event, Progress):
            self._show_progress(event)

    def show_live(self, status: LiveStatus) -> None:
        """Show how a followed scan stands, and what was said of each file of a series."""
        for line in status.news:
            self._write(line, is_final=True)
        of = f" of {status.total}" if status.total else ""
        text = f"{status.state}: {status.shown}{of} shown"
        if status.read:
            text += f", {status.read_rate:.0f}/s read, {status.classified_rate:.0f}/s classified"
        if status.backlog:
            text += f", {status.backlog} wait in the file"
        if status.left_out:
            text += f", {status.left_out} left out for now"
        if status.latency == status.latency:
            text += f", {status.latency:.2f} s late"
        if not status.read and status.message:
            text = f"{status.state}: {status.message}"
        if self._is_terminal:
            self._write(text, is_final=False)
        elif time.monotonic() - self._told > STATUS_SECONDS:
            self._told = time.monotonic()
            self._write(text, is_final=True)

    def _show_progress(self, event: Progress) -> None:
        text = f"{event.done} of {event.total}" if event.total else f"{event.done}"
        text = f"{event.message}: {text}" if event.message else text
        tenth = int(10 * event.fraction)
        if self._is_terminal:
            self._write(text, is_final=False)
        elif tenth != self._last_tenth:
            self._write(text, is_final=True)
        self._last_tenth = tenth

    def _write(self, text: str, *, is_final: bool) -> None:
        if not self._is_terminal:
            print(text, file=sys.stderr)
            return
        print("\r" + text.ljust(self._width), end="\n" if is_final else "", file=sys.stderr)
        self._width = 0 if is_final else len(text)
        sys.stderr.flush()
