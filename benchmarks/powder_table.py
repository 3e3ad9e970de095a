"""Write the tables of docs/powder.md from what powder.py and powder_index.py stored.

python benchmarks/powder_table.py
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "powder.md"
RESULTS = ROOT / "benchmarks" / "results"
SYNTHETIC = "synthetic"


def table(name: str) -> list[str]:
    """Return the lines of one model's table."""
    stored = json.loads((RESULTS / f"powder_{name}.json").read_text(encoding="utf-8"))
    words = "; synthetic crystals alone, before the last part" if name == SYNTHETIC else ""
    lines = [
        f"`{stored['model']}`{words} (SHA-256 {stored['sha256'][:12]}), seed {stored['seed']}, on "
        f"{stored['made']['hardware']['processor']}, one thread:",
        "",
        "| profiles | n | crystal system | Bravais lattice | extinction group | space group | "
        "mirror images as one | top 5 | calibration error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for title, report in stored["sets"].items():
        a = report["accuracy"]
        lines.append(
            f"| {title} | {report['n']} | {a['crystal_system']:.1%} | {a['bravais_lattice']:.1%} "
            f"| {a['extinction_group']:.1%} | {a['space_group']:.1%} | {a['equivalence_set']:.1%} "
            f"| {report['top_5']:.1%} | {report['ece']:.3f} |"
        )
    lines += ["", "Share of wrong space groups among the most confident:", ""]
    curves = {k: v["coverage_risk"] for k, v in stored["sets"].items() if v["n"] >= 30}
    shares = [point["coverage"] for point in next(iter(curves.values()))]
    lines.append("| profiles | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    lines.append("|---" * (1 + len(shares)) + "|")
    for title, curve in curves.items():
        lines.append(f"| {title} | " + " | ".join(f"{p['risk']:.1%}" for p in curve) + " |")
    return lines


WAYS = {"network": "network alone", "positions": "positions alone", "both": "both"}


def positions() -> list[str]:
    """Return the table of network, positions and both."""
    stored = json.loads((RESULTS / "powder_index.json").read_text(encoding="utf-8"))
    fit = stored["fits"]["both"]
    lines = [
        "Positions of lines, the network (`xrd-symmetry`, for neutrons `neutron-symmetry`) "
        f"and both, seed {stored['seed']}, on {stored['made']['hardware']['processor']}. What both "
        f"weigh was fitted on {stored['fitted_on']} simulated profiles of other prototypes: power "
        f"{fit['trust']:g} of the network, temperature {fit['temperature']:g} for cells "
        f"and {fit['absences']:g} for absences, a cell of higher "
        f"symmetry missed {fit['unfound']:g} times as often as a triclinic one, all cells wrong "
        f"with probability {fit['misled']:g}.",
        "",
        "| profiles | n | by | crystal system | Bravais lattice | extinction group | space group | "
        "mirror images as one | top 5 | calibration error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for title, found in stored["sets"].items():
        kind = "" if title.startswith("simulated") else "measured: "
        for way, words in WAYS.items():
            report = found["ways"][way]
            a = report["accuracy"]
            lines.append(
                f"| {kind}{title} | {report['n']} | {words} | {a['crystal_system']:.1%} | "
                f"{a['bravais_lattice']:.1%} | {a['extinction_group']:.1%} | "
                f"{a['space_group']:.1%} | {a['equivalence_set']:.1%} | {report['top_5']:.1%} | "
                f"{report['ece']:.3f} |"
            )
    curves = {title: found["ways"]["both"]["coverage_risk"]
              for title, found in stored["sets"].items()
              if found["ways"]["both"]["n"] >= 30}  # fmt: skip
    shares = [point["coverage"] for point in next(iter(curves.values()))]
    lines += ["", "Share of wrong space groups among the most confident, both together:", ""]
    lines.append("| profiles | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    lines.append("|---" * (1 + len(shares)) + "|")
    for title, curve in curves.items():
        lines.append(f"| {title} | " + " | ".join(f"{p['risk']:.1%}" for p in curve) + " |")
    return lines


def synthetic_positions() -> list[str]:
    """Return the table of positions with the network that saw synthetic crystals alone."""
    stored = json.loads((RESULTS / f"powder_index_{SYNTHETIC}.json").read_text(encoding="utf-8"))
    lines = [
        "Both with the network of synthetic crystals alone, weighed by the same rule:",
        "",
        "| profiles | n | crystal system | Bravais lattice | extinction group | space group "
        "| top 5 |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, found in stored["sets"].items():
        kind = "" if title.startswith("simulated") else "measured: "
        if title == "neutron profiles":
            continue
        report = found["ways"]["both"]
        a = report["accuracy"]
        lines.append(
            f"| {kind}{title} | {report['n']} | {a['crystal_system']:.1%} | "
            f"{a['bravais_lattice']:.1%} | {a['extinction_group']:.1%} | {a['space_group']:.1%} | "
            f"{report['top_5']:.1%} |"
        )
    return lines


def papers() -> list[str]:
    """Return the networks of the papers beside ours, on a random split."""
    stored = json.loads((RESULTS / "powder_papers.json").read_text(encoding="utf-8"))
    lines = [
        f"Simulated; seed {stored['seed']}, on {stored['made']['hardware']['processor']}, one core "
        "shared with other work, so that what counts is how often each structure was seen.",
        "",
        "| network | radiation | passes over the structures | tested | crystal system | Bravais "
        "lattice | extinction group | space group | top 5 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def line(name: str, passes: str, row: dict[str, float]) -> str:
        radiation = "neutrons" if "neutron" in name or "lolla" in name else "X-rays"
        network = name.split(",")[0]
        shares = [
            f"{row[key]:.1%}" if key in row else ""
            for key in (
                "crystal_system",
                "bravais_lattice",
                "extinction_group",
                "space_group",
                "top_5",
            )
        ]
        tested = f"{row['tested']:,}" if "tested" in row else ""
        return f"| {network} | {radiation} | {passes} | {tested} | {' | '.join(shares)} |"

    for row in sorted(stored["rows"], key=lambda r: ("neutron" in r["network"], r["network"])):
        words = f"{row['passes']:.1f}" if row["passes"] else ""
        if row["start"]:
            words += ", after synthetic crystals"
        lines.append(line(row["network"], words, row))
        if row["network"] in stored["papers"]:
            lines.append(line(f"{row['network']}: the paper", "",
                              stored["papers"][row["network"]]))  # fmt: skip
    for row in stored["positions"]:
        for way, words in (("network alone", "alone"), ("both", "with positions of lines")):
            network, radiation = row["network"].split(", ")
            lines.append(line(f"{network} {words}, {radiation}", "", row["by"][way]))
    return lines


def limits() -> list[str]:
    """Return what limits networks of synthetic crystals, and the oracle."""
    stored = json.loads((RESULTS / "powder_limits.json").read_text(encoding="utf-8"))
    lines = [
        f"Simulated, seed {stored['seed']}, on {stored['made']['hardware']['processor']}; networks "
        "that saw synthetic crystals alone.",
        "",
        "| crystals | n | network trained on | condition | crystal system | Bravais lattice | "
        "extinction group | space group | top 5 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in stored["rows"]:
        lines.append(
            f"| {row['set']} | {row['n']:,} | {row['model']} | {row['condition']} | "
            f"{row['crystal_system']:.1%} | {row['bravais_lattice']:.1%} | "
            f"{row['extinction_group']:.1%} | {row['space_group']:.1%} | {row['top_5']:.1%} |"
        )
    for row in stored.get("positions", []):
        words = "positions and network" if row["by"] == "both" else "network alone"
        lines.append(
            f"| real structures as often as each is met: {words} | {row['n']:,} | {row['model']} | "
            f"standard | {row['crystal_system']:.1%} | {row['bravais_lattice']:.1%} | "
            f"{row['extinction_group']:.1%} | {row['space_group']:.1%} | {row['top_5']:.1%} |"
        )
    lines += [
        "",
        "What an oracle reaches that knows a level for certain and takes its most frequent space "
        "group:",
        "",
        "| crystals | crystal system known | Bravais lattice known | extinction group known |",
        "|---|---|---|---|",
    ]
    for title, found in stored["oracle"].items():
        lines.append(
            f"| {title} | {found['crystal_system']:.1%} | {found['bravais_lattice']:.1%} | "
            f"{found['extinction_group']:.1%} |"
        )
    return lines


def supply() -> list[str]:
    """Return the sentence on the supply."""
    stored = json.loads((RESULTS / "powder_supply.json").read_text(encoding="utf-8"))
    rate = stored["supply"]
    return [
        f"On {stored['made']['hardware']['processor']}, by processor time of one thread: "
        f"{rate['new_crystals_per_processor_second']:.0f} new crystals with their lines a second, "
        f"{rate['profiles_per_processor_second']:.0f} profiles of 1024 points drawn and prepared; "
        f"together {rate['fresh_profiles_per_hour_on_two_cores'] / 1e6:.2f} million fresh profiles "
        "an hour on two cores.",
    ]


ARMS = {
    "supervised": "network, labels alone", "adversarial": "network, adversarial",
    "consistency": "network, consistency",
    "propagated": "network, taught labels that spread over similar profiles",
    "nearest": "most similar profile with a label",
    "propagation": "labels spread over similar profiles",
}  # fmt: skip


def few_labels() -> list[str]:
    """Return the table of training with few labels, and the paper's beside it."""
    stored = json.loads((RESULTS / "few_labels.json").read_text(encoding="utf-8"))
    lines = [
        f"{stored['crystals']:,} real structures of {stored['groups']} space groups, neutrons, a "
        f"tenth of them the test; networks: {stored['network']}. Mean over seeds, in brackets the "
        f"lowest and the highest; on {stored['made']['hardware']['processor']}.",
        "",
        "| labels | answer from | seeds | Bravais lattice | space group | top 5 | paper: lattice, "
        "group |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in stored["table"]:
        cells = []
        for key in ("bravais_lattice", "space_group", "top_5"):
            each = row[key]["each"]
            spread = f" ({min(each):.1%}–{max(each):.1%})" if len(each) > 1 else ""
            cells.append(f"{row[key]['mean']:.1%}{spread}")
        paper = row["paper"]
        steps = f", {row['steps']:,} steps" if row["steps"] else ""
        theirs = "" if paper is None else (
            f"{paper['bravais_lattice']:.0%}, {paper['space_group']:.0%}"
        )  # fmt: skip
        lines.append(
            f"| {row['fraction']:.0%} | {ARMS[row['method']]}{steps} | {row['seeds']} | "
            f"{' | '.join(cells)} | {theirs} |"
        )
    return lines


def blocks() -> dict[str, list[str]]:
    """Return what stands between each pair of markers."""
    lines = [*positions(), ""]
    if (RESULTS / f"powder_index_{SYNTHETIC}.json").is_file():
        lines += [*synthetic_positions(), ""]
    lines += ["The networks alone:", ""]
    for name in ("xrd-symmetry", SYNTHETIC, "neutron-symmetry"):
        if (RESULTS / f"powder_{name}.json").is_file():
            lines += [*table(name), ""]
    found = {"results": [*lines, *supply()], "few labels": few_labels(), "limits": limits()}
    if (RESULTS / "powder_papers.json").is_file():
        found["papers"] = papers()
    return found


def parts(page: str, name: str) -> tuple[str, str, str]:
    """Return what stands before, between and after the markers of a name."""
    before, rest = page.split(f"<!-- {name}: begin -->")
    inner, after = rest.split(f"<!-- {name}: end -->")
    return before, inner, after


def main() -> None:
    """Write the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    for name, lines in blocks().items():
        before, _, after = parts(page, name)
        inner = "\n".join(lines)
        page = f"{before}<!-- {name}: begin -->\n{inner}\n<!-- {name}: end -->{after}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
