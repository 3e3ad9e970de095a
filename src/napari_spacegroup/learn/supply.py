"""What the training loop asks of a technique, so that one loop serves all.

A supply makes batches, knows what the network must be told besides its input, and holds
structures back for validation. :func:`supply_of` picks the one that a spec asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..config import BaseTrainSpec, PowderTrainSpec, SpotTrainSpec, TrainSpec
from ..errors import ModelError
from ..imaging import AnyContract


class LabelledBatch(Protocol):
    """Some patterns and which class each is."""

    @property
    def labels(self) -> Tensor:
        """Index of the class, shape ``(n,)``."""
        ...


class Supply(Protocol):
    """Training patterns of one technique."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Space groups, in output order."""
        ...

    @property
    def contract(self) -> AnyContract:
        """What the network expects of a pattern; goes on the card."""
        ...

    @property
    def architecture(self) -> str:
        """Key of the network."""
        ...

    @property
    def options(self) -> dict[str, Any]:
        """Options of its constructor."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """Source of the random numbers of training; its state goes into checkpoints."""
        ...

    @property
    def has_validation(self) -> bool:
        """Whether structures are held back."""
        ...

    def build(self) -> nn.Module:
        """Return the network before its first step, on the CPU."""
        ...

    def draw(self, count: int) -> LabelledBatch:
        """Return a batch of ``count`` fresh patterns, on the generator's device."""
        ...

    def forward(self, network: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """Return logits ``(n, class)`` of a batch that :meth:`draw` made, and a second loss.

        The second loss is that of an auxiliary task, 0 where there is none.
        """
        ...

    def held_out(self, network: nn.Module, per_structure: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return logits and labels of structures held back, standard condition, on the CPU.

        Parameters
        ----------
        network
            In evaluation mode.
        per_structure
            Patterns of each.
        seed
            The same one gives the same patterns.
        """
        ...

    def keep(self, network: nn.Module, inputs: Tensor, center: Tensor | None) -> Tensor:
        """Return what is kept of patterns without labels, shape ``(m, …)``.

        Parameters
        ----------
        network
            As it is before the first step.
        inputs
            As the network's contract prepares them, shape ``(n, 1, rows, columns)``.
        center
            The pattern center that the file states, of the central square, shape ``(3,)``.
        """
        ...

    def read(self, network: nn.Module, kept: Tensor) -> Tensor:
        """Return logits ``(n, class)`` of what :meth:`keep` gave."""
        ...

    def disturb(self, kept: Tensor) -> Tensor:
        """Return what :meth:`keep` gave as another measurement of it might look."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what the card says of the structures, as JSON can hold it."""
        ...


def classes_of(spec: BaseTrainSpec, present: Iterable[int], what: str) -> tuple[int, ...]:
    """Return the space groups that a spec asks for, or all that there are, ascending.

    Parameters
    ----------
    spec
        Of any technique.
    present
        Space groups of what there is to train on.
    what
        To call it by in the message.

    Raises
    ------
    ModelError
        If a group is asked for that nothing has.
    """
    groups = {int(group) for group in present}
    classes = tuple(sorted(spec.classes or groups))
    missing = sorted(set(classes) - groups)
    if missing:
        raise ModelError(
            f"no {what} of space groups {missing}; those at hand are of {len(groups)} groups: "
            f"{sorted(groups)}. Add some, or leave the groups out of classes"
        )
    return classes


def supply_of(spec: BaseTrainSpec, device: torch.device, held: Any = None) -> Supply:
    """Return the supply that a training spec asks for.

    Parameters
    ----------
    spec
        Of any technique.
    device
        Where batches are made.
    held
        What to train on where it is in memory already, such as a
        :class:`~.masterset.MasterSet`; None reads what the spec names.

    Raises
    ------
    ModelError
        If a class has no structure, or the technique can't be trained.
    """
    if isinstance(spec, TrainSpec):
        from .ebsd import EbsdSupply

        return EbsdSupply(spec, device, held)
    if isinstance(spec, PowderTrainSpec):
        from .powder import PowderSupply

        return PowderSupply(spec, device, held)
    if isinstance(spec, SpotTrainSpec):
        from .spots import SpotSupply

        return SpotSupply(spec, device, held)
    raise ModelError(
        f"no training for the technique {spec.technique!r}; give a spec that "
        "read_train_spec can read"
    )
