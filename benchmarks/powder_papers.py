"""The networks of two papers on powder profiles beside ours, split at random as theirs.

    python benchmarks/powder_papers.py --structures ../shared/data/structures --seconds 900

Park et al. (2017), IUCrJ 4, 486-494: X-rays, 80 % of the structures trained on. Lolla et al.
(2022), J. Appl. Cryst. 55, 882-889: neutrons, 90 %. Their networks see one profile of each
structure again and again, as in the papers, all with our training schedule; ours a new one
each time, and it may start from a model of synthetic crystals (``--start``). ``profiles`` says how
many a network saw, ``seconds`` how long it was trained on one core: far less than in the papers. A
random split leaves near-copies of what is tested in training: compare with the papers alone, not
with the tables on new prototypes. Rows that are stored already are not made again; ``--resume``
trains a network of fewer seconds on, so that the rows tell what more training brings.

``--positions`` adds to ours what the positions of the lines say, for some of the tested profiles.
``--nearest`` answers with the structures whose profiles are most similar, and trains nothing: what
a random split gives away.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_spacegroup.config import PowderTrainSpec
from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.levels import aggregate
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.imaging import ProfileAxis, ProfileContract, prepare_inputs
from napari_spacegroup.infer.powder_cell import index_profile
from napari_spacegroup.infer.powder_joint import joint_probabilities
from napari_spacegroup.learn import TrainDone, train_events
from napari_spacegroup.learn.powder import contract_of, scope_of
from napari_spacegroup.learn.propagation import neighbour_weights, similar_profiles
from napari_spacegroup.models import load_model
from napari_spacegroup.simulate.diffractometer import ProfileRange, draw_profiles, raw_profiles
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
DIFFRACTOMETERS: dict[str, dict[str, Any]] = {
    "xray": ANGLES,
    "neutron": {"grid": "two_theta", "start": 10.0, "stop": 150.0, "points": 7001, "background": 0},
}
LEVELS = ("crystal_system", "bravais_lattice", "extinction_group", "space_group")

ROWS: dict[str, dict[str, Any]] = {
    "park_cnn": {
        "radiation": "xray", "conditions": "park", "grid": ANGLES, "tested": 0.2,
        "network": {"architecture": "park_cnn", "dropout": 0.3}, "redraw": False,
    },
    "profilenet, X-rays": {
        "radiation": "xray", "conditions": "park", "grid": LOG_Q, "tested": 0.2, "network": OURS,
    },
    "lolla_resnet18": {
        "radiation": "neutron", "conditions": "clean", "grid": LOG_Q, "tested": 0.1,
        "network": {"architecture": "lolla_resnet18", "dropout": 0.1}, "redraw": False,
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


def sides(name: str, lines: LineSet) -> tuple[LineSet, LineSet]:
    """Return what a row is trained on and what it is tested on, split at random."""
    order = np.random.default_rng(SEED).permutation(len(lines))
    count = round(ROWS[name]["tested"] * len(lines))
    known, test = (lines.subset(np.sort(part)) for part in (order[count:], order[:count]))
    is_known = np.isin(test.space_groups, np.unique(known.space_groups))
    return known, test.subset(np.flatnonzero(is_known))


def spec_of(name: str, seconds: float, start: str | None) -> PowderTrainSpec:
    """Return what a row is trained with; only ours starts from a model."""
    asked = {key: value for key, value in ROWS[name].items() if key != "tested"}
    is_ours = asked["network"]["architecture"] == "profilenet"
    schedule = {
        "steps": 10**7, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.01,
        "plane_weight": 0.5, "label_smoothing": 0, "evaluate_every": 10**6, "seconds": seconds,
    }  # fmt: skip
    return PowderTrainSpec.model_validate(
        {
            "lines": ["in memory"], "name": "paper", "device": "cpu", "seed": SEED,
            "validation_share": 0.01, "start": start if is_ours else None, **asked,
            "schedule": schedule,
        }
    )  # fmt: skip


def one_row(
    name: str, lines: LineSet, seconds: float, start: str | None, folder: Path, resume: bool
) -> dict[str, Any]:
    """Train one network into a folder and return what the test says."""
    known, test = sides(name, lines)
    spec = spec_of(name, seconds, start)
    *_, done = train_events(spec, folder, held=known, resume=resume)
    assert isinstance(done, TrainDone)
    model = done.model
    device = DeviceLines(test, spec.radiation, torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    found = []
    with torch.inference_mode():
        for part in torch.arange(len(test)).split(256):
            inputs = draw_profiles(device, part, scope_of(spec), contract_of(spec), generator)
            found.append(torch.softmax(model.network(inputs), -1).numpy())
    return {
        "network": name, "start": spec.start and Path(spec.start).name, "seconds": seconds,
        "profiles": model.card.training["patterns"], "trained_on": len(known),
        "groups": len(model.classes), "passes": model.card.training["patterns"] / len(known),
        **right(np.concatenate(found), test.space_groups, model.classes),
    }  # fmt: skip


def with_positions(name: str, lines: LineSet, folder: Path, count: int) -> dict[str, Any]:
    """Return what network and positions of the lines say together of some tested profiles.

    The profiles are drawn once on a diffractometer's angles and read as a measured file is.
    """
    spec = spec_of(name, 1.0, None)
    _, test = sides(name, lines)
    test = test.subset(np.sort(np.random.default_rng(SEED).permutation(len(test))[:count]))
    model = load_model(folder)
    contract = ProfileContract(radiation=spec.radiation, **DIFFRACTOMETERS[spec.radiation])
    device = DeviceLines(test, spec.radiation, torch.device("cpu"))
    generator = torch.Generator().manual_seed(2)
    angles = contract.start + contract.step * np.arange(contract.points)
    axis = ProfileAxis(angles, "two_theta", contract.wavelength, radiation=spec.radiation)
    alone, both = [], []
    for number in range(len(test)):
        drawn, _ = raw_profiles(device, torch.tensor([number]), scope_of(spec), contract, generator)
        inputs = prepare_inputs(drawn[:, None], model.card.input, axis=axis)
        with torch.inference_mode():
            own = torch.softmax(model.network(inputs), -1)[0].numpy()
        index = index_profile(axis, drawn[0].numpy())
        alone.append(own)
        both.append(joint_probabilities(index, model.classes, own))
    return {
        "network": name, "by": {
            "network alone": right(np.stack(alone), test.space_groups, model.classes),
            "both": right(np.stack(both), test.space_groups, model.classes),
        },
    }  # fmt: skip


def nearest(name: str, lines: LineSet) -> dict[str, Any]:
    """Return what the most similar profiles of the training say of the test."""
    known, test = sides(name, lines)
    spec = spec_of(name, 1.0, None)
    generator = torch.Generator().manual_seed(1)
    clean = ProfileRange.of("clean", spec.radiation)
    inputs = []
    for crystals, scope in ((test, scope_of(spec)), (known, clean)):
        device = DeviceLines(crystals, spec.radiation, torch.device("cpu"))
        for part in torch.arange(len(crystals)).split(256):
            inputs.append(draw_profiles(device, part, scope, contract_of(spec), generator))
    index, cosine = similar_profiles(torch.cat(inputs), contract_of(spec), asked=len(test))
    weight = neighbour_weights(cosine, index >= len(test))
    groups = np.concatenate([test.space_groups, known.space_groups])
    classes = tuple(int(group) for group in np.unique(known.space_groups))
    shares = np.zeros((len(test), len(classes)))
    for own, other in zip(weight.T, index.T, strict=True):
        place = np.searchsorted(classes, groups[other])
        shares[np.arange(len(test)), place] += own
    return {
        "network": f"most similar profiles, {name.split(', ')[1]}", "start": None, "seconds": 0,
        "profiles": 0, "trained_on": len(known), "groups": len(classes), "passes": 0,
        **right(shares, test.space_groups, classes),
    }  # fmt: skip


def right(
    probabilities: np.ndarray, groups: np.ndarray, classes: tuple[int, ...]
) -> dict[str, float]:
    """Return the shares of right answers, level by level."""
    truth = np.searchsorted(classes, groups)
    best = np.argsort(-probabilities, axis=1)[:, :5]
    row = {"tested": len(truth), "top_5": float((best == truth[:, None]).any(1).mean())}
    for level in LEVELS:
        _, matrix = aggregate(classes, level)  # type: ignore[arg-type]
        hits = (probabilities @ matrix).argmax(1) == matrix[truth].argmax(1)
        row[level] = float(hits.mean())
    return row


def main() -> None:
    """Train what is missing, store, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, default=Path("../shared/data/structures"))
    parser.add_argument("--lines", type=Path, default=Path("powder-papers-lines.npz"))
    parser.add_argument("--networks", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--start", help="model that ours starts from, by name or folder")
    parser.add_argument("--models", type=Path, default=Path("powder-papers"), help="kept here")
    parser.add_argument("--resume", action="store_true", help="train on what is in the folder")
    parser.add_argument("--positions", type=int, help="so many tested profiles; trains nothing")
    parser.add_argument("--nearest", action="store_true", help="of ours; trains nothing")
    parser.add_argument("--out", type=Path, default=RESULTS / "powder_papers.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = all_lines(options.structures, options.lines)
    stored: dict[str, Any] = {"rows": [], "positions": []}
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
    for name in options.networks:
        folder = options.models / re.sub(r"\W+", "-", name)
        part = "rows" if options.positions is None else "positions"
        seconds = options.seconds
        if options.nearest:
            row = nearest(name, lines)
        elif options.positions is not None:
            row = with_positions(name, lines, folder, options.positions)
        elif any((r["network"], r["seconds"]) == (name, seconds) for r in stored["rows"]):
            continue
        else:
            row = one_row(name, lines, seconds, options.start, folder, options.resume)
        same = ("network", "seconds") if part == "rows" else ("network",)
        stored[part] = [r for r in stored[part] if any(r[key] != row[key] for key in same)]
        stored[part].append(row)
        print(json.dumps(row), flush=True)
        stored |= {"seed": SEED, "made": provenance(), "papers": PAPERS}
        options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
