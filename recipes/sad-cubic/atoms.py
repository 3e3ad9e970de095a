"""Collect the atoms of the crystals in the sets, for the Bloch waves of thick ones.

    python recipes/sad-cubic/atoms.py --structures ../shared/data/structures \
        --sets recipes/sad-cubic/sets/train.npz --out train-atoms.npz

The sets hold sizes of structure factors and no phases. Structures are found again in the library
by their identifiers, synthetic crystals are made again from the seed of ``reflections.py``; each is
held against its reflections. The file is not part of the repository.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
from reflections import LARGEST, SEED

from napari_spacegroup.crystal import Phase, SyntheticLimits
from napari_spacegroup.crystal.synthetic import synthetic_phase
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.simulate.atoms import CrystalAtoms, save_atoms
from napari_spacegroup.simulate.kinematic import structure_factors
from napari_spacegroup.simulate.reflections import Reflections, ReflectionSet

AGREEMENT = 0.999
"""Least correlation of the structure factors in the set with those of the atoms."""


def fits(phase: Phase, stored: Reflections) -> bool:
    """Return whether a phase is the one that a list of reflections was made from."""
    if abs(phase.volume / stored.volume - 1) > 1e-4:
        return False
    rows = np.random.default_rng(0).permutation(len(stored))[:100]
    size = np.abs(structure_factors(phase, stored.hkl[rows].astype(float)))
    if np.ptp(stored.factor[rows]) < 1e-3 * stored.factor[rows].max():
        return bool(np.allclose(size, stored.factor[rows], rtol=1e-2))
    return bool(np.corrcoef(size, stored.factor[rows])[0, 1] > AGREEMENT)


def main() -> None:
    """Find or make each crystal, check it, write the atoms of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--sets", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    wanted = {
        record.identifier: part[row]
        for part in map(ReflectionSet.load, options.sets) for row, record in enumerate(part.records)
    }  # fmt: skip
    found: dict[str, CrystalAtoms] = {}
    lost = []

    def take(identifier: str, phase: Phase) -> None:
        if fits(phase, wanted[identifier]):
            found[identifier] = CrystalAtoms.from_phase(phase)
        else:
            lost.append(identifier)

    for name in ("structures", "structures_large", "structures_enantiomorphs"):
        with gzip.open(options.structures / f"{name}.jsonl.gz", "rt") as file:
            for record in map(json.loads, file):
                if record["id"] in wanted and record["lattice"][0] <= LARGEST:
                    take(record["id"], Phase.from_record(record))
    for identifier in wanted:
        if identifier.startswith("synthetic "):
            group, index = map(int, identifier.removeprefix("synthetic ").split("-"))
            rng = np.random.default_rng((SEED, group, index))
            try:
                phase = synthetic_phase(
                    group, rng, limits=SyntheticLimits(atoms=72), name=identifier
                )
            except PhaseError as error:
                lost.append(f"{identifier} ({error})")
                continue
            take(identifier, phase)
    save_atoms(options.out, found)
    print(
        f"{len(found)} of {len(wanted)} crystals; not as stored: {sorted(set(lost) - set(found))}"
    )


if __name__ == "__main__":
    main()
