"""Bloch-wave spot intensities: against abTEM, with fewer and more beams, and how long they take.

    python benchmarks/bloch.py     # stored in benchmarks/results/bloch.json

abTEM's numbers were stored by ``benchmarks/make_bloch_reference.py``; it is not needed here.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parent / "tests" / "data" / "bloch_abtem.json"
SEED = 0
SHOWN_G = 1.3
"""Spots up to here are compared [1/Å]."""
BEST = (3.0, 0.2)
BEAM_SETS = ((1.3, 0.05), (2.0, 0.05), (2.0, 0.1), (2.5, 0.1), (2.5, 0.2))
"""Longest vector and largest excitation error of a beam [1/Å]."""
DEPTHS = (100.0, 300.0, 800.0)
TIMED = 16


def phase_of(stored, name: str, b_iso: float):
    """Return a crystal of the reference file."""
    from napari_spacegroup.crystal import AtomSite, Phase

    made = stored["structures"][name]
    sites = tuple(AtomSite(s, (x, y, z), b_iso=b_iso) for s, x, y, z in made["sites"])
    return Phase(name, made["space_group"], tuple(made["lattice"]), sites)


def orientation_of(case):
    """Return the quaternion of a case; abTEM's beam runs along +z, ours along -z."""
    import torch
    from scipy.spatial.transform import Rotation

    turn = np.diag([1.0, -1.0, -1.0]) @ np.array(case["turn"])
    x, y, z, w = Rotation.from_matrix(turn.T).as_quat()
    return torch.tensor([[w, x, y, z]], dtype=torch.float64)


def agreement(stored) -> list[dict]:
    """Return how far each case is from abTEM's series, spot by spot."""
    own = (stored["made"]["g_max"], stored["made"]["sg_max"])
    rows = []
    for case in stored["cases"]:
        phase = phase_of(stored, case["structure"], case["b_iso"])
        is_spot = np.any(case["hkl"], axis=1)
        axis = np.array(case["turn"])[2] @ np.linalg.inv(phase.structure_matrix).T
        low = axis / np.abs(axis).max()
        for beam_set in (own, BEST):
            ours, count = series_of(case, phase, *beam_set)
            for program, values in case["intensities"].items():
                if "Bloch" in program and beam_set == BEST:
                    continue  # the same beams on both sides, or the sets are compared
                theirs = np.array(values)
                rows.append({
                    "structure": case["structure"], "voltage": case["voltage"],
                    "axis": low.round().astype(int).tolist() if np.allclose(low, low.round(), 0,
                                                                            1e-4) else None,
                    "program": program, "thicknesses": case["thicknesses"],
                    "g_max": beam_set[0], "max_excitation": beam_set[1], "beams": count,
                    "largest difference": np.abs(ours - theirs).max(axis=0).tolist(),
                    "correlation": [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(
                        ours[is_spot].T, theirs[is_spot].T, strict=True)],
                })  # fmt: skip
    return rows


def series_of(case, phase, g_max: float, excitation: float):
    """Return intensities of a case's spots, shape ``(spot, thickness)``, and how many beams."""
    from napari_spacegroup.simulate.bloch import crystal_potential, simulate_beams

    potential = crystal_potential(phase, g_max)
    beams = simulate_beams(
        potential, orientation_of(case), voltage=case["voltage"], thickness=case["thicknesses"],
        max_excitation=excitation, max_beams=2000,
    )  # fmt: skip
    place = {tuple(potential.hkl[b]): k for k, b in enumerate(beams.beam[0].tolist())}
    return beams.intensity[0, :, [place[tuple(h)] for h in case["hkl"]]].numpy().T, len(place)


def convergence(stored) -> list[dict]:
    """Return how far sets of beams are from a large set, over spots up to ``SHOWN_G``."""
    from napari_spacegroup.simulate.bloch import crystal_potential, simulate_beams

    found: dict = {}
    for case in stored["cases"]:
        phase = phase_of(stored, case["structure"], case["b_iso"])
        series = {}
        for g_max, excitation in (BEST, *BEAM_SETS):
            potential = crystal_potential(phase, g_max)
            beams = simulate_beams(
                potential, orientation_of(case), voltage=case["voltage"], thickness=DEPTHS,
                max_excitation=excitation, max_beams=2000,
            )  # fmt: skip
            rows = beams.beam[0].numpy()
            values = beams.intensity[0].numpy().T
            is_shown = np.linalg.norm(potential.g[rows], axis=1) <= SHOWN_G
            series[g_max, excitation] = {
                tuple(potential.hkl[r]): v
                for r, v, s in zip(rows, values, is_shown, strict=True) if s
            }  # fmt: skip
            found.setdefault((g_max, excitation), []).append((len(rows), None))
            if (g_max, excitation) != BEST:
                best = series[BEST]
                here = series[g_max, excitation]
                none = np.zeros(len(DEPTHS))
                apart = [np.abs(here.get(h, none) - v) for h, v in best.items()]
                found[g_max, excitation][-1] = (len(rows), np.max(apart, axis=0))
    return [
        {"g_max": g, "max_excitation": s, "mean beams": float(np.mean([r[0] for r in rows])),
         "thicknesses": DEPTHS,
         "largest difference, median of the cases":
             None if (g, s) == BEST else np.median([r[1] for r in rows], axis=0).tolist(),
         "largest difference, worst case":
             None if (g, s) == BEST else np.max([r[1] for r in rows], axis=0).tolist()}
        for (g, s), rows in found.items()
    ]  # fmt: skip


def forbidden() -> list[dict]:
    """Return how bright the forbidden 002 of silicon is over the brightest spot, by thickness."""
    import torch
    from scipy.spatial.transform import Rotation

    from napari_spacegroup.crystal import library_phase
    from napari_spacegroup.simulate.bloch import crystal_potential, simulate_beams

    potential = crystal_potential(library_phase("Si"))
    rows = []
    for axis, index in (((1, 1, 0), (0, 0, 2)), ((0, 0, 1), (2, 0, 0))):
        x, y, z, w = Rotation.align_vectors([axis], [[0, 0, 1]])[0].as_quat()
        beams = simulate_beams(
            potential, torch.tensor([[w, x, y, z]], dtype=torch.float64), voltage=200.0,
            thickness=DEPTHS,
        )  # fmt: skip
        hkl = potential.hkl[beams.beam[0].numpy()]
        values = beams.intensity[0].numpy()
        spot = values[:, (hkl == index).all(axis=1)][:, 0]
        share = spot / values[:, 1:].max(axis=1)
        rows.append({"axis": axis, "hkl": index, "thicknesses": DEPTHS,
                     "over the strongest spot": share.tolist()})  # fmt: skip
    return rows


def seconds() -> list[dict]:
    """Return the time of a pattern in a random orientation."""
    import torch

    from napari_spacegroup.crystal import library_phase
    from napari_spacegroup.simulate.bloch import crystal_potential, simulate_beams
    from napari_spacegroup.simulate.projector import random_quaternions

    orientations = random_quaternions(TIMED, torch.Generator().manual_seed(SEED))
    rows = []
    for name in ("Al", "Si", "NaCl"):
        phase = library_phase(name)
        start = time.perf_counter()
        potential = crystal_potential(phase)
        made = time.perf_counter() - start
        start = time.perf_counter()
        beams = simulate_beams(potential, orientations, voltage=200.0, thickness=300.0)
        rows.append({
            "structure": name, "seconds of the potential": made,
            "seconds of a pattern": (time.perf_counter() - start) / TIMED,
            "mean beams": float((beams.beam >= 0).sum(1).double().mean()),
        })  # fmt: skip
    return rows


def main() -> None:
    """Compute, print and store."""
    from napari_spacegroup.workflows.provenance import provenance

    stored = json.loads(REFERENCE.read_text(encoding="utf-8"))
    result = {
        "kind": "Bloch-wave spot intensities", "seed": SEED, "abtem": stored["made"],
        "agreement": agreement(stored), "convergence": convergence(stored),
        "forbidden": forbidden(), "seconds": seconds(), "made": provenance(),
    }  # fmt: skip
    for name in ("agreement", "convergence", "forbidden", "seconds"):
        for row in result[name]:
            print(row)
    path = HERE / "results" / "bloch.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
