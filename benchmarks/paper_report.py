"""The section of the results page on the EBSD paper's experiment."""

from __future__ import annotations

from typing import Any

from paper_runs import CLASSES, NAMES
from report_table import machine, table


def paper_runs(report: dict[str, Any]) -> list[str]:
    """Return the section on what the network learns from few materials."""
    runs = [
        [run["name"], f"{run['accuracy']:.1%}",
         "-" if run["accuracy_new_materials"] is None else f"{run['accuracy_new_materials']:.1%}",
         "-" if run["paper"] is None else f"{run['paper']:.1%}"]
        for run in report["runs"]
    ]  # fmt: skip
    names = sorted(report["group_of"], key=lambda name: (report["group_of"][name], name))
    materials = [
        [NAMES.get(name, name), str(report["group_of"][name]), *(
            f"**{run['materials'][name]['recall']:.0%}**" if run["materials"][name]["is_trained"]
            else f"{run['materials'][name]['recall']:.0%}" for run in report["runs"]
        )]
        for name in names
    ]  # fmt: skip
    groups = [
        [str(g), *(f"{run['space_groups'][str(g)]['precision']:.2f} / "
                   f"{run['space_groups'][str(g)]['recall']:.2f}" for run in report["runs"])]
        for g in CLASSES
    ]  # fmt: skip
    head = [run["name"] for run in report["runs"]]
    return [
        "## The EBSD paper's experiment",
        "",
        f"By `benchmarks/paper_runs.py`, architecture {report['architecture']}, seed "
        f"{report['seed']}: six networks, each from scratch on 400 patterns per space group of the "
        "materials of its run. Ours on simulated patterns in the *standard* condition; the paper's "
        "(Kaufmann et al. 2020, figures 2, 7 and 10; Xception) on measured ones of one geometry, "
        "which compare in their order alone. The orientation search of ours was made from the "
        "materials that `ebsd-cubic` was trained on, to which Ni, Al, Si and Fe belong. "
        f"{machine(report['made'])}",
        "",
        *table(["trained on", "all 18", "materials not trained on", "paper, all 18"], runs),
        "![Share of patterns right, by material](images/paper_sectornet.png)",
        "",
        "Share right by material; bold where the run was trained on it:",
        "",
        *table(["material", "group", *head], materials),
        "Precision and recall by space group:",
        "",
        *table(["group", *head], groups),
    ]
