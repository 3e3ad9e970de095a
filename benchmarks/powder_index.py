"""The positions of powder lines, the network, and both: on measured profiles and real structures.

    python benchmarks/powder_index.py --shared ../shared/data

The weights of both (``trust``, ``temperature``, ``absences``, ``unfound``, ``misled``) are fitted
on simulated profiles of real structures, prototypes that are not in the simulated set that is
reported; measured profiles are reported and nothing is fitted on them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from powder import BATTERY, NEUTRON, NEW, new_prototypes

from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.frequencies import space_group_shares
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.imaging import ProfileAxis, ProfileContract
from napari_spacegroup.infer.powder_cell import MOST_LINES, PowderIndex, index_profile
from napari_spacegroup.infer.powder_joint import joint_probabilities, weighed
from napari_spacegroup.models import load_model
from napari_spacegroup.patterns import PatternScan, from_profiles, read
from napari_spacegroup.simulate.diffractometer import ProfileRange, raw_profiles
from napari_spacegroup.simulate.lines import lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.simulate.profile import DeviceLines
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.answers import Answers, score
from napari_spacegroup.workflows.provenance import provenance

RESULTS = Path(__file__).parent / "results"
SEED = 5
CLASSES = tuple(range(1, 231))
SCREEN = ProfileContract(grid="two_theta", start=8.0, stop=90.0, points=4101)
Row = tuple[str, int, PatternScan]


def measured_scans(shared: Path) -> dict[str, list[Row]]:
    """Return measured profiles of single phases, set by set, X-rays and neutrons apart."""
    powder = shared / "powder"
    sets: dict[str, list[Row]] = {"minerals": [], "battery phases": [], "neutron profiles": []}
    with np.load(powder / "rockjock_minerals" / "rockjock_minerals.npz") as content:
        for counts, name, truth in zip(
            content["intensity"], content["phase"], content["space_group"], strict=True
        ):
            scan = from_profiles(counts, two_theta=content["two_theta"], wavelength=1.54184)
            sets["minerals"].append((str(name), int(truth), scan))
    for name, truth in BATTERY.items():
        path = powder / "xrd_autoanalyzer" / f"{name}.xy"
        sets["battery phases"].append((name, truth, read(path, wavelength=1.54184)))
    for name, (truth, options) in NEUTRON.items():
        path = powder / "easydiffraction_neutron" / name
        scan = read(path, radiation="neutron", **options)
        sets["neutron profiles"].append((name, truth, scan))
    return sets


def simulated_scans(rows: list[dict[str, Any]]) -> list[Row]:
    """Return profiles of real structures, condition standard."""
    lines, groups, records = [], [], []
    for row in rows:
        try:
            lines.append(lines_of_phase(Phase.from_record(row), float(SCREEN.edges()[-1])))
        except PhaseError:
            continue
        groups.append(row["sg"])
        records.append(LineRecord(row["id"], row["proto"], row["source"]))
    stored = LineSet.from_lines(lines, groups, records)
    device = DeviceLines(stored, "xray", torch.device("cpu"))
    generator = torch.Generator().manual_seed(SEED)
    scope = ProfileRange.of("standard", "xray")
    angles = SCREEN.start + SCREEN.step * np.arange(SCREEN.points)
    found = []
    for number in range(len(stored)):
        values, inside = raw_profiles(device, torch.tensor([number]), scope, SCREEN, generator)
        seen_ = np.flatnonzero(inside[0].numpy() > 0.5)
        part = slice(seen_[0], seen_[-1] + 1)
        scan = from_profiles(
            values[0].numpy()[part], two_theta=angles[part], wavelength=SCREEN.wavelength
        )
        found.append((records[number].name, groups[number], scan))
    return found


def index_of(row: Row) -> PowderIndex:
    """Return what the positions of one profile say."""
    scan = row[2]
    axis: ProfileAxis = scan.axis  # type: ignore[assignment]
    return index_profile(axis, np.asarray(scan.pattern(0, 0)).ravel())


def peaks_of(row: Row) -> PowderIndex:
    """Return how many peaks a profile has, without looking for cells."""
    axis: ProfileAxis = row[2].axis  # type: ignore[assignment]
    return index_profile(axis, np.asarray(row[2].pattern(0, 0)).ravel(), families=())


def joined(
    indexes: list[PowderIndex], network: np.ndarray | None, fit: dict[str, float]
) -> np.ndarray:
    """Return joint probabilities ``(n, 230)``; of the positions alone where there is no network."""
    flat = space_group_shares()
    rows = []
    for number, index in enumerate(indexes):
        own = flat if network is None else network[number]
        rows.append(joint_probabilities(index, CLASSES, own, **fit))
    return np.stack(rows)


def fitted(
    indexes: list[PowderIndex], network: np.ndarray | None, truth: np.ndarray
) -> dict[str, float]:
    """Return the weights with the best mean log probability of the truth."""
    own = np.stack([space_group_shares()] * len(indexes)) if network is None else network
    shares = np.array([index.used / MOST_LINES for index in indexes])
    best: tuple[float, dict[str, float]] = (np.inf, {})
    trusts = (0.25, 0.5, 0.75, 1.0) if network is not None else (0.0,)
    for temperature, absences in itertools.product(
        (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0), (1.0, 1.5, 2.0, 3.0, 4.0)
    ):
        found = np.stack([
            index.tempered(max(1.0, temperature * share), max(1.0, absences * share))
            for index, share in zip(indexes, shares, strict=True)
        ])  # fmt: skip
        for trust, unfound, misled in itertools.product(
            trusts, (0.02, 0.05, 0.1, 0.2, 0.5), (0.0, 0.05, 0.1, 0.2, 0.3)
        ):
            said = weighed(found, CLASSES, own, trust=trust, unfound=unfound, misled=misled)
            loss = float(-np.log(said[np.arange(len(truth)), truth - 1] + 1e-12).mean())
            if loss < best[0]:
                best = loss, {"trust": trust, "temperature": temperature, "absences": absences,
                              "unfound": unfound, "misled": misled}  # fmt: skip
    return best[1]


def cell_report(index: PowderIndex) -> dict[str, Any]:
    """Return the likeliest cell as JSON can hold it."""
    best = index.best[0]
    return {
        "family": best.cell.family, "parameters": best.cell.parameters,
        "evidence": best.evidence, "explained": best.explained, "used": index.used,
    }  # fmt: skip


def main() -> None:
    """Index, fit, score, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--structures", type=int, default=240)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", default="xrd-symmetry", help="for X-rays, by name or folder")
    parser.add_argument("--evidence", type=Path, help="keep what was found, to fit it otherwise")
    parser.add_argument("--reuse", type=Path, help="fit and score what --evidence kept")
    parser.add_argument("--out", type=Path, default=RESULTS / "powder_index.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = measured_scans(options.shared)
    simulated = simulated_scans(new_prototypes(options.shared, options.structures))
    half = len(simulated) // 2
    sets |= {"fit": simulated[:half], NEW: simulated[half:]}
    models = {True: load_model("neutron-symmetry"), False: load_model(options.model)}
    indexes: dict[str, list[PowderIndex]] = {}
    network: dict[str, np.ndarray] = {}
    kept = np.load(options.reuse) if options.reuse is not None else None
    with ProcessPoolExecutor(options.workers) as pool:
        for name, rows in sets.items():
            if kept is not None and f"{name} evidence" in kept:
                ends = np.cumsum(kept[f"{name} cells"])[:-1]
                indexes[name] = [
                    replace(peaks_of(row), cell_evidence=evidence)
                    for row, evidence in zip(
                        rows, np.split(kept[f"{name} evidence"], ends), strict=True
                    )
                ]
            else:
                indexes[name] = list(pool.map(index_of, rows))
            model = models[name == "neutron profiles"]
            network[name] = np.stack(
                [
                    np.asarray(classify(scan, model, positions=False).probabilities)[0, 0]
                    for _, _, scan in rows
                ]
            )
            print(name, len(rows), flush=True)
    truth = {name: np.array([row[1] for row in rows]) for name, rows in sets.items()}
    both = "minerals and battery phases"
    for table in (indexes, sets):
        table[both] = [*table["minerals"], *table["battery phases"]]  # type: ignore[index,misc]
    for arrays in (network, truth):
        arrays[both] = np.concatenate([arrays["minerals"], arrays["battery phases"]])
    fits = {
        "positions": fitted(indexes["fit"], None, truth["fit"]),
        "both": fitted(indexes["fit"], network["fit"], truth["fit"]),
    }
    print(fits)
    if options.evidence is not None:
        every = {f"{name} evidence": np.concatenate([i.cell_evidence for i in found])
                 for name, found in indexes.items()}  # fmt: skip
        every |= {f"{name} cells": np.array([len(i.cell_evidence) for i in found])
                  for name, found in indexes.items()}  # fmt: skip
        every |= {f"{name} network": found for name, found in network.items()}
        np.savez(options.evidence, **every, **{f"{n} truth": t for n, t in truth.items()})
    stored: dict[str, Any] = {"seed": SEED, "made": provenance(), "fits": fits, "fitted_on": half}
    stored["sets"] = {}
    if kept is not None:
        before = json.loads(options.out.read_text(encoding="utf-8"))
    for name, rows in sets.items():
        if name == "fit":
            continue
        names = tuple(row[0] for row in rows)
        ways = {
            "network": network[name],
            "positions": joined(indexes[name], None, fits["positions"]),
            "both": joined(indexes[name], network[name], fits["both"]),
        }
        reports = {}
        for way, probabilities in ways.items():
            answers = Answers(names, truth[name], probabilities)
            report = score(answers, models[False].card)
            report.pop("per_class")
            if len(names) > 60:
                report["per_phase"] = {}
            reports[way] = report
            accuracy = report["accuracy"]
            print(f"{name:60} {way:10} n {report['n']:4}  system {accuracy['crystal_system']:.3f}  "
                  f"extinction {accuracy['extinction_group']:.3f}  group "
                  f"{accuracy['space_group']:.3f}  top 5 {report['top_5']:.3f}  "
                  f"ece {report['ece']:.3f}", flush=True)  # fmt: skip
        cells = {
            row[0]: cell_report(index)
            for row, index in zip(rows, indexes[name], strict=True)
            if index.best and not name.startswith("simulated")
        }  # fmt: skip
        if kept is not None and name in before["sets"]:
            cells = before["sets"][name]["cells"]
        stored["sets"][name] = {"ways": reports, "cells": cells}
    options.out.write_text(json.dumps(stored, indent=1, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
