"""What each randomisation of the training brings, on simulated and on measured patterns.

    python benchmarks/ablation.py --data ../shared/data/ebsd --json benchmarks/results/ablation.json

The network of ``ebsd-cubic`` is trained with everything, then with one effect left out at a
time: same seed, same steps, same structures, orientation search unchanged. Measured and
simulated answers are counted apart; nothing measured is trained on, and no setting of the
bundled model was taken from this table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from measured import scans
from torch import Tensor

import napari_spacegroup as nsg
from napari_spacegroup.config import TrainSpec
from napari_spacegroup.config.train import AppearanceEffect
from napari_spacegroup.infer import scan_center
from napari_spacegroup.learn import MasterSet, TrainDone, train_events
from napari_spacegroup.learn.batches import condition_batch
from napari_spacegroup.models import SectorNet
from napari_spacegroup.models.pattern_center import square_centers
from napari_spacegroup.workflows.provenance import provenance

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "ebsd-cubic"
TRIED = tuple(e for e in get_args(AppearanceEffect) if e not in ("bad_pixels", "saturation_share"))


def folded_scans(network: SectorNet, model: Any, data: Path) -> dict[str, tuple[int, Tensor]]:
    """Return space group and folded patterns of each measured set."""
    found = {}
    for name, truth, scan, chosen in scans(data):
        patterns = scan.data.compute().reshape(-1, *scan.pattern_shape)
        center = square_centers(scan_center(scan, model).of(0, 1), scan.pattern_shape)
        if chosen is not None:
            patterns = patterns[np.asarray(chosen).ravel()][::3]
        inputs = model.prepare(patterns, static_background=scan.static_background, mask=scan.mask)
        centers = center.expand(len(inputs), 3)
        rotations, _ = network.indexer.index(inputs, centers)
        found[name] = truth, network.fold(inputs, centers, rotations)
    return found


def folded_set(
    network: SectorNet, model: Any, masters: MasterSet, count: int
) -> tuple[Tensor, Tensor]:
    """Return class indices and folded patterns of held-out structures, standard condition."""
    generator = torch.Generator().manual_seed(3)
    index = torch.arange(len(masters)).repeat_interleave(count)
    parts = []
    for part in index.split(128):
        batch = condition_batch(masters, part, "standard", model.card.input, generator)
        centers = batch.geometry.pattern_center
        rotations, _ = network.indexer.index(batch.inputs, centers)
        parts.append(network.fold(batch.inputs, centers, rotations))
    labels = torch.tensor([model.classes.index(int(g)) for g in masters.space_groups])
    return labels[index], torch.cat(parts)


def main() -> None:
    """Train, count, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = nsg.load_model("ebsd-cubic")
    assert isinstance(model.network, SectorNet)
    masters = MasterSet.load(RECIPE / "sets" / "train.npz")
    spec = TrainSpec.from_yaml(RECIPE / "train.yaml")
    schedule = spec.schedule.model_copy(
        update={"steps": options.steps, "seconds": None, "evaluate_every": 10**6}
    )
    spec = spec.replace(schedule=schedule)
    with torch.inference_mode():
        measured = folded_scans(model.network, model, options.data)
        labels, simulated = folded_set(
            model.network, model, MasterSet.load(RECIPE / "sets" / "test.npz"), 8
        )
    rows = []
    variants: list[tuple[str, tuple[str, ...]]] = [
        ("everything", ()), *((f"without {e}", (e,)) for e in TRIED),
        ("bare simulation", tuple(get_args(AppearanceEffect))),
    ]  # fmt: skip
    for name, without in variants:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            # One structure per group fits the temperature, which no answer here depends on.
            held = MasterSet.load(RECIPE / "sets" / "calibration.npz")
            _, first = np.unique(held.space_groups, return_index=True)
            few = Path(folder) / "few.npz"
            held.subset(first).save(few)
            variant = spec.replace(without=without, validation=(few,))
            *_, done = train_events(variant, folder, masters=masters)
        assert isinstance(done, TrainDone)
        network = done.model.network
        assert isinstance(network, SectorNet)
        with torch.inference_mode():
            answers = torch.cat([network.read(part) for part in simulated.split(256)]).argmax(1)
            row: dict[str, Any] = {
                "variant": name,
                "simulated": float((answers == labels).float().mean()),
                "measured": {},
            }
            for scan, (truth, folded) in measured.items():
                right = network.read(folded).argmax(1) == model.classes.index(truth)
                row["measured"][scan] = {"right": int(right.sum()), "n": len(right)}
        rows.append(row)
        print(f"{name:28} {row['simulated']:.3f} "
              + " ".join(f"{v['right']}/{v['n']}" for v in row["measured"].values())
              + f"  {time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
        if options.json:
            report = {"steps": options.steps, "seed": spec.seed, "rows": rows,
                      "structures": len(masters), "made": provenance()}  # fmt: skip
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
