"""Where weak superlattice bands are lost: pattern, preprocessing, or folding into the sector.

    python benchmarks/fold_resolution.py --structures ../shared/data/structures \
        --json benchmarks/results/fold_resolution.json

Ordered crystals against their disordered parents, the same views and orientations for both. At each
step on the way to the network the distance d' of the two mean pictures is taken over the noise that
arrives there, cell by cell (noise correlated between cells is not taken into account, so that steps
compare roughly). Orientation and pattern center are known: what folding loses here is resolution.
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

import napari_spacegroup as nsg
from napari_spacegroup.crystal import Phase, cubic_parents
from napari_spacegroup.learn.batches import detector_to_crystal
from napari_spacegroup.models.sector import fold_patterns, screen_rays
from napari_spacegroup.simulate.detector import GeometryRange, standardise
from napari_spacegroup.simulate.dynamical import STRONG_CUTOFFS, simulate_dynamical
from napari_spacegroup.simulate.projector import project, random_quaternions
from napari_spacegroup.workflows.provenance import provenance

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "ebsd-cubic"
sys.path.insert(0, str(RECIPE))
import masters as recipe  # noqa: E402

SEED, VIEWS, DRAWS, VOLTAGE = 0, 24, 48, 20.0
PAIRS = (
    ("AuCd", 221),
    ("InNp3", 221),
    ("AlFe3", 221),
    ("AlNi3", 221),
    ("AlFe", 221),
    ("AlNi", 221),
)
SIDES = (24, 32, 48, 64)


def sheets_of(record: recipe.Record) -> tuple[Tensor, str]:
    """Return the master patterns of a structure and of its nearest parent, and that lattice."""
    phase = Phase.from_record(record).with_b_iso(0.5)
    shares = recipe.hidden_by_lattice(record)
    assert shares is not None
    lattice = min(shares, key=lambda name: shares[name])
    parent = next(p.phase for p in cubic_parents(phase) if p.lattice == lattice)
    found = []
    for one in (phase, parent):
        data, _ = simulate_dynamical(
            one, np.array([0.95 * VOLTAGE]), voltage=VOLTAGE, half_size=100, d_min=0.5,
            max_strong=60, electrons=8_000, ladder=STRONG_CUTOFFS,
        )  # fmt: skip
        sheet = torch.from_numpy(data[0, :1])
        found.append((sheet - sheet.mean()) / sheet.std())
    return torch.stack(found), lattice


def distance(pictures: list[Tensor], noisy: Tensor) -> float:
    """Return d' of two mean pictures ``(views, ...)``, noise from ``(draws, views, ...)``."""
    spread = noisy.var(0) + 1e-9
    squared = ((pictures[0] - pictures[1]) ** 2 / spread).flatten(1).sum(1)
    return float(squared.sqrt().mean())


def steps(model: Any, sheets: Tensor) -> dict[str, float]:
    """Return d' at each step, standard noise."""
    generator = torch.Generator().manual_seed(SEED)
    geometry = GeometryRange.of("standard").draw(VIEWS, generator)
    turns = random_quaternions(VIEWS, generator)
    clean = [standardise(project(sheet[None], geometry, turns)) for sheet in sheets]
    noise = torch.randn((DRAWS, *clean[0].shape), generator=generator)
    noisy = clean[0] + noise
    found = {"pattern": distance(clean, noisy)}

    def seen(patterns: Tensor) -> Tensor:
        return model.prepare(patterns.numpy())

    many = torch.stack([seen(one) for one in noisy])
    ready = [torch.stack([seen(c + n) for n in noise]).mean(0) for c in clean]
    found["prepared"] = distance(ready, many)
    rotations = detector_to_crystal(geometry, turns)
    directions = screen_rays(geometry.pattern_center, many.shape[-1]) @ rotations.mT
    for side in SIDES:
        folded = torch.stack([fold_patterns(one, directions, side)[:, 0] for one in many])
        other = torch.stack(
            [fold_patterns(seen(clean[1] + n), directions, side)[:, 0] for n in noise]
        )
        half = torch.tril(torch.ones(side, side))  # the square is its own mirror image
        found[f"folded, {side}"] = distance([folded.mean(0) * half, other.mean(0) * half], folded)
    return found


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = nsg.load_model("ebsd-cubic")
    structures = recipe.load(options.structures)
    rows = []
    for formula, group in PAIRS:
        record = next(r for r in structures if r["formula"] == formula and r["sg"] == group)
        sheets, lattice = sheets_of(record)
        shares = recipe.hidden_by_lattice(record) or {}
        row = {"name": formula, "space_group": group, "lattice": lattice,
               "hidden_share": shares[lattice], "d_prime": steps(model, sheets)}  # fmt: skip
        rows.append(row)
        print(formula, f"{shares[lattice]:.3f}",
              {k: round(v, 1) for k, v in row["d_prime"].items()}, flush=True)  # fmt: skip
    if options.json is not None:
        report = {"kind": "simulated", "seed": SEED, "views": VIEWS, "draws": DRAWS,
                  "voltage_kV": VOLTAGE, "rows": rows, "made": provenance()}  # fmt: skip
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
