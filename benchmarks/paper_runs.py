"""The EBSD paper's experiment in simulation: what a network learns from few materials.

    python benchmarks/paper_runs.py --architecture sectornet --out runs \
        --json benchmarks/results/paper_sectornet.json --figure docs/images/paper_sectornet.png

Kaufmann et al. (2020), Microsc. Microanal. 26, 447: eighteen materials of six space groups, 400
patterns per group to train on, evenly from the materials of the run, 100 to validate, all others to
test. One material per group (the heaviest), three exchanges for a light one, two materials, all of
them. Adam, learning rate 0.001, weight decay 1e-5, stopped when the loss of validation no longer
falls by 0.001. ``--architecture xception`` is the paper's network, for a GPU; ``sectornet`` ours.

Dynamical patterns in the *standard* condition (random geometry, noise) stand for measured ones. The
paper's figures are of measured patterns of one fixed geometry: beside ours they compare in their
order alone. Our network brings its orientation search along, which was made from the materials of
``ebsd-cubic`` (Ni, Al, Si and Fe among them); what it reads is learnt from those of the run.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import napari_spacegroup as nsg
from napari_spacegroup.infer.figure_file import figure_style, save_figure
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.batches import condition_batch
from napari_spacegroup.models import SectorNet, build
from napari_spacegroup.workflows.provenance import provenance

SETS = Path(__file__).resolve().parents[1] / "recipes" / "ebsd-cubic" / "sets"
CLASSES = (221, 223, 225, 227, 229, 230)
TRAINED_TINT, NEW_TINT = "#3b6ea8", "#d98f3e"
TRAINED, VALIDATED = 400, 100
"""Patterns of each space group."""

HEAVY = {221: "FeNi3", 223: "Mo3Si", 225: "CTa", 227: "Ge", 229: "Ta", 230: "Al4CoNi2"}
NAMES = {
    "CTa": "TaC", "CNb": "NbC", "CTi": "TiC", "AlFe": "FeAl", "AlNi": "NiAl", "AlNi3": "Ni3Al",
}  # fmt: skip


def mean_number(formula: str) -> float:
    """Return the atomic number averaged over a formula."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    amounts = [int(n or 1) for _, n in parts]
    numbers = [gemmi.Element(e).atomic_number for e, _ in parts]
    return float(np.average(numbers, weights=amounts))


@dataclass(frozen=True)
class Run:
    """Which materials one network learns from.

    Parameters
    ----------
    name
        As the paper describes it.
    materials
        Of each space group.
    paper
        Share of all patterns that the paper's network got right, where its text says.
    """

    name: str
    materials: dict[int, tuple[str, ...]]
    paper: float | None = None


def runs(by_group: dict[int, list[str]]) -> list[Run]:
    """Return the paper's runs."""

    def one(**other: str) -> dict[int, tuple[str, ...]]:
        return {g: (other.get(f"of_{g}", m),) for g, m in HEAVY.items()}

    two = one() | {
        221: ("FeNi3", "AlNi"), 225: ("CTa", "Ni"), 227: ("Ge", "Si"), 229: ("Ta", "Fe"),
    }  # fmt: skip
    return [
        Run("one material, the heaviest", one(), 0.512),
        Run("Al for TaC", one(of_225="Al")),
        Run("Si for Ge", one(of_227="Si")),
        Run("Fe for Ta", one(of_229="Fe")),
        Run("two materials", two, 0.80),
        Run("all materials", {g: tuple(m) for g, m in by_group.items()}, 0.93),
    ]


class Reader(nn.Module):
    """The part of a network that is trained: all of it, or what reads the folded pattern."""

    def __init__(self, architecture: str, width: int) -> None:
        super().__init__()
        self.is_folded = architecture == "sectornet"
        options: dict[str, Any] = {"width": width}
        if self.is_folded:
            options |= {"bands": 38, "blind": 0.25, "dropout": 0.45}
        self.network = build(architecture, len(CLASSES), **options)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits."""
        network: Any = self.network
        logits: Tensor = network.read(inputs) if self.is_folded else network(inputs)
        return logits


def drawn(masters: MasterSet, index: int, count: int, model: Any, *, is_folded: bool) -> Tensor:
    """Return patterns of one material, standard condition, as the network takes them."""
    generator = torch.Generator().manual_seed(1000 + index)
    parts = []
    for part in torch.full((count,), index).split(128):
        batch = condition_batch(masters, part, "standard", model.card.input, generator)
        if not is_folded:
            parts.append(batch.inputs)
            continue
        network, centers = model.network, batch.geometry.pattern_center
        assert isinstance(network, SectorNet)
        rotations, _ = network.indexer.index(batch.inputs, centers)
        parts.append(network.fold(batch.inputs, centers, rotations))
    return torch.cat(parts)


def trained(run: Run, patterns: dict[str, Tensor], options: argparse.Namespace) -> Reader:
    """Return the network of one run."""
    torch.manual_seed(options.seed)
    inputs: dict[str, list[Tensor]] = {"train": [], "held": []}
    labels: dict[str, list[int]] = {"train": [], "held": []}
    for group, materials in run.materials.items():
        for name in materials:
            few, more = TRAINED // len(materials), VALIDATED // len(materials)
            inputs["train"].append(patterns[name][:few])
            inputs["held"].append(patterns[name][few : few + more])
            labels["train"] += [CLASSES.index(group)] * few
            labels["held"] += [CLASSES.index(group)] * more
    x, y = torch.cat(inputs["train"]), torch.tensor(labels["train"])
    held, truth = torch.cat(inputs["held"]), torch.tensor(labels["held"])
    reader = Reader(options.architecture, options.width)
    optimiser = torch.optim.Adam(reader.parameters(), 1e-3, weight_decay=1e-5)
    best, state, since, epochs = np.inf, reader.state_dict(), 0, 0
    while epochs < options.epochs and since <= options.patience:
        epochs += 1
        reader.train()
        for part in torch.randperm(len(y)).split(64):
            loss = functional.cross_entropy(reader(x[part]), y[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        reader.eval()
        now = float(functional.cross_entropy(answers(reader, held), truth))
        since += 1
        if now < best - 0.001:
            best, since = now, 0
            state = {k: v.clone() for k, v in reader.state_dict().items()}
    print(f"  {epochs} epochs, loss of validation {best:.3f}", flush=True)
    reader.load_state_dict(state)
    return reader.eval()


def answers(reader: Reader, inputs: Tensor) -> Tensor:
    """Return logits of many patterns."""
    with torch.inference_mode():
        return torch.cat([reader(part) for part in inputs.split(128)])


def tables(
    rows: list[tuple[str, int, int, bool]], names: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return recall by material, and precision and recall by space group."""
    truth = np.array([r[1] for r in rows])
    said = np.array([r[2] for r in rows])
    which = np.array([r[0] for r in rows])
    materials = {}
    for name in names:
        mine = which == name
        group = int(truth[mine][0])
        others = said[mine & (said != truth)]
        counts = {str(g): int((others == g).sum()) for g in np.unique(others)}
        is_trained = bool(next(r[3] for r in rows if r[0] == name))
        materials[name] = {
            "space_group": group, "recall": float((said[mine] == group).mean()),
            "n": int(mine.sum()), "is_trained": is_trained, "taken_for": counts,
        }  # fmt: skip
    groups = {}
    for g in CLASSES:
        right = float(((truth == g) & (said == g)).sum())
        groups[str(g)] = {
            "precision": right / max(float((said == g).sum()), 1.0),
            "recall": right / max(float((truth == g).sum()), 1.0),
        }
    return materials, groups


def draw_bars(report: dict[str, Any], path: Path) -> None:
    """Draw the bars of every run, as the paper's figures 2, 4 to 7 and 10."""
    order = sorted(report["group_of"], key=lambda m: (report["group_of"][m], -mean_number(m)))
    with figure_style():
        figure = Figure(figsize=(9.0, 1.45 * len(report["runs"])), layout="tight")
        axes = figure.subplots(len(report["runs"]), 1, sharex=True)
        for axis, run in zip(axes, report["runs"], strict=True):
            heights = [run["materials"][m]["recall"] for m in order]
            known = [run["materials"][m]["is_trained"] for m in order]
            tints = [TRAINED_TINT if k else NEW_TINT for k in known]
            axis.bar(range(len(order)), heights, color=tints, width=0.75)
            axis.axhline(1 / 6, color="0.4", linewidth=0.8, linestyle="--")
            axis.set_ylim(0, 1)
            axis.set_yticks((0, 0.5, 1))
            axis.set_title(f"{run['name']}: {run['accuracy']:.1%}", loc="left", fontsize=8)
        ticks = [f"{NAMES.get(m, m)}\n{report['group_of'][m]}" for m in order]
        axes[-1].set_xticks(range(len(order)), ticks, fontsize=6.5)
        figure.supylabel("share of patterns right", fontsize=8)
        for label, tint in (("trained on", TRAINED_TINT), ("new", NEW_TINT)):
            axes[0].bar(0, 0, color=tint, label=label)
        axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)
        save_figure(figure, path)


def main() -> None:
    """Draw, train, test, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--architecture", default="sectornet")
    parser.add_argument("--width", type=int, default=16, help="32 is the paper's Xception")
    parser.add_argument("--patterns", type=int, default=200, help="of each material to test on")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--patience", type=int, default=4, help="epochs without a better loss")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="folder for the tables of single patterns")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--redraw", action="store_true", help="the figure from the stored --json")
    options = parser.parse_args()
    if options.redraw:
        draw_bars(json.loads(options.json.read_text(encoding="utf-8")), options.figure)
        return
    torch.set_num_threads(options.threads)
    model = nsg.load_model("ebsd-cubic")
    sets = [MasterSet.load(SETS / f"{name}.npz") for name in ("k18", "k18_common")]
    patterns: dict[str, Tensor] = {}
    group_of: dict[str, int] = {}
    most = TRAINED + VALIDATED + options.patterns
    with torch.inference_mode():
        for masters in sets:
            for index, record in enumerate(masters.records):
                found = drawn(
                    masters, index, most, model, is_folded=options.architecture == "sectornet"
                )
                patterns[record.name] = found.clone()
                group_of[record.name] = record.space_group
    by_group = {g: [m for m in group_of if group_of[m] == g] for g in CLASSES}
    report: dict[str, Any] = {
        "kind": "simulated", "architecture": options.architecture, "width": options.width,
        "seed": options.seed, "condition": "standard", "group_of": group_of, "runs": [],
    }  # fmt: skip
    for run in runs(by_group):
        begun = time.monotonic()
        print(run.name, flush=True)
        reader = trained(run, patterns, options)
        rows: list[tuple[str, int, int, bool]] = []
        for name, inputs in patterns.items():
            known = any(name in materials for materials in run.materials.values())
            said = answers(reader, inputs[TRAINED + VALIDATED :]).argmax(1).tolist()
            rows += [(name, group_of[name], CLASSES[i], known) for i in said]
        materials, groups = tables(rows, list(group_of))
        is_right: NDArray[np.bool_] = np.array([r[1] == r[2] for r in rows])
        new = np.array([not r[3] for r in rows])
        report["runs"].append({
            "name": run.name, "paper": run.paper, "accuracy": float(is_right.mean()),
            "accuracy_new_materials": float(is_right[new].mean()) if new.any() else None,
            "materials": materials, "space_groups": groups,
            "trained_on": {str(g): list(m) for g, m in run.materials.items()},
            "seconds": time.monotonic() - begun,
        })  # fmt: skip
        print(f"  {is_right.mean():.3f} of all, paper {run.paper}", flush=True)
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            name = run.name.replace(" ", "-").replace(",", "")
            with (options.out / f"{name}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("material", "space_group", "said", "material_was_trained"))
                writer.writerows(rows)
    report["made"] = provenance()
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.figure is not None:
        draw_bars(report, options.figure)


if __name__ == "__main__":
    main()
