"""Powder models against measured profiles and real structures, and the rate of the supply.

    python benchmarks/powder.py --model xrd-symmetry --shared ../shared/data

The network alone; what it and the positions of the lines say together stands in
``powder_index.py``. Measured minerals and battery phases, thin films and neutron profiles each in
a row of their own, never mixed with simulation; each with the curve of coverage against risk. Real
structures are simulated (standard condition), one of each prototype that no training saw.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_spacegroup.crystal import Phase
from napari_spacegroup.crystal.skeleton import SkeletonPool
from napari_spacegroup.errors import PhaseError
from napari_spacegroup.models import Model, load_model
from napari_spacegroup.patterns import PatternScan, from_profiles, read, ring_profiles
from napari_spacegroup.simulate.diffractometer import ProfileRange, draw_profiles
from napari_spacegroup.simulate.lines import lines_of_crystal, lines_of_phase
from napari_spacegroup.simulate.lineset import LineRecord, LineSet
from napari_spacegroup.simulate.profile import DeviceLines
from napari_spacegroup.workflows import classify
from napari_spacegroup.workflows.answers import Answers, score
from napari_spacegroup.workflows.evaluate_powder import classify_lines, profile_contract
from napari_spacegroup.workflows.provenance import provenance

RESULTS = Path(__file__).parent / "results"
HELD_PROTOTYPES = Path(__file__).parents[1] / "recipes" / "powder" / "held_prototypes.json"
SEED = 5
NEW = "simulated: real structures of new prototypes, standard"

BATTERY = {
    "LiF": 225, "MnO": 225, "LiMn2O4": 227, "Mn2O3": 206, "MnF2": 136, "MnO2": 136,
    "TiO2": 141, "Li2MnO3": 12, "LiMnO2": 59, "Li2TiO3": 15,
}  # fmt: skip
"""Space groups as the source note of the files gives them."""

NEUTRON = {
    "co2sio4_d20.xye": (62, {"wavelength": 1.87}), "pbso4_d1a.dat": (62, {"wavelength": 1.91}),
    "herbertsmithite_hrpt.xye": (166, {"wavelength": 1.89}),
    "lbco_hrpt.xye": (221, {"wavelength": 1.494}),
    "si_sepd_tof.xye": (227, {"difc": 7476.91}), "ncaf_wish_tof.xys": (199, {"difc": 20773.1}),
}  # fmt: skip
"""Space group, wavelength [Å] or flight time of 1 Å [µs] (the refinements' calibration)."""


def measured(model: Model, shared: Path) -> dict[str, Answers]:
    """Return the answers to measured profiles, set by set."""
    sets: dict[str, list[tuple[str, int, np.ndarray]]] = {}

    def ask(group: str, name: str, truth: int, scan: object) -> None:
        result = classify(scan, model, positions=False)
        sets.setdefault(group, []).append((name, truth, np.asarray(result.probabilities)[0, 0]))

    powder = shared / "powder"
    if profile_contract(model).radiation == "xray":
        with np.load(powder / "rockjock_minerals" / "rockjock_minerals.npz") as content:
            for counts, name, truth in zip(
                content["intensity"], content["phase"], content["space_group"], strict=True
            ):
                scan = from_profiles(counts, two_theta=content["two_theta"], wavelength=1.54184)
                ask("minerals", str(name), int(truth), scan)
        for name, truth in BATTERY.items():
            path = powder / "xrd_autoanalyzer" / f"{name}.xy"
            ask("battery phases", name, truth, read(path, wavelength=1.54184))
        path = powder / "easydiffraction_neutron" / "pbso4_lab_xray.dat"
        ask("laboratory PbSO4", "PbSO4", 62, read(path, wavelength=1.54184))
        for path in sorted((powder / "oviedo_perovskites").glob("sg*/*.xy")):
            ask("thin films", path.stem, int(path.parent.name[2:]), read(path, wavelength=1.54184))
        for name, truth, scan in electron_rings(shared / "sad"):
            ask("electron rings", name, truth, scan)
    else:
        for name, (truth, options) in NEUTRON.items():
            path = powder / "easydiffraction_neutron" / name
            ask("neutron profiles", name, truth, read(path, radiation="neutron", **options))
    found = {
        group: Answers(
            tuple(r[0] for r in rows),
            np.array([r[1] for r in rows]),
            np.stack([r[2] for r in rows]),
        )
        for group, rows in sets.items()
    }
    if "minerals" in found:
        two = [found["minerals"], found["battery phases"]]
        found["minerals and battery phases"] = Answers(
            two[0].names + two[1].names,
            np.concatenate([a.truth for a in two]),
            np.concatenate([a.probabilities for a in two]),
        )
    return found


def electron_rings(folder: Path) -> Iterator[tuple[str, int, PatternScan]]:
    """Give the measured rings, scaled as their source notes say: gold, bismuth, VO2.

    The bismuth film shows hk0 rings alone; the model never saw electrons.
    """
    gold = read(folder / "au_rings_pyxem" / "au_xgrating_20cm.tif")
    yield "Au", 225, ring_profiles(gold, camera_constant=1 / 0.0101)
    bismuth = np.load(folder / "bismuth_rings_skued" / "bismuth_uint8.npy")
    frames = PatternScan.from_array(bismuth[None], name="Bi")
    yield "Bi", 166, ring_profiles(frames, camera_constant=1 / 0.01135)
    s, counts = np.load(folder / "vo2_powder_profile_skued" / "powder.npy")
    yield "VO2", 136, from_profiles(counts, q=4 * np.pi * s)


def new_prototypes(shared: Path, most: int | None = None) -> list[dict[str, Any]]:
    """Return real structures, one of each prototype that training leaves out, shuffled."""
    held = set(json.loads(HELD_PROTOTYPES.read_text(encoding="utf-8")))
    with gzip.open(shared / "structures" / "structures.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if row["proto"] in held and not row["hyp"] and row["ordered"]
            and row.get("sg_loose", row["sg"]) == row["sg"]]  # fmt: skip
    order = np.random.default_rng(SEED).permutation(len(rows)).tolist()
    return list({rows[i]["proto"]: rows[i] for i in order}.values())[:most]


def real_structures(model: Model, shared: Path) -> Answers:
    """Return the answers to simulated profiles of real structures, one of a prototype."""
    contract = profile_contract(model)
    lines, groups, records = [], [], []
    for row in new_prototypes(shared):
        try:
            lines.append(lines_of_phase(Phase.from_record(row), float(contract.edges()[-1])))
        except PhaseError:
            continue
        groups.append(row["sg"])
        records.append(LineRecord(row["id"], row["proto"], row["source"]))
    stored = LineSet.from_lines(lines, groups, records)
    return classify_lines(model, stored, np.arange(len(stored)), "standard", SEED)


def supply_rate(seconds: float = 40.0) -> dict[str, float]:
    """Return fresh crystals and profiles a second on one thread, once pool and tables are full."""
    torch.set_num_threads(1)
    pool = SkeletonPool(range(1, 231), seed=SEED, each=4)
    rng = np.random.default_rng(SEED)
    for group in range(1, 231):
        for _ in range(3):
            pool.crystals(group)
    lines: list[Any] = []
    groups: list[int] = []
    spent = 0.0
    for _ in ("the tables of planes are made", "it runs as it would for hours"):
        lines.clear()
        groups.clear()
        processor = time.process_time()
        while time.process_time() - processor < seconds:
            group = int(rng.integers(1, 231))
            for crystal in pool.crystals(group, most=4):
                lines.append(lines_of_crystal(crystal, 6.3, radiation=("xray",)))
                groups.append(group)
        spent = time.process_time() - processor
    stored = LineSet.from_lines(lines, groups)
    contract_model = ProfileRange.training("xray")
    from napari_spacegroup.imaging import ProfileContract

    device = DeviceLines(stored, "xray", torch.device("cpu"))
    generator = torch.Generator().manual_seed(SEED)
    chosen = torch.randint(len(stored), (2048,), generator=generator)
    processor = time.process_time()
    for part in chosen.split(64):
        draw_profiles(device, part, contract_model, ProfileContract(points=1024), generator)
    drawing = (time.process_time() - processor) / len(chosen)
    making = spent / len(stored)
    return {
        "new_crystals_per_processor_second": 1 / making,
        "profiles_per_processor_second": 1 / drawing,
        "fresh_profiles_per_hour_on_two_cores": 2 * 3600 / (making + drawing),
    }


def main() -> None:
    """Evaluate and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", default="xrd-symmetry")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=("models", "supply"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stored: dict[str, object] = {"seed": SEED, "made": provenance()}
    name = "powder_supply"
    if options.only != "models":
        stored["supply"] = supply_rate()
        print(json.dumps(stored["supply"], indent=1))
    if options.only != "supply":
        model = load_model(options.model)
        name = f"powder_{model.name}"
        stored |= {"model": model.name, "sha256": model.card.sha256}
        tables = {f"measured: {k}": v for k, v in measured(model, options.shared).items()}
        tables[NEW] = real_structures(model, options.shared)
        stored["sets"] = {}
        for title, answers in tables.items():
            report = score(answers, model.card)
            if len(answers.truth) > 200:
                report["per_phase"] = {}
            stored["sets"][title] = report  # type: ignore[index]
            accuracy = report["accuracy"]
            print(f"{title:60} n {report['n']:5}  system {accuracy['crystal_system']:.3f}  lattice "
                  f"{accuracy['bravais_lattice']:.3f}  group {accuracy['space_group']:.3f}  top 5 "
                  f"{report['top_5']:.3f}  ece {report['ece']:.3f}")  # fmt: skip
    path = options.out or RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(stored, indent=1, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
