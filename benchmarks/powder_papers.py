"""The networks of two papers on powder profiles beside ours, split at random as theirs.

    python benchmarks/powder_papers.py --structures ../shared/data/structures --seconds 900

Park et al. (2017), IUCrJ 4, 486-494: X-rays, 80 % of the structures trained on. Lolla et al.
(2022), J. Appl. Cryst. 55, 882-889: neutrons, 90 %. Each network gets the same time on one core,
which is far from what the papers spent; ``profiles`` says how many it saw. A random split leaves
near-copies of what is tested in training: compare with the papers alone, not with the tables on
new prototypes. Rows that are stored already are not made again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_spacegroup.config import PowderTrainSpec
from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.levels import aggregate
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.learn import TrainDone, train_events
from napari_spacegroup.learn.powder import contract_of, scope_of
from napari_spacegroup.simulate.diffractometer import draw_profiles
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineSet
from napari_spacegroup.simulate.profile import DeviceLines
from napari_spacegroup.workflows.provenance import provenance

RESULTS = Path(__file__).parent / "results"
SEED = 9
Q_MAX = 6.8
ANGLES = {"grid": "two_theta", "start": 10.0, "stop": 110.0, "points": 10_001, "background": 0}
LOG_Q = {"points": 1024, "background": 41}
OURS = {"architecture": "profilenet", "widths": [48, 96, 128], "stem": 8, "dropout": 0.0}
LEVELS = ("crystal_system", "bravais_lattice", "extinction_group", "space_group")

ROWS: dict[str, dict[str, Any]] = {
    "park_cnn": {
        "radiation": "xray", "conditions": "park", "grid": ANGLES, "tested": 0.2,
        "network": {"architecture": "park_cnn", "dropout": 0.3},
    },
    "profilenet, X-rays": {
        "radiation": "xray", "conditions": "park", "grid": LOG_Q, "tested": 0.2, "network": OURS,
    },
    "lolla_resnet18": {
        "radiation": "neutron", "conditions": "clean", "grid": LOG_Q, "tested": 0.1,
        "network": {"architecture": "lolla_resnet18", "dropout": 0.1},
    },
    "profilenet, neutrons": {
        "radiation": "neutron", "conditions": "clean", "grid": LOG_Q, "tested": 0.1,
        "network": OURS,
    },
}  # fmt: skip
PAPERS = {
    "park_cnn": {"crystal_system": 0.9499, "extinction_group": 0.8383, "space_group": 0.8114},
    "lolla_resnet18": {"bravais_lattice": 0.88, "space_group": 0.806, "top_5": 0.9027},
}


def all_lines(folder: Path, kept: Path) -> LineSet:
    """Return the lines of the real structures, X-rays and neutrons; computed once."""
    if kept.exists():
        return LineSet.load([kept])
    with gzip.open(folder / "structures.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    lines, numbers = [], []
    for row in rows:
        if row.get("sg_loose", row["sg"]) != row["sg"]:
            continue
        try:
            found = lines_of_phase(Phase.from_record(row), Q_MAX)
        except PhaseError:
            continue
        if len(found.q) and min(found.xray.max(), found.neutron.max()) > 0:
            lines.append(found)
            numbers.append(row["sg"])
    stored = LineSet.from_lines(lines, numbers)
    stored.save(kept)
    return stored


def one_row(name: str, lines: LineSet, seconds: float) -> dict[str, Any]:
    """Train one network and return what the test says."""
    asked = dict(ROWS[name])
    tested = asked.pop("tested")
    order = np.random.default_rng(SEED).permutation(len(lines))
    test = lines.subset(np.sort(order[: round(tested * len(lines))]))
    known = lines.subset(np.sort(order[round(tested * len(lines)) :]))
    is_known = np.isin(test.space_groups, np.unique(known.space_groups))
    test = test.subset(np.flatnonzero(is_known))
    spec = PowderTrainSpec.model_validate(
        {
            "lines": ["in memory"], "name": "paper", "device": "cpu", "seed": SEED,
            "validation_share": 0.01, **asked,
            "schedule": {"steps": 10**7, "batch_size": 32, "learning_rate": 1e-3,
                         "weight_decay": 0.01, "plane_weight": 0.5, "label_smoothing": 0,
                         "evaluate_every": 10**6, "seconds": seconds},
        }
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        *_, done = train_events(spec, folder, held=known)
    assert isinstance(done, TrainDone)
    model = done.model
    device = DeviceLines(test, spec.radiation, torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    found = []
    with torch.inference_mode():
        for part in torch.arange(len(test)).split(256):
            inputs = draw_profiles(device, part, scope_of(spec), contract_of(spec), generator)
            found.append(torch.softmax(model.network(inputs), -1).numpy())
    probabilities = np.concatenate(found)
    truth = np.searchsorted(model.classes, test.space_groups)
    row: dict[str, Any] = {
        "network": name, "profiles": model.card.training["patterns"], "tested": len(test),
        "trained_on": len(known), "groups": len(model.classes), "seconds": seconds,
        "top_5": float((np.argsort(-probabilities, 1)[:, :5] == truth[:, None]).any(1).mean()),
    }  # fmt: skip
    for level in LEVELS:
        _, matrix = aggregate(model.classes, level)  # type: ignore[arg-type]
        right = (probabilities @ matrix).argmax(1) == matrix[truth].argmax(1)
        row[level] = float(right.mean())
    return row


def main() -> None:
    """Train what is missing, store, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, default=Path("../shared/data/structures"))
    parser.add_argument("--lines", type=Path, default=Path("powder-papers-lines.npz"))
    parser.add_argument("--networks", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--out", type=Path, default=RESULTS / "powder_papers.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = all_lines(options.structures, options.lines)
    stored: dict[str, Any] = {"rows": []}
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
    for name in options.networks:
        if any(r["network"] == name and r["seconds"] == options.seconds for r in stored["rows"]):
            continue
        stored["rows"].append(one_row(name, lines, options.seconds))
        print(json.dumps(stored["rows"][-1]), flush=True)
        stored |= {"seed": SEED, "made": provenance(), "papers": PAPERS}
        options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
