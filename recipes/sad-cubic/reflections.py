"""Compute the structure factors that the bundled model ``sad-cubic`` is trained on.

    python recipes/sad-cubic/reflections.py --structures ../shared/data/structures \
        --out recipes/sad-cubic/sets

One list of reflections per cubic crystal, symmetry equivalents stored once, up to 1.25 1/Å. Of
each space group at most ``MOST`` structures of the library are taken, prototypes by the square
root of their number; synthetic crystals of the group fill it up to ``LEAST``, so that the five
groups without any structure are there too. One prototype in ten is held out whole (a formula can
still stand on both sides in two prototypes): half of them (``calibration``) are watched while
training and fit the temperature, half (``test``) serve the report alone; of the synthetic crystals
one in ten goes to each. Structures whose group is pseudosymmetric (``sg_loose``) are left out.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import hashlib
import json
import multiprocessing
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
Job = tuple[Record | int, str]
"""A structure, or a thousand times the group plus the number of a synthetic crystal; the side."""
GROUPS = tuple(range(195, 231))
MOST, LEAST = 110, 45
G_MAX = 1.25
LARGEST = 17.0
"""Longest cell edge [Å]: spots of larger cells run together at the sizes trained on."""
SEED = 11


def share_of(text: str, parts: int) -> int:
    """Return a number below ``parts`` that depends on the text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % parts


def prototype_key(record: Record) -> str:
    """Return the prototype without Wyckoff letters: equal multiplicities go together."""
    parts = record["proto"].split("|")
    return "|".join([parts[0], *sorted("".join(c if c.isdigit() else "." for c in p)
                                       for p in parts[1:])])  # fmt: skip


def side_of(key: str) -> str:
    """Return the side of the split that a prototype stands on."""
    return {0: "calibration", 1: "test"}.get(share_of("sad" + key, 20), "train")


def chosen(
    folder: Path, wanted: Sequence[int] = GROUPS, most: int = MOST
) -> list[tuple[Record, str]]:
    """Return structures and their side, by prototype, at most so many of a group."""
    groups: dict[int, dict[str, list[Record]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for name in ("structures", "structures_large", "structures_enantiomorphs"):
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as file:
            for record in map(json.loads, file):
                if (
                    record["sg"] not in wanted
                    or record.get("sg_loose", record["sg"]) != record["sg"]
                ):
                    continue
                if max(record["lattice"][:3]) <= LARGEST:
                    groups[record["sg"]][prototype_key(record)].append(record)
    rng = random.Random(SEED)
    found = []
    for group in wanted:
        prototypes = groups[group]
        weight = {key: len(records) ** 0.5 for key, records in prototypes.items()}
        total = sum(weight.values())
        for key in sorted(prototypes):
            records = sorted(prototypes[key], key=lambda r: r["id"])
            count = min(len(records), max(1, round(most * weight[key] / total)))
            # Mirror images share their partner's key but for the group: one side for both.
            side = side_of(key.split("|", 1)[1] + str(min(group, {213: 212}.get(group, group))))
            found += [(record, side) for record in rng.sample(records, count)]
    return found


def reflections_of(job: Job) -> Any:
    """Return reflections, reciprocal axes, rotations and side of one structure."""
    from napari_spacegroup.crystal import Phase, SyntheticLimits
    from napari_spacegroup.crystal.synthetic import synthetic_phase
    from napari_spacegroup.errors import PhaseError
    from napari_spacegroup.simulate.reflections import CrystalRecord, simulate_reflections

    what, side = job
    try:
        if isinstance(what, int):
            group, index = divmod(what, 1000)
            rng = np.random.default_rng((SEED, group, index))
            limits = SyntheticLimits(atoms=72)
            phase = synthetic_phase(group, rng, limits=limits, name=f"synthetic {group}-{index}")
            if max(phase.lattice[:3]) > LARGEST:
                return None
            record = CrystalRecord(phase.name, group, f"synthetic {group}-{index}", phase.name,
                                   "synthetic")  # fmt: skip
        else:
            phase = Phase.from_record(what)
            record = CrystalRecord(what["formula"], what["sg"], what["proto"], what["id"],
                                   what["source"])  # fmt: skip
        found = simulate_reflections(phase, G_MAX, record=record)
    except PhaseError as error:
        print(f"left out: {what if isinstance(what, int) else what['id']}: {error}", flush=True)
        return None
    # What is below 0.2 % of the strongest amplitude is never seen.
    kept = found.factor > 2e-3 * found.factor.max()
    found = type(found)(found.hkl[kept], found.g[kept], found.factor[kept], found.volume, record)
    rotations = {tuple(np.ravel(op.rot)) for op in phase.operations.sym_ops}
    matrices = np.array([np.reshape(r, (3, 3)) for r in sorted(rotations)]) // 24
    return found, np.linalg.inv(phase.structure_matrix), matrices, side


def main() -> None:
    """Compute and write one set for each side of the split."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    structures = chosen(options.structures)
    count = collections.Counter(record["sg"] for record, _ in structures)
    jobs: list[Job] = list(structures)
    for group in GROUPS:
        jobs += synthetic_jobs(group, max(LEAST - count[group], 12))
    compute(jobs, options.out, options.workers)


def synthetic_jobs(group: int, count: int) -> list[Job]:
    """Return synthetic crystals of a group, one in ten on either side that is held out."""
    sides = {0: "calibration", 1: "test"}
    return [(1000 * group + index, sides.get(index % 10, "train")) for index in range(count)]


def compute(jobs: Sequence[Job], out: Path, workers: int) -> None:
    """Compute all crystals and write one set for each side of the split."""
    from napari_spacegroup.simulate.reflections import ReflectionSet

    sides: dict[str, list[Any]] = collections.defaultdict(list)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, found in enumerate(pool.imap(reflections_of, jobs, chunksize=16)):
            if found is not None:
                sides[found[3]].append(found[:3])
            if done % 200 == 0:
                print(f"{done} of {len(jobs)}", flush=True)
    for side, crystals in sides.items():
        made = ReflectionSet.from_reflections(crystals)
        made.save(out / f"{side}.npz")
        groups = collections.Counter(made.space_groups.tolist())
        print(side, len(made), dict(sorted(groups.items())))


if __name__ == "__main__":
    main()
