"""Draw EBSD patterns of all Laue classes and keep what ``symmetrynet`` measures of them.

    python recipes/ebsd-symmetry/pool.py --sets recipes/ebsd-symmetry/sets --side train \
        --out recipes/ebsd-symmetry/pool --patterns 20000 --seed 1
    python recipes/ebsd-symmetry/pool.py --sets recipes/ebsd-symmetry/sets --side test \
        --out recipes/ebsd-symmetry/pool --condition standard --per-structure 12

Measuring the symmetry of a pattern takes a CPU a quarter of a second, a step of the network
nothing; processes with different seeds can draw at the same time. Laue classes are drawn equally
often, and within a class all structures; with a condition, so many patterns of every structure.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_spacegroup.config import TrainSpec
from napari_spacegroup.crystal.levels import level_name, members
from napari_spacegroup.imaging import InputContract
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.batches import TrainingBatches, condition_batch
from napari_spacegroup.learn.setup import appearance_of, geometry_range
from napari_spacegroup.models.symmetry_axes import LAUE_CLASSES
from napari_spacegroup.models.symmetrynet import describe

PART = 256
CENTER_ERROR = 0.004
"""Standard deviation of the pattern center that patterns are read with."""
FIRST_GROUPS = tuple(members("laue_class", laue)[0] for laue in LAUE_CLASSES)


def by_laue_class(masters: MasterSet) -> MasterSet:
    """Return the set with the first space group of its Laue class for every structure."""
    records = tuple(
        replace(r, space_group=members("laue_class", level_name(r.space_group, "laue_class"))[0])
        for r in masters.records
    )
    return MasterSet(masters.patterns, records)


def main() -> None:
    """Draw until there are enough, or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--side", choices=("train", "calibration", "test"), default="train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patterns", type=int, default=20_000)
    parser.add_argument("--condition", choices=("clean", "standard", "hard"))
    parser.add_argument("--per-structure", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--appearance", type=float, default=1.0, help="strength of the screen")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    masters = by_laue_class(MasterSet.load(options.sets / f"{options.side}.npz"))
    generator = torch.Generator().manual_seed(options.seed)
    contract = InputContract(shape=(60, 60))
    labels_of = np.array([FIRST_GROUPS.index(int(g)) for g in masters.space_groups])
    spec = TrainSpec(masters=(options.sets,), appearance=options.appearance)
    batches = TrainingBatches(
        masters, FIRST_GROUPS, geometry=geometry_range(spec), appearance=appearance_of(spec),
        contract=contract, generator=generator,
    )  # fmt: skip
    every = np.repeat(np.arange(len(masters)), options.per_structure)
    total = len(every) if options.condition else options.patterns
    kind = options.condition or "drawn"
    start = time.monotonic()
    for part, first in enumerate(range(0, total, PART)):
        path = options.out / f"{options.side}-{kind}-{options.seed}-{part:04d}.npz"
        if options.condition:
            rows = every[first : first + PART]
            batch = condition_batch(
                masters, torch.from_numpy(rows), options.condition, contract, generator
            )
            inputs, centers, labels = (
                batch.inputs, batch.geometry.pattern_center, labels_of[rows],
            )  # fmt: skip
        else:
            drawn = batches.draw(min(PART, total - first))
            error = torch.randn(len(drawn.labels), 3, generator=generator) * CENTER_ERROR
            inputs, centers = drawn.inputs, drawn.geometry.pattern_center + error
            labels, rows = drawn.labels.numpy(), np.full(len(drawn.labels), -1)
        with torch.inference_mode():
            features = describe(inputs, centers).numpy()
        np.savez(path, features=features.astype(np.float16), labels=labels, structures=rows)
        seconds = time.monotonic() - start
        print(f"{first + len(labels)} of {total} patterns, {seconds:.0f} s", flush=True)
        if seconds > options.seconds:
            break


if __name__ == "__main__":
    main()
