"""What an elliptic distortion costs the model of spot patterns, and what its correction gives back.

    python benchmarks/sad_ellipse.py

Cubic phases of the library near zone axes, by a camera that is not square, otherwise clean. The
right extinction group is counted, alone and among the first three. ``docs/sad.md`` shows it.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

RESULT = Path(__file__).parent / "results" / "sad_ellipse.json"
RATIOS, ANGLE, SHAPE, REPEATS = (1.0, 1.03, 1.06, 1.1), 25.0, (256, 320), 5
EVERY = 6
"""Of the library's cubic phases every sixth is drawn."""


def main() -> None:
    """Measure, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    found = measured()
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(found)))


def measured() -> dict[str, Any]:
    """Return the shares that are right, for each ratio, without and with the correction."""
    import torch

    from napari_spacegroup.config import CalibrationSpec
    from napari_spacegroup.crystal import find_phases, level_index, library_phase
    from napari_spacegroup.crystal.levels import aggregate
    from napari_spacegroup.models import load_model
    from napari_spacegroup.simulate.reflections import simulate_reflections
    from napari_spacegroup.simulate.spot_images import SpotCamera, draw_spots
    from napari_spacegroup.simulate.spot_patterns import zone_quaternions
    from napari_spacegroup.simulate.spots import Beam, ReflectionBatch, excite
    from napari_spacegroup.workflows.provenance import provenance

    model = load_model("sad-cubic", device="cpu")
    phases = find_phases(system="cubic")[::EVERY]
    crystals = [simulate_reflections(library_phase(phase.name), 1.3) for phase in phases] * REPEATS
    truth = [level_index(p.space_group, "extinction_group") for p in phases] * REPEATS
    count, one = len(truth), torch.ones(len(truth))
    turns = zone_quaternions(count, 0.5, torch.Generator().manual_seed(0))
    beam = Beam(200 * one, 0.015 * one, 0.5 * one, 0.0375 * one, "gaussian")
    spots = excite(ReflectionBatch.of(crystals), turns, beam)
    indices, matrix = aggregate(model.classes, "extinction_group")
    rows = []
    for ratio in RATIOS:
        camera = SpotCamera.fixed(
            count, SHAPE, camera_constant=128.0, ellipticity=ratio - 1,
            ellipse_angle=math.radians(ANGLE),
        )  # fmt: skip
        images = draw_spots(spots, camera, spots.intensity**0.5).numpy()
        images /= images.max(axis=(1, 2), keepdims=True)
        images += np.random.default_rng(0).normal(0, 0.01, images.shape).astype(np.float32)
        row: dict[str, Any] = {"ratio": ratio}
        for name, told in (("bare", None), ("corrected", CalibrationSpec(ellipse=(ratio, ANGLE)))):
            order = np.argsort(-(model.predict(images, calibration=told) @ matrix), axis=1)
            hits = np.array(indices)[order] == np.array(truth)[:, None]
            row[name] = {
                "first": float(hits[:, 0].mean()),
                "three": float(hits[:, :3].sum() / count),
            }
        rows.append(row)
    return {"patterns": count, "phases": len(phases), "angle": ANGLE, "rows": rows,
            "model": model.card.sha256, **provenance()}  # fmt: skip


def table(found: dict[str, Any]) -> list[str]:
    """Return the table of the docs."""
    lines = ["| distortion | not corrected | corrected |", "|---|---|---|"]
    for row in found["rows"]:
        cells = [f"{row[name]['first']:.0%} ({row[name]['three']:.0%})"
                 for name in ("bare", "corrected")]  # fmt: skip
        lines.append(f"| {row['ratio'] - 1:.0%} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
