"""The sections of ``docs/results.md`` on ``ebsd-symmetry``."""

from __future__ import annotations

from typing import Any

from report_table import machine, table


def symmetry(report: dict[str, Any]) -> list[str]:
    """Return the section on the symmetry that patterns of all systems show."""
    training, metrics = report["training"], report["metrics"]
    rows = [
        [title, str(m["structures"]), str(m["n"]), f"{m['accuracy']['laue_class']:.1%}",
         f"{m['balanced_laue_class']:.1%}", f"{m['accuracy']['crystal_system']:.1%}",
         f"{m['ece']['laue_class']:.3f}"]
        for title, m in metrics.items()
    ]  # fmt: skip
    answers = metrics["held-out prototypes, standard"]["answers"]
    names = list(answers)
    counts = [
        [name, *(str(answers[name].get(other, "")) for other in names)]
        for name in names
        if answers[name]
    ]
    return [
        "## `ebsd-symmetry`: the Laue class of any crystal",
        "",
        f"Simulated, by `recipes/ebsd-symmetry`: {training['structures']} structures of all Laue "
        f"classes to train on, {training['patterns']:,} patterns, seed {training['seed']}. "
        f"{machine(report['made'])}",
        "",
        *table(["patterns", "structures", "patterns in all", "Laue class", "balanced over classes",
                "crystal system", "ECE of the Laue class"], rows),
        "Answers to held-out prototypes, condition standard, one row for each true class:",
        "",
        *table(["Laue class", *names], counts),
    ]  # fmt: skip


def measured_symmetry(report: dict[str, Any]) -> list[str]:
    """Return the section on measured patterns of all systems."""
    rows = []
    for row in report["rows"]:
        laue = row["laue_class"]
        rows.append(
            [row["name"], f"{row['truth']} ({laue['truth']})", f"{laue['right']} of {row['n']}",
             f"{row['crystal_system']['right']} of {row['n']}", f"{laue['probability']:.2f}",
             ", ".join(f"{name}: {n}" for name, n in laue["answers"].items())]
        )  # fmt: skip
    return [
        "### `ebsd-symmetry` on measured patterns",
        "",
        "Nothing measured is trained on. By `benchmarks/measured_symmetry.py`. "
        + machine(report["made"]),
        "",
        *table(["patterns", "space group (Laue class)", "Laue class right", "crystal system right",
                "mean probability of the right class", "answers"], rows),
    ]  # fmt: skip
