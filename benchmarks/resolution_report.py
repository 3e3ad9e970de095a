"""Sections of ``report.py`` on the resolution of master patterns and of what folds them."""

from __future__ import annotations

from typing import Any

from report_table import table


def fold_resolution(report: dict[str, Any]) -> list[str]:
    """Return the section on where weak superlattices could be lost before the network."""
    steps = list(report["rows"][0]["d_prime"])
    rows = [
        [row["name"], f"{row['hidden_share']:.1%}",
         *(f"{row['d_prime'][step]:.1f}" for step in steps)]
        for row in report["rows"]
    ]  # fmt: skip
    return [
        "### Not lost on the way to the network",
        "",
        "By `benchmarks/fold_resolution.py`: the distance d' of an ordered crystal and its "
        f"disordered parent at each step, standard noise, {report['views']} views; `ebsd-cubic` "
        "folds into 32 cells. Noise that neighbouring cells share is counted as if they did not, "
        "which flatters fine grids. What the network misses is there where it reads: it is not "
        "the resolution that limits it.",
        "",
        *table(["structure", "hidden share", *steps], rows),
    ]


def aliasing(report: dict[str, Any]) -> list[str]:
    """Return the section on master patterns whose grid is too coarse."""
    grids = [
        [g["set"], g["grid"], str(g["structures"]), f"{g['threefold']['median']:.2f}",
         f"{g['threefold']['p10']:.2f}"]
        for g in report["grids"]
    ]  # fmt: skip
    rows = [
        [r["set"], r["model"], r["condition"], r["grid"], f"{r['accuracy']['space_group']:.1%}",
         f"{r['accuracy']['equivalence_set']:.1%}", f"{r['accuracy']['bravais_lattice']:.1%}",
         f"{r['ece']:.3f}"]
        for r in sorted(report["rows"], key=lambda r: (
            r["set"], r["model"] != "before", r["condition"], r["grid"]))
    ]  # fmt: skip
    return [
        "### Lines finer than the grid of a master pattern",
        "",
        "By `benchmarks/aliasing.py`. Until November 2026 the master patterns of `ebsd-cubic` were "
        "simulated at one energy on grids of half size 60 to 72, its held-out ones too. Finer "
        "lines came back as noise that is fixed to the crystal. A master pattern of a cubic "
        "crystal turned about [111] should be itself, but for what interpolation between points "
        "1.25 degrees apart blurs; correlations over the sphere:",
        "",
        *table(["set", "grid", "structures", "median", "tenth percentile"], grids),
        "",
        "The model from before, and the present one, on the same structures simulated both ways "
        f"({report['patterns_per_structure']} patterns each). The figures of the model from "
        "before on the coarse grid, which stood here, flattered it: it had learnt the noise.",
        "",
        *table(["set", "model", "condition", "grid", "space group", "set or group", "lattice",
                "ECE"], rows),
    ]  # fmt: skip
