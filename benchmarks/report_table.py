"""Tables of the results page, and the words for what they were made with."""

from __future__ import annotations

from typing import Any


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def machine(made: dict[str, Any]) -> str:
    """Return versions and hardware as one line."""
    hardware = made["hardware"]
    versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items())
    gpu = hardware["gpu"] or "no GPU"
    return f"{hardware['processor']}, {hardware['cores']} cores, {gpu}; {versions}."
