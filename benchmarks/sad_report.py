"""Write ``docs/sad_results.md`` from the stored results on spot patterns.

python benchmarks/sad_report.py
"""

from __future__ import annotations

import json
from pathlib import Path

EARLIER = (
    ("20,480 kinematic patterns, 2,500 steps (before)", "sad-cubic-before"),
    ("28,672 kinematic patterns, 2,500 steps", "sad-cubic-kinematic"),
    ("these and 40,960 of thick crystals, 2,500 steps", "sad-cubic-thick"),
)
"""Models that the bundled one is held against, and their stored results."""

SYMMETRY_LEVELS = (
    "crystal_system", "laue_class", "bravais_lattice", "extinction_group", "space_group",
)  # fmt: skip

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
        f"seed {stored['seed']}, by `recipes/sad-cubic/bundle.py`. Simulated: kinematic, and in "
        "the rows on thick crystals by Bloch waves, "
        f"{stored['thick']['thickness'][0]:.0f} to {stored['thick']['thickness'][1]:.0f} Å, "
        f"absorption {stored['thick']['absorption'][0]:g} to "
        f"{stored['thick']['absorption'][1]:g}, {stored['thick']['beams']} beams solved for "
        "together.",
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


def steps_section(stored, earlier) -> list[str]:
    """Return what more patterns bring, and what thick crystals among them bring."""
    lines = [
        "## What more patterns bring, and what thick crystals bring", "",
        "The same crystals and patterns; what training drew and how many steps it took differ. "
        "Which one to bundle was decided on the calibration crystals. Space group, extinction "
        "group, and how often the truth lies in the sets of 95 %, with their mean size:", "",
    ]  # fmt: skip
    models = [(name, one["metrics"]) for name, one in earlier] + [
        ("the same, 6,000 steps (bundled)", stored["metrics"])
    ]
    rows = []
    for condition in stored["metrics"]:
        cells = []
        for _, metrics in models:
            figures = metrics[condition]
            inside = figures["share of the truth in the smallest sets of 95 %"]
            cells.append(
                f"{percent(figures['accuracy']['space_group'])}, "
                f"{percent(figures['accuracy']['extinction_group'])}, "
                f"{percent(inside['truth inside'])} in {inside['mean size']:.1f}"
            )
        rows.append([condition.removeprefix("held-out structures, "), *cells])
    return lines + table(["condition", *(name for name, _ in models)], rows)


FORBIDDEN = "with forbidden spots"


def photograph_section(stored) -> list[str]:
    """Return what is left of the model on photographs by another renderer."""
    low, high = stored["thickness"]
    lines = [
        "## Rendered photographs", "",
        f"{stored['crystals']} cubic crystals of the library's test side, drawn by other programs "
        f"(`benchmarks/photographs.py`, seed {stored['seed']}): grain, vignetting, scratches, a "
        "label and a scale bar burnt in, perspective, JPEG, negatives. The model knows cubic "
        "groups alone, so that the crystal system is not tried here; the Laue class is.", "",
    ]  # fmt: skip
    if stored["abtem"] is None:
        lines += ["abTEM was not at hand: intensities are kinematic.", ""]
    else:
        lines += [
            f"The three blocks show the same orientations, cameras and grain. Bloch waves are "
            f"those of abTEM {stored['abtem']}, {low:.0f} to {high:.0f} Å thick, with up to "
            f"{stored['most_beams']} beams (on average {stored['mean_beams']:.0f}; large cells "
            "would need more).", "",
        ]  # fmt: skip
    shown = {"extinction_group": "extinction group", "laue_class": "Laue class",
             "truth in the set of 95 %": "truth in the set of 95 %",
             "mean set size": "mean set size"}  # fmt: skip
    rows = []
    for name, places in stored["figures"].items():
        for place, row in places.items():
            joined = next((k.split(", ")[1] for k in row if ", " in k), "")
            cells = [f"{name}, {place}"]
            for suffix in ("", f", {joined}"):
                cells += [as_cell(key, row[key + suffix]) for key in shown]
            rows.append(cells)
    lines += table(["", *shown.values(), *(f"{v}, {joined}" for v in shown.values())], rows)
    lines += forbidden_section(stored, shown)
    return lines


def earlier_photographs(stored, before) -> list[str]:
    """Return the photographs' main figures beside those of the model that was bundled before."""
    if before is None:
        return []
    lines = ["The same photographs by the model before, trained on 20,480 kinematic patterns, and "
             "by this one (extinction group; truth in the set of 95 %, with its mean size):",
             ""]  # fmt: skip
    rows = []
    for name, places in stored["figures"].items():
        for place, row in places.items():
            old = before["figures"][name][place]
            rows.append([f"{name}, {place}"] + [
                f"{percent(r['extinction_group'])}; {percent(r['truth in the set of 95 %'])} in "
                f"{r['mean set size']:.1f}" for r in (old, row)
            ])  # fmt: skip
    return lines + table(["", "before", "now"], rows)


def missed(stored) -> list[str]:
    """Return whether the sets on photographs hold what they promise."""
    if not stored:
        return []
    key = "truth in the set of 95 %"
    shares = {n: [row[key] for row in rows.values()] for n, rows in stored["figures"].items()}
    told = "; ".join(f"{n}, {percent(min(v))} to {percent(max(v))}" for n, v in shares.items())
    return [f"- On rendered photographs, one at a time, the truth should lie in the sets for 95 %. "
            f"It does for: {told}."]  # fmt: skip


def forbidden_section(stored, shown: dict[str, str]) -> list[str]:
    """Return how far spots mislead that only double diffraction lights up."""
    cases = {
        (name, place): row for name, places in stored["figures"].items()
        for place, row in places.items() if row.get(FORBIDDEN)
    }  # fmt: skip
    if not cases:
        return []
    lines = [
        f"**Forbidden spots mislead it.** On the photographs by Bloch waves on which a spot that "
        f"the space group forbids is brighter than {stored['lit']:.0%} of the brightest, with "
        "these spots and after taking them out:", "",
    ]  # fmt: skip
    return lines + table(
        ["", "photographs", *shown.values()],
        [[f"{name}, {place}", str(row["photographs with forbidden spots"]),
          *(as_cell(key, row[FORBIDDEN][key]) for key in shown)]
         for (name, place), row in cases.items()],
    )  # fmt: skip


def as_cell(key: str, value: float) -> str:
    """Return a share, or a number where it is one."""
    return f"{value:.1f}" if key.startswith("mean set size") else percent(value)


def bloch_section(stored) -> list[str]:
    """Return how far the package's Bloch waves can be trusted."""
    made = stored["abtem"]
    lines = [
        "## Bloch waves against abTEM", "",
        f"By `benchmarks/bloch.py`; abTEM {made['abtem']}, computed by "
        "`benchmarks/make_bloch_reference.py`, which says how. The differences are the largest "
        "over the direct beam and the strongest spots, in shares of the incident beam; the "
        "correlation is over the spots. Lobato's scattering factors are those of the package too, "
        "Kirkland's are others. Bloch waves are compared with the same beams on both sides, "
        "multislice with our largest set (with fewer: `benchmarks/results/bloch.json`).", "",
    ]  # fmt: skip
    rows = []
    widest = max(row["g_max"] for row in stored["agreement"])
    for row in stored["agreement"]:
        if "multislice" in row["program"] and row["g_max"] < widest:
            continue
        axis = row["axis"]
        where = "off any axis" if axis is None else f"[{''.join(map(str, axis))}]"
        rows.append([
            f"{row['structure']} {where}, {row['voltage']:.0f} kV", row["program"],
            f"{row['beams']}",
            *(f"{d:.1e}" for d in row["largest difference"]), f"{min(row['correlation']):.6f}",
        ])  # fmt: skip
    depths = [f"at about {t:.0f} Å" for t in (60, 200, 500)]
    lines += table(["case", "abTEM", "our beams", *depths, "lowest correlation"], rows)
    lines += ["The same spots with fewer beams, against the set in the first row: the largest "
              "difference of a spot up to 1.3 1/Å, as the median of these cases and in the worst "
              "one.", ""]  # fmt: skip
    depths = [f"{t:.0f} Å" for t in stored["convergence"][0]["thicknesses"]]
    rows = []
    for row in stored["convergence"]:
        median = row["largest difference, median of the cases"]
        worst = row["largest difference, worst case"]
        cells = [""] * len(depths) if median is None else [
            f"{m:.3f}, {w:.3f}" for m, w in zip(median, worst, strict=True)
        ]  # fmt: skip
        rows.append([f"to {row['g_max']:g} 1/Å, excitation error to {row['max_excitation']:g}",
                     f"{row['mean beams']:.0f}", *cells])  # fmt: skip
    lines += table(["beams", "mean number", *depths], rows)
    lines += ["Silicon at 200 kV, a spot that the diamond structure forbids over the strongest "
              "one:", ""]  # fmt: skip
    lines += table(["spot", *depths], [
        [f"{''.join(map(str, row['hkl']))} at [{''.join(map(str, row['axis']))}]",
         *(percent(v) for v in row["over the strongest spot"])] for row in stored["forbidden"]
    ])  # fmt: skip
    lines += ["Time of a pattern in a random orientation, one thread:", ""]
    lines += table(["crystal", "mean number of beams", "ms a pattern"], [
        [row["structure"], f"{row['mean beams']:.0f}", f"{1e3 * row['seconds of a pattern']:.1f}"]
        for row in stored["seconds"]
    ])  # fmt: skip
    return lines


def symmetry_section(stored) -> list[str]:
    """Return what the model for crystals of all systems reaches."""
    training = stored["training"]
    lines = [
        "## `sad-symmetry` on crystals it never saw", "",
        f"{stored['structures']} crystals of all 230 groups, of prototypes that training has not "
        f"seen, real and synthetic; {stored['patterns_per_structure']} patterns of each, seed "
        f"{stored['seed']}, by `recipes/sad-cubic/bundle.py --name sad-symmetry`. Simulated, "
        f"kinematic. Trained on {training['structures']} crystals: {training.get('how', '')}", "",
        "One pattern:", "",
    ]  # fmt: skip
    rows = []
    for name, figures in stored["metrics"].items():
        coverage = figures["share of the truth in the smallest sets of 95 %"]
        for kind in ("all", "library structures", "library structures, groups as often as met"):
            values = figures["accuracy"] if kind == "all" else figures[kind]
            inside = f"{percent(coverage['truth inside'])} in {coverage['mean size']:.0f} groups"
            rows.append([
                name.removeprefix("held-out structures, "), kind,
                *(percent(values[level]) for level in SYMMETRY_LEVELS),
                *((inside, f"{figures['ece']:.3f}") if kind == "all" else ("", "")),
            ])  # fmt: skip
    lines += table(["condition", "crystals", *(n.replace("_", " ") for n in SYMMETRY_LEVELS),
                    "truth in the sets of 95 %", "ECE"], rows)  # fmt: skip
    lines += ["Several patterns of one crystal, joined by `combine` (crystal system, extinction "
              "group, space group, all crystals):", ""]  # fmt: skip
    first = next(iter(stored["metrics"].values()))
    keys = [key for key in first["joined"] if key.startswith("bayes")]
    lines += table(
        ["condition", *(key.removeprefix("bayes, ") for key in keys)],
        [[name.removeprefix("held-out structures, "), *(
            ", ".join(percent(figures["joined"][key][level]) for level in
                      ("crystal_system", "extinction_group", "space_group")) for key in keys)]
         for name, figures in stored["metrics"].items()],
    )  # fmt: skip
    return lines


def main() -> None:
    """Write the page."""
    lines = ["# Results on spot patterns", "",
             "Written by `benchmarks/sad_report.py` from `benchmarks/results`.", ""]  # fmt: skip
    stored = load("sad-cubic")
    if stored:
        lines += model_section(stored)
        before = [(text, load(name)) for text, name in EARLIER]
        lines += steps_section(stored, [(text, one) for text, one in before if one])
    symmetry = load("sad-symmetry")
    if symmetry:
        lines += symmetry_section(symmetry)
    photographs = load("photographs")
    if photographs:
        lines += photograph_section(photographs)
        lines += earlier_photographs(photographs, load("photographs-before"))
    bloch = load("bloch")
    if bloch:
        lines += bloch_section(bloch)
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
              "- No measured, labelled spot patterns are at hand: every figure here is simulated.",
              *missed(photographs),
              "- Thick crystals: half of the training is Bloch waves of parallel slabs in a still "
              "beam. Wedges, bending and inelastic scattering are not in it, and precession, which "
              "weakens double diffraction, is in the kinematic half alone.",
              "- A forbidden spot that shows still misleads the model: see the photographs on "
              "which one does. Its sets keep their promise on simulated thick crystals, not there.",
              "- One pattern in a random orientation often shows too little: 4 to 20 spots of a "
              "small cell, no row or zone in which a screw axis or glide plane could be seen.",
              "- Rendered photographs: scratches, labels and coarse grain leave false spots, which "
              "spoil the lattice. The answer is then vague, as it should be, but rarely right; cut "
              "labels off and join several patterns.",
              "- A small cell along a low zone axis shows a lattice that several groups share; one "
              "such pattern can't decide, and the model says so.",
              "- `sad-symmetry`, all 230 groups, is not bundled: its network (`latticenet`) and "
              "recipe (`recipes/sad-symmetry`) are there, its training has not come far enough. "
              "`sad-cubic` knows the cubic lattice alone.",
              "- Published figures for one pattern in any orientation, 70.2 % space group and 89.2 "
              "% crystal system, are over all systems and the frequencies of a database; here all "
              "36 cubic groups count alike. The two can't be compared directly.",
              ""]  # fmt: skip
    (HERE.parent / "docs" / "sad_results.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
