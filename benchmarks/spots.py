"""Rows of the table on spot patterns: the torch renderer against diffsims.

python benchmarks/spots.py        # alone; stored in benchmarks/results/spots.json
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from row import SEED, Row, median_seconds

COUNT = 200
G_MAX, WIDTH, SIDE, SIGMA = 1.2, 0.02, 256, 1.5


def renderer(repeats: int = 3) -> list[Row]:
    """Compare spots and pictures of quartz in random orientations, 256 x 256."""
    import torch
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation

    from napari_spacegroup.crystal import Phase
    from napari_spacegroup.simulate.kinematic import _orix_phase
    from napari_spacegroup.simulate.reflections import simulate_reflections
    from napari_spacegroup.simulate.spot_images import SpotCamera, draw_spots
    from napari_spacegroup.simulate.spots import Beam, ReflectionBatch, excite

    cif = Path(__file__).resolve().parents[1] / "tests" / "data" / "cif" / "quartz_levien.cif"
    phase = Phase.from_cif(cif).standardized().with_b_iso(0.0)
    quaternions = np.random.default_rng(SEED).normal(size=(COUNT, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    generator = SimulationGenerator(200, minimum_intensity=0.0)
    crystal = _orix_phase(phase)

    def theirs() -> list:
        found = generator.calculate_diffraction2d(
            crystal, Rotation(quaternions), reciprocal_radius=G_MAX, max_excitation_error=WIDTH,
            with_direct_beam=False,
        )  # fmt: skip
        vectors = list(found.coordinates)
        pictures = []
        for index in range(COUNT):
            one = found.irot[index]
            pictures.append(one.get_diffraction_pattern(
                shape=(SIDE, SIDE), sigma=SIGMA, calibration=2 * G_MAX / SIDE
            ))  # fmt: skip
        return [vectors, pictures]

    start = time.perf_counter()
    vectors, _ = theirs()
    their_seconds = time.perf_counter() - start
    reflections = simulate_reflections(phase, G_MAX)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = []
    for device in devices:
        batch = ReflectionBatch.of([reflections] * COUNT, device=device)
        turned = torch.tensor(quaternions, dtype=torch.float32, device=device)
        beam = Beam.fixed(COUNT, width=WIDTH, device=device)
        camera = SpotCamera.fixed(
            COUNT, (SIDE, SIDE), camera_constant=SIDE / (2 * G_MAX), spot_radius=SIGMA,
            device=device,
        )  # fmt: skip

        def ours(batch=batch, turned=turned, beam=beam, camera=camera):
            with torch.inference_mode():
                spots = excite(batch, turned, beam)
                return spots, draw_spots(spots, camera).cpu()

        mine = median_seconds(ours, repeats)
        spots, _ = ours()
        worst = _worst(spots, vectors)
        assert worst < 1e-4, f"the renderer and diffsims disagree by {worst}"
        rows.append(Row(
            f"spot patterns against diffsims ({device})", their_seconds / mine,
            "at least 5 on two CPU cores" if device == "cpu" else "at least 100",
            f"{COUNT / mine:.0f} against {COUNT / their_seconds:.1f} pictures/s, "
            f"{torch.get_num_threads()} threads, positions and intensities within {worst:.0e}",
        ))  # fmt: skip
    if len(devices) == 1:
        rows.append(Row("spot patterns on a GPU against diffsims on the CPU", None, "at least 100",
                        "not measured: no GPU here"))  # fmt: skip
    return rows


def _worst(spots, vectors) -> float:
    """Return the largest difference of position [1/Å] and of intensity over the strongest."""
    owner = spots.pattern.cpu().numpy()
    places, strengths = spots.position.cpu().numpy(), spots.intensity.cpu().numpy()
    worst = 0.0
    for index in range(0, COUNT, 10):
        expected, strength = vectors[index].data[:, :2], np.asarray(vectors[index].intensity)
        bright = strength > 1e-5 * strength.max()
        mine, height = places[owner == index], strengths[owner == index]
        apart = np.linalg.norm(expected[bright][:, None] - mine[None], axis=2)
        off = np.abs(strength[bright][:, None] - height[None]) / strength.max()
        worst = max(worst, float(np.maximum(apart, off).min(axis=1).max()))
    return worst


def main() -> None:
    """Measure, print and store."""
    from napari_spacegroup.workflows.provenance import provenance

    rows = renderer()
    for row in rows:
        ratio = "not measured" if row.ratio is None else f"{row.ratio:.1f}x"
        print(f"{row.name}: {ratio} ({row.target}); {row.detail}")
    stored = {"rows": [asdict(row) for row in rows], "seed": SEED, "made": provenance()}
    path = Path(__file__).parent / "results" / "spots.json"
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
