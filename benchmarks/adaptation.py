"""What a scan without labels adds to the bundled EBSD model: before and after, both ways.

    python benchmarks/adaptation.py --data ../shared/data/ebsd

The bundled model is trained on for some steps with its own master patterns and, in one of two runs,
with half of the patterns of a measured scan, without labels; the same steps without the scan say
what is due to the steps. Reported on the other half, on the half that was seen, and on held-out
simulated structures, which an adapted model may lose. Measured and simulated never share a row.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import scans
from numpy.typing import NDArray

from napari_spacegroup.config import UnlabelledSpec, read_train_spec
from napari_spacegroup.config.train import TrainSpec
from napari_spacegroup.learn import (
    MasterSet,
    TrainDone,
    UnlabelledScan,
    condition_batch,
    train_events,
)
from napari_spacegroup.models import Model, load_model
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.evaluate_ebsd import picture_contract
from napari_spacegroup.workflows.provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "ebsd-cubic"
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "train.md"
BEGIN, END = "<!-- adaptation: begin -->", "<!-- adaptation: end -->"
SEED = 4
PER_STRUCTURE = 6


def measured_right(
    model: Model, scan: PatternScan, truth: int, counted: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the share of right answers and the mean probability of the truth."""
    result = classify(scan, model)
    found = np.asarray(result.probabilities).reshape(-1, len(model.classes))[counted.ravel()]
    place = model.classes.index(truth)
    return float((found.argmax(1) == place).mean()), float(found[:, place].mean())


def simulated_right(model: Model, masters: MasterSet) -> float:
    """Return the share of right answers on structures that no training saw, standard."""
    generator = torch.Generator().manual_seed(SEED)
    indices = torch.arange(len(masters)).repeat_interleave(PER_STRUCTURE)
    right = []
    for part in indices.split(256):
        batch = condition_batch(masters, part, "standard", picture_contract(model), generator)
        found = model.probabilities(batch.inputs, batch.geometry.pattern_center).argmax(1)
        truth = [model.classes.index(int(masters.space_groups[i])) for i in part]
        right.append(found.numpy() == np.array(truth))
    return float(np.concatenate(right).mean())


def adapted(spec: TrainSpec, masters: MasterSet, scans: Sequence[UnlabelledScan] = ()) -> Model:
    """Return the bundled model after some more steps."""
    with tempfile.TemporaryDirectory() as folder:
        *_, done = train_events(spec, folder, masters=masters, unlabelled=scans)
    assert isinstance(done, TrainDone)
    return done.model


def halves(scan: PatternScan) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which pixels are seen and which are not: every second column, or all and all."""
    every = np.ones(scan.scan_shape, bool)
    if scan.scan_shape[1] < 10:
        return every, every
    seen = every & (np.arange(scan.scan_shape[1]) % 2 == 0)
    return seen, ~seen


def table(stored: dict[str, Any]) -> list[str]:
    """Return the table of docs/train.md."""
    lines = [
        f"{stored['steps']} steps at a learning rate of {stored['rate']:g}, seed {stored['seed']}, "
        f"on {stored['made']['hardware']['processor']}. Measured patterns:",
        "",
        "| scan | model | right, patterns it saw | right, patterns it did not see | mean "
        "probability of the truth |",
        "|---|---|---|---|---|",
    ]
    for name, models in stored["measured"].items():
        for title, rows in models.items():
            cells = []
            for which in ("seen", "unseen"):
                count = sum(row[0] for row in rows[which])
                right = round(sum(row[0] * row[1] for row in rows[which]))
                cells.append(f"{right} of {count}")
            if rows["seen"] == rows["unseen"]:
                cells[1] = "none left"
            every = [row for row in rows["unseen"] if row[0]]
            mean = np.average([row[2] for row in every], weights=[row[0] for row in every])
            lines.append(f"| {name} | {title} | {cells[0]} | {cells[1]} | {mean:.2f} |")
    lines += [
        "",
        "Simulated patterns of structures that no training saw, condition standard, right: "
        + ", ".join(f"{title} {share:.1%}" for title, share in stored["simulated"].items())
        + ".",
    ]
    return lines


def write_page(stored: dict[str, Any]) -> None:
    """Put the table into docs/train.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    inner = "\n".join(table(stored))
    PAGE.write_text(f"{before}{BEGIN}\n{inner}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Adapt to each set, store, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ebsd"))
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--sets", nargs="+", default=["ferrite, ci > 0.5", "Si"])
    parser.add_argument("--out", type=Path, default=RESULTS / "adaptation.json")
    parser.add_argument("--page", action="store_true", help="write docs/train.md from the results")
    options = parser.parse_args()
    if options.page:
        write_page(json.loads(options.out.read_text(encoding="utf-8")))
        return
    torch.set_num_threads(2)
    recipe = read_train_spec(RECIPE / "train.yaml")
    assert isinstance(recipe, TrainSpec)
    schedule = recipe.schedule.replace(
        steps=options.steps, seconds=None, learning_rate=options.rate, evaluate_every=10**6
    )
    recipe = recipe.replace(start="ebsd-cubic", schedule=schedule, seed=SEED)
    masters = MasterSet.load(recipe.masters)
    held = MasterSet.load([RECIPE / "sets" / "test.npz"])
    held = held.subset(np.flatnonzero(np.isin(held.space_groups, recipe.classes)))
    stored: dict[str, Any] = {"seed": SEED, "steps": options.steps, "rate": options.rate,
                              "made": provenance(), "simulated": {}, "measured": {}}  # fmt: skip
    models = {"bundled": load_model("ebsd-cubic"), "more steps": adapted(recipe, masters)}
    every = scans(options.data)
    for name in options.sets:
        own = [row for row in every if row[0].startswith(name)]
        parts = []
        for _, _, scan, counted in own:
            seen, _ = halves(scan)
            pixels = np.flatnonzero(seen & (True if counted is None else counted))
            patterns = np.concatenate([scan.pattern(*divmod(int(i), scan.scan_shape[1]))[None]
                                       for i in pixels])  # fmt: skip
            parts.append(UnlabelledScan(patterns, scan.static_background, scan.mask))
        kind = UnlabelledSpec(scans=(options.data,), threshold=0.8)
        models[f"adapted to {name}"] = adapted(recipe.replace(unlabelled=kind), masters, parts)
        stored["measured"][name] = {}
        for title in ("bundled", "more steps", f"adapted to {name}"):
            rows = {"seen": [], "unseen": []}  # type: ignore[var-annotated]
            for _, truth, scan, counted in own:
                for which, half in zip(rows, halves(scan), strict=True):
                    chosen = half if counted is None else half & counted
                    found = measured_right(models[title], scan, truth, chosen)
                    rows[which].append((int(chosen.sum()), *found))
            stored["measured"][name][title] = rows
            print(name, title, rows, flush=True)
    for title, model in models.items():
        stored["simulated"][title] = simulated_right(model, held)
        print("simulated", title, stored["simulated"][title], flush=True)
    options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
