"""Few labels: supervised training on neutron profiles, and three ways with unlabelled ones.

    python benchmarks/few_labels.py --structures ../shared/data/structures

The experiment of table 4 of Lolla et al. (2022), J. Appl. Cryst. 55, 882-889, at the size of a
CPU: real structures instead of the ICSD, their ResNet-18 with fewer channels, equally many steps
for each way, one profile of every crystal without noise. A tenth of the crystals is the test; of
the others some keep their labels and the rest loses them. Split at random, as theirs is. Runs
that are stored already are not done again.

Beside the networks stands what needs no training: the label of the most similar profile that has
one (``nearest``), and labels that spread over the graph of similar profiles, those without labels
among them (``propagation``; Zhou et al. 2003, Learning with local and global consistency). A
network that is taught such labels is ``propagated``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_spacegroup.config import PowderTrainSpec
from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.levels import aggregate
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.imaging import ProfileAxis, ProfileContract
from napari_spacegroup.imaging.profiles import scaled
from napari_spacegroup.learn import TrainDone, UnlabelledScan, train_events
from napari_spacegroup.learn.propagation import (
    NEIGHBOURS,
    ROUNDS,
    neighbour_weights,
    similar_profiles,
    spread_labels,
)
from napari_spacegroup.simulate.diffractometer import ProfileRange, draw_profiles, raw_profiles
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.simulate.profile import DeviceLines
from napari_spacegroup.workflows.provenance import provenance

RESULTS = Path(__file__).parent / "results"
CONTRACT = ProfileContract(radiation="neutron", points=512, background=0)
LEAST = 50
"""Crystals of a group, as in the paper; groups with fewer are left out."""

METHODS: dict[str, dict[str, Any] | None] = {
    "supervised": None,
    "adversarial": {"method": "adversarial"},
    "consistency": {"method": "consistency", "threshold": 0.8},
    "propagated": {"method": "propagation"},
}
GRAPHS = ("nearest", "propagation")

PAPER = {
    "0.05": {"supervised": (61, 54), "adversarial": (70, 60)},
    "0.1": {"supervised": (68, 61), "adversarial": (74, 65)},
    "0.25": {"supervised": (76, 68), "adversarial": (80, 72)},
    "0.5": {"supervised": (82, 75), "adversarial": (85, 78)},
}
"""Accuracy for Bravais lattices and for space groups [%], table 4."""


def all_lines(folder: Path, kept: Path) -> LineSet:
    """Return the neutron lines of the real structures; computed once."""
    if kept.exists():
        return LineSet.load([kept])
    with gzip.open(folder / "structures.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    groups = np.array([row["sg"] for row in rows])
    enough = np.flatnonzero(np.bincount(groups, minlength=231) >= LEAST)
    lines, numbers, records = [], [], []
    for row in rows:
        if row["sg"] not in enough or row.get("sg_loose", row["sg"]) != row["sg"]:
            continue
        try:
            found = lines_of_phase(Phase.from_record(row), 6.3, radiation=("neutron",))
        except PhaseError:
            continue
        if len(found.q) and found.neutron.max() > 0:
            lines.append(found)
            numbers.append(row["sg"])
            records.append(LineRecord(row["id"], row["proto"], row["source"]))
    stored = LineSet.from_lines(lines, numbers, records)
    few = np.bincount(stored.space_groups, minlength=231) < LEAST
    stored = stored.subset(np.flatnonzero(~few[stored.space_groups]))
    stored.save(kept)
    return stored


def split(lines: LineSet, fraction: float, seed: int) -> tuple[LineSet, LineSet, LineSet]:
    """Return crystals with labels, without, and of the test."""
    parts = sides(lines, fraction, seed)
    known, hidden, test = (lines.subset(np.flatnonzero(part)) for part in parts)
    return known, hidden, test


def sides(lines: LineSet, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which crystals have labels, have none, and are the test; each group keeps one."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lines))
    is_test = np.zeros(len(lines), bool)
    is_test[order[: len(lines) // 10]] = True
    free = order[len(lines) // 10 :]
    has_label = np.zeros(len(lines), bool)
    _, first = np.unique(lines.space_groups[free], return_index=True)
    has_label[free[first]] = True
    more = round(fraction * len(lines)) - int(has_label.sum())
    has_label[free[~has_label[free]][: max(more, 0)]] = True
    return has_label, ~has_label & ~is_test, is_test


def profiles_of(lines: LineSet) -> np.ndarray:
    """Return one profile of each crystal, condition clean, on the grid, shape ``(n, points)``."""
    device = DeviceLines(lines, "neutron", torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    scope = ProfileRange.of("clean", "neutron")
    found = []
    for part in torch.arange(len(lines)).split(256):
        values, inside = raw_profiles(device, part, scope, CONTRACT, generator)
        found.append(torch.where(inside, values, 0.0).numpy())
    return np.concatenate(found)


def one_run(lines: LineSet, method: str, fraction: float, seed: int, steps: int) -> dict[str, Any]:
    """Train once and return what the test says."""
    known, hidden, test = split(lines, fraction, seed)
    asked = METHODS[method]
    spec = PowderTrainSpec.model_validate(
        {
            "lines": ["in memory"], "radiation": "neutron", "name": method, "device": "cpu",
            "grid": {"points": CONTRACT.points, "background": CONTRACT.background},
            "network": {"architecture": "lolla_resnet18", "width": 16},
            "conditions": "clean", "seed": seed, "validation_share": 0.02,
            "unlabelled": None if asked is None else {**asked, "scans": ["in memory"]},
            "schedule": {"steps": steps, "batch_size": 32, "learning_rate": 1e-3,
                         "weight_decay": 0.01, "plane_weight": 0, "label_smoothing": 0,
                         "evaluate_every": steps},
        }
    )  # fmt: skip
    axis = ProfileAxis(CONTRACT.q(), "q", radiation="neutron")
    scan = UnlabelledScan(profiles_of(hidden)[:, None], axis=axis, name="crystals without labels")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scans = [] if asked is None else [scan]
        *_, done = train_events(spec, folder, held=known, unlabelled=scans)
    assert isinstance(done, TrainDone)
    seconds = time.monotonic() - begun
    classes = done.model.classes
    device = DeviceLines(test, "neutron", torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    scope = ProfileRange.of("clean", "neutron")
    found = []
    with torch.inference_mode():
        for part in torch.arange(len(test)).split(256):
            inputs = draw_profiles(device, part, scope, CONTRACT, generator)
            found.append(torch.softmax(done.model.network(inputs), -1).numpy())
    probabilities = np.concatenate(found)
    truth = np.searchsorted(classes, test.space_groups)
    return {
        "method": method, "fraction": fraction, "seed": seed, "seconds": round(seconds, 1),
        "labelled": len(known), "unlabelled": len(hidden), "tested": len(test),
        **right(probabilities, truth, classes),
    }  # fmt: skip


def neighbours(lines: LineSet, kept: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the most similar profiles of each and their cosines, ``(n, k)``; computed once."""
    if kept.exists():
        with np.load(kept) as content:
            return content["index"], content["cosine"]
    raw = torch.as_tensor(profiles_of(lines))
    profiles = scaled(raw, torch.ones_like(raw, dtype=torch.bool), CONTRACT)
    index, cosine = similar_profiles(profiles, CONTRACT, count=NEIGHBOURS)
    np.savez(kept, index=index, cosine=cosine)
    return index, cosine


def graph_run(
    lines: LineSet, method: str, fraction: float, seed: int, graph: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Answer from similar profiles and return what the test says."""
    has_label, is_hidden, is_test = sides(lines, fraction, seed)
    classes = tuple(int(g) for g in np.unique(lines.space_groups))
    labels = np.where(has_label, np.searchsorted(classes, lines.space_groups), -1)
    index, cosine = graph
    # Profiles of the test pass nothing on: they come one by one.
    may_give = has_label if method == "nearest" else has_label | is_hidden
    weight = neighbour_weights(cosine, may_give[index])
    if method == "nearest":
        first = weight.argmax(1)
        weight = np.eye(weight.shape[1], dtype=np.float32)[first] * (weight.max(1) > 0)[:, None]
    begun = time.monotonic()
    rounds = 1 if method == "nearest" else ROUNDS
    found = spread_labels(index, weight, labels, len(classes), rounds)
    shares = np.bincount(labels[has_label], minlength=len(classes)) / has_label.sum()
    probabilities = found[is_test] + 1e-6 * shares
    truth = np.searchsorted(classes, lines.space_groups[is_test])
    return {
        "method": method, "fraction": fraction, "seed": seed,
        "seconds": round(time.monotonic() - begun, 1), "labelled": int(has_label.sum()),
        "unlabelled": int(is_hidden.sum()), "tested": int(is_test.sum()),
        **right(probabilities, truth, classes),
    }  # fmt: skip


def right(
    probabilities: np.ndarray, truth: np.ndarray, classes: tuple[int, ...]
) -> dict[str, float]:
    """Return the shares of right answers."""
    _, matrix = aggregate(classes, "bravais_lattice")
    lattice = (probabilities @ matrix).argmax(1) == matrix[truth].argmax(1)
    top = np.argsort(-probabilities, axis=1)[:, :5]
    return {
        "space_group": float((top[:, 0] == truth).mean()),
        "top_5": float((top == truth[:, None]).any(1).mean()),
        "bravais_lattice": float(lattice.mean()),
    }


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the means over seeds and what each gave, for each way, share of labels and steps."""
    found = []
    kinds = {(run["fraction"], run["method"], _steps(run)) for run in runs}
    order = (*METHODS, *GRAPHS)
    for fraction, method, steps in sorted(kinds, key=lambda k: (k[0], k[2], order.index(k[1]))):
        own = [
            r for r in runs if (r["fraction"], r["method"], _steps(r)) == (fraction, method, steps)
        ]
        row: dict[str, Any] = {"fraction": fraction, "method": method, "steps": steps,
                               "seeds": len(own)}  # fmt: skip
        for key in ("bravais_lattice", "space_group", "top_5"):
            values = np.array([run[key] for run in own])
            row[key] = {"mean": float(values.mean()), "each": values.tolist()}
        paper = PAPER.get(f"{fraction:g}", {}).get(method)
        row["paper"] = None if paper is None else {
            "bravais_lattice": paper[0] / 100, "space_group": paper[1] / 100
        }  # fmt: skip
        found.append(row)
    return found


def _steps(run: dict[str, Any]) -> int:
    """Return the steps of training, 0 where nothing is trained."""
    return 0 if run["method"] in GRAPHS else int(run["steps"])


def main() -> None:
    """Run what is missing, store, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, default=Path("../shared/data/structures"))
    parser.add_argument("--lines", type=Path, default=Path("few-labels-lines.npz"))
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.05, 0.1, 0.25])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--methods", nargs="+", default=[*METHODS, *GRAPHS])
    parser.add_argument("--out", type=Path, default=RESULTS / "few_labels.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = all_lines(options.structures, options.lines)
    stored: dict[str, Any] = {"runs": []}
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
    keys = ("method", "fraction", "seed", "steps")
    done = {tuple(run[k] for k in keys) for run in stored["runs"]}
    for fraction in options.fractions:
        for seed in range(options.seeds):
            for method in options.methods:
                if (method, fraction, seed, options.steps) in done:
                    continue
                if method in GRAPHS:
                    graph = neighbours(lines, options.lines.with_name("few-labels-graph.npz"))
                    run = graph_run(lines, method, fraction, seed, graph)
                else:
                    run = one_run(lines, method, fraction, seed, options.steps)
                stored["runs"].append(run | {"steps": options.steps})
                print(json.dumps(stored["runs"][-1]), flush=True)
                stored |= {
                    "made": provenance(), "crystals": len(lines),
                    "groups": len(np.unique(lines.space_groups)), "network": "lolla_resnet18, "
                    "16 channels, 512 points of ln q", "table": table(stored["runs"]),
                }  # fmt: skip
                options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
