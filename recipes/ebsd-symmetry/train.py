"""Train ``ebsd-symmetry`` on what was measured of patterns, and put it into the package.

    python recipes/ebsd-symmetry/train.py --pool recipes/ebsd-symmetry/pool \
        --sets recipes/ebsd-symmetry/sets

The pool comes from ``pool.py``. Nothing but the weighing of the features is learnt, in a minute;
the patterns of the calibration structures
choose the epoch and the temperature, those of the
test structures serve the report alone. The report counts at the levels that symmetry decides:
Laue class and crystal system. Space groups below share the probability of their Laue class as the
known structures do (``crystal.frequencies``).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_spacegroup import __version__
from napari_spacegroup.crystal.frequencies import space_group_shares
from napari_spacegroup.crystal.levels import aggregate, level_index, level_name, level_names
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.metrics import expected_calibration_error
from napari_spacegroup.models import Model, ModelCard, build
from napari_spacegroup.models.symmetry_axes import LAUE_CLASSES
from napari_spacegroup.models.symmetrynet import SymmetryNet
from napari_spacegroup.workflows.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
NAME = "ebsd-symmetry"
CLASSES = tuple(range(1, 231))
EPOCHS, BATCH, RATE, DECAY, NOISE, SMOOTHING = 60, 128, 1e-3, 0.02, 0.1, 0.02


def pool(folder: Path, side: str, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, Laue classes and structures of all parts of one kind."""
    features, labels, structures = [], [], []
    for part in sorted(folder.glob(f"{side}-{kind}-*.npz")):
        with np.load(part) as content:
            features.append(torch.from_numpy(content["features"]).float())
            labels.append(torch.from_numpy(content["labels"]).long())
            structures.append(torch.from_numpy(content["structures"]).long())
    return torch.cat(features), torch.cat(labels), torch.cat(structures)


def train(network: SymmetryNet, folder: Path, seed: int) -> dict[str, Any]:
    """Fit the head; keep the epoch that is best on the calibration structures."""
    features, labels, _ = pool(folder, "train", "drawn")
    held, truth, _ = pool(folder, "calibration", "standard")
    network.mean.copy_(features.mean(0))
    network.deviation.copy_(features.std(0).clamp_min(1e-3))
    generator = torch.Generator().manual_seed(seed)
    steps = EPOCHS * math.ceil(len(labels) / BATCH)
    optimiser = torch.optim.AdamW(network.heads.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * RATE, total_steps=steps)
    best, kept, kept_epoch = math.inf, network.state_dict(), 0
    for epoch in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            spread = NOISE * torch.randn(len(rows), features.shape[1], generator=generator)
            logits = network.read_each(features[rows] + spread * network.deviation)
            loss = functional.cross_entropy(
                logits.flatten(0, 1), labels[rows].repeat(len(logits)), label_smoothing=SMOOTHING
            ) * len(logits)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            logits = network.read(held)
            trained = (network.read(features).argmax(1) == labels).float().mean()
        missed = float(functional.cross_entropy(logits, truth))
        right = float((logits.argmax(1) == truth).float().mean())
        if missed < best:
            best, kept_epoch = missed, epoch
            kept = {key: value.clone() for key, value in network.state_dict().items()}
        print(f"epoch {epoch}: training {trained:.3f}, calibration {right:.3f}, {missed:.3f}")
    network.load_state_dict(kept)
    temperature = fitted_temperature(network.read(held).detach(), truth)
    # Here and not on the card: below the Laue class nothing is to be flattened.
    network.temperature.fill_(temperature)
    return {"patterns": len(labels), "epoch": kept_epoch, "temperature": temperature, "seed": seed}


def fitted_temperature(logits: Tensor, truth: Tensor) -> float:
    """Return what to divide logits by for probabilities that are true."""
    grid = torch.exp(torch.linspace(math.log(0.3), math.log(4), 200))
    losses = [float(functional.cross_entropy(logits / t, truth)) for t in grid]
    return float(grid[int(np.argmin(losses))])


def figures(network: SymmetryNet, folder: Path, side: str, kind: str,
            masters: MasterSet) -> dict[str, Any]:  # fmt: skip
    """Return accuracy and calibration on the structures of one side under one condition."""
    features, labels, structures = pool(folder, side, kind)
    with torch.inference_mode():
        probabilities = network.spread(network.read(features)).softmax(-1).numpy()
    groups = masters.space_groups[structures.numpy()]
    report: dict[str, Any] = {"n": len(labels), "structures": len(masters), "accuracy": {},
                              "ece": {}}  # fmt: skip
    for level in ("crystal_system", "laue_class", "bravais_lattice"):
        indices, matrix = aggregate(CLASSES, level)
        shares = probabilities @ matrix
        wanted = np.array([level_index(int(g), level) for g in groups])
        hits = np.array(indices)[shares.argmax(1)] == wanted
        report["accuracy"][level] = float(hits.mean())
        report["ece"][level] = expected_calibration_error(shares.max(1).astype(np.float64), hits)
        if level == "laue_class":
            counts = {}
            names = level_names(level)
            for row, name in enumerate(LAUE_CLASSES):
                here = labels.numpy() == row
                answers = [names[k] for k in shares[here].argmax(1)]
                counts[name] = {a: answers.count(a) for a in LAUE_CLASSES if a in answers}
            report["answers"] = counts
            report["balanced_laue_class"] = float(np.mean(
                [hits[labels.numpy() == row].mean() for row in np.unique(labels.numpy())]
            ))  # fmt: skip
    return report


def main() -> None:
    """Train, evaluate, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    shape = {"width": options.width, "dropout": options.dropout, "heads": options.heads}
    network = build("symmetrynet", len(CLASSES), **shape)
    assert isinstance(network, SymmetryNet)
    shares = np.log(space_group_shares())
    laue = np.array([LAUE_CLASSES.index(level_name(g, "laue_class")) for g in CLASSES])
    totals = np.array([np.log(np.exp(shares[laue == k]).sum()) for k in range(len(LAUE_CLASSES))])
    network.laue.copy_(torch.from_numpy(laue))
    network.prior.copy_(torch.from_numpy(shares - totals[laue]))
    how = train(network, options.pool, options.seed)
    masters = {side: MasterSet.load(options.sets / f"{side}.npz")
               for side in ("train", "calibration", "test")}  # fmt: skip
    metrics = {}
    for kind in ("clean", "standard", "hard"):
        if any(options.pool.glob(f"test-{kind}-*.npz")):
            found = figures(network, options.pool, "test", kind, masters["test"])
            metrics[f"held-out prototypes, {kind}"] = found
            print(kind, found["accuracy"], "ece", found["ece"], "balanced",
                  found["balanced_laue_class"])  # fmt: skip
            for name, answers in found["answers"].items():
                print(f"    {name:6} {answers}")
    training = how | {
        "structures": len(masters["train"]),
        "simulator": "de-ebsd 0.2.1, Bloch waves, one energy per structure",
        "voltage_kV": [12, 28],
        "how": "recipes/ebsd-symmetry: masters.py, pool.py, train.py",
    }
    card = ModelCard(
        name=NAME, technique="ebsd", finest_level="laue_class", classes=CLASSES,
        architecture="symmetrynet", options=shape,
        summary="The Laue class of any crystal from the symmetry that an EBSD pattern shows.",
        input=InputContract(shape=(60, 60)), training=training, metrics=metrics,
        cannot_separate=(
            "Space groups of one Laue class: their probabilities are those of known structures",
        ),
        package_version=__version__,
    )  # fmt: skip
    model = Model(network, card)
    folder = options.out or ROOT / "src" / "napari_spacegroup" / "models" / "bundled" / NAME
    model.save(folder)
    if options.out is None:
        stored = {"kind": "simulated", "sha256": model.card.sha256, "training": training,
                  "metrics": metrics, "made": provenance()}  # fmt: skip
        (ROOT / "benchmarks" / "results" / f"{NAME}.json").write_text(
            json.dumps(stored, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
