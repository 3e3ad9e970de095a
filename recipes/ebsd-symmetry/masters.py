"""Simulate the master patterns that ``ebsd-symmetry`` is trained on: all eleven Laue classes.

    python recipes/ebsd-symmetry/masters.py --structures ../shared/data/structures \
        --out recipes/ebsd-symmetry/sets --workers 2

One dynamical master pattern per structure, both hemispheres, at a random beam energy and
Debye-Waller factor. The grid is finer than what is kept, 1.25 degrees: lines finer than the grid
come back as noise that only the axes of the grid share (``benchmarks/aliasing.py``). For
training, electrons come from a random mean depth, which is cheaper than a Monte Carlo run and
broadens the lines. Of each Laue class and Bravais lattice prototypes are taken in turn, each once
before any comes again, small cells only; one prototype in four is held out whole, a third of
these to calibrate. Structures that are nearly of a higher space group (``sg_loose``) are left
out. The tasks are interleaved, so that a run can be stopped at any time, and goes on where it
was.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sad-cubic"))

from reflections import prototype_key, share_of

from napari_spacegroup.crystal.levels import level_name
from napari_spacegroup.errors import SpaceGroupError
from napari_spacegroup.learn import MasterRecord, MasterSet

Record = dict[str, Any]
MOST_ATOMS, LONGEST_EDGE, LARGEST_VOLUME = 20, 14.0, 420.0
"""Atoms in a cell, its longest edge [Å] and its volume [Å³]."""
LAUE_CLASSES = 11
COUNT = 140
"""Structures of a Laue class at most, held-out ones among them."""
SEED = 21
FAST: dict[str, Any] = {"half_size": 100, "d_min": 1.0, "max_strong": 18}
FINE: dict[str, Any] = {"half_size": 140, "d_min": 0.9, "max_strong": 24}
"""How training structures are simulated, and how those that judge."""
SHALLOWEST, DEEPEST = 6.0, 18.0
"""Mean depth that electrons come from in training [nm]."""


def side_of(record: Record) -> str:
    """Return the side of the split, which the prototype decides."""
    key = prototype_key(record)
    if share_of("ebsd" + key, 4):
        return "train"
    return "test" if share_of("c" + key, 3) else "calibration"


def is_small(record: Record) -> bool:
    """Return whether the structure takes seconds and its group is not pseudosymmetric."""
    a, b, c, *angles = record["lattice"]
    cosines = np.cos(np.radians(angles))
    volume = a * b * c * np.sqrt(max(1 - (cosines**2).sum() + 2 * cosines.prod(), 0.0))
    return (
        record["n"] <= MOST_ATOMS
        and max(a, b, c) <= LONGEST_EDGE
        and volume <= LARGEST_VOLUME
        and record.get("sg_loose", record["sg"]) == record["sg"]
    )


def tasks(folder: Path) -> list[Record]:
    """Return the structures in the order in which they are simulated."""
    lattices: dict[str, dict[str, dict[str, list[Record]]]] = {}
    for name in ("structures", "structures_enantiomorphs"):
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as file:
            for record in filter(is_small, map(json.loads, file)):
                laue = level_name(record["sg"], "laue_class")
                bravais = level_name(record["sg"], "bravais_lattice")
                prototypes = lattices.setdefault(laue, {}).setdefault(bravais, {})
                prototypes.setdefault(prototype_key(record), []).append(record)
    rng = random.Random(SEED)
    orders = []
    for kinds in lattices.values():
        queues = [collections.deque(in_turn(kind, rng)) for kind in kinds.values()]
        taken: list[Record] = []
        while len(taken) < COUNT and any(queues):
            taken += [queue.popleft() for queue in queues if queue]
        orders.append(taken[:COUNT])
    rounds = max(map(len, orders))
    return [order[k] for k in range(rounds) for order in orders if k < len(order)]


def in_turn(prototypes: dict[str, list[Record]], rng: random.Random) -> list[Record]:
    """Return structures so that no prototype comes twice before all have come once."""
    piles = list(prototypes.values())
    rng.shuffle(piles)
    for pile in piles:
        rng.shuffle(pile)
    deepest = max(map(len, piles))
    return [pile[k] for k in range(deepest) for pile in piles if k < len(pile)]


def simulate(record: Record, out: Path) -> None:
    """Simulate one structure and store it, unless that is done."""
    path = out / f"{share_of(record['id'], 16**8):08x}.npz"
    if path.exists():
        return
    import torch
    from de_ebsd.sim.montecarlo.depth import DepthDistribution

    from napari_spacegroup.crystal import Phase
    from napari_spacegroup.simulate.dynamical import STRONG_CUTOFFS, simulate_dynamical

    torch.set_num_threads(1)
    side = side_of(record)
    rng = np.random.default_rng(share_of(record["id"], 2**31))
    voltage = float(rng.uniform(12, 28) if side == "train" else rng.uniform(15, 25))
    b_iso, depths, how = 0.5, None, FINE
    if side == "train":
        b_iso = float(np.exp(rng.uniform(np.log(0.2), np.log(1.0))))
        depth = float(np.exp(rng.uniform(np.log(SHALLOWEST), np.log(DEEPEST))))
        depths = DepthDistribution.single_energy(
            0.95 * voltage, thickness=4 * depth, depth_step=0.1 * depth, decay_length=depth
        )
        how = FAST
    phase = Phase.from_record(record).with_b_iso(b_iso)
    meta = {
        "name": record["formula"], "space_group": record["sg"],
        "prototype": prototype_key(record), "identifier": record["id"],
        "energy": 0.95 * voltage, "voltage": voltage, "source": record["source"],
    }  # fmt: skip
    start = time.monotonic()
    data, plans = simulate_dynamical(
        phase, np.array([0.95 * voltage]), voltage=voltage, ladder=STRONG_CUTOFFS,
        electrons=8_000, depths=depths, **how,
    )  # fmt: skip
    sheet = MasterSet.from_arrays([data[0]], [MasterRecord(**meta)]).patterns[0].numpy()
    np.savez(path, data=sheet.astype(np.float16), side=side, meta=json.dumps(meta))
    print(
        f"{record['sg']} {record['formula']} {side} {time.monotonic() - start:.1f} s, "
        f"{plans[0].mean_strong:.0f} strong beams",
        flush=True,
    )


def simulate_job(job: tuple[Record, Path]) -> None:
    """Simulate one structure; one that fails is named and left out."""
    try:
        simulate(*job)
    except (SpaceGroupError, RuntimeError, ValueError) as error:
        print(f"{job[0]['formula']} {job[0]['sg']}: {error}", flush=True)


def pack(parts: Path, out: Path) -> None:
    """Write the sets of the three sides."""
    sides: dict[str, tuple[list[Any], list[MasterRecord]]] = {}
    for file in sorted(parts.glob("*.npz")):
        with np.load(file) as content:
            arrays, records = sides.setdefault(str(content["side"]), ([], []))
            arrays.append(content["data"])
            records.append(MasterRecord(**json.loads(str(content["meta"]))))
    for side, (arrays, records) in sides.items():
        MasterSet.from_arrays(arrays, records).save(out / f"{side}.npz")
        print(f"{side}: {len(records)} master patterns")


def main() -> None:
    """Simulate what is missing, then pack."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pack-only", action="store_true")
    options = parser.parse_args()
    parts = options.out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    if not options.pack_only:
        jobs = [(record, parts) for record in tasks(options.structures)]
        context = multiprocessing.get_context("spawn")
        with context.Pool(options.workers, maxtasksperchild=60) as pool:
            for _ in pool.imap(simulate_job, jobs):
                pass
    pack(parts, options.out)


if __name__ == "__main__":
    main()
