"""What a network and the positions of the peaks of a powder profile say together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..crystal.frequencies import space_group_shares
from .powder_cell import MOST_LINES, PowderIndex

TRUST, TEMPERATURE, ABSENCES = 0.5, 8.0, 1.5
"""Power of the network's likelihood, what divides the log evidence of cells (neighbouring peaks
err alike, impurities come in groups), and what divides that of absences: fitted by
``benchmarks/powder_index.py`` on simulated profiles."""

MONOCLINIC, UNFOUND = 0.5, 0.2
"""How often a monoclinic cell, and one of higher symmetry, is not found, over a triclinic one."""


def joint_probabilities(
    index: PowderIndex,
    classes: Sequence[int],
    probabilities: NDArray[np.floating],
    *,
    trust: float = TRUST,
    temperature: float = TEMPERATURE,
    absences: float = ABSENCES,
    unfound: float = UNFOUND,
) -> NDArray[np.float64]:
    """Return what a network and the positions of the peaks say together.

    Parameters
    ----------
    index
        Of the profile.
    classes
        Space groups.
    probabilities
        The network's, shape ``(class,)``.
    trust
        In the network: the power that its likelihood is taken to.
    temperature, absences
        Divide the log evidence of cells, and of what a group lacks on the same cell, where there
        are as many lines as are used at most, and less where there are fewer, down to nothing:
        few lines are independent.
    unfound
        How often a cell of higher symmetry is not found, over that of a triclinic one.

    Returns
    -------
    joint
        Shape ``(class,)``, sum 1. Where no cell explains the peaks, low symmetry is likelier.
    """
    numbers = np.asarray(classes)
    prior = space_group_shares()[numbers - 1]
    network = np.log(np.maximum(probabilities, 1e-9)) - np.log(prior)
    network = trust * (network - network.max()) + np.log(prior)
    unknown = np.log(np.where(numbers <= 2, 1.0, np.where(numbers <= 15, MONOCLINIC, unfound)))
    share = index.used / MOST_LINES
    found = index.tempered(max(1.0, temperature * share), max(1.0, absences * share))[numbers - 1]
    total = network + np.logaddexp(unknown, found)
    joint = np.exp(total - total.max())
    return np.asarray(joint / joint.sum(), np.float64)
