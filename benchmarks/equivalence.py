"""Show which space groups EBSD can't separate: ordered crystals against disordered ones.

An ordered crystal of like atoms (FeNi3, L1_2, 221) and its disordered parent (225) differ
in superlattice bands alone. For each pair the two master patterns are simulated with the
same cell and mean composition, projected at the same orientations under the *standard*
condition's geometry, and compared: the correlation, and the distance d' that an ideal
observer who knows both patterns exactly has at the standard noise. The drawing puts the
two patterns and their difference side by side.

    python benchmarks/equivalence.py --json benchmarks/results/equivalence.json \
        --figure docs/images/equivalence.png
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch

from napari_spacegroup.config import DynamicalSpec
from napari_spacegroup.crystal import AtomSite, Phase
from napari_spacegroup.simulate import simulate_master
from napari_spacegroup.simulate.detector import GeometryRange, standardise
from napari_spacegroup.simulate.projector import project, random_quaternions
from napari_spacegroup.workflows.provenance import provenance

SEED = 0
PATTERNS = 200
SPEC = DynamicalSpec(
    voltage=20, energy_bins=1, half_size=72, d_min=0.5, max_strong=60, electrons=50_000
)


def cubic(a: float) -> tuple[float, float, float, float, float, float]:
    """Return a cubic cell [Å]."""
    return (a, a, a, 90.0, 90.0, 90.0)


def pairs() -> list[tuple[str, Phase, Phase]]:
    """Return (name, ordered, disordered), the disordered with the mean composition."""
    found = []
    for major, minor, a in (("Ni", "Fe", 3.552), ("Ni", "Al", 3.572), ("Au", "Cu", 3.98)):
        ordered = Phase.from_asymmetric_unit(
            f"{minor}{major}3 L1_2", 221, cubic(a),
            [AtomSite(minor, (0, 0, 0)), AtomSite(major, (0, 0.5, 0.5))],
        )  # fmt: skip
        mixed = [AtomSite(minor, (0, 0, 0), 0.25), AtomSite(major, (0, 0, 0), 0.75)]
        disordered = Phase.from_asymmetric_unit("disordered", 225, cubic(a), mixed)
        found.append((f"{minor}{major}3: 221 against 225", ordered, disordered))
    for one, two, a in (("Fe", "Co", 2.857), ("Fe", "Al", 2.909), ("Ni", "Al", 2.887)):
        ordered = Phase.from_asymmetric_unit(
            f"{one}{two} B2", 221, cubic(a),
            [AtomSite(one, (0, 0, 0)), AtomSite(two, (0.5, 0.5, 0.5))],
        )  # fmt: skip
        mixed = [AtomSite(one, (0, 0, 0), 0.5), AtomSite(two, (0, 0, 0), 0.5)]
        disordered = Phase.from_asymmetric_unit("disordered", 229, cubic(a), mixed)
        found.append((f"{one}{two}: 221 against 229", ordered, disordered))
    for metal, a in (("K", 6.293), ("Na", 5.640)):
        salt = Phase.from_asymmetric_unit(
            f"{metal}Cl", 225, cubic(a),
            [AtomSite(metal, (0, 0, 0)), AtomSite("Cl", (0.5, 0.5, 0.5))],
        )  # fmt: skip
        half = Phase.from_asymmetric_unit(
            "disordered", 221, cubic(a / 2),
            [AtomSite(metal, (0, 0, 0), 0.5), AtomSite("Cl", (0, 0, 0), 0.5)],
        )  # fmt: skip
        found.append((f"{metal}Cl: 225 against 221 of half the cell", salt, half))
    return found


def main() -> None:
    """Compare all pairs, store and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    geometry = GeometryRange.of("standard").draw(PATTERNS, generator)
    rotations = random_quaternions(PATTERNS, generator)
    rows, pictures = [], []
    for name, ordered, disordered in pairs():
        sheets = [
            torch.from_numpy(simulate_master(p, SPEC).weighted()[:1])[None]
            for p in (ordered, disordered)
        ]
        one, two = (standardise(project(s, geometry, rotations)) for s in sheets)
        correlation = (one * two).mean(dim=(1, 2))
        # Two known pictures in white noise as strong as the picture itself: d' = |a - b| / sigma.
        separation = ((one - two) ** 2).sum(dim=(1, 2)).sqrt()
        error = torch.tensor([0.5 * math.erfc(d / (2 * math.sqrt(2))) for d in separation.tolist()])
        rows.append({
            "pair": name,
            "correlation": round(float(correlation.mean()), 4),
            "d_prime_standard_noise": round(float(separation.mean()), 2),
            "ideal_observer_error": float(f"{float(error.mean()):.3g}"),
        })  # fmt: skip
        pictures.append((name, one[0].numpy(), two[0].numpy()))
        print(rows[-1], flush=True)
    report = {"kind": "simulated", "seed": SEED, "patterns": PATTERNS,
              "spec": SPEC.model_dump(mode="json"), "rows": rows, "made": provenance()}  # fmt: skip
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.figure:
        draw(pictures, rows, options.figure)


def draw(pictures: list, rows: list[dict], path: Path) -> None:
    """Draw each pair and its difference on one grey scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, len(pictures), figsize=(2.1 * len(pictures), 6.6))
    for column, ((name, one, two), row) in enumerate(zip(pictures, rows, strict=True)):
        for axis, picture in zip(axes[:, column], (one, two, one - two), strict=True):
            axis.imshow(picture, cmap="gray", vmin=-2.5, vmax=2.5)
            axis.set_axis_off()
        axes[0, column].set_title(name.replace(": ", "\n"), fontsize=8)
        axes[2, column].set_title(f"r = {row['correlation']:.3f}", fontsize=8)
    for axis, label in zip(axes[:, 0], ("ordered", "disordered", "difference"), strict=True):
        axis.text(-0.12, 0.5, label, transform=axis.transAxes, rotation=90, va="center",
                  ha="right", fontsize=9)  # fmt: skip
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
