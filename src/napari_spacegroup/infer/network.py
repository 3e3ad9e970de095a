"""What classifying asks of a model, so that any that keeps to it will do."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class ClassifierCard(Protocol):
    """What a map keeps of a model's card."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def technique(self) -> str:
        """What it classifies: ``"ebsd"``, ``"sad"`` or ``"powder"``."""
        ...

    @property
    def equivalence_sets(self) -> tuple[tuple[int, ...], ...]:
        """Space groups that the technique can't tell apart."""
        ...

    @property
    def sha256(self) -> str:
        """Checksum of the weights."""
        ...

    @property
    def package_version(self) -> str:
        """Version of this package that trained it."""
        ...


def finest_level(card: ClassifierCard) -> str:
    """Return the finest symmetry level that a model tells apart; a card need not say it."""
    return str(getattr(card, "finest_level", "space_group"))


class Classifier(Protocol):
    """What turns patterns into probabilities; :class:`napari_spacegroup.models.Model` is one."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Space groups, in the order of the last axis of :meth:`predict`."""
        ...

    @property
    def card(self) -> ClassifierCard:
        """Its card."""
        ...

    @property
    def device(self) -> object:
        """Where it computes; its text is a torch device."""
        ...

    def to(self, device: str) -> Classifier:
        """Return it, moved to a device."""
        ...

    def predict(
        self,
        patterns: NDArray[Any],
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Return probabilities ``(n, class)`` for patterns ``(n, rows, columns)``."""
        ...
