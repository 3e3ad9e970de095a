"""The Laue class and crystal system of the measured EBSD patterns, of all crystal systems.

    python benchmarks/measured_symmetry.py --data ../shared/data/ebsd \
        --json benchmarks/results/measured_symmetry.json

As ``measured.py``, with the patterns of cementite, tungsten carbide and β-manganese as well, and
counted at the levels that symmetry decides. Where no file states a pattern center it is found
from the patterns; that of cementite is its authors'.
"""

from __future__ import annotations

import argparse
import collections
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile
from measured import scans
from numpy.typing import NDArray

import napari_spacegroup as nsg
from napari_spacegroup.crystal.levels import aggregate, level_name, level_names
from napari_spacegroup.patterns import Geometry, PatternScan
from napari_spacegroup.workflows.provenance import provenance

FE3C_CENTER = (0.4821, 0.3904, 0.5834)
LEVELS = ("laue_class", "crystal_system")


def grey(path: Path) -> NDArray[Any]:
    """Return a picture without its colours, shape ``(rows, columns)``."""
    picture = np.asarray(iio.imread(path))
    return picture if picture.ndim == 2 else picture[..., :3].mean(-1).astype(np.float32)


def circle(side: int) -> NDArray[np.bool_]:
    """Return a round screen, shape ``(side, side)``."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return x**2 + y**2 < (0.49 * side) ** 2


def others(data: Path) -> list[tuple[str, int, PatternScan, NDArray[np.bool_] | None]]:
    """Return name, space group and scan of what is not cubic, or not of m-3m's six groups."""
    cementite = PatternScan.from_array(tifffile.imread(data / "fe3c_conograph/fe3c_2.tif")[None])
    cementite = replace(
        cementite, mask=circle(1040), geometry=Geometry(pattern_center=np.array(FE3C_CENTER))
    )
    carbide = PatternScan.from_array(grey(data / "al_wc_kaufmann" / "wc_notebook_crop.png")[None])
    manganese = PatternScan.from_array(
        np.stack([grey(file) for file in sorted((data / "beta_mn_acentric").glob("*.png"))])
    )
    return [
        ("Fe3C", 62, cementite, None), ("WC, from a figure", 187, carbide, None),
        ("β-Mn", 213, replace(manganese, mask=circle(480)), None),
    ]  # fmt: skip


def main() -> None:
    """Classify and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="ebsd-symmetry")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = nsg.load_model(options.model)
    rows = []
    known: PatternScan | None = None
    for name, truth, scan, mask in scans(options.data) + others(options.data):
        if scan is not known:  # the ferrite map comes twice, with two masks
            known, result = scan, nsg.classify(scan, model)
        probabilities = np.asarray(result.probabilities).reshape(-1, len(model.classes))
        if mask is not None:
            probabilities = probabilities[mask.ravel()]
        row: dict[str, Any] = {"name": name, "truth": truth, "n": len(probabilities)}
        for level in LEVELS:
            shares = probabilities @ aggregate(model.classes, level)[1]
            names, wanted = level_names(level), level_name(truth, level)
            answers = collections.Counter(names[k] for k in shares.argmax(1))
            row[level] = {"truth": wanted, "right": answers[wanted], "answers": dict(answers),
                          "probability": float(shares[:, names.index(wanted)].mean())}  # fmt: skip
        rows.append(row)
        laue = row["laue_class"]
        print(f"{name:24} {truth}  {laue['right']}/{row['n']}  {laue['answers']} "
              f"{laue['probability']:.2f}", flush=True)  # fmt: skip
    if options.json:
        report = {"kind": "measured", "model": model.name, "sha256": model.card.sha256,
                  "rows": rows, "made": provenance()}  # fmt: skip
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
