"""Which cubic groups nobody can tell apart by EBSD, and the network beside that bound.

    python benchmarks/observer.py --structures ../shared/data/structures \
        --json benchmarks/results/observer.json --figure docs/images/observer.png

For each held-out structure of ``ebsd-cubic`` that nearly has more translations, the structure
and its average over them (``crystal.cubic_parents``: the same cell and composition, another
group) are simulated alike, and the ideal observer of ``learn.ideal_observer`` says how often
the two are confused, against noise, resolution and error of the orientation. The network gets
the same patterns and chooses between the same two groups.

The distance follows the share of intensity that the added translations forbid, which costs no
simulation. With that relation all structures of the set are judged, and two groups are
inseparable where a tenth of the structures of one has a parent in the other that the ideal
observer takes for it in a tenth of all cases, under the noise of the *standard* condition.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_spacegroup as nsg
from napari_spacegroup.crystal import Phase, cubic_parents
from napari_spacegroup.infer.figure_file import figure_style, save_figure
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.ideal_observer import Uncertainty, error_of, separations
from napari_spacegroup.simulate import simulate_master
from napari_spacegroup.simulate.detector import GeometryRange, standardise
from napari_spacegroup.simulate.projector import DetectorGeometry, project, random_quaternions
from napari_spacegroup.workflows.evaluate_ebsd import evaluation_spec
from napari_spacegroup.workflows.provenance import provenance

RECIPE = Path(__file__).parents[1] / "recipes" / "ebsd-cubic"
sys.path.insert(0, str(RECIPE))
import masters as recipe  # noqa: E402

SEED, PATTERNS, VOLTAGE = 0, 24, 20.0
STANDARD = Uncertainty()
NOISES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SIZES = (15, 30, 60, 120)
ORIENTATIONS = (0.0, 0.2, 0.4, 1.0, 2.0)
RARELY, OFTEN = 0.1, 0.1
"""Ideal error above which two crystals are inseparable, and the share of a group's structures
from which the groups are."""

MOST_ATOMS = 40
"""In a cell of the pairs that are simulated: the larger ones take minutes."""


def nearest_parents(record: recipe.Record) -> dict[int, tuple[float, Phase]]:
    """Return the parents of a structure by group, each with its share of hidden intensity."""
    shares = recipe.hidden_by_lattice(record)
    found: dict[int, tuple[float, Phase]] = {}
    if shares is None:
        return found
    for parent in cubic_parents(Phase.from_record(record)):
        share = shares.get(parent.lattice)
        group = parent.space_group
        if share is None or group == record["sg"] or group not in recipe.CLASSES:
            continue
        if group not in found or share < found[group][0]:
            found[group] = (share, parent.phase)
    return found


def views(size: int) -> tuple[DetectorGeometry, torch.Tensor]:
    """Return the geometries and orientations of a detector of this size, the same for all."""
    generator = torch.Generator().manual_seed(SEED)
    geometry = GeometryRange.of("standard").draw(PATTERNS, generator)
    return replace(geometry, shape=(size, size)), random_quaternions(PATTERNS, generator)


def bound(sheets: list[torch.Tensor], size: int, known: Uncertainty) -> dict[str, float]:
    """Return the ideal observer's distance and error, averaged over the views."""
    found = separations(*sheets, *views(size), known)
    return {"d_prime": float(found.mean()), "error": float(error_of(found).mean())}


def network_error(model: Any, sheets: list[torch.Tensor], groups: list[int], noise: float) -> float:
    """Return how often the network prefers the wrong one of two groups."""
    geometry, rotations = views(60)
    generator = torch.Generator().manual_seed(SEED + 1)
    places = [model.classes.index(group) for group in groups]
    wrong = []
    for truth, sheet in enumerate(sheets):
        patterns = standardise(project(sheet[None], geometry, rotations))
        patterns = patterns + noise * torch.randn(patterns.shape, generator=generator)
        inputs = model.prepare(patterns.numpy())
        answers = model.probabilities(inputs, geometry.pattern_center)
        likelier = answers[:, places].argmax(1).numpy()
        wrong.append(np.mean(likelier != truth))
    return float(np.mean(wrong))


def pair_row(model: Any, record: recipe.Record, group: int, share: float, parent: Phase) -> Any:
    """Simulate a structure and its parent, and compare them."""
    phase = Phase.from_record(record)
    spec = evaluation_spec(phase, VOLTAGE)
    sheets = [
        torch.from_numpy(simulate_master(p, spec).weighted()[:1]).float() for p in (phase, parent)
    ]
    return {
        "name": record["formula"], "space_group": record["sg"], "parent": group,
        "hidden_share": share, **bound(sheets, 60, STANDARD),
        "noise": [bound(sheets, 60, replace(STANDARD, noise=n))["error"] for n in NOISES],
        "network": [network_error(model, sheets, [record["sg"], group], n) for n in NOISES],
        "size": [bound(sheets, s, STANDARD)["error"] for s in SIZES],
        "orientation": [
            bound(sheets, 60, replace(STANDARD, orientation=o))["error"] for o in ORIENTATIONS
        ],
    }  # fmt: skip


def relation(rows: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Return factor, power and scatter of d' against the hidden share, fitted in logarithms."""
    share = np.log([row["hidden_share"] for row in rows])
    distance = np.log([max(row["d_prime"], 1e-3) for row in rows])
    power, offset = np.polyfit(share, distance, 1)
    scatter = float(np.std(distance - power * share - offset))
    return float(np.exp(offset)), float(power), scatter


def shares_of_groups(records: list[recipe.Record], limit: float) -> dict[str, dict[str, Any]]:
    """Return for each group and parent group the share of prototypes below a hidden share.

    At most five structures of a prototype count, so that a hundred alloys of one do not outvote
    the others.
    """
    kept: dict[tuple[int, str], list[recipe.Record]] = collections.defaultdict(list)
    for record in records:
        kept[record["sg"], record["proto"]].append(record)
    rng = np.random.default_rng(SEED)
    below: dict[tuple[int, int], int] = collections.Counter()
    counts: dict[int, int] = collections.Counter()
    for (group, _), same in sorted(kept.items()):
        for place in rng.permutation(len(same))[:5]:
            counts[group] += 1
            for parent, (share, _) in nearest_parents(same[place]).items():
                below[group, parent] += share < limit
    return {
        f"{group} as {parent}": {"structures": counts[group], "share": count / counts[group]}
        for (group, parent), count in sorted(below.items())
    }


def main() -> None:
    """Simulate the pairs, judge the groups, store and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--pairs", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = nsg.load_model("ebsd-cubic")
    held = {r.identifier for name in ("test", "calibration", "k18")
            for r in MasterSet.load(RECIPE / "sets" / f"{name}.npz").records}  # fmt: skip
    records = [r for r in recipe.load(options.structures) if "sg_loose" not in r]
    wanted = []
    for record in records:
        parents = nearest_parents(record) if record["id"] in held else {}
        if parents and record["n"] <= MOST_ATOMS:
            group = min(parents, key=lambda number: parents[number][0])
            share, parent = parents[group]
            if 1e-5 < share < 0.5:
                wanted.append((share, record, group, parent))
    wanted.sort(key=lambda row: row[0])
    picked = np.unique(np.linspace(0, len(wanted) - 1, options.pairs).astype(int))
    rows = []
    for share, record, group, parent in (wanted[place] for place in picked):
        rows.append(pair_row(model, record, group, share, parent))
        row = rows[-1]
        print(f"{row['name']:20} {row['space_group']} as {group}: share {share:.4f}, "
              f"d' {row['d_prime']:.2f}, error {row['error']:.3f}, "
              f"network {row['network'][2]:.3f}", flush=True)  # fmt: skip
    factor, power, scatter = relation(rows)
    distance = 2 * float(torch.erfinv(torch.tensor(1 - 2 * RARELY))) * 2**0.5
    limit = (distance / factor) ** (1 / power)
    groups = shares_of_groups([r for r in records if r["n"] <= 200], limit)
    sets = sorted({tuple(sorted(map(int, key.split(" as "))))
                   for key, value in groups.items() if value["share"] >= OFTEN})  # fmt: skip
    report = {
        "kind": "simulated", "seed": SEED, "voltage": VOLTAGE, "patterns": PATTERNS,
        "uncertainty": vars(STANDARD), "noises": NOISES, "sizes": SIZES,
        "orientations": ORIENTATIONS, "rows": rows,
        "relation": {"factor": factor, "power": power, "scatter": scatter},
        "d_prime_limit": distance, "hidden_share_limit": limit, "groups": groups,
        "equivalence_sets": sets, "made": provenance(),
    }  # fmt: skip
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({"limit": limit, "groups": groups, "sets": sets}, indent=1))
    if options.figure:
        draw(report, options.figure)


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the bound against noise, resolution and orientation, the network beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = report["rows"]
    with figure_style():
        figure = Figure(figsize=(10.5, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        first, second, third = figure.subplots(1, 3)
        share = np.array([row["hidden_share"] for row in rows])
        first.loglog(share, [row["d_prime"] for row in rows], "o", ms=3.5, color="#2f6f9f")
        line = np.geomspace(share.min(), share.max(), 50)
        fit = report["relation"]
        first.loglog(line, fit["factor"] * line ** fit["power"], color="#8a929b", lw=1)
        first.axhline(report["d_prime_limit"], color="#c2571a", lw=0.8)
        first.text(line[0], report["d_prime_limit"] * 1.1, "10 % confused", color="#c2571a")
        first.set(xlabel="share of intensity that the parent forbids",
                  ylabel="distance d' of the ideal observer")  # fmt: skip
        parts = {"below 1 %": share < 0.01, "1 to 5 %": (share >= 0.01) & (share < 0.05),
                 "above 5 %": share >= 0.05}  # fmt: skip
        colors = ("#9b3d6e", "#c2841a", "#2f6f9f")
        for (label, chosen), color in zip(parts.items(), colors, strict=True):
            if not chosen.any():
                continue
            for key, style in (("noise", "-"), ("network", "--")):
                mean = np.mean([row[key] for row, use in zip(rows, chosen, strict=True) if use], 0)
                second.semilogx(report["noises"], mean, style, color=color, lw=1.4,
                                label=label if key == "noise" else None)  # fmt: skip
            mean = np.mean([row["size"] for row, use in zip(rows, chosen, strict=True) if use], 0)
            third.semilogx(report["sizes"], mean, color=color, lw=1.4)
        second.set(xlabel="noise over the pattern's own", ylabel="taken for the other group",
                   ylim=(0, 0.55))  # fmt: skip
        second.set_xticks(report["noises"], [f"{n:g}" for n in report["noises"]])
        second.minorticks_off()
        third.legend(*second.get_legend_handles_labels(), frameon=False, fontsize=8,
                     title="forbidden share", loc="center")  # fmt: skip
        second.set_title("bound (solid), network (dashed)", fontsize=9, loc="left")
        third.set(xlabel="pixels along a side, standard noise", ylim=(0, 0.55))
        third.set_xticks(report["sizes"], [str(s) for s in report["sizes"]])
        third.minorticks_off()
        save_figure(figure, path)


if __name__ == "__main__":
    main()
