"""What too coarse a grid of master patterns does to a network, and to the figures about it.

    python benchmarks/aliasing.py --coarse old_sets --fine recipes/ebsd-cubic/sets \
        --model before=old_model --model after=ebsd-cubic --json benchmarks/results/aliasing.json

Lines finer than the grid come back as noise that is fixed to the crystal. Axes that turn the grid
into itself, those of order two and four, don't show it; the three-fold axes of a cubic crystal do:
turned about them, a master pattern should be itself. Both folders hold the same structures, one
simulated on a coarse grid and one on a fine grid; every model reads the patterns of both.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_spacegroup.learn import MasterSet
from napari_spacegroup.models import load_model
from napari_spacegroup.simulate.projector import lambert_coordinates
from napari_spacegroup.workflows.evaluate_model import classify_set, score
from napari_spacegroup.workflows.provenance import provenance

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes" / "ebsd-cubic"))
from bundle import unique

SEED, DIRECTIONS, PATTERNS = 11, 4_000, 20
SIDES = {"test": "held-out structures", "k18": "materials of the EBSD paper"}
THREEFOLD = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""The turn about [111]."""


def threefold_correlations(masters: MasterSet) -> list[float]:
    """Return the correlation of every master pattern with itself turned about [111]."""
    generator = torch.Generator().manual_seed(SEED)
    rays = functional.normalize(torch.randn(DIRECTIONS, 3, generator=generator), dim=-1)
    return [
        float(np.corrcoef(_look(sheets, rays), _look(sheets, rays @ THREEFOLD.T))[0, 1])
        for sheets in masters.patterns.float()
    ]


def _look(sheets: Tensor, rays: Tensor) -> Tensor:
    """Return the upper hemisphere along directions; an inverse crystal shows it below too."""
    x, y, z = torch.where(rays[:, 2:] < 0, -rays, rays).unbind(-1)
    places = torch.stack(lambert_coordinates(x, y, z), -1)[None, None]
    return functional.grid_sample(sheets[None, :1], places, align_corners=True)[0, 0, 0]


def shared(coarse: MasterSet, fine: MasterSet) -> tuple[MasterSet, MasterSet]:
    """Return both sets with the structures that both hold, in one order."""
    first, second = (
        {record.identifier.removesuffix("+s"): row for row, record in enumerate(masters.records)}
        for masters in (coarse, fine)
    )
    names = [name for name in first if name in second]
    return tuple(
        unique(masters.subset(np.array([rows[name] for name in names])))
        for masters, rows in ((coarse, first), (fine, second))
    )  # type: ignore[return-value]


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--coarse", type=Path, required=True)
    parser.add_argument("--fine", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True, help="words=model")
    parser.add_argument("--patterns", type=int, default=PATTERNS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [(words, load_model(name)) for words, name in (m.split("=") for m in options.model)]
    rows: list[dict[str, Any]] = []
    grids: list[dict[str, Any]] = []
    for side, title in SIDES.items():
        both = shared(*(MasterSet.load(f / f"{side}.npz") for f in (options.coarse, options.fine)))
        for grid, masters in zip(("coarse", "fine"), both, strict=True):
            low, median, high = np.quantile(threefold_correlations(masters), [0.1, 0.5, 0.9])
            grids.append({"set": title, "grid": grid, "structures": len(masters),
                          "threefold": {"p10": low, "median": median, "p90": high}})  # fmt: skip
            print(grids[-1])
            for words, model in models:
                for condition in ("clean", "standard"):
                    answers = classify_set(model, masters, condition, options.patterns, seed=SEED)
                    report = score(answers, model.card)
                    rows.append({
                        "set": title, "grid": grid, "model": words, "condition": condition,
                        "sha256": model.card.sha256, "accuracy": report["accuracy"],
                        "ece": report["ece"], "n": report["n"],
                    })  # fmt: skip
                    print(rows[-1], flush=True)
    if options.json:
        stored = {"kind": "simulated", "seed": SEED, "patterns_per_structure": options.patterns,
                  "grids": grids, "rows": rows, "made": provenance()}  # fmt: skip
        options.json.write_text(
            json.dumps(stored, indent=1, default=float) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
