"""How fine a detail of a pattern the network should be shown.

    python benchmarks/resolution.py --data ../shared/data/ebsd \
        --json benchmarks/results/resolution.json

The master patterns that ``ebsd-cubic`` is trained on are stored on 145 x 145 points, about one
degree apart, and the sector that a pattern is folded into has cells of 1.4 degrees. A measured
pattern can be finer, the more so the farther the screen: lines that no training pattern shows.
Here the same weights read the same patterns blurred by one angle after another before they are
folded (``resolution`` in the network's options); nothing is trained. Silicon was measured with one
camera at three distances. Simulated and measured patterns are counted apart. What the file holds
of other weights is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from ablation import RECIPE, folded_scans, folded_set

import napari_spacegroup as nsg
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.models import SectorNet
from napari_spacegroup.workflows.provenance import provenance

TRIED = (0.0, 0.5, 1.0, 1.4, 2.0, 3.0)
"""Standard deviations of the blur [degrees]."""


def main() -> None:
    """Classify, count, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="ebsd-cubic")
    parser.add_argument("--patterns", type=int, default=10, help="of each held-out structure")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = nsg.load_model(options.model)
    network = model.network
    assert isinstance(network, SectorNet)
    own = network.resolution
    held = MasterSet.load(RECIPE / "sets" / "test.npz")
    rows = []
    for angle in TRIED:
        network.resolution = angle
        with torch.inference_mode():
            labels, folded = folded_set(network, model, held, options.patterns)
            answers = torch.cat([network.read(part) for part in folded.split(256)]).argmax(1)
            row = {"angle": angle, "simulated": float((answers == labels).float().mean()),
                   "measured": {}}  # fmt: skip
            for name, (truth, pictures) in folded_scans(network, model, options.data).items():
                place = model.classes.index(truth)
                logits = network.read(pictures) / model.card.temperature
                row["measured"][name] = {
                    "right": int((logits.argmax(1) == place).sum()), "n": len(logits),
                    "probability": round(float(logits.softmax(1)[:, place].mean()), 3),
                }  # fmt: skip
        rows.append(row)
        counts = " ".join(f"{v['right']}/{v['n']}" for v in row["measured"].values())
        print(f"{angle:4} {row['simulated']:.3f} {counts}", flush=True)
    if options.json:
        run = {"sha256": model.card.sha256, "resolution": own, "rows": rows,
               "made": provenance()}  # fmt: skip
        runs = json.loads(options.json.read_text())["runs"] if options.json.exists() else []
        runs = [*(r for r in runs if r["sha256"] != run["sha256"]), run]
        report = {"model": model.name, "patterns_per_structure": options.patterns, "runs": runs}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
