"""How well orientations and pattern centers are found without knowing the crystal.

    python benchmarks/indexing.py --data ../shared/data/ebsd --json benchmarks/results/indexing.json

Simulated: patterns of the held-out structures, whose orientation and pattern center are
known. Measured: the ferrite map and the nickel scan, whose files hold orientations that
other programs found knowing the phase; simulated and measured stand in separate tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_spacegroup as nsg
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.batches import condition_batch, detector_to_crystal
from napari_spacegroup.models import Model
from napari_spacegroup.models.indexing import misorientation
from napari_spacegroup.models.pattern_center import find_pattern_center
from napari_spacegroup.patterns import PatternScan
from napari_spacegroup.simulate.detector import GeometryRange, apply_condition
from napari_spacegroup.simulate.projector import (
    DetectorGeometry,
    project,
    random_quaternions,
    rotation_matrices,
    sample_to_detector,
)
from napari_spacegroup.workflows.provenance import provenance

SEED = 5


def shares(angle: torch.Tensor) -> dict[str, float]:
    """Return the median of misorientations [degrees] and the shares below limits."""
    found = {f"within {limit:g} degree": float((angle < limit).float().mean())
             for limit in (0.5, 1, 2)}  # fmt: skip
    return {"median degree": float(angle.median()), **found, "n": len(angle)}


def orientations(model: Model, masters: MasterSet, condition: str, count: int) -> dict[str, Any]:
    """Index simulated patterns of known orientation."""
    generator = torch.Generator().manual_seed(SEED)
    angles, scores = [], []
    for index in torch.arange(len(masters)).repeat_interleave(count).split(128):
        batch = condition_batch(masters, index, condition, model.card.input, generator)
        rotations, score = model.network.indexer.index(batch.inputs, batch.geometry.pattern_center)
        truth = detector_to_crystal(batch.geometry, batch.rotations)
        angles.append(misorientation(rotations, truth))
        scores.append(score)
    angle, score = torch.cat(angles), torch.cat(scores)
    right = angle < 2
    return shares(angle) | {
        "explained where right": float(score[right].mean()),
        "explained where wrong": float(score[~right].mean()) if bool((~right).any()) else None,
    }


def centers(model: Model, masters: MasterSet, count: int, every: int) -> dict[str, Any]:
    """Find the pattern center of ``count`` patterns that share it, structure by structure."""
    generator = torch.Generator().manual_seed(SEED)
    errors, explained = [], []
    for index in range(0, len(masters), every):
        drawn = GeometryRange.of("standard").draw(1, generator)
        center = tuple(drawn.pattern_center[0].tolist())
        geometry = DetectorGeometry.fixed((60, 60), center, sample_tilt=70.0, count=count)
        ideal = project(
            masters.patterns[index : index + 1].float(),
            geometry,
            random_quaternions(count, generator),
        )
        images, mask = apply_condition(ideal, "standard", generator)
        inputs = model.prepare(images, mask=mask)
        found = find_pattern_center(model.network.indexer, inputs)
        errors.append(float((found.center - torch.tensor(center)).abs().max()))
        explained.append(found.score)
    worst, trusted = np.array(errors), np.array(explained) >= 0.2
    return {
        "structures": len(errors),
        "within 0.01": float((worst < 0.01).mean()),
        "said to be good": float(trusted.mean()),
        "within 0.01 of those": float((worst[trusted] < 0.01).mean()),
        "median largest error": float(np.median(worst)),
    }


def ferrite(model: Model, data: Path) -> dict[str, Any]:
    """Compare with the file's Euler angles; the center is found, and held against the file's."""
    from orix.quaternion import Rotation

    with np.load(data / "fe_ferrite_openxy" / "fe_ferrite_899_binned4.npz") as content:
        patterns, euler, ci = content["patterns"], content["euler_rad"], content["ci"]
    good = ci > 0.5
    stated = (0.5017, 1 - 0.7189, 0.5342)
    scan = PatternScan.from_array(patterns[good], name="ferrite")
    mask = scan.detect_mask()
    inputs = model.prepare(patterns[good], mask=mask)
    count = len(inputs)
    geometry = DetectorGeometry.fixed((60, 60), stated, detector_tilt=5.0, count=count)
    quaternions = torch.tensor(Rotation.from_euler(euler[good]).data.astype(np.float32))
    truth = rotation_matrices(quaternions) @ sample_to_detector(geometry).mT
    rotations, score = model.network.indexer.index(inputs, geometry.pattern_center)
    spread = torch.linspace(0, count - 1, 24).long()
    found = find_pattern_center(model.network.indexer, inputs[spread])
    return shares(misorientation(rotations, truth)) | {
        "explained": float(score.mean()),
        "center of the file": stated,
        "center found": found.center.tolist(),
    }


def nickel(model: Model, data: Path) -> dict[str, Any]:
    """The same for kikuchipy's nickel scan of nine patterns."""
    import kikuchipy as kp

    path = data / "ni_small_kikuchipy" / "ni_patterns.h5"
    signal = kp.load(path, lazy=False)
    scan = nsg.read(path, scan=1)
    patterns = signal.data.reshape(-1, *signal.data.shape[-2:])
    inputs = model.prepare(patterns, static_background=scan.static_background, mask=scan.mask)
    center = signal.detector.pc.reshape(-1, 3).mean(0)
    geometry = DetectorGeometry.fixed(
        (60, 60), tuple(center), sample_tilt=float(signal.detector.sample_tilt),
        detector_tilt=float(signal.detector.tilt), count=len(inputs),
    )  # fmt: skip
    quaternions = torch.tensor(signal.xmap.rotations.data.astype(np.float32)).reshape(-1, 4)
    truth = rotation_matrices(quaternions) @ sample_to_detector(geometry).mT
    rotations, score = model.network.indexer.index(inputs, geometry.pattern_center)
    found = find_pattern_center(model.network.indexer, inputs)
    return shares(misorientation(rotations, truth)) | {
        "explained": float(score.mean()),
        "center of the file": center.tolist(),
        "center found": found.center.tolist(),
    }


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="ebsd-cubic")
    parser.add_argument("--sets", type=Path, default=Path("recipes/ebsd-cubic/sets"))
    parser.add_argument("--patterns", type=int, default=24)
    parser.add_argument("--every", type=int, default=10, help="of the structures, for centers")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = nsg.load_model(options.model)
    masters = MasterSet.load(options.sets / "test.npz")
    report: dict[str, Any] = {"model": model.name, "sha256": model.card.sha256, "seed": SEED,
                              "structures": len(masters)}  # fmt: skip
    with torch.inference_mode():
        report["simulated"] = {
            condition: orientations(model, masters, condition, options.patterns)
            for condition in ("clean", "standard", "hard")
        }
        print(json.dumps(report["simulated"], indent=1))
        report["centers"] = {str(n): centers(model, masters, n, options.every) for n in (24, 6, 1)}
        print(json.dumps(report["centers"], indent=1))
        report["measured"] = {
            "ferrite, ci > 0.5": ferrite(model, options.data),
            "nickel": nickel(model, options.data),
        }
        print(json.dumps(report["measured"], indent=1))
    report["made"] = provenance()
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
