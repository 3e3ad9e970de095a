"""How many structures it takes: the network of ``ebsd-cubic`` trained on more and more of them.

    python benchmarks/learning_curve.py --json benchmarks/results/learning_curve.json
    python benchmarks/learning_curve.py --json benchmarks/results/made_up_crystals.json \
        --steps 1200 --sizes 415 0 --add synthetic=recipes/ebsd-cubic/sets/synthetic.npz

From scratch, the same steps and seed each time, on structures drawn at random from the stored
training set (each smaller choice lies in the larger ones), and tried on the held-out ones. The
orientation search is the bundled model's, so that the curve shows reading alone. ``--add`` joins
made-up crystals of a set that ``synthetic.py`` or ``superstructures.py`` of the recipe wrote to
each choice. Stored rows of the same steps and seed that are not made again are kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ablation import RECIPE, folded_set

import napari_spacegroup as nsg
from napari_spacegroup.config import TrainSpec
from napari_spacegroup.learn import MasterSet, TrainDone, train_events
from napari_spacegroup.models import SectorNet
from napari_spacegroup.workflows.provenance import provenance

SIZES = (3323, 1660, 830, 415, 207)
PATTERNS = 10
"""Of each held-out structure."""


def choices(masters: MasterSet, sizes: tuple[int, ...], seed: int) -> list[np.ndarray]:
    """Return the structures of each size, with the share of each group as in the whole set."""
    rng = np.random.default_rng(seed)
    order = np.concatenate(
        [rng.permutation(np.flatnonzero(masters.space_groups == g))
         for g in np.unique(masters.space_groups)]
    )  # fmt: skip
    share = np.concatenate(
        [np.arange(n) / n for n in np.unique(masters.space_groups, return_counts=True)[1]]
    )
    ranked = order[np.argsort(share, kind="stable")]
    return [np.sort(ranked[: min(size, len(masters))]) for size in sizes]


def joined(sets: Sequence[MasterSet]) -> MasterSet:
    """Return the union of sets on one grid; empty ones may be among them."""
    filled = [one for one in sets if len(one)]
    records = tuple(record for one in filled for record in one.records)
    return MasterSet(torch.cat([one.patterns for one in filled]), records)


def row_key(row: dict[str, Any]) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Return what sets a row apart: how many real structures, and which others."""
    return row["structures"], tuple(sorted(row["added"].items()))


def kept_rows(path: Path | None, report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the stored rows that were made as the report will say."""
    if path is None or not path.exists():
        return []
    stored = json.loads(path.read_text(encoding="utf-8"))
    same = all(stored.get(key) == value for key, value in report.items())
    return [{"added": {}} | row for row in stored["rows"]] if same else []


def main() -> None:
    """Train, count, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument(
        "--add", nargs="+", default=(), metavar="NAME=FILE", help="made-up crystals"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = nsg.load_model("ebsd-cubic")
    assert isinstance(model.network, SectorNet)
    masters = MasterSet.load(RECIPE / "sets" / "train.npz")
    held = MasterSet.load(RECIPE / "sets" / "calibration.npz")
    added = {name: MasterSet.load(Path(file)) for name, file in
             (text.split("=", 1) for text in options.add)}  # fmt: skip
    _, first = np.unique(held.space_groups, return_index=True)
    spec = TrainSpec.from_yaml(RECIPE / "train.yaml")
    schedule = spec.schedule.model_copy(
        update={"steps": options.steps, "seconds": None, "evaluate_every": 10**6}
    )
    spec = spec.replace(schedule=schedule, seed=options.seed)
    with torch.inference_mode():
        labels, folded = folded_set(
            model.network, model, MasterSet.load(RECIPE / "sets" / "test.npz"), PATTERNS
        )
    facts = {
        "kind": "simulated", "steps": options.steps, "seed": options.seed,
        "network": spec.network.model_dump(mode="json"), "patterns_per_structure": PATTERNS,
    }  # fmt: skip
    rows = kept_rows(options.json, facts)
    for chosen in choices(masters, tuple(options.sizes), options.seed):
        start = time.monotonic()
        few = joined([masters.subset(chosen), *added.values()])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "few.npz"
            held.subset(first).save(path)  # fits the temperature, which no answer depends on
            *_, done = train_events(spec.replace(validation=(path,)), folder, masters=few)
        assert isinstance(done, TrainDone)
        network = done.model.network
        assert isinstance(network, SectorNet)
        with torch.inference_mode():
            answers = torch.cat([network.read(part) for part in folded.split(256)]).argmax(1)
        right = (answers == labels).float()
        row = {
            "structures": len(chosen),
            "added": {name: len(others) for name, others in added.items()},
            "accuracy": float(right.mean()),
            "balanced": float(np.mean([right[labels == c].mean() for c in labels.unique()])),
        }
        rows = [*(r for r in rows if row_key(r) != row_key(row)), row]
        print(f"{row['structures']:5} structures {row['added']} {row['accuracy']:.3f} balanced "
              f"{row['balanced']:.3f}  {time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
        if options.json:
            report = facts | {"rows": sorted(rows, key=row_key), "made": provenance()}
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
