"""How fine a dynamical master pattern must be: d_min, beam cutoffs, energy bins, grid.

Each piece (one phase, one axis) is simulated from coarse to fine and each setting is
correlated with the next finer one, twice: on the sphere as it is (``raw``), and as the
patterns that a 60 x 60 detector sees, each pixel the mean over 4 x 4 rays (``pattern``,
mean and worst of eight orientations). Pieces run alone and are stored one by one:

    python benchmarks/convergence.py --phase Ni --axis d_min
    python benchmarks/convergence.py --phase Si --axis all --seconds 240
    python benchmarks/convergence.py --table           # docs/convergence.md

A piece that runs out of its seconds keeps the settings it has.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from napari_spacegroup.crystal.phase import AtomSite, Phase
from napari_spacegroup.simulate import montecarlo
from napari_spacegroup.simulate.masters import simulate_master
from napari_spacegroup.simulate.projector import DetectorGeometry, project, random_quaternions
from napari_spacegroup.simulate.spec import DynamicalSpec

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "convergence.json"
TABLE = HERE.parent / "docs" / "convergence.md"
SEED = 0
GOAL = 0.995


def cubic(name: str, number: int, a: float, *sites: AtomSite) -> Phase:
    # Origin choice 2 of Fd-3m; gemmi's own default is choice 1.
    hall = "-F 4vw 2vw 3" if number == 227 else ""
    return Phase.from_asymmetric_unit(name, number, (a, a, a, 90.0, 90.0, 90.0), list(sites), hall)


PHASES = {
    "Ni": cubic("Ni", 225, 3.5236, AtomSite("Ni", (0, 0, 0), 1, 0.35)),
    "Si": cubic("Si", 227, 5.431, AtomSite("Si", (0.125, 0.125, 0.125), 1, 0.5)),
    "Fe": cubic("Fe", 229, 2.866, AtomSite("Fe", (0, 0, 0), 1, 0.35)),
    "NaCl": cubic(
        "NaCl",
        225,
        5.64,
        AtomSite("Na", (0, 0, 0), 1, 1.5),
        AtomSite("Cl", (0.5, 0.5, 0.5), 1, 1.3),
    ),
    "MgAl2O4": cubic(
        "MgAl2O4",
        227,
        8.08,
        AtomSite("Mg", (0.125, 0.125, 0.125), 1, 0.4),
        AtomSite("Al", (0.5, 0.5, 0.5), 1, 0.35),
        AtomSite("O", (0.2624, 0.2624, 0.2624), 1, 0.5),
    ),
}
"""Lattice parameters [Å] and B factors [Å²] at room temperature; Ni as in EMsoft's file."""

BASE = DynamicalSpec(
    d_min=0.45,
    cutoffs=(12, 12.1, 60),
    energy_range=5,
    energy_bins=1,
    half_size=80,
    electrons=20_000,
)
LARGE_CELL = BASE.replace(d_min=0.6, half_size=50, cutoffs=(8, 8.1, 50))
AXES: dict[str, list] = {
    "d_min": [0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3],
    "cutoffs": [
        (2, 2.1, 20), (3, 3.1, 30), (5, 5.1, 40), (8, 8.1, 50), (12, 12.1, 60), (16, 16.1, 100),
        (24, 24.1, 150), (32, 32.1, 200),
    ],
    "cutoffs_weak": [(4, 8, 50), (5, 40, 80), (8, 50, 100), (32, 32.1, 200)],
    "energy_bins": [1, 2, 3, 5, 10],
    "energy_range": [1.0, 2.5, 5.0, 10.0],
    "half_size": [50, 75, 100, 150, 200, 300],
}  # fmt: skip
"""``cutoffs_weak``: EMsoft's and de-ebsd's habits with weak beams, held against the finest."""


# One Monte Carlo run serves a whole axis; only the energy axes ask for others.
montecarlo.simulate_depths = lru_cache(montecarlo.simulate_depths)


def spec_for(axis: str, value, base: DynamicalSpec) -> DynamicalSpec:
    if axis == "energy_range":
        return base.replace(energy_range=value, energy_bins=max(1, round(value / 2.5)))
    if axis == "half_size":
        base = base.replace(d_min=0.5, cutoffs=(8, 8.1, 50))
    if axis == "cutoffs_weak":
        axis = "cutoffs"
    return base.replace(**{axis: value})


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def patterns(master: np.ndarray) -> np.ndarray:
    """Return eight patterns as a 60 x 60 detector with real pixels sees them."""
    quaternions = random_quaternions(8, torch.Generator().manual_seed(SEED))
    geometry = DetectorGeometry.fixed((240, 240), (0.5, 0.3, 0.6), count=8)
    fine = project(torch.as_tensor(master)[None], geometry, quaternions)
    return torch.nn.functional.avg_pool2d(fine[:, None], 4)[:, 0].numpy()


def on_grid(master: np.ndarray, half_size: int) -> np.ndarray:
    """Return the first hemisphere, interpolated to another grid."""
    image = torch.as_tensor(master[None, :1])
    size = (2 * half_size + 1,) * 2
    return torch.nn.functional.interpolate(
        image, size=size, mode="bilinear", align_corners=True
    ).numpy()


def compare(coarse: np.ndarray, fine: np.ndarray) -> dict[str, float]:
    half_size = (fine.shape[-1] - 1) // 2
    each = [correlation(a, b) for a, b in zip(patterns(coarse), patterns(fine), strict=True)]
    return {
        "raw": round(correlation(on_grid(coarse, half_size), fine[:1]), 5),
        "pattern_mean": round(float(np.mean(each)), 5),
        "pattern_min": round(float(np.min(each)), 5),
    }


def run_piece(name: str, axis: str, base: DynamicalSpec, seconds: float) -> dict:
    rows: list[dict] = []
    masters: list[np.ndarray] = []
    begin = time.perf_counter()
    for value in AXES[axis]:
        start = time.perf_counter()
        master = simulate_master(PHASES[name], spec_for(axis, value, base))
        took = time.perf_counter() - start
        masters.append(master.weighted())
        rows.append(
            {
                "value": value,
                "seconds": round(took, 2),
                "strong_beams": master.provenance["mean strong beams"],
            }
        )
        if len(masters) > 1 and axis != "cutoffs_weak":
            rows[-2]["next"] = compare(masters[-2], masters[-1])
        print(name, axis, value, f"{took:.1f} s", rows[-2:-1], flush=True)
        if axis != "cutoffs_weak" and time.perf_counter() - begin + 2.5 * took > seconds:
            break
    for row, master in zip(rows[:-1], masters[:-1], strict=True):
        row["finest"] = compare(master, masters[-1])
    return {"phase": name, "axis": axis, "base": base.model_dump(mode="json"), "rows": rows}


def environment() -> dict:
    names = ("de-ebsd", "torch", "numpy", "kikuchipy")
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = found[0].split(":", 1)[1].strip() if found else model
    return {
        "versions": {n: version(n) for n in names} | {"python": platform.python_version()},
        "hardware": {"cpu": model, "threads": torch.get_num_threads(), "device": "cpu"},
        "seed": SEED,
    }


def store(piece: dict) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"pieces": []}
    key = (piece["phase"], piece["axis"])
    old = [p for p in stored["pieces"] if (p["phase"], p["axis"]) == key]
    if old and len(old[0]["rows"]) > len(piece["rows"]):
        print("kept the longer piece that is stored", key)
        return
    stored["pieces"] = [p for p in stored["pieces"] if (p["phase"], p["axis"]) != key] + [piece]
    stored["pieces"].sort(key=lambda p: (p["axis"], p["phase"]))
    stored["environment"] = environment()
    RESULTS.write_text(json.dumps(stored, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase", choices=[*PHASES, "all"], default="all")
    parser.add_argument("--axis", choices=[*AXES, "all"], default="all")
    parser.add_argument("--half-size", type=int, help="grid of the axes other than half_size")
    parser.add_argument("--seconds", type=float, default=120, help="for each piece")
    parser.add_argument("--table", action="store_true", help="write the docs from what is stored")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.table:
        from convergence_table import write_table

        write_table(json.loads(RESULTS.read_text()), TABLE, GOAL)
        return
    for name in PHASES if options.phase == "all" else [options.phase]:
        for axis in AXES if options.axis == "all" else [options.axis]:
            base = LARGE_CELL if name == "MgAl2O4" else BASE
            if options.half_size:
                base = base.replace(half_size=options.half_size)
            store(run_piece(name, axis, base, options.seconds))


if __name__ == "__main__":
    main()
