"""Rendered photographs as unlike the training as can be: what of the model is left.

    python benchmarks/photographs.py --structures ../shared/data/structures

Drawn by numpy and pillow alone: 800 x 600 pixels of a tilted print, film grain, vignetting,
scratches, a label and a scale bar burnt in, JPEG, half of them negatives. Crystals are those of
``sad-cubic``'s test side that the library has; three photographs of each, along the low zone axes
with a mistilt of half a degree or at any orientation.

Spots come from other programs too, and each photograph is drawn three times, orientation, camera
and grain the same: kinematic by diffsims (another shape of relrods); Bloch waves by abTEM, if it
can be imported, 100 to 800 Å thick; and these without the spots that only double diffraction lights
up. Multislice, abTEM's other way, needs periodic boundaries: it can't be had at any orientation.
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
THICKNESS = (100.0, 800.0)
"""Of the crystals that abTEM computes [Å]."""
BEAM_G_MAX, MOST_BEAMS = 2.2, 400
"""Of abTEM's Bloch waves [1/Å]; of more beams the ones nearest to the Ewald sphere are kept."""
KINEMATIC, BLOCH = "kinematic (diffsims)", "Bloch waves (abTEM)"
WITHOUT = "the same without forbidden spots"
LIT = 0.01
"""Forbidden spots count from here on, over the brightest spot."""


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


def kinematic_spots(phase, turn, voltage):
    """Return places [1/Å] and intensities by diffsims."""
    from diffsims.generators.simulation_generator import SimulationGenerator

    from napari_spacegroup.simulate.kinematic import _orix_phase

    generator = SimulationGenerator(voltage, shape_factor_model="linear", minimum_intensity=1e-4)
    found = generator.calculate_diffraction2d(
        _orix_phase(phase), turn, reciprocal_radius=G_MAX, max_excitation_error=0.03,
        with_direct_beam=False,
    ).coordinates  # fmt: skip
    return found.data[:, :2], np.asarray(found.intensity)


class BlochCrystal:
    """Structure factors of a phase in abTEM, and the spots that its Bloch waves give."""

    def __init__(self, phase) -> None:
        import abtem
        import gemmi
        from abtem.bloch import StructureFactor
        from ase import Atoms

        abtem.config.set({"precision": "float64"})
        atoms = Atoms(
            [s.element for s in phase.sites], cell=phase.structure_matrix.T, pbc=True,
            scaled_positions=[s.position for s in phase.sites],
        )  # fmt: skip
        self._factors = StructureFactor(
            atoms, g_max=2 * BEAM_G_MAX, cutoff="hard",
            thermal_sigma=np.sqrt([s.b_iso / (8 * np.pi**2) for s in phase.sites]),
            occupancy=[s.occupancy for s in phase.sites],
            centering=gemmi.find_spacegroup_by_number(phase.space_group).centring_type(),
        ).build(lazy=False)  # fmt: skip
        size = np.abs(self._factors.array)
        # Not the lattice but a screw axis, a glide plane or a special position forbids them.
        self._size = dict(zip(map(tuple, self._factors.hkl.tolist()), size / size.max(),
                              strict=True))  # fmt: skip

    def spots(self, turn, voltage, thickness):
        """Return places [1/Å], intensities and which are forbidden."""
        from abtem.bloch import BlochWaves
        from scipy.spatial.transform import Rotation as Turn

        # Crystal to picture, and on to abTEM's frame: there the beam runs along +z.
        w, x, y, z = turn.data[0]
        matrix = np.diag([1.0, -1.0, -1.0]) @ Turn.from_quat([x, y, z, w]).as_matrix().T
        excitation = 0.1
        while True:
            waves = BlochWaves(self._factors, energy=voltage * 1e3, sg_max=excitation,
                               g_max=BEAM_G_MAX, orientation_matrix=matrix)  # fmt: skip
            if len(waves) <= MOST_BEAMS:
                break
            excitation *= 0.8
        found = waves.calculate_diffraction_patterns(thickness, lazy=False)
        intensity, hkl = np.asarray(found.array), np.asarray(found.miller_indices)
        place = waves.g_vec[:, :2] * [1, -1]
        is_shown = (hkl != 0).any(axis=1) & (np.linalg.norm(waves.g_vec, axis=1) <= G_MAX)
        is_shown &= intensity > 1e-4 * intensity[is_shown].max(initial=0)
        forbidden = np.array([self._size[tuple(h)] < 1e-6 for h in hkl[is_shown].tolist()], bool)
        return place[is_shown], intensity[is_shown], forbidden, len(waves)


def main() -> None:
    """Draw, classify, join, store."""
    import napari_spacegroup as nsg
    from napari_spacegroup.crystal import Phase
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
    order = np.random.default_rng(SEED).permutation(len(phases))[: options.crystals]
    phases = [phases[i] for i in order]
    model = nsg.load_model(options.model)
    abtem = _version_of_abtem()
    names = [KINEMATIC, BLOCH, WITHOUT] if abtem else [KINEMATIC]
    if abtem is None:
        print("abTEM is not installed: kinematic photographs alone")
    figures: dict = {name: {} for name in names}
    shown, beams = [], []
    for mode, is_zone in enumerate((True, False)):
        scores = {name: Score(model) for name in names}
        lit = []
        for number, phase in enumerate(phases):
            crystal = BlochCrystal(phase) if abtem else None
            pictures: dict = {name: [] for name in names}
            for index in range(PHOTOGRAPHS):
                seed = [SEED, mode, number, index]
                rng = np.random.default_rng(seed)
                turn, voltage = orientation(rng, is_zone), float(rng.choice([100, 200, 300]))
                thickness = float(rng.uniform(*THICKNESS))
                spots = {KINEMATIC: kinematic_spots(phase, turn, voltage)}
                if crystal is not None:
                    place, strength, forbidden, count = crystal.spots(turn, voltage, thickness)
                    spots[BLOCH] = place, strength
                    spots[WITHOUT] = place[~forbidden], strength[~forbidden]
                    beams.append(count)
                    lit.append(
                        float(strength[forbidden].max(initial=0) / strength.max(initial=1e-9))
                    )
                for name, (place, strength) in spots.items():
                    grain = np.random.default_rng([*seed, 1])
                    pictures[name].append(photograph(place, strength**0.4, grain))
            shown.append(pictures[names[-2 if abtem else 0]][0])
            for name in names:
                scores[name].add(np.stack(pictures[name]), phase.space_group)
            print(number, phase.name, phase.space_group, flush=True)
        is_lit = np.array(lit) > LIT
        for name in names:
            row = figures[name]["zone axes" if is_zone else "any orientation"] = scores[name].row()
            if name != KINEMATIC:
                row["photographs with forbidden spots"] = int(is_lit.sum())
                row["with forbidden spots"] = scores[name].row(is_lit)
    for name, rows in figures.items():
        for place, row in rows.items():
            print(name, place, row)
    stored = {"kind": "rendered photographs", "seed": SEED, "crystals": len(phases),
              "model": options.model, "sha256": model.card.sha256, "figures": figures,
              "thickness": THICKNESS, "abtem": abtem, "lit": LIT, "most_beams": MOST_BEAMS,
              "mean_beams": float(np.mean(beams)) if beams else None,
              "made": provenance()}  # fmt: skip
    path = root / "benchmarks/results/photographs.json"
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    if options.example is not None:
        tiles = [np.asarray(Image.fromarray(p).resize((400, 300))) for p in shown[:6]]
        imageio.imwrite(options.example, np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:6])]))


class Score:
    """What the model says of photographs, held against the truth."""

    LEVELS = ("extinction_group", "laue_class")

    def __init__(self, model) -> None:
        self._model = model
        self._power = float(model.card.training.get("independence", 1.0))
        self._found: dict[str, list] = {}

    def add(self, pictures, truth: int) -> None:
        """Classify photographs of one crystal, alone and joined."""
        from napari_spacegroup.infer import combine_probabilities

        classes = self._model.classes
        rows = self._model.predict(pictures)
        for row in rows:
            self._note(row, truth, "")
        joint = combine_probabilities(rows, classes, independence=self._power)
        self._note(joint.probabilities, truth, f", {PHOTOGRAPHS} joined")

    def _note(self, row, truth: int, suffix: str) -> None:
        from napari_spacegroup.crystal import aggregate, level_index

        classes = self._model.classes
        for level in self.LEVELS:
            reached, matrix = aggregate(classes, level)
            is_right = reached[int((row @ matrix).argmax())] == level_index(truth, level)
            self._found.setdefault(f"{level}{suffix}", []).append(is_right)
        hit, size = _inside(row, classes, truth)
        self._found.setdefault(f"truth in the set of 95 %{suffix}", []).append(hit)
        self._found.setdefault(f"mean set size{suffix}", []).append(size)

    def row(self, chosen=None) -> dict[str, float]:
        """Return the means; of some of the photographs, each alone, where ``chosen`` says so."""
        if chosen is not None:
            alone = {k: v for k, v in self._found.items() if "joined" not in k}
            if not np.any(chosen):
                return {}
            return {k: float(np.mean(np.array(v)[chosen])) for k, v in alone.items()}
        count = len(self._found["extinction_group"])
        return {k: float(np.mean(v)) for k, v in self._found.items()} | {"photographs": count}


def _version_of_abtem() -> str | None:
    try:
        import abtem
    except ImportError:
        return None
    return str(abtem.__version__)


def _inside(probabilities, classes, truth) -> tuple[bool, int]:
    """Return whether the fewest groups that hold 95 % hold the truth, and their number."""
    order = np.argsort(-probabilities)
    size = int((np.cumsum(probabilities[order]) < 0.95).sum()) + 1
    return truth in np.array(classes)[order[:size]], size


if __name__ == "__main__":
    main()
