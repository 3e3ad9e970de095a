"""Evaluate a trained ``sad-cubic`` and put it, with its card, into the package.

    python recipes/sad-cubic/bundle.py --run model --sets recipes/sad-cubic/sets \
        --atoms test-atoms.npz calibration-atoms.npz
    python recipes/sad-cubic/bundle.py --name sad-symmetry --run model \
        --sets recipes/sad-symmetry/sets --patterns 6

The held-out sets are the yardstick: prototypes that training has not seen, and synthetic
crystals. ``calibration`` fits how dependent the patterns of one crystal are, ``test`` is
reported. Several patterns of one crystal are joined as ``combine`` does. With the atoms of the
crystals (``atoms.py``) the same crystals are tried thick too, all of them by Bloch waves.
``--report`` writes the figures to a file and leaves the package alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_spacegroup.config import SpotRangeSpec, sad_condition
from napari_spacegroup.crystal.frequencies import space_group_shares
from napari_spacegroup.crystal.levels import aggregate, level_index, level_name, members
from napari_spacegroup.infer import combine_probabilities, fit_independence
from napari_spacegroup.models import read_model
from napari_spacegroup.simulate.atoms import CrystalAtoms, load_atoms
from napari_spacegroup.simulate.reflections import ReflectionSet
from napari_spacegroup.workflows.answers import Answers, score
from napari_spacegroup.workflows.evaluate_sad import classify_reflections
from napari_spacegroup.workflows.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SEED = 11
JOINED = (1, 2, 3, 5, 8)
LEVELS = ("crystal_system", "laue_class", "bravais_lattice", "extinction_group", "space_group")
SUMMARIES = {
    "sad-cubic": "36 cubic groups from one spot pattern in any orientation, 80 to 300 kV.",
    "sad-symmetry": "All 230 groups from one spot pattern in any orientation, 80 to 300 kV.",
}


def equivalence_sets(classes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the groups of one extinction group each: kinematic spots show no more."""
    names = dict.fromkeys(level_name(g, "extinction_group") for g in classes)
    found = (tuple(g for g in members("extinction_group", n) if g in classes) for n in names)
    return tuple(m for m in found if len(m) > 1)


def answers_of(
    model: Any,
    crystals: ReflectionSet,
    asked: SpotRangeSpec,
    count: int,
    atoms: Mapping[str, CrystalAtoms],
) -> Answers:
    """Return the model's answers to ``count`` patterns of each crystal."""
    return classify_reflections(
        model, [crystals[i] for i in range(len(crystals))], asked, count, SEED,
        atoms=[atoms.get(r.identifier) for r in crystals.records],
    )  # fmt: skip


def by_crystal(answers: Answers, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return probabilities and space group of each crystal."""
    blocks = answers.probabilities.reshape(-1, count, answers.probabilities.shape[1])
    return list(blocks), answers.truth[::count]


def joined(answers: Answers, classes: tuple[int, ...], count: int, power: float) -> dict[str, Any]:
    """Return how often one to eight patterns of a crystal give its groups away."""
    blocks, truth = by_crystal(answers, count)
    reached, matrix = aggregate(classes, "extinction_group")
    wanted = np.array([level_index(int(g), "extinction_group") for g in truth])
    systems, to_systems = aggregate(classes, "crystal_system")
    system = np.array([level_index(int(g), "crystal_system") for g in truth])
    rows: dict[str, Any] = {}
    for method in ("bayes", "mean"):
        for number in (n for n in JOINED if n <= count):
            right, right_set, right_system, sure = [], [], [], []
            for block, group, extinction, own in zip(blocks, truth, wanted, system, strict=True):
                for start in range(0, count - number + 1, number):
                    joint = combine_probabilities(
                        block[start : start + number], classes, method=method, independence=power
                    ).probabilities
                    sums = joint @ matrix
                    right.append(classes[int(joint.argmax())] == group)
                    right_set.append(reached[int(sums.argmax())] == extinction)
                    right_system.append(systems[int((joint @ to_systems).argmax())] == own)
                    sure.append(float(sums.max()))
            rows[f"{method}, {number}"] = {
                "space_group": float(np.mean(right)),
                "extinction_group": float(np.mean(right_set)),
                "crystal_system": float(np.mean(right_system)),
                "mean_confidence": float(np.mean(sure)), "n": len(right),
            }  # fmt: skip
    return rows


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a report that belong on the card."""
    kept = ("accuracy", "mean_set_size", "balanced_accuracy", "ece", "coverage_risk", "n")
    return {key: report[key] for key in kept}


def main() -> None:
    """Evaluate, write the reports, save the model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--name", choices=tuple(SUMMARIES), default="sad-cubic")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--sets", type=Path, default=Path(__file__).parent / "sets")
    parser.add_argument("--patterns", type=int, default=8)
    parser.add_argument("--atoms", type=Path, nargs="*", default=[])
    parser.add_argument("--report", type=Path, help="write the figures there, and no model")
    parser.add_argument("--how", default="", help="what the card should say of the training")
    options = parser.parse_args()
    model = read_model(options.run)
    sets = equivalence_sets(model.classes)
    words = tuple(
        f"{', '.join(map(str, s))}: the same Laue class and absences "
        f"({level_name(s[0], 'extinction_group')}); kinematic spots show no more"
        for s in sets
    )
    model.card = model.card.model_copy(update={
        "summary": SUMMARIES[options.name], "equivalence_sets": sets, "cannot_separate": words,
    })  # fmt: skip
    calibration = ReflectionSet.load(options.sets / "calibration.npz")
    standard = sad_condition("standard")
    atoms = load_atoms(options.atoms)
    found = answers_of(model, calibration, standard, 6, atoms)
    blocks, truth = by_crystal(found, 6)
    labels = [model.classes.index(int(g)) for g in truth]
    power = fit_independence(blocks, labels)
    print(f"independence {power:.3f}")
    test = ReflectionSet.load(options.sets / "test.npz")
    metrics: dict[str, Any] = {}
    cases = {name: sad_condition(name) for name in ("clean", "standard", "hard")}
    cases["standard along zone axes"] = standard.replace(zone_share=1.0)
    if all(record.identifier in atoms for record in test.records):
        thick = standard.replace(thick_share=1.0)
        cases["thick crystals"] = thick
        cases["thick crystals along zone axes"] = thick.replace(zone_share=1.0)
    for name, asked in cases.items():
        answers = answers_of(model, test, asked, options.patterns, atoms)
        report = score(answers, model.card)
        real = np.array([r.source != "synthetic" for r in test.records]).repeat(options.patterns)
        metrics[f"held-out structures, {name}"] = summary(report) | {
            "joined": joined(answers, model.classes, options.patterns, power),
            "extinction_group of library structures": _level(answers, model.classes, real),
            "extinction_group of synthetic crystals": _level(answers, model.classes, ~real),
            "library structures": _levels(answers, model.classes, real),
            "library structures, groups as often as met": _levels(
                answers, model.classes, real, is_weighed=True
            ),
            "share of the truth in the smallest sets of 95 %": _coverage(answers, model.classes),
        }
        accuracy = report["accuracy"]
        print(f"{name:26} space group {accuracy['space_group']:.3f} extinction "
              f"{accuracy['extinction_group']:.3f} set {accuracy['equivalence_set']:.3f} lattice "
              f"{accuracy['bravais_lattice']:.3f} ece {report['ece']:.3f}", flush=True)  # fmt: skip
        for key, row in metrics[f"held-out structures, {name}"]["joined"].items():
            print(f"    {key:10} space group {row['space_group']:.3f} extinction "
                  f"{row['extinction_group']:.3f}", flush=True)  # fmt: skip
    share = model.card.training["spec"]["microscope"].get("thick_share", 0.0)
    kinds = ["kinematic with Gaussian relrods"] * (share < 1) + ["Bloch waves"] * (share > 0)
    training = model.card.training | {
        "independence": power, "simulator": f"{' and '.join(kinds)}, Lobato factors",
        "voltage_kV": [80, 300],
    }  # fmt: skip
    if options.how:
        training["how"] = options.how
    model.card = model.card.model_copy(update={"training": training, "metrics": metrics})
    if options.report is None:
        model.save(ROOT / "src" / "napari_spacegroup" / "models" / "bundled" / options.name)
    stored = {"kind": "simulated", "seed": SEED, "patterns_per_structure": options.patterns,
              "structures": len(test), "sha256": model.card.sha256, "independence": power,
              "training": {k: v for k, v in training.items() if k != "held_out"},
              "thick": {"thickness": standard.thickness, "absorption": standard.absorption,
                        "beams": standard.thick_beams},
              "metrics": metrics, "made": provenance()}  # fmt: skip
    (options.report or RESULTS / f"{options.name}.json").write_text(
        json.dumps(stored, indent=1, default=float) + "\n", encoding="utf-8"
    )


def _level(answers: Answers, classes: tuple[int, ...], chosen: np.ndarray) -> float | None:
    reached, matrix = aggregate(classes, "extinction_group")
    best = np.array(reached)[(answers.probabilities[chosen] @ matrix).argmax(axis=1)]
    wanted = [level_index(int(g), "extinction_group") for g in answers.truth[chosen]]
    return float(np.mean(best == wanted)) if chosen.any() else None


def _levels(
    answers: Answers, classes: tuple[int, ...], chosen: np.ndarray, *, is_weighed: bool = False
) -> dict[str, float]:
    """Return the share of right answers at each level.

    Weighed, groups count as often as they are met in databases.
    """
    truth, probabilities = answers.truth[chosen], answers.probabilities[chosen]
    weight = np.ones(len(truth))
    if is_weighed:
        shares = space_group_shares()
        weight = np.array([shares[g - 1] / (truth == g).sum() for g in truth])
    found = {}
    for level in LEVELS:
        reached, matrix = aggregate(classes, level)
        best = np.array(reached)[(probabilities @ matrix).argmax(axis=1)]
        right = best == np.array([level_index(int(g), level) for g in truth])
        found[level] = float((weight * right).sum() / weight.sum())
    return found


def _coverage(answers: Answers, classes: tuple[int, ...]) -> dict[str, float]:
    """Return how often the truth lies in the fewest groups that hold 95 %, and their number."""
    order = np.argsort(-answers.probabilities, axis=1)
    ranked = np.take_along_axis(answers.probabilities, order, axis=1)
    size = (np.cumsum(ranked, axis=1) < 0.95).sum(axis=1) + 1
    place = np.array([list(np.array(classes)[row]).index(g)
                      for row, g in zip(order, answers.truth, strict=True)])  # fmt: skip
    return {"truth inside": float(np.mean(place < size)), "mean size": float(size.mean())}


if __name__ == "__main__":
    main()
