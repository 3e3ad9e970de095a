"""Powder lines of real structures, for the last part of training; some prototypes stay out.

    python recipes/powder/real.py --structures ../shared/data/structures --out real

Synthetic crystals teach lattices and absences. Which structure types nature likes they can't know,
so the last part of the training of ``xrd-symmetry`` draws from real structures too. The
prototypes in ``held_prototypes.json`` are left out: on them alone the simulated tables of
``docs/powder.md`` are made. They are drawn at random (``--draw``), every prototype as likely as
any other, so that most of them are rare ones.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from crystals import AXES, Q_MAX

from napari_spacegroup.crystal import Phase
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet

HELD = Path(__file__).parent / "held_prototypes.json"
SEED = 5
COUNT = 400


def load(folder: Path) -> list[dict[str, Any]]:
    """Return the structures whose space group is beyond doubt."""
    with gzip.open(folder / "structures.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row.get("sg_loose", row["sg"]) == row["sg"]]


def drawn(rows: list[dict[str, Any]]) -> list[str]:
    """Return prototypes to hold out, each as likely as any other."""
    names = sorted({row["proto"] for row in rows if not row["hyp"] and row["ordered"]})
    chosen = np.random.default_rng(SEED).permutation(len(names))[:COUNT]
    return [names[i] for i in np.sort(chosen)]


def main() -> None:
    """Write the lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("real"))
    parser.add_argument("--draw", action="store_true", help="draw the held-out prototypes anew")
    options = parser.parse_args()
    rows = load(options.structures)
    if options.draw:
        HELD.write_text(json.dumps(drawn(rows), indent=0) + "\n", encoding="utf-8")
    held = set(json.loads(HELD.read_text(encoding="utf-8")))
    rng = np.random.default_rng(SEED)
    lines, groups, records = [], [], []
    for row in rows:
        if row["proto"] in held:
            continue
        axis = AXES[int(rng.integers(len(AXES)))]
        try:
            found = lines_of_phase(Phase.from_record(row), Q_MAX, preferred=axis)
        except PhaseError:
            continue
        if len(found.q) and found.xray.max() > 0 and found.neutron.max() > 0:
            lines.append(found)
            groups.append(row["sg"])
            records.append(LineRecord(row["id"], row["proto"], row["source"]))
    options.out.mkdir(parents=True, exist_ok=True)
    LineSet.from_lines(lines, groups, records).save(options.out / "real.npz")
    print(f"{len(lines)} of {len(rows)} structures, {len(held)} prototypes held out")


if __name__ == "__main__":
    main()
