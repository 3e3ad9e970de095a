"""Draw spot patterns ahead and keep what the network reads of them.

    python recipes/sad-cubic/pool.py --sets recipes/sad-cubic/sets/train.npz \
        --out pool --patterns 100000 --seed 1

Drawing, measuring and indexing a pattern takes a CPU some 25 ms, a step of the network on it a
fraction of one. Processes with different seeds can draw at the same time; ``train.yaml`` names
the folder in ``drawn``, and training adds fresh patterns to what lies there.

    python recipes/sad-cubic/pool.py --sets recipes/sad-cubic/sets/train.npz \
        --out pool --patterns 40000 --seed 2 --thick-share 1 --atoms train-atoms.npz

draws thick crystals, see ``atoms.py``; patterns of both kinds can lie in one folder.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_spacegroup.config import SpotRangeSpec, SpotTrainSpec
from napari_spacegroup.learn.spots import (
    CHUNK,
    READERS,
    Crystals,
    load_sets,
    simulate_features,
)
from napari_spacegroup.simulate.atoms import load_atoms

PART = 2048


def main() -> None:
    """Draw until there are enough, or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--sets", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patterns", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--thick-share", type=float, default=0.0)
    parser.add_argument("--architecture", choices=tuple(READERS), default="spotnet")
    parser.add_argument("--balanced", type=float, default=1.0)
    parser.add_argument("--atoms", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    sets = load_sets(tuple(options.sets))
    classes = tuple(sorted({int(g) for part in sets for g in part.space_groups}))
    crystals = Crystals(sets, classes, load_atoms(options.atoms))
    asked: SpotRangeSpec = (
        SpotTrainSpec.model_fields["microscope"]
        .get_default(call_default_factory=True, validated_data={})
        .replace(thick_share=options.thick_share)
    )
    generator = torch.Generator().manual_seed(options.seed)
    start = time.monotonic()
    for part in range(options.patterns // PART):
        features, labels = [], []
        for _ in range(PART // CHUNK):
            chosen = crystals.random(CHUNK, generator, options.balanced)
            found = simulate_features(
                crystals, chosen, asked, generator, READERS[options.architecture]
            )
            features.append(found)
            labels.append(crystals.labels[chosen])
        path = options.out / f"part-{options.seed}-{part:04d}.npz"
        waiting = path.with_name(f".{path.name}")
        np.savez(waiting, features=torch.cat(features).half().numpy(),
                 space_groups=np.array(classes)[torch.cat(labels).numpy()])  # fmt: skip
        waiting.rename(path)
        seconds = time.monotonic() - start
        print(f"{(part + 1) * PART} patterns, {seconds:.0f} s", flush=True)
        if seconds > options.seconds:
            break


if __name__ == "__main__":
    main()
