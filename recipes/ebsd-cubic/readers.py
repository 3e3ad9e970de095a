"""Train readers of band profiles and put them beside the network of ``ebsd-cubic``.

    python recipes/ebsd-cubic/readers.py draw --masters sets/train.npz --out work/drawn --seed 1
    python recipes/ebsd-cubic/readers.py train work/drawn --out work/reader.pt --seconds 5200
    python recipes/ebsd-cubic/readers.py join work/reader.pt --out work/model
    python recipes/ebsd-cubic/bundle.py --model work/model --patterns 30

Drawing, folding and averaging along bands takes most of the time that a network of a picture needs
for a step. Done once, half a million patterns are four gigabytes of profiles, and a reader sees all
of them several times in an hour of one core. Where the edges of the cells stand beside a set
(``train_edges.json``) there is a second task: to say where on the axis of the profiles the scale of
the cell lies.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_spacegroup.config import TrainSpec
from napari_spacegroup.learn import MasterSet
from napari_spacegroup.learn.batches import TrainingBatches, as_if_indexed, condition_batch
from napari_spacegroup.learn.metrics import fit_temperature
from napari_spacegroup.learn.setup import appearance_of, geometry_range
from napari_spacegroup.models import Model, build, load_model
from napari_spacegroup.models.band_reader import BINS, BandReader, scale_target
from napari_spacegroup.models.sector import fold_twice, screen_rays, unpack_folded
from napari_spacegroup.simulate.projector import project, random_quaternions

HERE = Path(__file__).parent
CLASSES = (221, 223, 225, 227, 229, 230)
SIDE = 32
LEVELS = 40.0
"""Steps per unit of the logarithm of pixels, which is kept in bytes."""


def draw(options: argparse.Namespace) -> None:
    """Write profiles of randomised training patterns."""
    spec = TrainSpec.from_yaml(HERE / "train.yaml").replace(masters=tuple(options.masters))
    masters = MasterSet.load(spec.masters)
    contract = load_model("ebsd-cubic").card.input
    generator = torch.Generator().manual_seed(options.seed + 1)
    batches = TrainingBatches(
        masters, CLASSES, geometry=geometry_range(spec), appearance=appearance_of(spec),
        contract=contract, generator=generator,
    )  # fmt: skip
    groups = masters.space_groups
    weights = torch.tensor([1 / float(np.sum(groups == group)) for group in groups])
    reader = BandReader(len(CLASSES), side=2 * SIDE - 1)
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    shape = (options.patterns, reader.families, BINS)
    values = np.lib.format.open_memmap(folder / "values.npy", "w+", np.float16, shape)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, shape)
    index = np.zeros(options.patterns, np.int32)
    with torch.no_grad():
        for start in range(0, options.patterns, 512):
            count = min(512, options.patterns - start)
            chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
            geometry = batches.geometry.draw(count, generator)
            rotations = random_quaternions(count, generator)
            ideal = project(masters.patterns[chosen].float(), geometry, rotations)
            images, mask = batches.appearance.apply(ideal, generator)
            inputs = _prepared(images, contract, mask)
            centers, matrices = as_if_indexed(geometry, rotations, spec.indexing, generator)
            directions = screen_rays(centers, inputs.shape[-1]) @ matrices.mT
            fine = fold_twice(inputs, directions, SIDE)[1]
            profile, behind = reader.profiles(*unpack_folded(fine))
            part = slice(start, start + count)
            values[part] = profile.half().numpy()
            pixels[part] = (behind * LEVELS).clamp(0, 255).byte().numpy()
            index[part] = chosen.numpy()
    facts = [(record.space_group, record.energy) for record in masters.records]
    edges = np.concatenate([edges_of(path) for path in options.masters])
    columns = np.column_stack([np.array(facts, np.float64), edges])
    np.savez(folder / "facts.npz", index=index, facts=columns)


def edges_of(path: Path) -> np.ndarray:
    """Return the cell edges that stand beside a set [Å], 0 where they do not."""
    beside = path.with_name(f"{path.stem}_edges.json")
    if not beside.exists():
        return np.zeros(len(MasterSet.load((path,))))
    return np.array(json.loads(beside.read_text(encoding="utf-8"))["edges"])


def _prepared(images: Tensor, contract: Any, mask: Tensor | None) -> Tensor:
    from napari_spacegroup.imaging import prepare

    return prepare(images, contract, mask=mask)


@dataclass
class Drawn:
    """Profiles that were drawn before.

    Parameters
    ----------
    values, pixels
        As :meth:`BandReader.profiles` gives them, packed.
    labels, scales
        Class, and bin of the cell's scale (NaN where the edge is not known), of each pattern.
    """

    values: Any
    pixels: Any
    labels: Tensor
    scales: Tensor

    @classmethod
    def load(cls, folders: list[Path]) -> Drawn:
        """Return what lies in some folders."""
        values, pixels, labels, scales = [], [], [], []
        for folder in folders:
            values.append(np.load(folder / "values.npy"))
            pixels.append(np.load(folder / "pixels.npy"))
            with np.load(folder / "facts.npz") as content:
                group, energy, edge = content["facts"][content["index"]].T
            labels.append(torch.tensor([CLASSES.index(int(g)) for g in group]))
            edges = torch.from_numpy(np.where(edge > 0, edge, np.nan))
            scales.append(scale_target(edges, torch.from_numpy(wavelength(energy))))
        return cls(np.concatenate(values), np.concatenate(pixels), torch.cat(labels),
                   torch.cat(scales))  # fmt: skip

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return profiles and pixels of some patterns."""
        pixels = torch.from_numpy(self.pixels[rows]).float() / LEVELS
        return torch.from_numpy(self.values[rows].astype(np.float32)), pixels


def wavelength(energy: np.ndarray) -> np.ndarray:
    """Return the relativistic wavelength of electrons [Å] of energies [keV]."""
    volts = 1e3 * energy
    return np.asarray(12.2643 / np.sqrt(volts * (1 + 0.978476e-6 * volts)))


def train(options: argparse.Namespace) -> None:
    """Train one reader, and keep the running mean of its weights."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    drawn = Drawn.load(options.drawn)
    reader = BandReader(len(CLASSES), side=2 * SIDE - 1)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=options.rate, weight_decay=0.05)
    mean = {key: value.clone() for key, value in reader.state_dict().items()}
    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / options.seconds) < 1:
        for group in optimizer.param_groups:
            warm = min(1.0, step / 100)
            group["lr"] = options.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        rows = rng.choice(len(drawn.labels), options.batch)
        values, pixels = drawn.batch(rows)
        # The strength of a family depends on the crystal more than the training shows.
        strength = rng.normal(0, options.gain, (len(rows), reader.families, 1))
        reader.train()
        logits, scale = reader.read(values * torch.from_numpy(np.exp(strength)).float(), pixels)
        loss = functional.cross_entropy(logits, drawn.labels[rows], label_smoothing=0.03)
        target = drawn.scales[rows]
        known = torch.isfinite(target) & (target > -2)
        place = target[known].round().long().clamp(0, BINS - 1)
        if known.any():
            loss = loss + 0.2 * functional.cross_entropy(scale[known], place)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 2.0)
        optimizer.step()
        step += 1
        old = min(0.998, step / (step + 20))
        for key, value in reader.state_dict().items():
            if value.is_floating_point():
                mean[key].mul_(old).add_(value, alpha=1 - old)
            else:
                mean[key].copy_(value)
        if step % 500 == 0:
            print(f"step {step} loss {loss.item():.3f}", flush=True)
    torch.save({"state": mean, "patterns": step * options.batch, "seconds": options.seconds,
                "seed": options.seed, "drawn": len(drawn.labels)}, options.out)  # fmt: skip


def join(options: argparse.Namespace) -> None:
    """Put readers beside a model's network, choose their share, and calibrate anew."""
    model = load_model(options.model)
    kept = [torch.load(path, weights_only=True) for path in options.readers]
    given = dict(model.card.options) | {"readers": len(kept), "reader_share": 0.5}
    network = build("sectornet", len(model.classes), **given)
    own = {k: v for k, v in model.network.state_dict().items() if not k.startswith("readers.")}
    for number, part in enumerate(kept):
        own |= {f"readers.{number}.{key}": value for key, value in part["state"].items()}
    network.load_state_dict(own)
    network.eval()
    calibration = MasterSet.load(options.calibration)
    generator = torch.Generator().manual_seed(3)
    rows = torch.arange(len(calibration)).repeat_interleave(options.patterns)
    truth = torch.tensor([CLASSES.index(int(g)) for g in calibration.space_groups])[rows]
    found: dict[float, list[Tensor]] = {share: [] for share in (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)}
    with torch.inference_mode():
        for part in rows.split(128):
            batch = condition_batch(calibration, part, "standard", model.card.input, generator)
            centers = batch.geometry.pattern_center
            rotations, _ = network.indexer.index(batch.inputs, centers)
            folded = network.fold(batch.inputs, centers, rotations)
            for share, logits in found.items():
                network.reader_share = share
                logits.append(network.read(folded))
    best, least = 0.5, math.inf
    for share, parts in found.items():
        logits = torch.cat(parts)
        temperature = fit_temperature(logits, truth)
        loss = functional.cross_entropy(logits / temperature, truth).item()
        right = (logits.argmax(1) == truth).float().mean().item()
        print(f"share {share:.2f}: right {right:.4f}, nll {loss:.4f}, T {temperature:.3f}")
        if loss < least:
            best, least = share, loss
            model.card = model.card.model_copy(update={"temperature": temperature})
    given["reader_share"] = network.reader_share = best
    training = dict(model.card.training)
    training["readers"] = [{k: v for k, v in part.items() if k != "state"} for part in kept]
    model.card = model.card.model_copy(update={"options": given, "training": training})
    Model(network, model.card).save(options.out)


def main() -> None:
    """Draw, train or join."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("draw")
    verb.add_argument("--masters", type=Path, nargs="+", default=[HERE / "sets" / "train.npz"])
    verb.add_argument("--out", type=Path, required=True)
    verb.add_argument("--patterns", type=int, default=500_000)
    verb.add_argument("--seed", type=int, default=1)
    verb.set_defaults(run=draw)
    verb = verbs.add_parser("train")
    verb.add_argument("drawn", type=Path, nargs="+")
    verb.add_argument("--out", type=Path, required=True)
    verb.add_argument("--seconds", type=float, default=5200)
    verb.add_argument("--batch", type=int, default=256)
    verb.add_argument("--rate", type=float, default=2e-3)
    verb.add_argument("--gain", type=float, default=0.1)
    verb.add_argument("--threads", type=int, default=1)
    verb.add_argument("--seed", type=int, default=0)
    verb.set_defaults(run=train)
    verb = verbs.add_parser("join")
    verb.add_argument("readers", type=Path, nargs="+")
    verb.add_argument("--model", default="ebsd-cubic")
    verb.add_argument("--calibration", type=Path, default=HERE / "sets" / "calibration.npz")
    verb.add_argument("--patterns", type=int, default=24)
    verb.add_argument("--out", type=Path, required=True)
    verb.set_defaults(run=join)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
