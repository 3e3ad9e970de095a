"""Put a trained powder model, with what it reaches, into the package.

    python recipes/powder/bundle.py --run model --held held --name xrd-symmetry

A run that was stopped is bundled from its checkpoint; the card says how far it got.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from napari_spacegroup.config import read_train_spec
from napari_spacegroup.crystal.levels import level_names, members
from napari_spacegroup.jobs import CancelToken
from napari_spacegroup.learn import TrainDone, train_events
from napari_spacegroup.models import Model, load_model
from napari_spacegroup.models.card import CARD_NAME
from napari_spacegroup.simulate.lineset import LineSet
from napari_spacegroup.workflows.answers import score
from napari_spacegroup.workflows.evaluate_powder import classify_lines

ROOT = Path(__file__).resolve().parents[2]
WORDS = {
    "xray": "All 230 space groups from X-ray powder profiles, laboratory or synchrotron.",
    "neutron": "All 230 space groups from neutron powder profiles.",
}


def from_run(run: Path, spec_path: Path) -> Model:
    """Return the model of a run, finished or not."""
    if (run / CARD_NAME).is_file():
        return load_model(run)
    spec = read_train_spec(spec_path)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(run / "checkpoint.safetensors", folder)
        stop = CancelToken()
        stop.cancel()
        *_, done = train_events(spec, folder, resume=True, cancel=stop)
    assert isinstance(done, TrainDone)
    return done.model


def enantiomorphs() -> tuple[tuple[int, ...], ...]:
    """Return the pairs of groups that are mirror images: their profiles are equal."""
    import gemmi

    found = []
    groups = [gemmi.find_spacegroup_by_number(n) for n in range(1, 231)]
    for one in groups:
        for other in groups[one.number :]:
            if one.point_group_hm() == other.point_group_hm() and not one.is_centrosymmetric():
                mirrored = one.operations()
                mirrored.change_basis_forward(gemmi.Op("-x,-y,-z"))
                if mirrored == other.operations():
                    found.append((one.number, other.number))
    return tuple(found)


def main() -> None:
    """Evaluate on held-out synthetic crystals, write the card, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--crystals", type=int, default=3000)
    parser.add_argument("--how", default="Synthetic crystals alone, profiles drawn kinematically "
                        "(recipes/powder).", help="what the card says of the training")  # fmt: skip
    options = parser.parse_args()
    model = from_run(options.run, options.spec)
    contract = model.card.input
    held = LineSet.load(options.held)
    pairs = enantiomorphs()
    assert len(pairs) == 11, pairs
    metrics = {}
    model.card = model.card.model_copy(update={"equivalence_sets": pairs})
    chosen = np.random.default_rng(0).permutation(len(held))[: options.crystals]
    for condition in ("clean", "standard", "hard"):
        report = score(classify_lines(model, held, chosen, condition, seed=11), model.card)
        kept = ("accuracy", "top_5", "balanced_accuracy", "ece", "coverage_risk", "n")
        metrics[f"held-out synthetic crystals, {condition}"] = {k: report[k] for k in kept}
        print(condition, report["accuracy"], report["top_5"])
    update = {
        "summary": WORDS[contract.radiation],
        "cannot_separate": (
            "the 11 pairs of mirror images: their powder profiles are equal",
            f"the {230 - len(level_names('extinction_group'))} groups beyond one of each of the "
            f"{len(level_names('extinction_group'))} extinction groups (largest: "
            f"{max(len(members('extinction_group', n)) for n in level_names('extinction_group'))} "
            "groups) differ by strengths alone, not by which lines there are",
        ),
        "training": model.card.training | {"how": options.how},
        "metrics": metrics,
    }
    model.card = model.card.model_copy(update=update)
    bundled = ROOT / "src" / "napari_spacegroup" / "models" / "bundled" / model.card.name
    model.save(options.out or bundled)
    print("temperature", model.card.temperature, "steps", model.card.training["steps"])


if __name__ == "__main__":
    main()
