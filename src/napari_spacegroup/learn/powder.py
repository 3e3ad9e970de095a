"""The training supply of powder profiles: drawn from sets of lines, on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import PowderTrainSpec
from ..imaging import ProfileContract
from ..models import build
from ..simulate.diffractometer import ProfileRange, draw_profiles
from ..simulate.lineset import LineSet
from ..simulate.profile import DeviceLines
from .disturbances import disturbed_profiles
from .supply import classes_of

VALIDATION, CALIBRATION = 1500, 6000
"""Crystals that a validation and the fit of the temperature look at, at most."""

COARSE = ("crystal_system", "extinction_group")
"""Levels that the second task asks for."""


@dataclass(frozen=True)
class ProfileBatch:
    """Inputs of a network and what they show.

    Parameters
    ----------
    inputs
        Shape ``(n, 1, 1, points)``.
    labels
        Index of the class, shape ``(n,)``.
    """

    inputs: Tensor
    labels: Tensor


class PowderSupply:
    """Powder profiles of crystals whose lines are stored.

    Parameters
    ----------
    spec
        What to train on and how.
    device
        Where profiles are drawn.
    held
        Lines already in memory, instead of those that the spec names.

    Raises
    ------
    ModelError
        If a class has no crystal.
    """

    def __init__(
        self, spec: PowderTrainSpec, device: torch.device, held: LineSet | None = None
    ) -> None:
        self.spec = spec
        lines = LineSet.load(spec.lines) if held is None else held
        self.classes = classes_of(spec, lines.space_groups, "crystal")
        self.contract = contract_of(spec)
        self.scope = scope_of(spec)
        known = np.flatnonzero(np.isin(lines.space_groups, self.classes))
        if spec.validation:
            apart = LineSet.load(spec.validation)
            kept = np.flatnonzero(np.isin(apart.space_groups, self.classes))
            training, validation = lines.subset(known), apart.subset(kept)
        else:
            training, validation = _split(lines.subset(known), spec)
        self.architecture = spec.network.architecture
        self.options = _options(spec)
        self.generator = torch.Generator(device).manual_seed(spec.seed + 1)
        self._training = DeviceLines(training, spec.radiation, device)
        self._validation = DeviceLines(validation, spec.radiation, device)
        self._labels = self._indices(training).to(device)
        self._held = self._indices(validation)
        counts = np.bincount(training.space_groups, minlength=231)
        self._counts = {str(c): int(counts[c]) for c in self.classes}
        self._coarse = [t.to(device) for t in coarse_members(self.classes)]
        self._drawn = None if spec.redraw else self._drawn_once()

    @property
    def has_validation(self) -> bool:
        """Return whether crystals are held back."""
        return len(self._held) > 0

    def build(self) -> nn.Module:
        """Return the network before its first step."""
        return build(self.architecture, len(self.classes), **self.options)

    def draw(self, count: int) -> ProfileBatch:
        """Return a batch of ``count`` profiles; every crystal comes equally often."""
        chosen = torch.randint(
            len(self._labels), (count,), generator=self.generator, device=self.generator.device
        )
        if self._drawn is not None:
            return ProfileBatch(self._drawn[chosen].float(), self._labels[chosen])
        inputs = draw_profiles(self._training, chosen, self.scope, self.contract, self.generator)
        return ProfileBatch(inputs, self._labels[chosen])

    def forward(self, network: nn.Module, batch: ProfileBatch) -> tuple[Tensor, Tensor]:
        """Return logits, and the loss of the coarser levels that they sum up to."""
        logits: Tensor = network(batch.inputs)
        logarithms = functional.log_softmax(logits.float(), -1)
        loss = torch.zeros((), device=logits.device)
        for members in self._coarse:
            coarse = torch.logsumexp(logarithms[:, None] + members, -1)
            truth = members[:, batch.labels].argmax(0)
            loss = loss + functional.nll_loss(coarse, truth)
        return logits, loss

    def held_out(self, network: nn.Module, per_structure: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return logits and labels of crystals held back, standard condition.

        One profile of each: crystals are many, and ``per_structure`` only says whether the
        network is watched or its temperature fitted.
        """
        most = VALIDATION if per_structure <= 16 else CALIBRATION
        generator = torch.Generator(self.generator.device).manual_seed(seed)
        chosen = torch.randperm(len(self._held), generator=torch.Generator().manual_seed(seed))
        chosen = chosen[:most]
        scope = ProfileRange.of("standard", self.spec.radiation)
        logits = []
        with torch.inference_mode():
            for part in chosen.split(128):
                index = part.to(self.generator.device)
                inputs = draw_profiles(self._validation, index, scope, self.contract, generator)
                logits.append(network(inputs).float().cpu())
        return torch.cat(logits), self._held[chosen]

    def keep(self, network: nn.Module, inputs: Tensor, center: Tensor | None) -> Tensor:
        """Return the profiles as they are."""
        del network, center
        return inputs

    def read(self, network: nn.Module, kept: Tensor) -> Tensor:
        """Return logits of profiles."""
        logits: Tensor = network(kept)
        return logits

    def disturb(self, kept: Tensor) -> Tensor:
        """Return profiles of another cell size, texture, noise and range."""
        return disturbed_profiles(kept, self.contract, self.generator)

    def labelled(self, most: int) -> ProfileBatch:
        """Return one profile of each crystal, or of ``most`` of them; the same at every call.

        They are drawn under the condition clean, which others are compared with best. Their random
        numbers are their own, so that those of training stay as they are.
        """
        device = self.generator.device
        generator = torch.Generator(device).manual_seed(self.spec.seed + 2)
        chosen = torch.randperm(len(self._labels), generator=generator, device=device)[:most]
        scope = ProfileRange.of("clean", self.spec.radiation)
        inputs = torch.empty(len(chosen), 1, 1, self.contract.points, device=device)
        for rows in torch.arange(len(chosen), device=device).split(128):
            inputs[rows] = draw_profiles(
                self._training, chosen[rows], scope, self.contract, generator
            )
        return ProfileBatch(inputs, self._labels[chosen])

    def facts(self) -> dict[str, Any]:
        """Return how many crystals were trained on."""
        return {
            "spec": self.spec.model_dump(mode="json", exclude={"lines", "validation"}),
            "structures": len(self._labels),
            "structures_per_class": self._counts,
            "held_out_crystals": len(self._held),
        }

    def _drawn_once(self) -> Tensor:
        """Return one profile of each crystal, in half precision, shape ``(n, 1, 1, points)``."""
        device = self.generator.device
        kept = torch.empty(
            len(self._labels), 1, 1, self.contract.points, dtype=torch.half, device=device
        )
        for part in torch.arange(len(kept), device=device).split(128):
            kept[part] = draw_profiles(
                self._training, part, self.scope, self.contract, self.generator
            ).half()
        return kept

    def _indices(self, lines: LineSet) -> Tensor:
        return torch.as_tensor(np.searchsorted(self.classes, lines.space_groups))


def contract_of(spec: PowderTrainSpec) -> ProfileContract:
    """Return the input contract that a spec asks for."""
    return ProfileContract(radiation=spec.radiation, **spec.grid.model_dump())


def scope_of(spec: PowderTrainSpec) -> ProfileRange:
    """Return the samples and diffractometers that a spec asks for."""
    if spec.conditions == "training":
        return ProfileRange.training(spec.radiation)
    if spec.conditions == "park":
        return ProfileRange.park()
    return ProfileRange.of(spec.conditions, spec.radiation)


def coarse_members(classes: tuple[int, ...]) -> list[Tensor]:
    """Return, for coarser levels, 0 where a class belongs to a member and -inf elsewhere.

    Each has the shape ``(member, class)``.
    """
    from ..crystal.levels import aggregate

    found = []
    for level in COARSE:
        _, matrix = aggregate(classes, level)  # type: ignore[arg-type]
        found.append(torch.where(torch.as_tensor(matrix.T) > 0, 0.0, -torch.inf))
    return found


def _split(lines: LineSet, spec: PowderTrainSpec) -> tuple[LineSet, LineSet]:
    """Return what is trained on and what is held back: whole prototypes, where they are known."""
    rng = np.random.default_rng(spec.seed)
    if lines.records:
        units = [f"{g} {r.prototype or r.name}" for g, r in
                 zip(lines.space_groups, lines.records, strict=True)]  # fmt: skip
        _, unit = np.unique(units, return_inverse=True)
    else:
        unit = np.arange(len(lines))
    is_held = (rng.random(unit.max() + 1) < spec.validation_share)[unit]
    # A class that would lose all of its crystals keeps them.
    for group in np.unique(lines.space_groups):
        here = lines.space_groups == group
        if is_held[here].all():
            is_held[here] = False
    return lines.subset(np.flatnonzero(~is_held)), lines.subset(np.flatnonzero(is_held))


def _options(spec: PowderTrainSpec) -> dict[str, Any]:
    network = spec.network
    if network.architecture != "profilenet":
        own = {"width": network.width} if network.architecture == "lolla_resnet18" else {}
        return {"points": spec.grid.points, "dropout": network.dropout, **own}
    return {
        "points": spec.grid.points, "widths": list(network.widths), "stem": network.stem,
        "layers": network.layers, "dropout": network.dropout,
        "blocks": [1] * len(network.widths),
    }  # fmt: skip
