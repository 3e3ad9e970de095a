"""A powder model that looks at the positions of the lines too.

The network reads a whole profile in milliseconds; a cell takes seconds. So cells are looked for
where there are few profiles, and a map of many is the network's alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.profiles import ProfileAxis
from .network import Classifier, ClassifierCard

MOST_PROFILES = 16
"""Profiles of a scan up to which cells are looked for unless one is asked otherwise: some ten
seconds each on one core."""


class IndexingModel:
    """A classifier of profiles that weighs the network's answer with the cells it finds.

    Parameters
    ----------
    model
        Of the technique ``powder``.
    """

    looks_at_positions = True

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def classes(self) -> tuple[int, ...]:
        """Space groups, in the order of the last axis of :meth:`predict`."""
        found: tuple[int, ...] = self._model.classes
        return found

    @property
    def card(self) -> ClassifierCard:
        """The network's card."""
        card: ClassifierCard = self._model.card
        return card

    @property
    def device(self) -> object:
        """Where the network computes; cells are looked for on the CPU."""
        return self._model.device

    def to(self, device: str) -> IndexingModel:
        """Return it, its network moved to a device."""
        return IndexingModel(self._model.to(device))

    def predict(
        self, patterns: NDArray[Any], *, axis: ProfileAxis | None = None, **options: Any
    ) -> NDArray[np.float32]:
        """Return joint probabilities ``(n, class)`` of profiles ``(n, 1, columns)``."""
        from .powder_cell import index_profile  # numba takes its time
        from .powder_joint import joint_probabilities

        network = self._model.predict(patterns, axis=axis, **options)
        if axis is None:
            return np.asarray(network, np.float32)
        rows = [
            joint_probabilities(index_profile(axis, pattern[0]), self.classes, row)
            for pattern, row in zip(patterns, network, strict=True)
        ]
        return np.asarray(np.stack(rows), np.float32)


def with_positions(model: Classifier, profiles: int, wanted: bool | None = None) -> Classifier:
    """Return a model that looks at positions where it can and there are few profiles.

    Parameters
    ----------
    model
        Of any technique.
    profiles
        How many the scan has.
    wanted
        Whether to look, however many there are; None decides by their number.
    """
    looks = profiles <= MOST_PROFILES if wanted is None else wanted
    if looks and model.card.technique == "powder" and not hasattr(model, "looks_at_positions"):
        return IndexingModel(model)
    return model
