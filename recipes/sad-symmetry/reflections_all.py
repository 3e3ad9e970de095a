"""Compute the structure factors that ``sad-symmetry`` is trained on: crystals of all 230 groups.

    python recipes/sad-symmetry/reflections_all.py --structures ../shared/data/structures \
        --out recipes/sad-symmetry/sets

As ``recipes/sad-cubic/reflections.py``, with the same split: prototypes that are held out there
are held out here, so that the two models can be tried on the same crystals.
"""

from __future__ import annotations

import argparse
import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sad-cubic"))

from reflections import Job, chosen, compute, synthetic_jobs

GROUPS = tuple(range(1, 231))
MOST, LEAST = 60, 30


def main() -> None:
    """Compute and write one set for each side of the split."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    structures = chosen(options.structures, GROUPS, MOST)
    count = collections.Counter(record["sg"] for record, _ in structures)
    jobs: list[Job] = list(structures)
    for group in GROUPS:
        jobs += synthetic_jobs(group, max(LEAST - count[group], 10))
    compute(jobs, options.out, options.workers)


if __name__ == "__main__":
    main()
