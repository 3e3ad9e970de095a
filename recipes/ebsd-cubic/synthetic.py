"""Simulate master patterns of synthetic crystals of the groups of ``ebsd-cubic``.

    python recipes/ebsd-cubic/synthetic.py --out recipes/ebsd-cubic/sets --count 100

The crystals are those of ``napari_spacegroup.crystal.synthetic_phases``; the simulation, and the
limit on symmetry that noise hides, are those of ``masters.py``. ``benchmarks/learning_curve.py``
tries what they add to real structures. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from masters import CLASSES, Record, Task, hidden_shares, share_of, simulate

from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.synthetic import SyntheticLimits, synthetic_phase
from napari_spacegroup.learn import MasterRecord, MasterSet

SEED = 11
LIMITS = {number: SyntheticLimits(atoms=30) for number in CLASSES} | {
    230: SyntheticLimits(atoms=80)
}
LONGEST_EDGE = 12.5
"""Of the cell [Å]: beyond it a master pattern takes minutes."""


def record_of(phase: Phase, identifier: str) -> Record:
    """Return a phase as a line of a structure library."""
    sites = [[s.element, *(float(x) for x in s.position), s.occupancy] for s in phase.sites]
    return {
        "id": identifier,
        "formula": phase.formula,
        "sg": phase.space_group,
        "lattice": list(phase.lattice),
        "n": len(sites),
        "sites": sites,
        "proto": f"{phase.space_group}|synthetic|{identifier}",
        "source": "synthetic",
    }


def records(group: int, count: int) -> list[Record]:
    """Return so many crystals of a group whose symmetry can be seen."""
    rng = np.random.default_rng((SEED, group))
    found: list[Record] = []
    elements = number = 0
    while len(found) < count:
        phase = synthetic_phase(group, rng, limits=LIMITS[group])
        record = record_of(phase, f"syn-{group}-{number}")
        number += 1
        is_element = len({site[0] for site in record["sites"]}) == 1
        if record["lattice"][0] > LONGEST_EDGE or (is_element and elements > len(found) // 8):
            continue  # one f.c.c. metal looks like the next
        shares = hidden_shares(record)
        if shares is not None and min(shares, default=1.0) >= 0.04:
            found.append(record)
            elements += is_element
    return found


def main() -> None:
    """Simulate what is missing, then pack."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="crystals of each group")
    parser.add_argument("--pack-only", action="store_true", help="pack what is there")
    options = parser.parse_args()
    parts = options.out / "synthetic-parts"
    parts.mkdir(parents=True, exist_ok=True)
    jobs = [records(group, options.count) for group in CLASSES]
    order = [record for same in zip(*jobs, strict=True) for record in same]
    if not options.pack_only:
        for record in order:
            simulate(Task(record, "train"), parts)
    paths = [parts / f"{share_of(record['id'], 16**8):08x}.npz" for record in order]
    arrays, rows = [], []
    for path in filter(Path.exists, paths):
        with np.load(path) as file:
            meta = json.loads(str(file["meta"]))
            arrays.append(file["data"])
            rows.append(MasterRecord(**meta))
    MasterSet.from_arrays(arrays, rows).save(options.out / "synthetic.npz")
    print(f"{len(rows)} synthetic crystals in {options.out / 'synthetic.npz'}")


if __name__ == "__main__":
    main()
