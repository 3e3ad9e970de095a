"""Learning from patterns without labels, beside those with labels.

Needs torch and numpy alone: whoever reads the scans hands them over as arrays. One more way of
learning stands in :mod:`.propagation`.

References
----------
Sohn et al. (2020). FixMatch. arXiv:2001.07685 (sure answers as labels of disturbed patterns).
Tarvainen & Valpola (2017). arXiv:1703.01780 (the averaged network as the teacher).
Lolla et al. (2022). J. Appl. Cryst. 55, 882-889, equations 1 to 3 (the adversarial network).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..config import UnlabelledSpec
from ..errors import ModelError
from ..imaging import ProfileAxis, ProfileContract, prepare_inputs
from ..models import ProfileGenerator, square_centers
from .propagation import Propagation

if TYPE_CHECKING:
    from .supply import Supply

PART = 256
"""Patterns that are prepared at a time."""


@dataclass(frozen=True, eq=False)
class UnlabelledScan:
    """Patterns of one scan as they were measured.

    Parameters
    ----------
    patterns
        Shape ``(n, rows, columns)``, any intensity unit; a profile has one row.
    static_background, mask
        Shape ``(rows, columns)``, or None.
    axis
        What the columns of profiles stand for.
    pattern_center
        What the file says, Bruker's convention, shape ``(3,)``; or None.
    name
        For messages.
    """

    patterns: NDArray[Any]
    static_background: NDArray[Any] | None = None
    mask: NDArray[np.bool_] | None = None
    axis: ProfileAxis | None = None
    pattern_center: NDArray[np.float64] | None = None
    name: str = "the scan"


class UnlabelledLoss(Protocol):
    """What a step adds for patterns without labels."""

    def __call__(self, network: nn.Module, average: nn.Module, count: int) -> Tensor:
        """Return the loss of about ``count`` patterns [nat]; both networks are told apart."""
        ...

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Networks of its own, which checkpoints keep."""
        ...


class Consistency:
    """What the averaged network is sure of must stay the answer where a pattern is disturbed.

    Parameters
    ----------
    spec
        How.
    supply
        Whose networks read the patterns.
    kept
        As :meth:`~.supply.Supply.keep` gives them, shape ``(n, …)``.
    """

    def __init__(self, spec: UnlabelledSpec, supply: Supply, kept: Tensor) -> None:
        self.spec, self.supply, self.kept = spec, supply, kept
        self.parts: dict[str, nn.Module] = {}

    def __call__(self, network: nn.Module, average: nn.Module, count: int) -> Tensor:
        """Return the mean cross entropy; patterns that nobody is sure of count as 0."""
        chosen = _some(self.kept, count, self.supply.generator)
        with torch.no_grad():
            probabilities = torch.softmax(self.supply.read(average, chosen).float(), -1)
            sure, labels = probabilities.max(-1)
        disturbed = self.supply.disturb(chosen)
        logits = self.supply.read(network, disturbed).float()
        losses = functional.cross_entropy(logits, labels, reduction="none")
        return (losses * (sure >= self.spec.threshold)).mean()


class Adversary:
    """A second network draws profiles, and the first learns to tell them from real ones.

    The sum of the exponentials of the logits says how real a profile is, so that no second
    output is needed.

    Parameters
    ----------
    spec
        How.
    supply
        Whose networks read the profiles.
    kept
        Profiles, shape ``(n, 1, 1, points)``.

    References
    ----------
    Lolla et al. (2022). J. Appl. Cryst. 55, 882-889, equations 1 to 3.
    """

    def __init__(self, spec: UnlabelledSpec, supply: Supply, kept: Tensor) -> None:
        self.spec, self.supply, self.kept = spec, supply, kept
        self.drawing = ProfileGenerator(kept.shape[-1]).to(kept.device)
        self.optimiser = torch.optim.Adam(
            self.drawing.parameters(), spec.generator_rate, betas=(0.5, 0.999)
        )
        self.parts: dict[str, nn.Module] = {"drawing": self.drawing}

    def __call__(self, network: nn.Module, average: nn.Module, count: int) -> Tensor:
        """Return the loss of the first network, after a step of the second."""
        del average
        real = _some(self.kept, count, self.supply.generator)
        drawn = self.drawing(self._noise(len(real)))
        # The second network wants its profiles taken for real ones.
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        loss = -_log_real(self.supply.read(network, drawn)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        real_logits = self.supply.read(network, real)
        drawn_logits = self.supply.read(network, drawn.detach())
        return -(_log_real(real_logits).mean() + _log_drawn(drawn_logits).mean())

    def _noise(self, count: int) -> Tensor:
        generator = self.supply.generator
        return torch.randn(count, self.drawing.latent, generator=generator, device=generator.device)


def unlabelled_loss(
    spec: UnlabelledSpec, supply: Supply, network: nn.Module, scans: Sequence[UnlabelledScan]
) -> UnlabelledLoss:
    """Return what scans without labels add to the loss of training.

    Parameters
    ----------
    spec
        How.
    supply
        Of the technique that is trained.
    network
        As it is before the first step.
    scans
        What to learn from.

    Raises
    ------
    ModelError
        If no pattern can be used, or the method does not suit the technique.
    """
    kept = torch.cat([_kept(supply, network, scan) for scan in scans])
    if len(kept) < 2:
        raise ModelError(
            f"{len(kept)} of the patterns without labels can be used (the others are constant, or "
            "no orientation explains them); give a scan with two at least, or leave it out"
        )
    if spec.method == "consistency":
        return Consistency(spec, supply, kept)
    if spec.method == "propagation":
        return Propagation(spec, supply, kept)
    if not isinstance(supply.contract, ProfileContract):
        raise ModelError(
            "the adversarial method draws powder profiles and can't draw pictures; choose the "
            "method consistency"
        )
    return Adversary(spec, supply, kept)


def _kept(supply: Supply, network: nn.Module, scan: UnlabelledScan) -> Tensor:
    device = supply.generator.device

    def tensor(array: NDArray[Any] | None) -> Tensor | None:
        return None if array is None else torch.as_tensor(np.asarray(array, np.float32)).to(device)

    parts = []
    with torch.no_grad():
        for start in range(0, len(scan.patterns), PART):
            patterns = tensor(scan.patterns[start : start + PART])
            assert patterns is not None
            flat = patterns.flatten(1)
            is_fit = torch.isfinite(flat).all(1) & (flat.amax(1) > flat.amin(1))
            if is_fit.any():
                parts.append(
                    prepare_inputs(
                        patterns[is_fit],
                        supply.contract,
                        static_background=tensor(scan.static_background),
                        mask=tensor(scan.mask),
                        axis=scan.axis,
                    )
                )
    if not parts:
        raise ModelError(
            f"every pattern of {scan.name} is constant or not finite; choose another scan"
        )
    center = None
    if scan.pattern_center is not None:
        shape = scan.patterns.shape[-2:]
        center = square_centers(scan.pattern_center, (shape[0], shape[1]))[0].to(device)
    return supply.keep(network, torch.cat(parts), center)


def _some(kept: Tensor, count: int, generator: torch.Generator) -> Tensor:
    rows = torch.randint(len(kept), (count,), generator=generator, device=generator.device)
    return kept[rows]


def _log_real(logits: Tensor) -> Tensor:
    """Return the logarithm of D = Z / (Z + 1), Z the sum of the exponentials of the logits."""
    return -functional.softplus(-torch.logsumexp(logits.float(), -1))


def _log_drawn(logits: Tensor) -> Tensor:
    """Return the logarithm of 1 - D."""
    return -functional.softplus(torch.logsumexp(logits.float(), -1))
