"""Write docs/convergence.md from the stored results of ``convergence.py``."""

from __future__ import annotations

from pathlib import Path

TITLES = {
    "d_min": "Smallest lattice spacing d_min [Å]",
    "cutoffs": "Beam thresholds (strong, weak, ignored), no weak beams",
    "cutoffs_weak": "Thresholds with weak beams, against (32, 32.1, 200)",
    "energy_bins": "Energy bins over the last 5 keV",
    "energy_range": "Energies kept [keV below the beam], bins of 2.5 keV",
    "half_size": "Lambert grid, half size",
}

HEAD = """# How fine a dynamical master pattern must be

Correlation of a master pattern with the next finer setting of one parameter, the others
held: **raw** on the sphere (Lambert grid, upper hemisphere) and as a 60 x 60 detector sees
it (**pattern**: 20 kV, pattern center (0.5, 0.3, 0.6), tilt 70°, each pixel the mean of
4 x 4 rays; mean and, in brackets, worst of eight orientations). Made by
`benchmarks/convergence.py`, numbers in `benchmarks/results/convergence.json`; this page by
its `--table`. Times are of single pieces on a busy machine and are stored for orientation.

## The defaults, and what they are worth

The goal is that a finer setting changes the pattern by less than a correlation of {goal}.

"""


def _value(value) -> str:
    return ", ".join(f"{x:g}" for x in value) if isinstance(value, list) else f"{value:g}"


def _cell(found: dict | None) -> str:
    if found is None:
        return ""
    return f"{found['raw']:.4f} / {found['pattern_mean']:.4f} ({found['pattern_min']:.4f})"


def write_table(stored: dict, path: Path, goal: float) -> None:
    summary = Path(__file__).with_name("convergence_summary.md").read_text(encoding="utf-8")
    lines = [HEAD.format(goal=goal) + summary]
    for axis, title in TITLES.items():
        pieces = [p for p in stored["pieces"] if p["axis"] == axis]
        if not pieces:
            continue
        against = "finest" if axis == "cutoffs_weak" else "next"
        values: list = []
        for piece in pieces:
            values += [row["value"] for row in piece["rows"] if row["value"] not in values]
        if axis not in ("cutoffs", "cutoffs_weak"):
            values.sort(reverse=axis == "d_min")
        lines.append(f"\n## {title}\n")
        lines.append("raw / pattern mean (worst)\n")
        lines.append("| | " + " | ".join(p["phase"] for p in pieces) + " |")
        lines.append("|---|" + "---|" * len(pieces))
        for value in values:
            cells = []
            for piece in pieces:
                row = [r for r in piece["rows"] if r["value"] == value]
                cells.append(_cell(row[0].get(against)) if row else "")
            if any(cells):
                lines.append(f"| {_value(value)} | " + " | ".join(cells) + " |")
        bases = []
        for piece in pieces:
            base = piece["base"]
            bases.append(
                f"{piece['phase']}: d_min {base['d_min']:g} Å, thresholds "
                f"{_value(base['cutoffs'])}, half size {base['half_size']}"
            )
        lines.append("\nHeld: " + "; ".join(bases) + ".")
    environment = stored["environment"]
    made = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    lines.append(
        f"\nMade with {made}; {environment['hardware']['cpu']}, "
        f"{environment['hardware']['threads']} thread, seed {environment['seed']}."
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
