"""What keeps powder networks of synthetic crystals from the published 79.9 % on real ones.

    python benchmarks/powder_limits.py --synthetic held --model "0.94 million profiles"=early \
        --model "1.16 million profiles"=recipes/powder/synthetic

Simulated. Networks that saw no real structure, at different stages of training, on synthetic
crystals that they did not see (is the task learnt at all?), on real structures as often as each
is met (does it carry over?) and on one of each new prototype (how much harder are rare types?),
each with and without noise, texture and shifts. Beside them what an oracle reaches that knows the
extinction group and takes its most frequent space group: more must come from how strong lines are.
``--positions`` adds what the positions of lines and the last network say together of some of the
real structures; the other rows are kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from powder import RESULTS, SEED, new_prototypes
from powder_index import index_of, simulated_scans

from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.frequencies import space_group_shares
from napari_spacegroup.crystal.levels import aggregate
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.infer.powder_joint import joint_probabilities
from napari_spacegroup.models import Model, load_model
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.answers import Answers, score
from napari_spacegroup.workflows.evaluate_powder import classify_lines, profile_contract
from napari_spacegroup.workflows.provenance import provenance

LEVELS = ("crystal_system", "bravais_lattice", "extinction_group", "space_group")
CONDITIONS = ("clean", "standard")
COUNT = 1500


def real_structures(shared: Path) -> list[dict[str, Any]]:
    """Return ordered, known structures as often as each is met."""
    with gzip.open(shared / "structures" / "structures.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if not row["hyp"] and row["ordered"]
            and row.get("sg_loose", row["sg"]) == row["sg"]]  # fmt: skip
    order = np.random.default_rng(SEED).permutation(len(rows))[:COUNT]
    return [rows[i] for i in order]


def lines_of(rows: list[dict[str, Any]], largest: float) -> LineSet:
    """Return the lines of structures that have any."""
    lines, groups, records = [], [], []
    for row in rows:
        try:
            lines.append(lines_of_phase(Phase.from_record(row), largest))
        except PhaseError:
            continue
        groups.append(row["sg"])
        records.append(LineRecord(row["id"], row["proto"], row["source"]))
    return LineSet.from_lines(lines, groups, records)


def oracle(groups: np.ndarray) -> dict[str, float]:
    """Return how often the most frequent group of the true member of a level is right."""
    classes = tuple(range(1, 231))
    shares = space_group_shares()
    found = {}
    for level in LEVELS[:-1]:
        _, matrix = aggregate(classes, level)  # type: ignore[arg-type]
        best = (matrix * shares[:, None]).argmax(axis=0)
        found[level] = float((best[matrix[groups - 1].argmax(axis=1)] + 1 == groups).mean())
    return found


def with_positions(model: Model, words: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what network and positions say of real structures, apart and together."""
    scans = simulated_scans(rows)
    truth = np.array([scan[1] for scan in scans])
    alone, both = [], []
    for scan in scans:
        own = np.asarray(classify(scan[2], model, positions=False).probabilities)[0, 0]
        alone.append(own)
        both.append(joint_probabilities(index_of(scan), model.classes, own))
    found = []
    for way, probabilities in (("network alone", alone), ("both", both)):
        answers = Answers(tuple(scan[0] for scan in scans), truth, np.stack(probabilities))
        report = score(answers, model.card)
        found.append({
            "by": way, "model": words, "n": report["n"], "top_5": report["top_5"],
            "ece": report["ece"], **{level: report["accuracy"][level] for level in LEVELS},
        })  # fmt: skip
    return found


def main() -> None:
    """Classify all sets with all models, store, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--synthetic", type=Path, required=True, help="lines of crystals.py")
    parser.add_argument("--model", action="append", required=True, help="WORDS=NAME or folder")
    parser.add_argument("--positions", type=int, help="so many real structures, nothing else")
    parser.add_argument("--out", type=Path, default=RESULTS / "powder_limits.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = {words: load_model(name) for words, name in (m.rsplit("=", 1) for m in options.model)}
    if options.positions is not None:
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        words, model = list(models.items())[-1]
        rows = real_structures(options.shared)[: options.positions]
        stored["positions"] = with_positions(model, words, rows)
        print(json.dumps(stored["positions"]), flush=True)
        options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        return
    largest = float(profile_contract(next(iter(models.values()))).edges()[-1])
    synthetic = LineSet.load([options.synthetic])
    chosen = np.random.default_rng(SEED).permutation(len(synthetic))[:COUNT]
    sets = {
        "synthetic crystals not trained on": synthetic.subset(np.sort(chosen)),
        "real structures as often as each is met": lines_of(
            real_structures(options.shared), largest
        ),
        "real structures, one of each new prototype": lines_of(
            new_prototypes(options.shared), largest
        ),
    }
    stored = {"seed": SEED, "made": provenance(), "rows": [], "oracle": {}}
    for title, lines in sets.items():
        stored["oracle"][title] = oracle(lines.space_groups)
        for words, model in models.items():
            for condition in CONDITIONS:
                answers = classify_lines(model, lines, np.arange(len(lines)), condition, SEED)
                report = score(answers, model.card)
                stored["rows"].append({
                    "set": title, "model": words, "condition": condition, "n": report["n"],
                    "top_5": report["top_5"], "ece": report["ece"],
                    **{level: report["accuracy"][level] for level in LEVELS},
                })  # fmt: skip
                print(json.dumps(stored["rows"][-1]), flush=True)
        print(title, stored["oracle"][title], flush=True)
    options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
