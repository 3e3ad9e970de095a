"""Write the tables of docs/powder.md from what powder.py and powder_index.py stored.

python benchmarks/powder_table.py
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "powder.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def table(name: str) -> list[str]:
    """Return the lines of one model's table."""
    stored = json.loads((RESULTS / f"powder_{name}.json").read_text(encoding="utf-8"))
    lines = [
        f"`{name}` (SHA-256 {stored['sha256'][:12]}), seed {stored['seed']}, on "
        f"{stored['made']['hardware']['processor']}, one thread:",
        "",
        "| profiles | n | crystal system | Bravais lattice | extinction group | space group | "
        "top 5 | calibration error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, report in stored["sets"].items():
        a = report["accuracy"]
        lines.append(
            f"| {title} | {report['n']} | {a['crystal_system']:.1%} | {a['bravais_lattice']:.1%} "
            f"| {a['extinction_group']:.1%} | {a['space_group']:.1%} | {report['top_5']:.1%} "
            f"| {report['ece']:.3f} |"
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
        f"{fit['trust']:g} of the network, temperature {fit['temperature']:g}, a cell of higher "
        f"symmetry missed {fit['unfound']:g} times as often as a triclinic one.",
        "",
        "| profiles | n | by | crystal system | Bravais lattice | extinction group | space group | "
        "top 5 | calibration error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for title, found in stored["sets"].items():
        kind = "" if title.startswith("simulated") else "measured: "
        for way, words in WAYS.items():
            report = found["ways"][way]
            a = report["accuracy"]
            lines.append(
                f"| {kind}{title} | {report['n']} | {words} | {a['crystal_system']:.1%} | "
                f"{a['bravais_lattice']:.1%} | {a['extinction_group']:.1%} | "
                f"{a['space_group']:.1%} | {report['top_5']:.1%} | {report['ece']:.3f} |"
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


def text() -> str:
    """Return what stands between the markers."""
    lines = [*positions(), "", "The networks alone:", ""]
    for name in ("xrd-symmetry", "neutron-symmetry"):
        if (RESULTS / f"powder_{name}.json").is_file():
            lines += [*table(name), ""]
    lines += supply()
    return "\n".join(lines)


def main() -> None:
    """Write the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
