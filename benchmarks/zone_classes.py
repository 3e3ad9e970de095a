"""How many classes zone-axis patterns fall into, and which (space group, axis) is in which.

    python benchmarks/zone_classes.py

Writes ``benchmarks/results/zone_classes.json`` and ``docs/zone_classes.md``. Nothing is random.
"""

from __future__ import annotations

import json
from pathlib import Path

from napari_spacegroup.crystal import (
    EffectiveGroup,
    coinciding_groups,
    effective_groups,
    level_name,
    low_index_axes,
    zone_classes,
)
from napari_spacegroup.workflows.provenance import provenance

HERE = Path(__file__).parent
PAPER = (213, 221, 225, 227, 229)
AXES = 16


def main() -> None:
    """Compute and write both files."""
    axes = low_index_axes(AXES)
    all_ways = {g: effective_groups(g) for g in PAPER}
    # The paper counts 227 three times and the others once: 7 x 16 = 112 patterns.
    paper_ways = [w for g in PAPER for w in (all_ways[g] if g == 227 else all_ways[g][:1])]
    cases = {
        "five groups": [EffectiveGroup(g) for g in PAPER],
        "five groups, 227 in its three ways (the paper's 112)": paper_ways,
        "five groups, 213 and 227 in all their ways": [w for g in PAPER for w in all_ways[g]],
        "all 36 cubic groups": [EffectiveGroup(g) for g in range(195, 231)],
    }
    counts = {}
    for name, groups in cases.items():
        found = zone_classes(groups, axes)
        counts[name] = {"pairs": len(groups) * AXES, "classes": len(found.patterns)}
    table = zone_classes(paper_ways, axes)
    together = coinciding_groups(cases["all 36 cubic groups"], axes)
    rows = [
        {
            "class": name,
            "angles": [round(a, 2) for a in table.patterns[name].lattice.angles],
            "chirality": table.patterns[name].lattice.chirality,
            "absent": sum(table.patterns[name].absent),
            "members": [[str(g), list(axis)] for g, axis in pairs],
        }
        for name, pairs in table.members.items()
    ]
    sets = [[g.space_group for g in members] for members in together]
    stored = {"axes": axes, "counts": counts, "coinciding": sets, "classes": rows,
              "made": provenance()}  # fmt: skip
    (HERE / "results" / "zone_classes.json").write_text(
        json.dumps(stored, indent=1) + "\n", encoding="utf-8"
    )
    (HERE.parent / "docs" / "zone_classes.md").write_text(
        page(axes, counts, sets, rows), encoding="utf-8"
    )
    for name, count in counts.items():
        print(f"{name}: {count['classes']} classes of {count['pairs']} pairs")


def page(axes, counts, sets, rows) -> str:
    """Return the page of the docs."""
    lines = [
        "# Classes of zone-axis patterns", "",
        "Written by `benchmarks/zone_classes.py`; the algorithm is in",
        "`napari_spacegroup.crystal.zone_patterns`. The letter is the lattice that the visible",
        "spots generate (A square, B rectangle, C hexagon, D parallelogram, centred rectangles",
        "too), the first number its angles, the second which of its nodes are dark.", "",
        f"Zone axes: {', '.join(_axis(a) for a in axes)}, the {len(axes)} lowest directions; the",
        "paper (RSC Adv. 2021, 11, 38307) takes 16 too and names seven, all of them here. It",
        "counts 60 classes of 112 pairs. Which 16, how near two angles or how weak a spot may be",
        "is not said there, so the counts need not agree; relative intensities, which it uses",
        "besides absences, enter here only where positions of atoms extinguish reflections.", "",
        "| patterns | pairs | classes |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {name} | {c['pairs']} | {c['classes']} |" for name, c in counts.items()]
    lines += ["", "## Groups that look alike along every one of these axes", "",
              "| groups | symbols |", "|---|---|"]  # fmt: skip
    for members in sets:
        symbols = ", ".join(level_name(g, "space_group") for g in members)
        lines.append(f"| {', '.join(map(str, members))} | {symbols} |")
    lines += ["", "Intensities can still tell the Laue class m-3 from m-3m within a set, where a",
              "crystal's structure makes them differ enough.", "",
              "## The 112 pairs", "",
              "| class | angles [degrees] | mirror image | patterns |",
              "|---|---|---|---|"]  # fmt: skip
    for row in rows:
        groups: dict[str, list[str]] = {}
        for group, axis in row["members"]:
            groups.setdefault(group, []).append(_axis(axis))
        words = "; ".join(f"{g}: {', '.join(a)}" for g, a in groups.items())
        other = {0: "", 1: "left", -1: "right"}[row["chirality"]]
        angles = ", ".join(f"{a:.2f}" for a in row["angles"])
        lines.append(f"| {row['class']} | {angles} | {other} | {words} |")
    return "\n".join(lines) + "\n"


def _axis(axis) -> str:
    return "[" + "".join(map(str, axis)) + "]"


if __name__ == "__main__":
    main()
