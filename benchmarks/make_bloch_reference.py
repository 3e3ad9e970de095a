"""Write ``tests/data/bloch_abtem.json``: spot intensities by abTEM, an independent program.

    pip install abtem && python benchmarks/make_bloch_reference.py

abTEM 1.0.11 (October 2026, GPL-3.0-or-later). Before 1.0.11 its Bloch waves took the structure
factors of the inverted crystal (its pull request 379). Multislice, and Bloch waves by another
implementation; both with Lobato's and multislice with Kirkland's scattering factors too; both
see the potential of vibrating atoms that abTEM sums from its structure factors.
"""

from __future__ import annotations

import json
from pathlib import Path

import abtem
import numpy as np
from abtem.bloch import BlochWaves, StructureFactor
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

G_MAX = 2.0
POTENTIAL_G = 5.0
SG_MAX = 0.1
STORED_G = 1.5
STRONGEST = 40
SAMPLING, SLICE = 0.06, 0.5
SIGMA = 0.08
"""Root mean square displacement of all atoms along one axis [Å]."""
THICKNESSES = (60.0, 200.0, 500.0)

STRUCTURES = {
    "Si": (227, bulk("Si", "diamond", a=5.431, cubic=True)),
    "NaCl": (225, bulk("NaCl", "rocksalt", a=5.6402, cubic=True)),
    "GaAs": (216, bulk("GaAs", "zincblende", a=5.6533, cubic=True)),
    "TiO2": (136, crystal(["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136,
                          cellpar=[4.5937, 4.5937, 2.9587, 90, 90, 90])),
    "SiO2": (152, crystal(["Si", "O"], [(0.4697, 0, 1 / 3), (0.4135, 0.2669, 0.4525)],
                          spacegroup=152, cellpar=[4.9134, 4.9134, 5.4052, 90, 90, 120])),
}  # fmt: skip
AXES_001 = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
AXES_110 = ((0, 0, 1), (1, -1, 0), (1, 1, 0))
CASES = (
    # structure, kV, cell axes along x, y and the beam
    ("Si", 200.0, AXES_110), ("Si", 100.0, AXES_110), ("Si", 200.0, AXES_001),
    ("NaCl", 100.0, AXES_001), ("NaCl", 300.0, AXES_001), ("TiO2", 200.0, AXES_001),
    ("GaAs", 200.0, AXES_110),
)  # fmt: skip
TILTED = (("SiO2", 200.0, (23.0, 41.0, 77.0)), ("GaAs", 120.0, (10.0, 43.5, 30.0)))
"""Structure, kV and z-x-z angles [degrees] that turn the crystal, abTEM's frame: beam along +z."""


def multislice(atoms: Atoms, voltage: float, axes, parametrization: str) -> dict:
    """Return intensities of the spots, keyed by hkl, one per thickness."""
    matrix = np.array(axes)
    cell = make_supercell(atoms, matrix)
    lengths = np.linalg.norm(cell.cell.array, axis=1)
    cell = Atoms(cell.get_chemical_symbols(), cell=np.diag(lengths), pbc=True,
                 scaled_positions=cell.get_scaled_positions() % 1)  # fmt: skip
    unit = StructureFactor(
        cell, g_max=POTENTIAL_G, parametrization=parametrization, thermal_sigma=SIGMA,
        cutoff="hard", centering="P",
    ).get_projected_potential(slice_thickness=SLICE, sampling=SAMPLING, lazy=False)  # fmt: skip
    repeats = [max(round(t / lengths[2]), 1) for t in THICKNESSES]
    wave = abtem.PlaneWave(energy=voltage * 1e3, gpts=unit.gpts, extent=unit.extent).build(
        lazy=False
    )
    found: dict = {}
    for repeat in range(1, repeats[-1] + 1):
        wave = wave.multislice(unit)
        if repeat not in repeats:
            continue
        amplitude = np.fft.fft2(wave.array) / wave.array.size
        for index, value in np.ndenumerate(np.abs(amplitude) ** 2):
            place = [(i + n // 2) % n - n // 2
                     for i, n in zip(index, amplitude.shape, strict=True)]  # fmt: skip
            # Of all reflections that fall on one place, that of the zeroth Laue zone names it.
            hkl = np.linalg.solve(matrix, [*place, 0])
            if np.allclose(hkl, np.round(hkl)):
                found.setdefault(tuple(np.round(hkl).astype(int).tolist()), []).append(float(value))
    return found | {"thicknesses": [r * lengths[2] for r in repeats]}


def bloch(atoms: Atoms, voltage: float, turn: np.ndarray, thicknesses) -> dict:
    """Return intensities of the spots, keyed by hkl; ``turn`` takes crystal to abTEM's frame."""
    factors = StructureFactor(
        atoms, g_max=2 * G_MAX, parametrization="lobato", thermal_sigma=SIGMA, cutoff="hard",
    )  # fmt: skip
    waves = BlochWaves(factors, energy=voltage * 1e3, sg_max=SG_MAX, g_max=G_MAX,
                       orientation_matrix=turn)  # fmt: skip
    found = waves.calculate_diffraction_patterns(list(thicknesses), lazy=False)
    hkl = np.asarray(found.miller_indices)
    return {tuple(h): found.array[:, i].tolist() for i, h in enumerate(hkl.tolist())}


def main() -> None:
    """Compute and store."""
    abtem.config.set({"precision": "float64", "local_diagnostics.progress_bar": False})
    from scipy.spatial.transform import Rotation

    stored = {"structures": {}, "cases": []}
    for name, (group, atoms) in STRUCTURES.items():
        stored["structures"][name] = {
            "space_group": group, "lattice": atoms.cell.cellpar().round(6).tolist(),
            "sites": [[s, *p] for s, p in zip(atoms.get_chemical_symbols(),
                      atoms.get_scaled_positions().round(10).tolist(), strict=True)],
        }  # fmt: skip
    for name, voltage, axes in CASES:
        atoms = STRUCTURES[name][1]
        vectors = np.array(axes) @ atoms.cell.array
        turn = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        slices = {p: multislice(atoms, voltage, axes, p) for p in ("lobato", "kirkland")}
        thicknesses = slices["lobato"]["thicknesses"]
        programs = {f"multislice, {p}": row for p, row in slices.items()}
        programs["Bloch waves, lobato"] = bloch(atoms, voltage, turn, thicknesses)
        add(stored, name, voltage, turn, thicknesses, programs)
    for name, voltage, angles in TILTED:
        turn = Rotation.from_euler("zxz", angles, degrees=True).as_matrix()
        programs = {"Bloch waves, lobato": bloch(
            STRUCTURES[name][1], voltage, turn, THICKNESSES)}  # fmt: skip
        add(stored, name, voltage, turn, list(THICKNESSES), programs)
    stored["made"] = {"abtem": abtem.__version__, "numpy": np.__version__, "g_max": G_MAX,
                      "sg_max": SG_MAX, "sampling": SAMPLING, "slice": SLICE}  # fmt: skip
    path = Path(__file__).parents[1] / "tests" / "data" / "bloch_abtem.json"
    path.write_text(json.dumps(stored, indent=None) + "\n", encoding="utf-8")


def add(stored, name, voltage, turn, thicknesses, programs) -> None:
    """Store the strongest spots of a case, by the program that stands last."""
    first = list(programs.values())[-1]
    cell = STRUCTURES[name][1].cell
    short = [h for h in first if h != "thicknesses"
             and np.linalg.norm(np.array(h) @ cell.reciprocal()) <= STORED_G]  # fmt: skip
    if len(programs) > 1:
        short = [h for h in short if all(h in p for p in programs.values())]
    short.sort(key=lambda h: (-max(first[h]), h))
    hkl = short[:STRONGEST]
    stored["cases"].append({
        "structure": name, "voltage": voltage, "b_iso": 8 * np.pi**2 * SIGMA**2,
        "turn": turn.round(10).tolist(),
        "thicknesses": thicknesses, "hkl": hkl,
        "intensities": {p: [[round(v, 7) for v in row[h]] for h in hkl]
                        for p, row in programs.items()},
    })  # fmt: skip
    print(name, voltage, len(hkl), {p: round(sum(r[h][-1] for h in hkl), 4)
                                    for p, r in programs.items()})  # fmt: skip


if __name__ == "__main__":
    main()
