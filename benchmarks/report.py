"""Write ``docs/results.md`` from the stored results: no figure of the docs is typed in.

python benchmarks/report.py
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from paper_report import paper_runs
from report_table import machine, table
from resolution_report import aliasing, fold_resolution
from symmetry_report import measured_symmetry, symmetry

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
EARLIER = (
    "Orientation and pattern center and the ablation of the randomisation were measured with the "
    "network before band profiles; its orientation search is the same. The network beside the "
    "bound of the ideal observer is the model trained on the first 1,997 structures. "
    "Only `ebsd-cubic` is trained and judged on master patterns of a fine grid; all other "
    "simulated figures of EBSD but its textbook crystals, those of `ebsd-m3m` and "
    "`ebsd-symmetry` too, are of coarse grids, whose noise a model can learn (*Lines finer than "
    "the grid of a master pattern*), and will change."
)
LEVELS = ("space_group", "equivalence_set", "extinction_group", "bravais_lattice")


def load(name: str) -> dict[str, Any] | None:
    """Return a stored result, or None."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def simulated(report: dict[str, Any], name: str = "ebsd-cubic") -> list[str]:
    """Return the section on simulated patterns."""
    training = report["training"]
    lines = [
        f"## `{name}` on simulated patterns of structures it never saw",
        "",
        f"{report['patterns_per_structure']} patterns per structure, seed {report['seed']}; by "
        f"`recipes/ebsd-cubic/bundle.py`. Trained on {training['structures']} structures, last "
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
        missed = [name for name, row in phases if row["space_group"] < 0.1]
        if missed:
            lines += [
                f"Missed as a whole, in nine of ten patterns or more: {', '.join(missed)}.",
                "",
            ]
        risk = ", ".join(
            f"{p['risk']:.1%} at {p['coverage']:.0%}" for p in metrics["coverage_risk"]
        )
        lines += [f"Errors among the most confident: {risk}.", ""]
    return lines


def learning_curve(report: dict[str, Any]) -> list[str]:
    """Return the section on how many structures it takes."""
    rows = [
        [str(r["structures"]), f"{r['accuracy']:.1%}", f"{r['balanced']:.1%}"]
        for r in report["rows"]
    ]
    return [
        "## How many structures it takes",
        "",
        f"Simulated, by `benchmarks/learning_curve.py`: the same network from scratch, "
        f"{report['steps']} steps each, seed {report['seed']}, on more and more of the training "
        f"structures, {report['patterns_per_structure']} patterns of each held-out structure, "
        f"condition standard. {machine(report['made'])}",
        "",
        *table(["training structures", "held-out structures right", "balanced over groups"], rows),
        "Twice as many structures of the same kinds bring about a point: it is less their number "
        "than new structure types that limits it.",
        "",
    ]


def made_up(report: dict[str, Any]) -> list[str]:
    """Return the section on what made-up crystals add to real ones."""
    rows = [
        [str(r["structures"]), ", ".join(f"{n} {name}" for name, n in r["added"].items()) or "none",
         f"{r['accuracy']:.1%}", f"{r['balanced']:.1%}"]
        for r in report["rows"]
    ]  # fmt: skip
    few = {tuple(r["added"]): r["accuracy"] for r in report["rows"] if r["structures"] == 415}
    gain = few["synthetic",] - few[()]
    return [
        "## What made-up crystals add",
        "",
        f"Simulated, by `benchmarks/learning_curve.py --add`: {report['steps']} steps each, seed "
        f"{report['seed']}, on real structures and on crystals that no library holds: synthetic "
        "ones (`crystal.synthetic_phase`) and ordered superstructures of simple ones "
        "(`crystal.ordered_superstructures`). All prototypes that are tried are held out. "
        f"{machine(report['made'])}",
        "",
        *table(["real structures", "made-up ones", "held-out structures right",
                "balanced over groups"], rows),
        f"Beside few real structures synthetic ones are worth {100 * gain:.1f} points, "
        "superstructures cost more than they bring, and beside all real structures neither helps: "
        "the distribution of structures counts, not their number. The steps are the same "
        "everywhere, so that a larger set is seen less often.",
        "",
    ]  # fmt: skip


def indexing(report: dict[str, Any]) -> list[str]:
    """Return the section on orientations and pattern centers."""
    keys = ("median degree", "within 0.5 degree", "within 1 degree", "within 2 degree")

    def row(title: str, found: dict[str, Any], explained: float) -> list[str]:
        cells = [f"{found[keys[0]]:.2f}°", *(f"{found[key]:.1%}" for key in keys[1:])]
        return [title, str(found["n"]), *cells, f"{explained:.2f}"]

    head = ["patterns", "n", "median error", "within 0.5°", "1°", "2°", "explained share"]
    simulated = [row(name, found, found["explained where right"])
                 for name, found in report["simulated"].items()]  # fmt: skip
    centers = [
        [count, str(found["structures"]), f"{found['within 0.01']:.0%}",
         f"{found['said to be good']:.0%}",
         f"{found['within 0.01 of those']:.0%}", f"{found['median largest error']:.4f}"]
        for count, found in report["centers"].items()
    ]  # fmt: skip
    lines = [
        "## Orientation and pattern center, the crystal unknown",
        "",
        f"By `benchmarks/indexing.py`, seed {report['seed']}. {machine(report['made'])}",
        "",
        f"**Simulated**, the {report['structures']} held-out structures, pattern center known:",
        "",
        *table(head, simulated),
        "Pattern center unknown, standard condition, some of those structures. A center "
        "is said to be good where cubic crystals explain a fifth of the patterns with it:",
        "",
        *table(["patterns that share it", "structures", "found within 0.01", "said to be good",
                "of those within 0.01", "median error"], centers),
        "**Measured**, against the orientations in the files, which were found knowing the "
        "phase:",
        "",
        *table(head, [row(k, v, v["explained"]) for k, v in report["measured"].items()]),
    ]  # fmt: skip
    for name, found in report["measured"].items():
        stated, center = (", ".join(f"{v:.3f}" for v in found[f"center {k}"])
                          for k in ("of the file", "found"))  # fmt: skip
        lines.append(f"Pattern center of {name}: ({stated}) in the file, ({center}) found.")
    return [*lines, ""]


def alphabetical(formula: str) -> str:
    """Return a formula with its elements in alphabetical order, as the structure set has it."""
    return "".join(sorted(re.findall(r"[A-Z][a-z]?[0-9.]*", formula)))


def trained_formulas() -> set[str]:
    """Return the formulas of the stored training sets."""
    with np.load(ROOT / "recipes" / "ebsd-cubic" / "sets" / "train.npz") as stored:
        return {record["name"] for record in json.loads(str(stored["records"]))}


def textbook(report: dict[str, Any]) -> list[str]:
    """Return the section on eight CIFs typed from textbooks."""
    rows = [
        [name, str(row["truth"]), f"{row['space_group']:.0%}", f"{row['bravais_lattice']:.0%}",
         ", ".join(f"{k}: {v}" for k, v in row["answers"].items())]
        for name, row in report["per_phase"].items()
    ]  # fmt: skip
    accuracy = report["accuracy"]
    trained = trained_formulas()
    known = [name for name in report["per_phase"] if alphabetical(name) in trained]
    return [
        "## Eight textbook crystals, the user's way",
        "",
        "Simulated: `napari-spacegroup evaluate ebsd-cubic --phases benchmarks/textbook "
        "--patterns-per-phase 30`, at 15, 20 and 25 kV, condition standard. In all "
        f"space group {accuracy['space_group']:.1%}, Bravais lattice "
        f"{accuracy['bravais_lattice']:.1%}. Of {', '.join(known) or 'none of them'} there are "
        "structures of the same formula in the training set.",
        "",
        *table(["phase", "space group", "right", "Bravais lattice", "answers"], rows),
    ]


def ablation(report: dict[str, Any]) -> list[str]:
    """Return the section on what each randomisation brings."""
    names = list(report["rows"][0]["measured"])
    rows = [
        [row["variant"], f"{row['simulated']:.1%}",
         *(f"{row['measured'][n]['right']} of {row['measured'][n]['n']}" for n in names)]
        for row in report["rows"]
    ]  # fmt: skip
    return [
        "## What each randomisation of the training brings",
        "",
        f"By `benchmarks/ablation.py`: {report['steps']} steps on {report['structures']} "
        f"structures, seed {report['seed']}, one run each, so differences of a few patterns are "
        f"chance. The second column is simulated, the others measured. {machine(report['made'])}",
        "",
        *table(["training", "held-out structures, standard", *names], rows),
    ]


def measured(report: dict[str, Any], name: str = "ebsd-cubic") -> list[str]:
    """Return the section on measured patterns."""
    rows = [
        [row["name"], str(row["truth"]), f"{row['right']} of {row['n']}",
         ", ".join(f"{k}: {v}" for k, v in row["answers"].items())]
        for row in report["rows"]
    ]  # fmt: skip
    return [
        f"## `{name}` on measured patterns",
        "",
        "Nothing measured is trained on. By `benchmarks/measured.py`; sources in the file. "
        + machine(report["made"]),
        "",
        *table(["patterns", "space group", "right", "answers"], rows),
    ]


def resolution(report: dict[str, Any]) -> list[str]:
    """Return the section on how fine a detail the network is shown."""
    lines = [
        "### How fine a detail the network is shown",
        "",
        "By `benchmarks/resolution.py`: the same patterns, blurred by an angle before they are "
        "folded. Master patterns of the training have a point a degree; a far screen shows finer "
        f"lines. {report['patterns_per_structure']} patterns of each held-out structure, condition "
        "standard, and the measured ones (a third of the ferrite map). Held-out structures of the "
        "last weights are of a fine grid, before them of a coarse one: compare within a table.",
        "",
    ]
    for run in report["runs"]:
        names = list(run["rows"][0]["measured"])
        own = run["resolution"]
        how = f"patterns blurred by {own:g}°" if own else "patterns as they are"
        rows = [
            [f"{row['angle']:g}°", f"{row['simulated']:.1%}",
             *(f"{row['measured'][n]['right']} of {row['measured'][n]['n']}" for n in names)]
            for row in run["rows"]
        ]  # fmt: skip
        lines += [
            f"Weights {run['sha256'][:8]}, which read {how}. {machine(run['made'])}",
            "",
            *table(["blur", "held-out structures, simulated", *names], rows),
        ]
    return lines


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


def observer(report: dict[str, Any]) -> list[str]:
    """Return the section on the ideal observer and the network beside it."""
    standard = report["noises"].index(1.0)
    rows = [
        [row["name"], f"{row['space_group']} as {row['parent']}", f"{row['hidden_share']:.2%}",
         f"{row['d_prime']:.2f}", f"{row['error']:.2g}", f"{row['network'][standard]:.2f}"]
        for row in report["rows"]
    ]  # fmt: skip
    groups = [
        [name, str(found["structures"]), f"{found['share']:.1%}"]
        for name, found in report["groups"].items()
        if found["share"] > 0
    ]
    known = report["uncertainty"]
    return [
        "## The bound, and the network beside it",
        "",
        "By `benchmarks/observer.py`, simulated at 20 kV: held-out structures against their "
        "average over the translations that they nearly have, which has the same cell and "
        "composition and another group. The ideal observer knows both crystals, not the "
        f"orientation (to {known['orientation']}°), the pattern center (to "
        f"{known['pattern_center']} of the height), the background, the strength of fine "
        "structure and the asymmetry of bands; the network, which knows no crystal, chooses "
        "between the same two groups on the same patterns. Half wrong is a coin toss. "
        + machine(report["made"]),
        "",
        "![Bound and network](images/observer.png)",
        "",
        *table(["structure", "groups", "hidden share", "d'", "bound", "network"], rows),
        "Nobody can tell two crystals apart in more than a tenth of all cases where the share of "
        f"intensity that the parent forbids is below {report['hidden_share_limit']:.2%}. "
        "Structures of the set below it (at most five of a prototype):",
        "",
        *table(["group, as", "structures", "below the limit"], groups),
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
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/report.py` from `benchmarks/results`.",
        "",
        EARLIER,
        "",
    ]
    for name, write in (
        ("ebsd-cubic", simulated),
        ("textbook", textbook),
        ("measured", measured),
        ("resolution", resolution),
        ("ebsd-m3m", partial(simulated, name="ebsd-m3m")),
        ("measured_m3m", partial(measured, name="ebsd-m3m")),
        ("ebsd-symmetry", symmetry),
        ("measured_symmetry", measured_symmetry),
        ("indexing", indexing),
        ("learning_curve", learning_curve),
        ("made_up_crystals", made_up),
        ("ablation", ablation),
        ("equivalence", equivalence),
        ("observer", observer),
        ("fold_resolution", fold_resolution),
        ("aliasing", aliasing),
        ("paper_sectornet", paper_runs),
        ("bench", bench),
    ):
        report = load(name)
        if report is not None:
            lines += write(report)
    (ROOT / "docs" / "results.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
