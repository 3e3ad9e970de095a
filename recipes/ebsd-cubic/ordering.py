"""Add partly ordered crystals and their disordered parents to the masters of ``ebsd-cubic``.

    python recipes/ebsd-cubic/ordering.py --structures ../shared/data/structures \
        --out recipes/ebsd-cubic/sets --workers 2

Held against the ideal observer (``benchmarks/observer.py``), a network trained on ordered crystals
alone calls those with a weak superlattice by the group of their parent. What such a network never
met is a pair that differs by the superlattice and by nothing else. So each structure of the
training that nearly has more translations is drawn twice again: averaged over these translations
(label: the group of the average) and partly ordered, its structure factors between those of the
average and its own, so far that the superlattice holds 1.2 to 6 % of the intensity (label: its
own group). Silicon's structure is drawn with other elements too, of which nature has few.

The shipped model has not seen them: to go on with some of them was tried once, and made it no
better on the calibration structures.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import gemmi
import masters
import numpy as np

LEAST_SHARE, MOST_SHARE = 0.012, 0.06
FARTHEST = 0.4
"""Share of the superlattice above which a structure does not nearly have its parent's group."""

MOST_ATOMS = 40
DIAMOND_LIKE = (
    "B", "C", "Mg", "Al", "Si", "P", "S", "Ti", "V", "Cr", "Mn", "Co", "Cu", "Ga", "As", "Se",
    "Zr", "Mo", "Sn", "Te", "Hf", "Pb",
)  # fmt: skip
SEED = 11
Site = tuple[float, float, float, str]


def partly_ordered(record: masters.Record, parent: masters.Record, order: float) -> masters.Record:
    """Return a structure between its parent (order 0) and itself (1).

    The structure factors are ``order * F + (1 - order) * F_parent``.
    """
    amounts: dict[Site, float] = defaultdict(float)
    for sites, share in ((record["sites"], order), (parent["sites"], 1 - order)):
        for element, x, y, z, occupancy in sites:
            place = tuple(round(v % 1.0, 4) % 1.0 for v in (x, y, z))
            amounts[(*place, element)] += share * occupancy
    sites = [[e, x, y, z, n] for (x, y, z, e), n in sorted(amounts.items()) if n > 1e-6]
    return record | {
        "sites": sites, "id": f"{record['id']}+order{order:.3f}",
        "formula": f"{record['formula']} {order:.0%} ordered", "source": "partly ordered",
    }  # fmt: skip


def nearest_parent(record: masters.Record) -> tuple[masters.Record, float] | None:
    """Return the likest parent of another group of the model, and the share that it hides."""
    from napari_spacegroup.crystal import Phase, cubic_parents

    shares = masters.hidden_by_lattice(record)
    if shares is None:
        return None
    found = None
    for parent in cubic_parents(Phase.from_record(record)):
        share, group = shares.get(parent.lattice), parent.space_group
        if share is None or group == record["sg"] or group not in masters.CLASSES:
            continue
        if found is None or share < found[1]:
            sites = [[s.element, *s.position, s.occupancy] for s in parent.phase.sites]
            found = record | {
                "sites": sites, "sg": group, "id": f"{record['id']}+average",
                "formula": f"{record['formula']} averaged", "source": "averaged",
                "proto": f"{record['proto']} {parent.lattice}",
            }, share  # fmt: skip
    return found


def pair_of(record: masters.Record, rng: random.Random) -> Iterator[masters.Task]:
    """Give the parent and a partly ordered version of one structure of the training."""
    found = nearest_parent(record)
    if found is None or not LEAST_SHARE <= found[1] <= FARTHEST:
        return
    parent, whole = found
    most = min(MOST_SHARE, whole)
    share = math.exp(rng.uniform(math.log(LEAST_SHARE), math.log(most)))
    order = math.sqrt(share / (1 - share) * (1 - whole) / whole)
    mixed = partly_ordered(record, parent, order)
    if min(masters.hidden_shares(mixed) or [0.0]) < 0.8 * LEAST_SHARE:
        return
    yield masters.Task(parent, "train")
    yield masters.Task(mixed, "train")


def diamonds(structures: list[masters.Record]) -> list[masters.Task]:
    """Return other elements on the sites of silicon: nature has too few to learn from."""
    rng = random.Random(SEED)
    base = next(r for r in structures if r["proto"] == masters.DIAMOND and r["formula"] == "Si")
    silicon = gemmi.Element("Si").covalent_r
    found = []
    for element in DIAMOND_LIKE:
        factor = gemmi.Element(element).covalent_r / silicon * rng.uniform(0.97, 1.03)
        found.append(masters.Task(base | {
            "sites": [[element, *site[1:]] for site in base["sites"]],
            "lattice": [x * factor for x in base["lattice"][:3]] + base["lattice"][3:],
            "id": f"{base['id']}+diamond_{element}", "formula": f"{element} as diamond",
            "source": "substituted",
        }, "train"))  # fmt: skip
    return found


def tasks(structures: list[masters.Record]) -> list[masters.Task]:
    """Return the pairs of all training structures with few atoms, prototypes in turn."""
    rng = random.Random(SEED)
    first = masters.tasks(structures)
    turns: dict[str, int] = defaultdict(int)
    order = []
    for task in first + masters.more_tasks(structures, first):
        record = task.record
        if task.side == "train" and record["n"] <= MOST_ATOMS:
            turns[record["proto"]] += 1
            order.append((math.sqrt(turns[record["proto"]]), len(order), record))
    found = diamonds(structures)
    for _, _, record in sorted(order, key=lambda entry: entry[:2]):
        found += list(pair_of(record, rng))
    return found


def main() -> None:
    """Simulate what is missing; ``masters.py`` packs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most", type=int, default=2000, help="masters to make")
    options = parser.parse_args()
    parts = options.out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    jobs = [(task, parts) for task in tasks(masters.load(options.structures))[: options.most]]
    print(f"{len(jobs)} masters:", np.unique([t.record["sg"] for t, _ in jobs], return_counts=True))
    with multiprocessing.get_context("spawn").Pool(options.workers, maxtasksperchild=40) as pool:
        for _ in pool.imap_unordered(masters.simulate_job, jobs):
            pass


if __name__ == "__main__":
    main()
