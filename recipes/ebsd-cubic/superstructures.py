"""Simulate master patterns of ordered superstructures of simple cubic structures.

    python recipes/ebsd-cubic/superstructures.py --structures ../shared/data/structures \
        --out recipes/ebsd-cubic/sets --workers 2

What ``ebsd-cubic`` misses among held-out structures is of types that its training lacks, and most
of these types are ordered variants of simple structures. The crystals here are those of
``napari_spacegroup.crystal.ordered_superstructures``; simulation and the least share of the
superlattice are those of ``masters.py``. Each order comes once, and again with other elements
where a group has too few (225, 227 and 230 have).

Left out are compounds that are held out, and **every structure type of the held-out side**: types
that the split of ``masters.py`` holds out, and those of held-out compounds that no master pattern
of the training sets is of. Letters of Wyckoff positions depend on the origin, so a type is compared
in both of its settings; and where a type has the multiplicities of a held-out one, and no master of
the training is of it, it is left out too. So the Suzuki phase stays unseen if it is held out, and
its neighbours do not.

A run that was stopped goes on where it was; identifiers that end in ``+o`` mark these masters.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import masters
import numpy as np
from masters import CLASSES, LEAST_TRAINED, MOST_ATOMS, Record, Task

from napari_spacegroup.crystal import Phase, SuperstructureLimits, ordered_superstructures
from napari_spacegroup.learn import MasterRecord, MasterSet

SEED = 13
COUNTS = {221: 120, 223: 40, 225: 160, 227: 120, 229: 100, 230: 40}
"""Crystals of each group; fewer come where the group has no more."""

LONGEST_EDGE = 12.5
"""Of the cell [Å]: beyond it a master pattern takes minutes."""

DISPLACEMENT = 0.08
"""Of free atoms, over the distance of nearest sites: that of oxygen in spinel."""

MOST_DRAWN = 40
"""Times the crystals wanted, before a group is taken to have no more."""

CENTRED = {221: "ab cd ef ij kl", 223: "cd gh", 225: "ab hi", 227: "ab cd", 229: "", 230: ""}
"""Wyckoff positions that change their letters when the origin moves to the centre of the cell."""


class HeldTypes:
    """Structure types that must not be trained on.

    Parameters
    ----------
    structures
        The library that ``masters.py`` splits.
    trained
        Types that training has already.
    """

    def __init__(self, structures: list[Record], trained: Collection[str]) -> None:
        """Sort the types of the library by the side that they are on."""
        self.trained = {settled(prototype) for prototype in trained}
        self.held: set[str] = set()
        for record in structures:
            prototype = record["proto"]
            is_rare = prototype not in masters.COMMON
            is_drawn = is_rare and masters.share_of("p" + prototype, 8) == 0
            is_new = settled(prototype) not in self.trained
            side = masters.side_of(record)
            if (side == "val" and is_drawn) or (side in ("val", "k18") and is_new):
                self.held.add(settled(prototype))
        self._alike = {multiplicities(name) for name in self.held}

    def __contains__(self, prototype: str) -> bool:
        """Return whether a type is held out, or may be one that is."""
        name = settled(prototype)
        if name in self.held:
            return True
        return multiplicities(name) in self._alike and name not in self.trained


def trained_types(sets: Path) -> set[str]:
    """Return the structure types of the training sets, as they are and not averaged."""
    records = MasterSet.load(sets / "train.npz").records
    return {r.prototype for r in records if re.fullmatch(r"\d+(\|(\d+[A-Za-z])+)+", r.prototype)}


def settled(prototype: str) -> str:
    """Return a name that a structure type has in both of its settings."""
    group, *species = prototype.split("|")
    swap = {}
    for one, other in CENTRED[int(group)].split():
        swap |= {one: other, other: one}
    names = []
    for letters in ({}, swap):
        turned = [
            "".join(sorted(n + letters.get(x, x) for n, x in re.findall(r"(\d+)([A-Za-z])", part)))
            for part in species
        ]
        names.append("|".join([group, *sorted(turned)]))
    return min(names)


def multiplicities(prototype: str) -> str:
    """Return a structure type without its letters."""
    group, *species = prototype.split("|")
    counts = sorted("+".join(sorted(re.findall(r"\d+", part))) for part in species)
    return "|".join([group, *counts])


def prototype_of(phase: Phase) -> str:
    """Return the structure type as the library names it: Wyckoff positions of each element."""
    import spglib

    places = [site.position for site in phase.sites]
    numbers = [site.atomic_number for site in phase.sites]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry_dataset(
            (phase.structure_matrix.T.tolist(), places, numbers), symprec=0.01
        )
    parts: dict[int, list[str]] = defaultdict(list)
    orbits = Counter(found.crystallographic_orbits.tolist())
    for first, count in orbits.items():
        parts[numbers[first]].append(f"{count}{found.wyckoffs[first]}")
    return "|".join([str(found.number), *sorted("".join(sorted(p)) for p in parts.values())])


def record_of(phase: Phase, identifier: str) -> Record:
    """Return a phase as a line of a structure library."""
    sites = [[s.element, *(float(x) for x in s.position), s.occupancy] for s in phase.sites]
    record = {"sites": sites, "id": identifier, "sg": phase.space_group, "n": len(sites)}
    return record | {
        "formula": masters.formula_of(record),
        "lattice": list(phase.lattice),
        "proto": prototype_of(phase),
        "source": f"superstructure of {phase.name}",
    }


def records(group: int, count: int, held: HeldTypes) -> list[Record]:
    """Return so many crystals of a group, or fewer, that may be trained on and can be told.

    Of a type that training has already, one is enough.
    """
    rng = np.random.default_rng((SEED, group))
    found: list[Record] = []
    known: set[str] = set()
    for number, phase in enumerate(drawn(group, count, rng)):
        record = record_of(phase, f"order-{group}-{number}+o")
        name = settled(record["proto"])
        if name not in known and is_usable(record, held):
            found.append(record)
            known |= {name} & held.trained
        if len(found) == count:
            break
    return found


def drawn(group: int, count: int, rng: np.random.Generator) -> Iterator[Phase]:
    """Give each order once, then orders with other elements."""
    # MOST_ATOMS counts those of the conventional cell.
    centring = {225: 4, 227: 4, 229: 2, 230: 2}.get(group, 1)
    limits = SuperstructureLimits(
        MOST_ATOMS.get(group, 90) // centring, edge=LONGEST_EDGE, displacement=DISPLACEMENT
    )
    left = MOST_DRAWN * count
    for repeats in (False, True):
        for phase in ordered_superstructures(group, rng, limits=limits, repeats=repeats):
            yield phase
            left -= 1
            if left <= 0:
                return


def is_usable(record: Record, held: HeldTypes) -> bool:
    """Return whether a crystal is on the training's side, and its superlattice can be seen."""
    if masters.is_held(record["formula"]) or record["proto"] in held:
        return False
    shares = masters.hidden_shares(record)
    return shares is not None and min(shares, default=1.0) >= LEAST_TRAINED


def pack(parts: Path, out: Path, chosen: list[Record]) -> None:
    """Write what has been simulated."""
    arrays, rows = [], []
    for path in (parts / f"{masters.share_of(r['id'], 16**8):08x}.npz" for r in chosen):
        if path.exists():
            with np.load(path) as file:
                arrays.append(file["data"])
                rows.append(MasterRecord(**json.loads(str(file["meta"]))))
    MasterSet.from_arrays(arrays, rows).save(out / "superstructures.npz")
    print(f"{len(rows)} of {len(chosen)} superstructures in {out / 'superstructures.npz'}")


def main() -> None:
    """Simulate what is missing, then pack."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained", type=Path, default=Path(__file__).parent / "sets",
                        help="folder of the training sets, whose types are seen")  # fmt: skip
    parser.add_argument("--count", type=int, help="crystals of every group, instead of COUNTS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the crystals, simulate none")
    parser.add_argument("--pack-only", action="store_true", help="pack what is there")
    options = parser.parse_args()
    held = HeldTypes(masters.load(options.structures), trained_types(options.trained))
    jobs = {g: records(g, options.count or COUNTS[g], held) for g in CLASSES}
    # Groups in turn, so that a run that is stopped has some of each.
    turns = [(i / len(found), r) for found in jobs.values() for i, r in enumerate(found)]
    order = [record for _, record in sorted(turns, key=lambda turn: turn[0])]
    for group, found in jobs.items():
        types = {settled(r["proto"]) for r in found}
        print(f"{group}: {len(found)} crystals of {len(types)} types, "
              f"{len(types - held.trained)} new to the training", flush=True)  # fmt: skip
    if options.list:
        for r in order:
            print(r["formula"], r["proto"], f"{r['lattice'][0]:.2f}", r["n"], r["source"])
        return
    parts = options.out / "superstructure-parts"
    parts.mkdir(parents=True, exist_ok=True)
    if not options.pack_only:
        tasks = [(Task(record, "train"), parts) for record in order]
        pool = multiprocessing.get_context("spawn").Pool(options.workers, maxtasksperchild=40)
        with pool:
            for _ in pool.imap_unordered(masters.simulate_job, tasks):
                pass
    pack(parts, options.out, order)


if __name__ == "__main__":
    main()
