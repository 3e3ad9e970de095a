"""Labels that walk from profile to similar profile, and a network that is taught by them.

Crystals of one type differ in the size of their cells and in little else, so that their profiles
are alike but for a shift along ln q: labels spread over the graph of such neighbours. The graph
needs torch and numpy alone; ``benchmarks/few_labels.py`` shares it.

References
----------
Zhou et al. (2003). Learning with local and global consistency. NIPS 16 (labels on a graph).
Iscen et al. (2019). Label propagation for deep semi-supervised learning. arXiv:1904.04717 (a
network taught by them, each weighted by its certainty).
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..config import UnlabelledSpec
from ..errors import ModelError
from ..imaging import ProfileContract
from ..imaging.profiles import resample

if TYPE_CHECKING:
    from .powder import ProfileBatch
    from .supply import Supply

log = logging.getLogger(__name__)

POINTS = 256
"""Points that profiles are compared at, about: 1 % of q each over the usual range."""

SPAN = 16
"""Largest over smallest q that is compared; the usual grid has 15.5."""

SHIFT = 0.107
"""Shift along ln q that counts as similar: ten of those points, cells larger by a tenth."""

NEIGHBOURS = 40
"""Similar profiles that are kept of each."""

SHARPNESS, SPREAD = 80, 0.8
"""Power of the cosine that weighs a neighbour, and the share of the neighbours' labels that a
profile takes: the best of those tried on neutron profiles of real crystals, with a split of them
that no reported number is from."""

ROUNDS = 20
"""Steps that labels walk; after as many, 0.8^20 = 1 % of what is given is still on its way."""

PART = 512
"""Profiles that are compared with all others at a time: 60 MB for each of two tables of 28,000."""

LABELLED = 20_000
"""Crystals with labels that stand in the graph, at most."""

LEAST = 1e-6
"""Sum of the shares of the classes below which no label has come to a profile."""


@runtime_checkable
class LabelledProfiles(Protocol):
    """A supply that can show the profiles behind its labels."""

    def labelled(self, most: int) -> ProfileBatch:
        """Return one profile of each crystal with a label, ``most`` at most; always the same."""
        ...


class Propagation:
    """The network learns the labels that come to a profile over the graph of similar ones.

    They are found once, before the first step, as shares of the classes. A profile counts by how
    certain they are: 1 where there is one class, 0 where all are equal or no label has come.

    Parameters
    ----------
    spec
        How.
    supply
        Whose networks read the profiles, and whose crystals have labels.
    kept
        Profiles, shape ``(n, 1, 1, points)``.

    Raises
    ------
    ModelError
        If no label comes to any of the profiles.
    """

    def __init__(self, spec: UnlabelledSpec, supply: Supply, kept: Tensor) -> None:
        self.spec, self.supply, self.kept = spec, supply, kept
        self.parts: dict[str, nn.Module] = {}
        contract = supply.contract
        if not isinstance(supply, LabelledProfiles) or not isinstance(contract, ProfileContract):
            raise ModelError(
                "the method propagation compares powder profiles and can't compare pictures; "
                "choose the method consistency"
            )
        given = supply.labelled(LABELLED)
        both = torch.cat([kept, given.inputs.to(kept)])
        index, cosine = similar_profiles(both, contract, asked=len(kept))
        labels = np.full(len(both), -1)
        labels[len(kept) :] = given.labels.cpu().numpy()
        classes = len(supply.classes)
        found = spread_labels(index, neighbour_weights(cosine), labels, classes)[: len(kept)]
        shares, certainty = certain_shares(found)
        if not certainty.any():
            raise ModelError(
                f"none of the {len(kept)} profiles without labels is similar to one with a label, "
                "so that no label comes to them; choose the method consistency, or train on "
                "crystals like those of the scan"
            )
        self.shares = torch.as_tensor(shares, device=kept.device)
        self.certainty = torch.as_tensor(certainty, device=kept.device)
        log.info(
            "labels of %d profiles came to %d of %d without; mean certainty %.2f",
            len(given.labels), int((certainty > 0).sum()), len(kept), float(certainty.mean()),
        )  # fmt: skip

    def __call__(self, network: nn.Module, average: nn.Module, count: int) -> Tensor:
        """Return the mean cross entropy of disturbed profiles, each times its certainty.

        They are disturbed because one profile of each is at hand, while those with labels may be
        drawn anew for each step.
        """
        del average
        generator = self.supply.generator
        rows = torch.randint(len(self.kept), (count,), generator=generator, device=generator.device)
        disturbed = self.supply.disturb(self.kept[rows])
        logits = self.supply.read(network, disturbed).float()
        losses = functional.cross_entropy(logits, self.shares[rows], reduction="none")
        return (losses * self.certainty[rows]).mean()


def similar_profiles(
    profiles: Tensor,
    contract: ProfileContract,
    *,
    count: int = NEIGHBOURS,
    asked: int | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the most similar profiles of each and how similar they are.

    That is the largest cosine over shifts along ln q, of square roots of intensities without their
    mean. The time grows with the square of their number.

    Parameters
    ----------
    profiles
        Prepared, shape ``(n, 1, 1, points)``.
    contract
        That they were prepared for.
    count
        Neighbours of each; fewer where there are not as many profiles.
    asked
        Of how many profiles, from the first on; None is all. Any may be a neighbour.

    Returns
    -------
    index, cosine
        Shape ``(asked, count)``, the most similar one first; none is its own neighbour.
    """
    units, reach = _units(profiles, contract)
    asked = len(units) if asked is None else asked
    count = min(count, len(units) - 1)
    index = np.empty((asked, count), np.int32)
    cosine = np.empty((asked, count), np.float32)
    for part in torch.arange(asked, device=units.device).split(PART):
        own = units[part]
        best = own @ units.T
        for shift in range(1, reach + 1):
            for moved in (own.roll(shift, 1), own.roll(-shift, 1)):
                torch.maximum(best, moved @ units.T, out=best)
        best[torch.arange(len(part), device=part.device), part] = -torch.inf
        value, place = best.topk(count, dim=1)
        rows = slice(int(part[0]), int(part[-1]) + 1)
        index[rows], cosine[rows] = place.cpu().numpy(), value.cpu().numpy()
    return index, cosine


def neighbour_weights(
    cosine: NDArray[np.float32], may_give: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return how much of each neighbour's label a profile takes, shape ``(n, neighbours)``.

    The sum is 1, or less where nothing is similar.

    Parameters
    ----------
    cosine
        Of the neighbours, shape ``(n, neighbours)``.
    may_give
        Which of them pass labels on, same shape; None is all.
    """
    weight = np.maximum(cosine, 0) ** SHARPNESS
    if may_give is not None:
        weight = np.where(may_give, weight, 0)
    scaled: NDArray[np.float32] = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)
    return scaled


def spread_labels(
    index: NDArray[np.integer[Any]],
    weight: NDArray[np.float32],
    labels: NDArray[np.integer[Any]],
    classes: int,
    rounds: int = ROUNDS,
) -> NDArray[np.float32]:
    """Return the share of each class at each profile, shape ``(n, classes)``.

    Parameters
    ----------
    index, weight
        Neighbours and how much each of them gives, shape ``(m, neighbours)``: of all profiles, or
        of the first ``m`` if all others have labels.
    labels
        Index of the class, shape ``(n,)``; -1 where there is none. Labels stay as they are.
    classes
        How many there are.
    rounds
        Steps that labels walk.
    """
    known = np.zeros((len(labels), classes), np.float32)
    has = labels >= 0
    known[np.flatnonzero(has), labels[has]] = 1
    found = known.copy()
    free = ~has[: len(index)]
    for _ in range(rounds):
        taken = np.zeros((len(index), classes), np.float32)
        for k in range(index.shape[1]):
            taken += weight[:, k, None] * found[index[:, k]]
        found[: len(index)][free] = SPREAD * taken[free]
    return found


def certain_shares(
    found: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return shares whose sum is 1, and how certain each profile's are.

    The certainty is 1 - H / ln(classes), H the entropy, as Iscen et al. (2019) have it. Where no
    label has come it is 0, and all shares are equal.

    Parameters
    ----------
    found
        As :func:`spread_labels` gives them, shape ``(n, classes)``.

    Returns
    -------
    shares
        Shape ``(n, classes)``.
    certainty
        From 0 to 1, shape ``(n,)``.
    """
    classes = found.shape[1]
    total = found.sum(1, keepdims=True)
    has = total[:, 0] >= LEAST
    shares = np.where(has[:, None], found / np.maximum(total, LEAST), np.float32(1 / classes))
    entropy = -(shares * np.log(np.maximum(shares, 1e-30))).sum(1)
    certainty = np.where(has, 1 - entropy / math.log(max(classes, 2)), 0).clip(0, 1)
    return shares.astype(np.float32), certainty.astype(np.float32)


def _units(profiles: Tensor, contract: ProfileContract) -> tuple[Tensor, int]:
    """Return profiles as unit vectors over ln q, shape ``(n, about 256)``, and their reach."""
    q, even = contract.q(), contract
    if contract.grid != "log_q":
        even = ProfileContract(
            start=max(q[0], q[-1] / SPAN), stop=q[-1], points=contract.points, background=0
        )
    many = max(1, contract.points // POINTS)
    units = []
    for part in profiles.split(PART):
        flat = part.reshape(len(part), -1).float()
        flat = flat.masked_fill(flat == contract.outside, 0).clamp_min(0) ** (0.5 / contract.power)
        if even is not contract:
            flat = resample(flat, q, even)[0]
        pooled = functional.avg_pool1d(flat[:, None], many, ceil_mode=True)
        smooth = functional.avg_pool1d(pooled, 3, 1, 1)[:, 0]
        units.append(functional.normalize(smooth - smooth.mean(1, keepdim=True), dim=1))
    return torch.cat(units), round(SHIFT / (many * even.step))
