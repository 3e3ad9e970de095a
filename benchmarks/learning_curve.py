"""How many structures it takes: the network of ``ebsd-cubic`` trained on more and more of them.

    python benchmarks/learning_curve.py --json benchmarks/results/learning_curve.json

From scratch, the same steps and seed each time, on structures drawn at random from the stored
training set (each smaller choice lies in the larger ones), and tried on the held-out ones. The
orientation search is the bundled model's, so that the curve shows reading alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
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


def main() -> None:
    """Train, count, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = nsg.load_model("ebsd-cubic")
    assert isinstance(model.network, SectorNet)
    masters = MasterSet.load([RECIPE / "sets" / "train.npz", RECIPE / "sets" / "train_more.npz"])
    held = MasterSet.load(RECIPE / "sets" / "calibration.npz")
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
    rows: list[dict[str, Any]] = []
    for chosen in choices(masters, tuple(options.sizes), options.seed):
        start = time.monotonic()
        few = masters.subset(chosen)
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
            "structures": len(few),
            "accuracy": float(right.mean()),
            "balanced": float(np.mean([right[labels == c].mean() for c in labels.unique()])),
        }
        rows.append(row)
        print(f"{row['structures']:5} structures {row['accuracy']:.3f} balanced "
              f"{row['balanced']:.3f}  {time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
        if options.json:
            rows.sort(key=lambda r: r["structures"])
            report = {"kind": "simulated", "steps": options.steps, "seed": options.seed,
                      "patterns_per_structure": PATTERNS, "rows": rows,
                      "made": provenance()}  # fmt: skip
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
