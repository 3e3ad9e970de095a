"""Rendered photographs as unlike the training as can be: what of the model is left.

    python benchmarks/photographs.py --structures ../shared/data/structures

Spots by diffsims (positions, intensities, other shape of relrods), drawn by numpy and pillow
alone: 800 x 600 pixels of a tilted print, film grain, vignetting, scratches, a label and a
scale bar burnt in, JPEG, half of them negatives. Crystals are those of ``sad-cubic``'s test
side that the library has; three photographs of each, along the low zone axes with a mistilt of
half a degree or at any orientation. Intensities are kinematic: an independent Bloch-wave or
multislice program was not at hand.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

SEED = 4
PHOTOGRAPHS = 3
G_MAX = 1.1


def photograph(places, strengths, rng) -> np.ndarray:
    """Return a photograph of spots; ``places`` in 1/Å, y up."""
    rows, columns = 600, 800
    scale = rng.uniform(240, 300) / 1.0
    center = np.array([400 + rng.uniform(-40, 40), 300 + rng.uniform(-30, 30)])
    row, column = np.mgrid[:rows, :columns].astype(float)
    exposure = np.zeros((rows, columns))
    radius = rng.uniform(2.5, 5.0)
    # A print that leans: a small perspective.
    lean = rng.uniform(-4e-5, 4e-5, 2)
    for (x, y), strength in zip(places, strengths / strengths.max(), strict=True):
        at = np.array([x, -y]) * scale
        at = center + at / (1 + at @ lean)
        if 0 <= at[0] < columns and 0 <= at[1] < rows:
            top, left = max(int(at[1]) - 20, 0), max(int(at[0]) - 20, 0)
            part = (slice(top, top + 41), slice(left, left + 41))
            distance = np.hypot(column[part] - at[0], row[part] - at[1])
            exposure[part] += strength / (1 + np.exp((distance - radius) / 0.8))
    away = np.hypot(column - center[0], row - center[1])
    exposure += 20 / (1 + np.exp((away - 2 * radius) / 1.5)) + 0.6 * np.exp(-away / 45)
    exposure = ndimage.gaussian_filter(exposure, 0.7) + 0.3 * ndimage.gaussian_filter(exposure, 8)
    # Density of a film, its grain, the light of the table.
    density = np.log10(1 + 30 * exposure) / np.log10(31)
    grain = ndimage.gaussian_filter(rng.normal(size=density.shape), 0.8)
    density = density.clip(0, 1.3) + 0.05 * grain
    density *= 1 - 0.35 * (np.hypot(column - 400, row - 300) / 500) ** 2
    image = (255 * (0.05 + 0.7 * density)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, 4)):
        start, end = rng.uniform(0, 1, (2, 2)) * [columns, rows]
        pen.line([tuple(start), tuple(end)], fill=int(rng.integers(120, 255)), width=1)
    pen.rectangle([40, 560, 40 + int(0.2 * scale), 566], fill=255)
    pen.text((40, 540), "2 1/nm", fill=255)
    pen.text((690, 575), f"{rng.integers(1000, 9999)}", fill=255)
    if rng.random() < 0.5:
        picture = Image.fromarray(255 - np.asarray(picture))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=int(rng.integers(50, 85)))
    buffer.seek(0)
    return imageio.imread(buffer, extension=".jpg")


def orientation(rng, is_zone):
    """Return an orix rotation, near a low zone axis or at random."""
    from orix.quaternion import Rotation
    from scipy.spatial.transform import Rotation as Turn

    from napari_spacegroup.crystal import low_index_axes

    turn = Turn.random(random_state=int(rng.integers(2**31)))
    if is_zone:
        axis = np.array(low_index_axes(9)[rng.integers(9)], float)
        along = Turn.align_vectors([axis], [[0, 0, 1]])[0]
        about = Turn.from_euler("z", rng.uniform(0, 360), degrees=True)
        tilt = Turn.from_euler("xy", rng.normal(0, 0.4, 2), degrees=True)
        turn = along * about * tilt
    # ``turn`` takes the picture's frame to the crystal's, as orix' lab-to-crystal rotations.
    x, y, z, w = turn.as_quat()
    return Rotation([[w, x, y, z]])


def main() -> None:
    """Draw, classify, join, store."""
    from diffsims.generators.simulation_generator import SimulationGenerator

    import napari_spacegroup as nsg
    from napari_spacegroup.crystal import Phase, aggregate, level_index
    from napari_spacegroup.infer import combine_probabilities
    from napari_spacegroup.simulate.kinematic import _orix_phase
    from napari_spacegroup.simulate.reflections import ReflectionSet
    from napari_spacegroup.workflows.provenance import provenance

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--model", default="sad-cubic")
    parser.add_argument("--crystals", type=int, default=40)
    parser.add_argument("--example", type=Path, help="where to write some of them as a picture")
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    wanted = {
        r.identifier for r in ReflectionSet.load(root / "recipes/sad-cubic/sets/test.npz").records
        if r.source != "synthetic"
    }  # fmt: skip
    phases = []
    for name in ("structures", "structures_large", "structures_enantiomorphs"):
        with gzip.open(options.structures / f"{name}.jsonl.gz", "rt") as file:
            phases += [Phase.from_record(r) for r in map(json.loads, file) if r["id"] in wanted]
    rng = np.random.default_rng(SEED)
    phases = [phases[i] for i in rng.permutation(len(phases))[: options.crystals]]
    model = nsg.load_model(options.model)
    reached, matrix = aggregate(model.classes, "extinction_group")
    power = float(model.card.training.get("independence", 1.0))
    figures, shown = {}, []
    for is_zone in (True, False):
        right, inside, sizes, joined, joined_inside = [], [], [], [], []
        for phase in phases:
            generator = SimulationGenerator(
                float(rng.choice([100, 200, 300])), shape_factor_model="linear",
                minimum_intensity=1e-4,
            )  # fmt: skip
            crystal, pictures = _orix_phase(phase), []
            for _ in range(PHOTOGRAPHS):
                found = generator.calculate_diffraction2d(
                    crystal, orientation(rng, is_zone), reciprocal_radius=G_MAX,
                    max_excitation_error=0.03, with_direct_beam=False,
                ).coordinates  # fmt: skip
                strength = np.asarray(found.intensity) ** 0.4
                pictures.append(photograph(found.data[:, :2], strength, rng))
            shown.append(pictures[0])
            probabilities = model.predict(np.stack(pictures))
            truth = level_index(phase.space_group, "extinction_group")
            for row in probabilities:
                sums = row @ matrix
                right.append(reached[int(sums.argmax())] == truth)
                hit, size = _inside(row, model.classes, phase.space_group)
                inside.append(hit)
                sizes.append(size)
            joint = combine_probabilities(probabilities, model.classes, independence=power)
            sums = joint.probabilities @ matrix
            joined.append(reached[int(sums.argmax())] == truth)
            joined_inside.append(_inside(joint.probabilities, model.classes, phase.space_group)[0])
        figures["zone axes" if is_zone else "any orientation"] = {
            "extinction_group": float(np.mean(right)), "truth in the set of 95 %":
            float(np.mean(inside)), "mean set size": float(np.mean(sizes)),
            f"extinction_group, {PHOTOGRAPHS} joined": float(np.mean(joined)),
            f"truth in the set of 95 %, {PHOTOGRAPHS} joined": float(np.mean(joined_inside)),
            "photographs": len(right),
        }  # fmt: skip
    for name, row in figures.items():
        print(name, {key: round(value, 3) for key, value in row.items()})
    stored = {"kind": "rendered photographs", "seed": SEED, "crystals": len(phases),
              "model": options.model, "sha256": model.card.sha256, "figures": figures,
              "made": provenance()}  # fmt: skip
    path = root / "benchmarks/results/photographs.json"
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    if options.example is not None:
        tiles = [np.asarray(Image.fromarray(p).resize((400, 300))) for p in shown[:6]]
        imageio.imwrite(options.example, np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:6])]))


def _inside(probabilities, classes, truth) -> tuple[bool, int]:
    """Return whether the fewest groups that hold 95 % hold the truth, and their number."""
    order = np.argsort(-probabilities)
    size = int((np.cumsum(probabilities[order]) < 0.95).sum()) + 1
    return truth in np.array(classes)[order[:size]], size


if __name__ == "__main__":
    main()
