"""How often each space group is met: counts in the structure set, smoothed, as JSON.

    python recipes/powder/prior.py ../shared/data/structures recipes/powder/prior.json

Training draws groups in this proportion, so that the answer to a pattern that says little
is what crystals mostly are. No structure is trained on.
"""

from __future__ import annotations

import collections
import gzip
import json
import sys
from pathlib import Path

import numpy as np

EXPONENT = 0.75
FLOOR = 0.25
"""Share that is given to all groups alike."""


def main() -> None:
    """Count and write."""
    counts: collections.Counter[int] = collections.Counter()
    prototypes: collections.defaultdict[int, set[str]] = collections.defaultdict(set)
    for name in ("structures", "structures_large"):
        with gzip.open(Path(sys.argv[1]) / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if not row["hyp"]:
                    counts[row["sg"]] += 1
                    prototypes[row["sg"]].add(row["proto"])
    # Half by structures, half by prototypes: perovskites are not a third of all crystals.
    numbers = np.arange(1, 231)
    by_structure = np.array([counts[int(n)] for n in numbers], float)
    by_prototype = np.array([len(prototypes[int(n)]) for n in numbers], float)
    shares = by_structure / by_structure.sum() / 2 + by_prototype / by_prototype.sum() / 2
    smooth = shares**EXPONENT
    smooth = (1 - FLOOR) * smooth / smooth.sum() + FLOOR / 230
    content = {
        "what": "share of each space group in training, 1 to 230",
        "exponent": EXPONENT, "floor": FLOOR, "structures": int(by_structure.sum()),
        "prototypes": int(by_prototype.sum()),
        "shares": [round(float(s), 6) for s in smooth / smooth.sum()],
    }  # fmt: skip
    Path(sys.argv[2]).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
