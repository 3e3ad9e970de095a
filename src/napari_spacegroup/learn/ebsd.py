"""The training supply of EBSD: patterns projected from stored master patterns."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import TrainSpec
from ..imaging import InputContract
from ..models import BandNet, SectorNet, build, find_pattern_center
from ..models.sectornet import TRUST_MIDDLE
from .batches import Batch, TrainingBatches, as_if_indexed, condition_batch, sector_planes
from .disturbances import disturbed_pictures
from .masterset import MasterSet
from .setup import appearance_of, geometry_range, network_options, split_masters
from .supply import classes_of
from .templates import cubic_templates

log = logging.getLogger(__name__)


class EbsdSupply:
    """EBSD patterns at random orientations, geometries and screens.

    Parameters
    ----------
    spec
        What to train on and how.
    device
        Where batches are made.
    masters
        Master patterns already in memory, instead of those that the spec names.

    Raises
    ------
    ModelError
        If a class has no structure.
    """

    def __init__(
        self, spec: TrainSpec, device: torch.device, masters: MasterSet | None = None
    ) -> None:
        self.spec = spec
        masters = MasterSet.load(spec.masters) if masters is None else masters
        self.classes = classes_of(spec, masters.space_groups, "master pattern")
        masters = masters.subset(np.flatnonzero(np.isin(masters.space_groups, self.classes)))
        self.training, self.validation = split_masters(masters, spec)
        size = spec.network.input_size
        self.contract = InputContract(shape=(size, size))
        self.architecture = spec.network.architecture
        self.options = network_options(spec)
        self.generator = torch.Generator(device).manual_seed(spec.seed + 1)
        self._batches = TrainingBatches(
            self.training,
            self.classes,
            geometry=geometry_range(spec),
            appearance=appearance_of(spec),
            contract=self.contract,
            generator=self.generator,
            mixed=spec.mixed,
        )

    @property
    def has_validation(self) -> bool:
        """Return whether structures are held back."""
        return len(self.validation) > 0

    def build(self) -> nn.Module:
        """Return the network before its first step."""
        network = build(self.architecture, len(self.classes), **self.options)
        if isinstance(network, SectorNet):
            count, side, _ = network.templates.shape
            groups = self.training.space_groups
            weights = torch.tensor([1 / np.sum(groups == g) for g in groups])
            network.templates.copy_(
                cubic_templates(self.training.patterns, weights, count, side, self.contract)
            )
        return network

    def draw(self, count: int) -> Batch:
        """Return a batch of ``count`` patterns."""
        return self._batches.draw(count)

    def forward(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits, and the loss of telling the planes of lines apart."""
        inputs = batch.inputs.contiguous(memory_format=torch.channels_last)
        none = torch.zeros((), device=inputs.device)
        if isinstance(network, SectorNet):
            with torch.no_grad():
                centers, matrices = as_if_indexed(
                    batch.geometry, batch.rotations, self.spec.indexing, self.generator
                )
                folded = network.fold(inputs, centers, matrices)
            return network.read(folded), none
        if not isinstance(network, BandNet) or not self.spec.schedule.plane_weight:
            return network(inputs), none
        logits, planes = network.with_planes(inputs)
        angle, distance = network.plane_lines(*planes.shape[2:])
        target = sector_planes(batch.geometry, batch.rotations, angle, distance)
        return logits, functional.smooth_l1_loss(planes.float(), target)

    def held_out(self, network: nn.Module, per_structure: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return logits and labels of the structures held back, standard condition."""
        generator = torch.Generator(self.generator.device).manual_seed(seed)
        indices = torch.arange(len(self.validation)).repeat_interleave(per_structure)
        groups = self.validation.space_groups
        labels = torch.tensor([self.classes.index(int(groups[i])) for i in indices])
        logits = []
        with torch.inference_mode():
            for part in indices.split(256):
                batch = condition_batch(self.validation, part, "standard", self.contract, generator)
                found = (
                    network(batch.inputs, batch.geometry.pattern_center)
                    if isinstance(network, SectorNet)
                    else network(batch.inputs)
                )
                logits.append(found.float().cpu())
        return torch.cat(logits), labels

    def keep(self, network: nn.Module, inputs: Tensor, center: Tensor | None) -> Tensor:
        """Return pictures; for a network that finds the orientation, folded and indexed ones.

        The orientation search is not trained, so that once is enough; patterns that no
        orientation explains are left out.
        """
        if not isinstance(network, SectorNet):
            return inputs
        found = find_pattern_center(network.indexer, inputs, center).center
        parts = []
        is_training = network.training
        network.eval()  # as they will be classified, not blurred at random
        for part in inputs.split(64):
            centers = found.to(part).expand(len(part), 3)
            rotations, explained = network.indexer.index(part, centers)
            parts.append(network.fold(part, centers, rotations)[explained > TRUST_MIDDLE])
        network.train(is_training)
        return torch.cat(parts)

    def read(self, network: nn.Module, kept: Tensor) -> Tensor:
        """Return logits of pictures, or of folded ones."""
        kept = kept.contiguous(memory_format=torch.channels_last)
        if isinstance(network, SectorNet):
            return network.read(kept)
        logits: Tensor = network(kept)
        return logits

    def disturb(self, kept: Tensor) -> Tensor:
        """Return pictures with more noise, uneven gain and a corner covered."""
        return disturbed_pictures(kept, self.generator)

    def facts(self) -> dict[str, Any]:
        """Return how many structures were trained on, and which were held back."""
        return {
            "spec": self.spec.model_dump(mode="json", exclude={"masters", "validation"}),
            "structures": len(self.training),
            "structures_per_class": {
                str(c): int((self.training.space_groups == c).sum()) for c in self.classes
            },
            "held_out": [
                {"name": r.name, "space_group": r.space_group, "prototype": r.prototype}
                for r in self.validation.records
            ],
        }
