"""The protocol of the paper on zone-axis patterns (RSC Adv. 2021, 11, 38307), one command.

    python recipes/sad-paper/resnets.py --structures ../shared/data/structures \
        --out results.json                       # five networks, needs a GPU
    python recipes/sad-paper/resnets.py ... --depths 18 --size 64 --images 2000 --epochs 3

Space groups 213, 221, 225, 227 and 229, about 50 structures of each, split 85 : 15 by structure;
16 zone axes, camera lengths and voltages varied, 256 x 256 pixels, a random turn of 0 to 30
degrees and a random crop of 224 x 224. Labels are the classes of
``napari_spacegroup.crystal.zone_classes``, with 227 in its effective groups by the positions that
scatter: 61 classes of 112 pairs (the paper: 60). SGD: 0.001, times 0.1 every 7 epochs, momentum
0.9, 25 epochs; 68,480 training and 11,200 validation images, drawn on the fly. Where a group has
fewer structures (213), synthetic crystals stand in.

Nothing here is a result until it was run; what was run is in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_spacegroup.crystal import (
    EffectiveGroup,
    Phase,
    SyntheticLimits,
    effective_groups,
    low_index_axes,
    zone_classes,
)
from napari_spacegroup.crystal.synthetic import synthetic_phase
from napari_spacegroup.crystal.zone_patterns import visible
from napari_spacegroup.models import build
from napari_spacegroup.simulate.reflections import Reflections, simulate_reflections
from napari_spacegroup.simulate.spot_images import SpotCamera, draw_spots
from napari_spacegroup.simulate.spots import Beam, ReflectionBatch, excite
from napari_spacegroup.workflows.provenance import provenance

GROUPS = (213, 221, 225, 227, 229)
AXES = low_index_axes(16)
STRUCTURES = 50
G_MAX = 1.6
DRAWN, CROP = 256, 224


def crystals(folder: Path, rng: np.random.Generator) -> list[tuple[Reflections, EffectiveGroup]]:
    """Return reflections of the structures, and how each looks."""
    records: dict[int, list[Any]] = {group: [] for group in GROUPS}
    with gzip.open(folder / "structures.jsonl.gz", "rt") as file:
        for record in map(json.loads, file):
            if record["sg"] in records and record["lattice"][0] < 14:
                records[record["sg"]].append(record)
    found = []
    for group in GROUPS:
        order = rng.permutation(len(records[group]))[:STRUCTURES]
        phases = [Phase.from_record(records[group][i]) for i in order]
        while len(phases) < STRUCTURES:
            name = f"synthetic {group}-{len(phases)}"
            phases.append(synthetic_phase(group, rng, limits=SyntheticLimits(), name=name))
        for phase in phases:
            reflections = simulate_reflections(phase, G_MAX)
            found.append((reflections, look(reflections, group)))
    return found


def look(crystal: Reflections, group: int) -> EffectiveGroup:
    """Return the effective group whose extra absences hold to 2 % of the strongest."""
    bright = crystal.hkl[crystal.factor**2 > 0.02 * (crystal.factor**2).max()].astype(np.int64)
    bright = bright[np.abs(bright).max(axis=1) <= 12]
    ways = effective_groups(group) if group == 227 else (EffectiveGroup(group),)
    for way in ways[1:]:
        if visible(way, bright).all():
            return way
    return ways[0]


def quaternions(axes: list[tuple[int, int, int]], turns: Tensor) -> Tensor:
    """Return picture-to-crystal rotations with an axis along the beam, turned about it."""
    axis = torch.tensor(axes, dtype=torch.float32)
    axis = axis / axis.norm(dim=1, keepdim=True)
    half = axis + torch.tensor([0.0, 0.0, 1.0])
    half = half / half.norm(dim=1, keepdim=True)
    # The shortest turn from z to the axis, after the turn about z.
    w, x, y = half[:, 2], -half[:, 1], half[:, 0]
    c, s = torch.cos(turns / 2), torch.sin(turns / 2)
    return torch.stack([w * c, x * c + y * s, y * c - x * s, w * s], dim=1)


def images(
    chosen: list[Reflections], axes: list[tuple[int, int, int]], size: int,
    generator: torch.Generator, device: torch.device,
) -> Tensor:  # fmt: skip
    """Return a batch of inputs, shape ``(n, 1, size, size)``."""
    count = len(chosen)

    def rand() -> Tensor:
        return torch.rand(count, generator=generator)

    turns = math.radians(30) * rand()
    voltage = torch.tensor([100.0, 200.0, 300.0])[(3 * rand()).long()]
    beam = Beam(voltage, torch.full((count,), 0.01), torch.zeros(count),
                torch.full((count,), 0.04), "lorentzian")  # fmt: skip
    batch = ReflectionBatch.of(chosen, device=device)
    beam = Beam(*(v.to(device) for v in (beam.voltage, beam.width, beam.precession, beam.cutoff)),
                "lorentzian")  # fmt: skip
    spots = excite(batch, quaternions(axes, turns).to(device), beam)
    camera = SpotCamera.fixed(count, (DRAWN, DRAWN), spot_radius=2.0, device=device)
    camera = replace(camera, camera_constant=(DRAWN / 2 / (0.8 + 0.8 * rand())).to(device))
    pictures = draw_spots(spots, camera)
    top = pictures.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    pictures = (pictures / top).clamp(0, 1) ** 0.5
    row, column = torch.randint(DRAWN - CROP + 1, (2,), generator=generator).tolist()
    part = pictures[:, None, row : row + CROP, column : column + CROP]
    if size != CROP:
        part = nn.functional.interpolate(part, (size, size), mode="area")
    return 4 * part - 0.3


def run(depth: int, options: argparse.Namespace, data: Any, names: Any) -> dict[str, Any]:
    """Train one network, and return its row of the table."""
    training, validation, labels = data
    device = torch.device(options.device)
    torch.manual_seed(0)
    network = build(f"resnet{depth}", len(names), small_stem=options.size < 128).to(device)
    optimiser = torch.optim.SGD(network.parameters(), options.rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 7, 0.1)
    generator = torch.Generator().manual_seed(1)
    rng = np.random.default_rng(1)

    def draw(pool: list[Any], rng: np.random.Generator, generator: torch.Generator) -> Any:
        picked = [pool[i] for i in rng.integers(len(pool), size=options.batch)]
        axes = [AXES[i] for i in rng.integers(len(AXES), size=options.batch)]
        wanted = torch.tensor(
            [labels[way, axis] for (_, way), axis in zip(picked, axes, strict=True)]
        )
        return images([c for c, _ in picked], axes, options.size, generator, device), wanted

    start = time.monotonic()
    accuracy = 0.0
    for epoch in range(options.epochs):
        network.train()
        for _ in range(options.images // options.batch):
            inputs, wanted = draw(training, rng, generator)
            loss = nn.functional.cross_entropy(network(inputs), wanted.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        network.eval()
        held, held_generator = np.random.default_rng(2), torch.Generator().manual_seed(2)
        hits = []
        with torch.inference_mode():
            for _ in range(max(options.images * 15 // 85 // options.batch, 1)):
                inputs, wanted = draw(validation, held, held_generator)
                hits.append((network(inputs).argmax(1).cpu() == wanted).float())
        accuracy = float(torch.cat(hits).mean())
        print(f"resnet{depth} epoch {epoch + 1}: {accuracy:.4f}, "
              f"{time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
    inputs, _ = draw(validation, rng, generator)
    with torch.inference_mode():
        network(inputs)
        begun = time.perf_counter()
        for _ in range(5):
            network(inputs)
        if device.type == "cuda":
            torch.cuda.synchronize()
    seconds = (time.perf_counter() - begun) / 5 / options.batch
    return {"accuracy": accuracy, "parameters": sum(p.numel() for p in network.parameters()),
            "ms_per_image": 1e3 * seconds, "train_seconds": time.monotonic() - start}  # fmt: skip


def main() -> None:
    """Train the networks that are asked for and store the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--depths", type=int, nargs="+", default=[18, 34, 50, 101, 152])
    parser.add_argument("--size", type=int, default=CROP)
    parser.add_argument("--images", type=int, default=68_480, help="training images an epoch")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    rng = np.random.default_rng(7)
    everything = crystals(options.structures, rng)
    found = zone_classes({way for _, way in everything}, AXES)
    names = sorted(found.patterns)
    labels = {pair: names.index(name) for pair, name in found.names.items()}
    # Within each group, 85 : 15.
    is_held = np.arange(len(everything)) % STRUCTURES >= round(0.85 * STRUCTURES)
    training = [c for c, held in zip(everything, is_held, strict=True) if not held]
    validation = [c for c, held in zip(everything, is_held, strict=True) if held]
    print(f"{len(training)} and {len(validation)} structures, {len(names)} classes", flush=True)
    rows = {f"resnet{depth}": run(depth, options, (training, validation, labels), names)
            for depth in options.depths}  # fmt: skip
    is_whole = (options.size, options.images, options.epochs, options.rate) == (
        CROP,
        68_480,
        25,
        0.001,
    )
    stored = {"is_the_papers_protocol": is_whole, "classes": len(names), "rows": rows,
              "options": {k: str(v) for k, v in vars(options).items()}, "seed": 7,
              "made": provenance()}  # fmt: skip
    options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
