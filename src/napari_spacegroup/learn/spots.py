"""The training supply of spot patterns: drawn from stored structure factors, measured, indexed.

Drawing a picture, finding its spots and indexing them costs a hundred times what a step of the
network does. So what came out is kept in a pool, from which batches are drawn while it is
renewed, and training sees each pattern several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..config import SpotRangeSpec, SpotTrainSpec, sad_condition
from ..errors import ModelError
from ..imaging import SpotContract, prepare_spots
from ..models import LatticeNet, SpotNet, build
from ..simulate.atoms import CrystalAtoms, load_atoms
from ..simulate.reflections import ReflectionSet
from ..simulate.spot_patterns import draw_patterns
from .supply import classes_of

CHUNK = 64
"""Patterns that are drawn and indexed at a time."""

MISSED = 0.1
"""Share of the features of patterns without labels that are forgotten."""


FORGOTTEN = 0.15
"""Of a pattern in a batch at most this share of the spots is forgotten, read as a set."""

SpotReader = SpotNet | LatticeNet
READERS: dict[str, type[SpotReader]] = {"spotnet": SpotNet, "latticenet": LatticeNet}


@dataclass(frozen=True)
class SpotBatch:
    """Features of some patterns and their classes.

    Parameters
    ----------
    features
        Shape ``(n, ...)``, of one of the two settings each, as the network describes patterns.
    labels
        Index of the class, shape ``(n,)``.
    """

    features: Tensor
    labels: Tensor


def load_sets(paths: tuple[Path, ...]) -> list[ReflectionSet]:
    """Return the reflection sets in files, or in all ``.npz`` files of folders."""
    files = [f for p in paths for f in (sorted(p.glob("*.npz")) if p.is_dir() else [p])]
    return [ReflectionSet.load(file) for file in files]


class SpotSupply:
    """Spot patterns at random orientations, beams and cameras.

    Parameters
    ----------
    spec
        What to train on and how.
    device
        Where batches are made.
    held
        Reflection sets already in memory, training and validation, instead of files.

    Raises
    ------
    ModelError
        If a class has no structure.
    """

    def __init__(
        self,
        spec: SpotTrainSpec,
        device: torch.device,
        held: tuple[ReflectionSet, ReflectionSet] | None = None,
    ) -> None:
        self.spec = spec
        if held is None:
            training, validation = load_sets(spec.sets), load_sets(spec.validation)
        else:
            training, validation = [held[0]], [held[1]]
        present = (group for part in training for group in part.space_groups)
        self.classes = classes_of(spec, present, "reflections")
        atoms = load_atoms(spec.atoms)
        self._training = Crystals(training, self.classes, atoms)
        self._validation = Crystals(validation, self.classes, atoms)
        self.contract = SpotContract()
        self.architecture = spec.network.architecture
        self.options = spec.network.model_dump(exclude={"architecture"})
        self._reader = READERS[self.architecture]
        self.generator = torch.Generator(device).manual_seed(spec.seed + 1)
        shape = self._reader.describe(torch.zeros(1, 1, *self.contract.shape)).shape[1:]
        self._features = torch.zeros(spec.pool, *shape, dtype=torch.float16, device=device)
        self._labels = torch.zeros(spec.pool, dtype=torch.long, device=device)
        self._filled = self._next = 0
        self._owed = 0.0
        for folder in spec.drawn:
            for part in sorted(folder.glob("part-*.npz")):
                self._add_drawn(part)
        # What was drawn ahead is enough to begin with; without it the pool is filled first.
        self._enough = self._filled or spec.pool

    @property
    def has_validation(self) -> bool:
        """Return whether structures are held back."""
        return len(self._validation) > 0

    def build(self) -> nn.Module:
        """Return the network before its first step."""
        return build(self.architecture, len(self.classes), **self.options)

    def draw(self, count: int) -> SpotBatch:
        """Return a batch from the pool, which is filled or renewed on the way."""
        self._owed += count * (self.spec.fresh_share if self._filled >= self._enough else 1.0)
        while self._owed > 0:
            self._draw_fresh(CHUNK)
            self._owed -= CHUNK
        device = self._labels.device
        rows = torch.randint(self._filled, (count,), generator=self.generator, device=device)
        setting = torch.randint(2, (count,), generator=self.generator, device=device)
        features = self._features[rows, setting].float()
        if self.architecture == "latticenet":
            features = self._forgetful(features)
        return SpotBatch(features, self._labels[rows])

    def _forgetful(self, features: Tensor) -> Tensor:
        """Return spots as a set with some of them missing, as where they were not found."""
        draws = torch.rand(features.shape[:2], generator=self.generator, device=features.device)
        share = FORGOTTEN * torch.rand(len(features), 1, generator=self.generator,
                                       device=features.device)  # fmt: skip
        kept = draws > share
        kept[:, -1] = True
        return features * kept[..., None]

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Put patterns into the pool, over the oldest ones once it is full."""
        rows = (self._next + torch.arange(len(labels))) % self.spec.pool
        self._features[rows] = features.to(self._features)
        self._labels[rows] = labels.to(self._labels)
        self._next = (self._next + len(labels)) % self.spec.pool
        self._filled = min(self._filled + len(labels), self.spec.pool)

    def _add_drawn(self, part: Path) -> None:
        try:
            with np.load(part, allow_pickle=False) as content:
                features, groups = content["features"], content["space_groups"]
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{part} holds no drawn patterns ({error}); draw it anew") from error
        if features.shape[1:] != self._features.shape[1:]:
            raise ModelError(
                f"{part} has features {features.shape[1:]}, this version reads "
                f"{tuple(self._features.shape[1:])}; draw them anew"
            )
        known = np.isin(groups, self.classes)
        labels = np.searchsorted(self.classes, groups[known])
        self.add(torch.from_numpy(features[known]), torch.from_numpy(labels))

    def _draw_fresh(self, count: int) -> None:
        chosen = self._training.random(count, self.generator, self.spec.balanced)
        features = simulate_features(
            self._training, chosen, self.spec.microscope, self.generator, self._reader
        )
        self.add(features, self._training.labels[chosen].to(features.device))

    def forward(self, network: nn.Module, batch: SpotBatch) -> tuple[Tensor, Tensor]:
        """Return logits; there is no second task."""
        if not isinstance(network, SpotReader):
            raise ModelError(
                f"spot patterns train a spotnet or a latticenet, got {type(network).__name__}"
            )
        return network.read(batch.features), torch.zeros((), device=batch.features.device)

    def held_out(self, network: nn.Module, per_structure: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return logits and labels of the structures held back.

        In the standard condition, as many of thick crystals as training has.
        """
        assert isinstance(network, SpotReader)
        asked = sad_condition("standard").replace(thick_share=self.spec.microscope.thick_share)
        generator = torch.Generator(self.generator.device).manual_seed(seed)
        # Few patterns of each: what varies is the crystal.
        repeats = max(per_structure // 8, 1)
        chosen = np.repeat(np.arange(len(self._validation)), repeats)
        logits = []
        for start in range(0, len(chosen), CHUNK):
            part = chosen[start : start + CHUNK]
            features = simulate_features(self._validation, part, asked, generator, self._reader)
            with torch.inference_mode():
                both = [network.read(f) for f in features.unbind(dim=1)]
                logits.append((0.5 * (both[0] + both[1])).float().cpu())
        return torch.cat(logits), self._validation.labels[chosen]

    def keep(self, network: nn.Module, inputs: Tensor, center: Tensor | None) -> Tensor:
        """Return the features of both settings, shape ``(n, 2, ...)``."""
        del network, center
        return torch.cat([self._reader.describe(part) for part in inputs.split(CHUNK)])

    def read(self, network: nn.Module, kept: Tensor) -> Tensor:
        """Return logits, the mean over both settings."""
        assert isinstance(network, SpotReader)
        return 0.5 * (network.read(kept[:, 0]) + network.read(kept[:, 1]))

    def disturb(self, kept: Tensor) -> Tensor:
        """Return features with some of them forgotten, as where spots were missed."""
        draws = torch.rand(kept.shape, generator=self.generator, device=kept.device)
        return torch.where(draws < MISSED, 0.0, kept)

    def facts(self) -> dict[str, Any]:
        """Return how many structures were trained on, and which were held back."""
        labels = self._training.labels
        return {
            "spec": self.spec.model_dump(
                mode="json", exclude={"sets", "validation", "atoms", "drawn"}
            ),
            "structures": len(self._training),
            "structures_per_class": {
                str(c): int((labels == k).sum()) for k, c in enumerate(self.classes)
            },
            "held_out": [
                {"name": r.name, "space_group": r.space_group, "prototype": r.prototype}
                for r in self._validation.records
            ],
        }


class Crystals:
    """The crystals of several sets that belong to the classes, under one numbering."""

    def __init__(
        self,
        sets: list[ReflectionSet],
        classes: tuple[int, ...],
        atoms: Mapping[str, CrystalAtoms] | None = None,
    ) -> None:
        self._sets = sets
        self._atoms = atoms or {}
        self._places = [
            (part, i) for part, s in enumerate(sets) for i, g in enumerate(s.space_groups)
            if int(g) in classes
        ]  # fmt: skip
        self.records = [sets[part].records[i] for part, i in self._places]
        self.labels = torch.tensor(
            [classes.index(r.space_group) for r in self.records], dtype=torch.long
        )

    def __len__(self) -> int:
        return len(self._places)

    def random(
        self, count: int, generator: torch.Generator, balanced: float = 1.0
    ) -> np.ndarray[Any, Any]:
        """Return crystals: classes equally often, within a class all crystals.

        For other than this share of them all crystals equally often.
        """
        classes = self.labels.unique()
        device = generator.device
        free = np.zeros(count, bool)
        if balanced < 1:
            free = (torch.rand(count, generator=generator, device=device) >= balanced).cpu().numpy()
        wanted = torch.randint(len(classes), (count,), generator=generator, device=device).cpu()
        chance = torch.rand(count, generator=generator, device=device).cpu()
        rows = []
        for label, share, is_free in zip(
            classes[wanted].tolist(), chance.tolist(), free.tolist(), strict=True
        ):
            if is_free:
                rows.append(int(share * len(self)))
                continue
            members = (self.labels == label).nonzero()[:, 0]
            rows.append(int(members[int(share * len(members))]))
        return np.array(rows)

    def reflections(self, index: int) -> Any:
        """Return the reflections of one crystal."""
        part, row = self._places[index]
        return self._sets[part][row]

    def atoms(self, index: int) -> CrystalAtoms | None:
        """Return the atoms of one crystal; None where they are not known."""
        return self._atoms.get(self.records[index].identifier)


def simulate_features(
    crystals: Crystals,
    chosen: np.ndarray[Any, Any],
    asked: SpotRangeSpec,
    generator: torch.Generator,
    reader: type[SpotReader] = SpotNet,
) -> Tensor:
    """Return the features of one new pattern of each crystal, shape ``(n, 2, ...)``."""
    with torch.no_grad():
        patterns = draw_patterns(
            [crystals.reflections(int(i)) for i in chosen], asked, generator,
            atoms=[crystals.atoms(int(i)) for i in chosen],
        )  # fmt: skip
        return reader.describe(prepare_spots(patterns))
