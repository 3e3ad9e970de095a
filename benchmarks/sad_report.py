"""Write ``docs/sad_results.md`` from the stored results on spot patterns.

python benchmarks/sad_report.py
"""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def load(name: str):
    """Return a stored result, or None where it was not made."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def percent(value) -> str:
    """Return a share as text."""
    return "" if value is None else f"{value:.1%}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def model_section(stored) -> list[str]:
    """Return what the bundled model reaches."""
    training = stored["training"]
    lines = [
        "## `sad-cubic` on crystals it never saw", "",
        f"{stored['structures']} crystals of prototypes that training has not seen, real and "
        f"synthetic, all 36 cubic groups; {stored['patterns_per_structure']} patterns of each, "
        f"seed {stored['seed']}, by `recipes/sad-cubic/bundle.py`. Simulated, kinematic.",
        f"Trained on {training['structures']} crystals: {training.get('how', '')}", "",
    ]  # fmt: skip
    rows = []
    for name, figures in stored["metrics"].items():
        accuracy = figures["accuracy"]
        coverage = figures["share of the truth in the smallest sets of 95 %"]
        rows.append([
            name.removeprefix("held-out structures, "), percent(accuracy["space_group"]),
            percent(accuracy["equivalence_set"]), percent(accuracy["extinction_group"]),
            percent(figures["extinction_group of library structures"]),
            percent(accuracy["laue_class"]), percent(accuracy["bravais_lattice"]),
            f"{percent(coverage['truth inside'])} in {coverage['mean size']:.1f} groups",
            f"{figures['ece']:.3f}",
        ])  # fmt: skip
    lines += table(["condition", "space group", "set", "extinction group",
                    "the same, library structures alone", "Laue class", "lattice",
                    "truth in the sets of 95 %", "ECE"], rows)  # fmt: skip
    lines += ["Several patterns of one crystal, joined by `combine` (extinction group; "
              f"independence {stored['independence']:.2f}, fitted on other crystals):",
              ""]  # fmt: skip
    names = list(stored["metrics"])
    keys = list(stored["metrics"][names[0]]["joined"])
    lines += table(
        ["condition", *keys],
        [[n.removeprefix("held-out structures, "),
          *(percent(stored["metrics"][n]["joined"][k]["extinction_group"]) for k in keys)]
         for n in names],
    )  # fmt: skip
    return lines


def main() -> None:
    """Write the page."""
    lines = ["# Results on spot patterns", "",
             "Written by `benchmarks/sad_report.py` from `benchmarks/results`.", ""]  # fmt: skip
    stored = load("sad-cubic")
    if stored:
        lines += model_section(stored)
    photographs = load("photographs")
    if photographs:
        lines += ["## Rendered photographs", "",
                  f"{photographs['crystals']} crystals of the library's test side, drawn by "
                  "another program (`benchmarks/photographs.py`): grain, vignetting, scratches, a "
                  "label and a scale bar burnt in, perspective, JPEG, negatives.", ""]  # fmt: skip
        figures = photographs["figures"]
        keys = [k for k in next(iter(figures.values())) if k not in ("photographs",)]
        lines += table(["", *keys], [
            [name, *(percent(row[k]) if k != "mean set size" else f"{row[k]:.1f}" for k in keys)]
            for name, row in figures.items()
        ])  # fmt: skip
    resnets = load("sad-resnets")
    lines += ["## The five ResNets of the paper", ""]
    if resnets:
        whole = "the paper's protocol" if resnets["is_the_papers_protocol"] else "**reduced**"
        lines += [f"`recipes/sad-paper/resnets.py`, {whole}, {resnets['classes']} classes, options "
                  f"{resnets['options']}:", ""]  # fmt: skip
        lines += table(["network", "accuracy", "parameters", "ms an image"], [
            [name, percent(row["accuracy"]), f"{row['parameters'] / 1e6:.1f} M",
             f"{row['ms_per_image']:.2f}"] for name, row in resnets["rows"].items()
        ])  # fmt: skip
    lines += ["The whole protocol (25 epochs of 68,480 pictures, five networks) was not run: it "
              "needs a GPU. The recipe is `recipes/sad-paper/resnets.py`, one command.",
              ""]  # fmt: skip
    spots = load("spots")
    if spots:
        lines += ["## Speed of the renderer", ""]
        lines += table(["row", "ratio", "asked for", "detail"], [
            [r["name"], "not measured" if r["ratio"] is None else f"{r['ratio']:.1f}x",
             r["target"], r["detail"]] for r in spots["rows"]
        ])  # fmt: skip
    lines += ["## What falls short", "",
              "- No measured, labelled spot patterns are at hand: every figure here is simulated, "
              "and none says how well a real crystal with dynamical intensities is read.",
              "- One pattern in a random orientation often shows too little: 4 to 20 spots of a "
              "small cell, no row or zone in which a screw axis or glide plane could be seen.",
              "- Rendered photographs: scratches, labels and coarse grain leave false spots, which "
              "spoil the lattice. The answer is then vague, as it should be, but rarely right; cut "
              "labels off and join several patterns.",
              "- A small cell along a low zone axis shows a lattice that several groups share; one "
              "such pattern can't decide, and the model says so.",
              "- `sad-symmetry`, all 230 groups, is not there: indexing of spots knows the cubic "
              "lattice alone.",
              "- Published figures for one pattern in any orientation, 70.2 % space group and 89.2 "
              "% crystal system, are over all systems and the frequencies of a database; here all "
              "36 cubic groups count alike. The two can't be compared directly.",
              ""]  # fmt: skip
    (HERE.parent / "docs" / "sad_results.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
