"""Make sets of powder lines of synthetic crystals, file after file.

    python recipes/powder/crystals.py --out sets --files 40 --seed 0

One process and one core; start several with different seeds. Each file is new crystals.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from napari_spacegroup.crystal.skeleton import SkeletonPool
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.simulate.lines import lines_of_crystal
from napari_spacegroup.simulate.lineset import LineSet

Q_MAX = 8.2
AXES = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1), (0, 1, 1))
"""Planes that texture may turn to the surface."""


def main() -> None:
    """Make the files; those that exist are left alone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--crystals", type=int, default=10_000, help="in a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=3, help="crystals on a skeleton at a time")
    parser.add_argument("--prior", type=Path, default=Path(__file__).parent / "prior.json")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shares = np.array(json.loads(options.prior.read_text(encoding="utf-8"))["shares"])
    pool = SkeletonPool(range(1, 231), seed=options.seed)
    rng = np.random.default_rng((options.seed, 1))
    for number in range(options.files):
        path = options.out / f"lines-{options.seed:02d}-{number:03d}.npz"
        begun = time.monotonic()
        lines, groups = [], []
        while len(lines) < options.crystals:
            group = int(rng.choice(230, p=shares / shares.sum())) + 1
            for crystal in pool.crystals(group, most=options.most):
                try:
                    found = lines_of_crystal(
                        crystal, Q_MAX, preferred=AXES[int(rng.integers(len(AXES)))]
                    )
                except PhaseError:
                    continue
                if len(found.q) and found.xray.max() > 0 and found.neutron.max() > 0:
                    lines.append(found)
                    groups.append(group)
        found_set = LineSet.from_lines(lines, groups)
        partial = path.with_name(path.name + ".part")
        with partial.open("wb") as file:
            found_set.save(file)
        partial.replace(path)
        rate = len(lines) / (time.monotonic() - begun)
        print(f"{path.name}: {len(lines)} crystals, {len(found_set.q) / len(lines):.0f} lines "
              f"each, {rate:.0f} crystals/s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
