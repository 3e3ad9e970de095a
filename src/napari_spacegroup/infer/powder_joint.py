"""What a network and the positions of the peaks of a powder profile say together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ..crystal.frequencies import space_group_shares
from .powder_cell import MOST_LINES, PowderIndex

TRUST, TEMPERATURE, ABSENCES = 0.5, 4.0, 1.0
"""Power of the network's likelihood, what divides the log evidence of cells (neighbouring peaks
err alike, impurities come in groups), and what divides that of absences: fitted by
``benchmarks/powder_index.py`` on simulated profiles."""

MONOCLINIC, UNFOUND = 0.5, 0.2
"""How often a monoclinic cell, and one of higher symmetry, is not found, over a triclinic one."""

MISLED = 0.2
"""How often the cells that were found are all wrong ones, so that the network alone counts: edges
that happen to be equal look like more symmetry, a mixture like a large cell. Fitted too."""


def joint_probabilities(
    index: PowderIndex,
    classes: Sequence[int],
    probabilities: NDArray[np.floating],
    *,
    trust: float = TRUST,
    temperature: float = TEMPERATURE,
    absences: float = ABSENCES,
    unfound: float = UNFOUND,
    misled: float = MISLED,
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
    misled
        Probability that the cells say nothing; the network's own answer has this share.

    Returns
    -------
    joint
        Shape ``(class,)``, sum 1. Where no cell explains the peaks, low symmetry is likelier.
    """
    share = index.used / MOST_LINES
    found = index.tempered(max(1.0, temperature * share), max(1.0, absences * share))
    return weighed(found, classes, probabilities, trust=trust, unfound=unfound, misled=misled)


def weighed(
    found: NDArray[np.float64],
    classes: Sequence[int],
    probabilities: NDArray[np.floating],
    *,
    trust: float,
    unfound: float,
    misled: float,
) -> NDArray[np.float64]:
    """Return what a network and tempered evidence say together; see joint_probabilities.

    Parameters
    ----------
    found
        Evidence of each space group 1 to 230 [nat], shape ``(..., 230)``.
    probabilities
        Shape ``(..., class)``.
    """
    numbers = np.asarray(classes)
    prior = np.log(space_group_shares()[numbers - 1])
    network = np.log(np.maximum(probabilities, 1e-9)) - prior
    network = network - network.max(axis=-1, keepdims=True)
    unknown = np.log(np.where(numbers <= 2, 1.0, np.where(numbers <= 15, MONOCLINIC, unfound)))
    evidence = np.logaddexp(unknown, found[..., numbers - 1])
    joint = (1 - misled) * softmax(trust * network + prior + evidence, axis=-1)
    # A network that is not trusted at all has no say here either.
    own = network if trust > 0 else np.zeros_like(network)
    return np.asarray(joint + misled * softmax(own + prior + unknown, axis=-1), np.float64)
