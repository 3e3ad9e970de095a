"""Write ``docs/results.md`` from the stored results: no figure of the docs is typed in.

python benchmarks/report.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LEVELS = ("space_group", "equivalence_set", "extinction_group", "bravais_lattice")


def load(name: str) -> dict[str, Any] | None:
    """Return a stored result, or None."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


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


def simulated(report: dict[str, Any]) -> list[str]:
    """Return the section on simulated patterns."""
    training = report["training"]
    lines = [
        "## `ebsd-cubic` on simulated patterns of structures it never saw",
        "",
        f"{report['patterns_per_structure']} patterns per structure, seed {report['seed']}; by "
        f"`recipes/ebsd-cubic/bundle.py`. Trained on {training['structures']} structures, "
        f"{training['patterns']:,} patterns, {training['seconds'] / 60:.0f} minutes on "
        f"{training['hardware']}. {machine(report['made'])}",
        "",
    ]
    rows = []
    for title, metrics in report["metrics"].items():
        accuracy = metrics["accuracy"]
        rows.append(
            [title, *(f"{accuracy[level]:.1%}" for level in LEVELS),
             f"{metrics['mean_set_size']:.2f}", f"{metrics['ece']:.3f}"]
        )  # fmt: skip
    head = ["patterns", *(level.replace("_", " ") for level in LEVELS), "set size", "ECE"]
    lines += table(head, rows)
    for title, metrics in report["metrics"].items():
        if not title.endswith("standard") or not metrics["per_phase"]:
            continue
        lines += [f"### {title}", ""]
        phases = sorted(metrics["per_phase"].items(), key=lambda item: item[1]["truth"])
        lines += table(
            ["phase", "space group", "right"],
            [[name, str(row["truth"]), f"{row['space_group']:.0%}"] for name, row in phases],
        )
        risk = ", ".join(
            f"{p['risk']:.1%} at {p['coverage']:.0%}" for p in metrics["coverage_risk"]
        )
        lines += [f"Errors among the most confident: {risk}.", ""]
    return lines


def measured(report: dict[str, Any]) -> list[str]:
    """Return the section on measured patterns."""
    rows = [
        [row["name"], str(row["truth"]), f"{row['right']} of {row['n']}",
         ", ".join(f"{k}: {v}" for k, v in row["answers"].items())]
        for row in report["rows"]
    ]  # fmt: skip
    return [
        "## `ebsd-cubic` on measured patterns",
        "",
        "Nothing measured is trained on. By `benchmarks/measured.py`; sources in the file. "
        + machine(report["made"]),
        "",
        *table(["patterns", "space group", "right", "answers"], rows),
    ]


def equivalence(report: dict[str, Any]) -> list[str]:
    """Return the section on what physics can't separate."""
    rows = [
        [row["pair"], f"{row['correlation']:.4f}", f"{row['d_prime_standard_noise']:.2f}",
         f"{row['ideal_observer_error']:.2g}"]
        for row in report["rows"]
    ]  # fmt: skip
    return [
        "## What no one can tell apart",
        "",
        "An ordered crystal against its disordered parent, simulated with the same cell at 20 kV, "
        "60 x 60 pixels, noise as strong as the pattern; by `benchmarks/equivalence.py`. The "
        "observer knows both patterns and the orientation exactly, which a network does not.",
        "",
        "![Ordered, disordered, difference](images/equivalence.png)",
        "",
        *table(["pair", "correlation", "d'", "observer errs"], rows),
    ]


def bench(report: dict[str, Any]) -> list[str]:
    """Return the section on speed and memory."""
    rows = [
        [row["name"], "not measured" if row["ratio"] is None else f"{row['ratio']:.2f}",
         row["target"], row["detail"]]
        for row in report["rows"]
    ]  # fmt: skip
    return [
        "## Speed and memory",
        "",
        f"By `make bench`, seed {report['seed']}. {machine(report['made'])}",
        "",
        *table(["row", "ratio", "target", "detail"], rows),
    ]


def main() -> None:
    """Write the page."""
    lines = ["# Results", "", "Written by `benchmarks/report.py` from `benchmarks/results`.", ""]
    for name, write in (
        ("ebsd-cubic", simulated),
        ("measured", measured),
        ("equivalence", equivalence),
        ("bench", bench),
    ):
        report = load(name)
        if report is not None:
            lines += write(report)
    (ROOT / "docs" / "results.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
