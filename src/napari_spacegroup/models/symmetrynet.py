"""A network that measures the symmetry of a pattern first, and only weighs what was measured.

It never sees the pattern itself but how well each Laue class fits it
(:mod:`.symmetry_fit`): materials that it was not trained on are as good as others. What lies
below the Laue class, which symmetry alone doesn't tell, it divides as the known structures are
divided.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from .symmetry_axes import LAUE_CLASSES, LEAST_SHARE, ORDERS, Axes, evidence, symmetry_axes
from .symmetry_fit import GRID, LaueFit, SymmetryMap, fit_laue_classes

CLIP = 6.0
"""Standard deviations beyond which a feature says nothing more."""


class SymmetryNet(nn.Module):
    """Self-symmetry of a pattern, and a small network that turns it into a Laue class.

    Parameters
    ----------
    classes
        Number of outputs, space groups.
    width
        Of the two hidden layers.
    dropout
        Share of features dropped while training.
    heads
        Networks whose answers are averaged: there are few structures to learn from, and one alone
        is too sure of itself.
    """

    mean: Tensor
    deviation: Tensor
    laue: Tensor
    prior: Tensor
    temperature: Tensor

    def __init__(
        self, classes: int, *, width: int = 128, dropout: float = 0.3, heads: int = 8
    ) -> None:
        super().__init__()
        size = feature_count()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("laue", torch.zeros(classes, dtype=torch.long))
        self.register_buffer("prior", torch.zeros(classes))
        self.register_buffer("temperature", torch.ones(()))
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout / 3), nn.Linear(size, width), nn.ReLU(),
                nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
                nn.Linear(width, len(LAUE_CLASSES)),
            )
            for _ in range(heads)
        )  # fmt: skip

    def read_each(self, features: Tensor) -> Tensor:
        """Return logits of the Laue classes from every head, shape ``(head, n, 11)``."""
        normal = ((features - self.mean) / self.deviation).clamp(-CLIP, CLIP)
        return torch.stack([head(normal) for head in self.heads])

    def read(self, features: Tensor) -> Tensor:
        """Return logits of the Laue classes, of the heads' mean answer, shape ``(n, 11)``."""
        mean = self.read_each(features).log_softmax(-1).logsumexp(0)
        return mean / self.temperature

    def forward(self, images: Tensor, centers: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``.

        Parameters
        ----------
        images
            Shape ``(n, 1, side, side)``; exact zeros lie outside the screen.
        centers
            Pattern centers, shape ``(n, 3)``, or ``(1, 3)`` for one that all share.
        """
        centers = centers.to(images).expand(len(images), 3)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            features = describe(images, centers)
        return self.spread(self.read(features))

    def spread(self, logits: Tensor) -> Tensor:
        """Return logits of the space groups from those of the Laue classes."""
        return logits.log_softmax(-1)[:, self.laue] + self.prior


def describe(images: Tensor, centers: Tensor) -> Tensor:
    """Return what patterns show of every Laue class, shape ``(n, feature_count())``.

    Parameters
    ----------
    images
        Prepared patterns, shape ``(n, 1, side, side)``.
    centers
        Pattern centers, Bruker's convention, shape ``(n, 3)``.
    """
    rows = []
    for image, center in zip(images.float().cpu(), centers.float().cpu(), strict=True):
        found, fits = fit_laue_classes(image[None], center[None])
        rows.append(_row(found, fits))
    return torch.stack(rows).to(images.device) if rows else images.new_zeros(0, feature_count())


def _row(found: SymmetryMap, fits: dict[str, LaueFit]) -> Tensor:
    parts = [torch.tensor([fits["mmm"].enough])]
    weighed = found.evidence
    best = weighed.argmax(1, keepdim=True)
    parts += [weighed.gather(1, best)[:, 0], found.correlation.gather(1, best)[:, 0],
              found.share.gather(1, best)[:, 0]]  # fmt: skip
    for row in range(2):
        seen = found.correlation[row, found.share[row] > LEAST_SHARE]
        parts.append(torch.stack([seen.mean(), seen.std()]) if len(seen) > 1 else torch.zeros(2))
    for laue, fit in fits.items():
        parts.append(_of_fit(symmetry_axes(laue), fit))
    return torch.cat(parts).nan_to_num(0.0)


def _of_fit(axes: Axes, fit: LaueFit) -> Tensor:
    """Return the figures of one fit: in all, the worst axes, and each kind of axis."""
    weight = torch.where(fit.share > LEAST_SHARE, fit.share, 0.0)
    total = weight.sum().clamp_min(1e-6)
    proof = evidence(fit.correlation, fit.share, fit.enough)
    worst = torch.where(weight > 0, fit.correlation, 1.0).sort().values
    figures = [proof.sum(), proof.mean(), (weight * fit.correlation).sum() / total,
               (weight > 0).float().mean(), total / len(weight), worst[0],
               worst[min(1, len(worst) - 1)]]  # fmt: skip
    along = axes.directions[:, 2] > 0.99
    for order in ORDERS:
        for is_along in (True, False):
            kind = (axes.orders == order) & (along == is_along)
            if kind.any():
                mine = weight[kind].sum()
                figures += [(weight[kind] * fit.correlation[kind]).sum() / mine.clamp_min(1e-6),
                            mine]  # fmt: skip
    return torch.stack(figures)


@cache
def feature_count() -> int:
    """Return how many figures :func:`describe` gives of a pattern."""
    nothing = SymmetryMap(*torch.zeros(2, len(ORDERS), GRID**2))
    fits = {}
    for laue in LAUE_CLASSES[1:]:
        none = torch.zeros(len(symmetry_axes(laue).orders))
        fits[laue] = LaueFit(torch.eye(3), none, none)
    return len(_row(nothing, fits))
