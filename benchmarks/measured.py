"""Classify the measured EBSD patterns of the shared data and store what came out.

Nothing measured is ever trained on; these figures say how far simulation carries. They
are kept apart from all simulated ones.

    python benchmarks/measured.py --data ../shared/data/ebsd --model ebsd-cubic \
        --json benchmarks/results/measured.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import napari_spacegroup as nsg
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.workflows.provenance import provenance


def row(name: str, truth: int, probabilities: NDArray[Any], classes: tuple[int, ...]) -> dict:
    """Return the count of right answers and the mean probability of each class."""
    chosen = np.array(classes)[probabilities.argmax(-1)].ravel()
    values, counts = np.unique(chosen, return_counts=True)
    mean = probabilities.reshape(-1, len(classes)).mean(0)
    return {
        "name": name,
        "truth": truth,
        "n": int(chosen.size),
        "right": int((chosen == truth).sum()),
        "answers": {str(v): int(c) for v, c in zip(values, counts, strict=True)},
        "mean_probability": {
            str(c): round(float(p), 4) for c, p in zip(classes, mean, strict=True)
        },
    }


def scans(data: Path) -> list[tuple[str, int, PatternScan, NDArray[np.bool_] | None]]:
    """Return (name, space group, scan, which pixels count) for all measured sets of one phase."""
    found: list[tuple[str, int, PatternScan, NDArray[np.bool_] | None]] = []
    nickel = nsg.read(data / "ni_small_kikuchipy" / "ni_patterns.h5", scan=1)
    found.append(("Ni, 60 x 60, noisy", 225, nickel, None))
    for name in ("si_in", "si_out5mm", "si_out10mm"):
        file = data / "si_moving_screen_kikuchipy" / f"{name}.h5"
        with h5py.File(file) as content:
            patterns = content["Scan 1/EBSD/Data/patterns"][()]
            background = content["Scan 1/EBSD/Header/static_background"][()]
        scan = PatternScan.from_array(patterns, name=name, static_background=background)
        scan = replace(scan, mask=scan.detect_mask())
        found.append((f"Si, {name}", 227, scan, None))
    with np.load(data / "fe_ferrite_openxy" / "fe_ferrite_899_binned4.npz") as content:
        patterns, ci = content["patterns"], content["ci"]
    ferrite = PatternScan.from_array(patterns, name="ferrite")
    ferrite = replace(ferrite, mask=ferrite.detect_mask())
    found.append(("ferrite, ci > 0.5", 229, ferrite, ci > 0.5))
    found.append(("ferrite, ci <= 0.5", 229, ferrite, ci <= 0.5))
    import tifffile

    al = tifffile.imread(data / "al_wc_kaufmann" / "al_1244x1024.tiff")
    found.append(("Al, 1244 x 1024", 225, PatternScan.from_array(al[None]), None))
    return found


def main() -> None:
    """Classify and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="ebsd-cubic")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = nsg.load_model(options.model)
    rows = []
    for name, truth, scan, mask in scans(options.data):
        result = nsg.classify(scan, model)
        probabilities = np.asarray(result.probabilities).reshape(-1, len(model.classes))
        if mask is not None:
            probabilities = probabilities[mask.ravel()]
        rows.append(row(name, truth, probabilities, model.classes))
        r = rows[-1]
        print(f"{name:24} {truth}  {r['right']}/{r['n']}  {r['answers']}")
    if options.json:
        report = {
            "kind": "measured",
            "model": model.name,
            "sha256": model.card.sha256,
            "rows": rows,
            "made": provenance(),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
