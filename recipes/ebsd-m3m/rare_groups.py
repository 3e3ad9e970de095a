"""Simulate master patterns of the four groups of m-3m that ``ebsd-cubic`` leaves out.

    python recipes/ebsd-m3m/rare_groups.py --structures ../shared/data/structures \
        --out recipes/ebsd-m3m/sets --workers 2

Few crystals are known in 222, 226 and 228, and nearly all known ones of 224 are of two prototypes:
beside every structure of the library and substituted ones stand synthetic crystals
(``napari_spacegroup.crystal.synthetic_phase``). One synthetic crystal in eight is held out, and
those of the library are held out as in ``ebsd-cubic``; the simulation is that of its
``masters.py``. With the sets of ``ebsd-cubic`` these are the ten groups of ``ebsd-m3m``. A run
that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ebsd-cubic"))

from masters import (
    LEAST_TRAINED,
    MOST_ATOMS,
    NO_SOLIDS,
    Record,
    Task,
    exchanged,
    hidden_shares,
    is_training,
    load,
    share_of,
    side_of,
    simulate_job,
)
from synthetic import record_of

from napari_spacegroup.crystal.synthetic import SyntheticLimits, synthetic_phase
from napari_spacegroup.learn import MasterRecord, MasterSet

RARE = (222, 224, 226, 228)
SEED = 12
SYNTHETIC = {222: 95, 224: 75, 226: 95, 228: 95}
SUBSTITUTED = {222: 10, 224: 50, 226: 15}
LIMITS = {
    222: SyntheticLimits(atoms=130, sites=4),
    224: SyntheticLimits(atoms=80, sites=4),
    226: SyntheticLimits(atoms=50, sites=4),
    228: SyntheticLimits(atoms=50, sites=4),
}
LONGEST_EDGE = 15.0
"""Of the cell [Å]: beyond it a master pattern takes minutes."""


def synthetic_tasks(group: int, count: int) -> list[Task]:
    """Return synthetic crystals of a group whose symmetry can be seen; one in eight held out."""
    rng = np.random.default_rng((SEED, group))
    found: list[Task] = []
    number = 0
    while len(found) < count:
        phase = synthetic_phase(group, rng, limits=LIMITS[group])
        record = record_of(phase, f"rare-{group}-{number}")
        number += 1
        if record["lattice"][0] > LONGEST_EDGE or record["n"] > MOST_ATOMS.get(group, 90):
            continue
        shares = hidden_shares(record)
        if shares is not None and min(shares, default=1.0) >= LEAST_TRAINED:
            is_held = share_of(record["id"], 8) == 0
            found.append(Task(record, "val" if is_held else "train"))
    return found


def tasks(structures: list[Record]) -> list[Task]:
    """Return all crystals to simulate, the groups interleaved."""
    found: list[Task] = []
    seen: set[str] = set()
    for record in structures:
        is_small = record["n"] <= MOST_ATOMS.get(record["sg"], 90) and "sg_loose" not in record
        if not is_small or record["formula"] in seen | NO_SOLIDS:
            continue
        shares = hidden_shares(record)
        if shares is None or min(shares, default=1.0) < LEAST_TRAINED:
            continue
        seen.add(record["formula"])
        found.append(Task(record, "train" if is_training(record) else side_of(record)))
    rng = random.Random(SEED)
    found += exchanged(structures, SUBSTITUTED, seen, rng, 0.0)
    for group in RARE:
        found += synthetic_tasks(group, SYNTHETIC[group])
    rng.shuffle(found)
    return found


def pack(parts: Path, out: Path) -> None:
    """Write the sets of the sides."""
    sides: dict[str, tuple[list[Any], list[MasterRecord]]] = {}
    for file in sorted(parts.glob("*.npz")):
        with np.load(file) as content:
            record = MasterRecord(**json.loads(str(content["meta"])))
            side = str(content["side"])
            if side == "val":
                side = "test" if share_of("c" + record.identifier, 3) else "calibration"
            arrays, records = sides.setdefault(side, ([], []))
            arrays.append(content["data"])
            records.append(record)
    for side, (arrays, records) in sides.items():
        MasterSet.from_arrays(arrays, records).save(out / f"{side}.npz")
        print(f"{side}: {len(records)} master patterns")


def main() -> None:
    """Simulate what is missing, then pack."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    parts = options.out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    jobs = [(task, parts) for task in tasks(load(options.structures, RARE))]
    with multiprocessing.get_context("spawn").Pool(options.workers, maxtasksperchild=40) as pool:
        for _ in pool.imap_unordered(simulate_job, jobs):
            pass
    pack(parts, options.out)


if __name__ == "__main__":
    main()
