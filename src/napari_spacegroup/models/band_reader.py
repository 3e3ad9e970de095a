"""A second reader of folded patterns: profiles across bands, and which cell they belong to.

:mod:`.band_profile` reads profiles beside the picture. This network reads them alone, on a finer
grid and a finer scale, and is told how many pixels stand behind every point, so that it knows what
noise to expect. It looks for the scale of the cell (the place on the axis that all edges share) and
reads there, with dilated convolutions that see the fourth order of a band beside its first.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from .band_profile import BLUR, NARROWEST, WIDEST, plane_families, plane_normals
from .sector import sector_directions

BINS = 64
MOST = 38
"""Points of a profile, and the largest h² + k² + l² of a family."""


@lru_cache(maxsize=2)
def triangle_weights(side: int) -> tuple[Tensor, Tensor]:
    """Return the weight of the cells of a folded pattern in each point of each profile.

    Only the lower triangle of the square counts: the other is its mirror image.

    Parameters
    ----------
    side
        Cells along an edge of the square.

    Returns
    -------
    cells
        Which cells of the flat square, shape ``(cell,)``.
    weights
        Shape ``(cell, family * bin)``; the solid angle of a cell is in it.
    """
    down, across = torch.tril_indices(side, side)
    directions = sector_directions(side)[down, across]
    solid_angle = (directions[:, :1] ** 3) * torch.where(down == across, 1.0, 2.0)[:, None]
    scale = torch.logspace(math.log10(NARROWEST), math.log10(WIDEST), BINS)
    ratio = (WIDEST / NARROWEST) ** (1 / (BINS - 1))
    columns = []
    for family in plane_families(MOST):
        normals = plane_normals(family)
        length = float(normals[0].norm())
        middle = scale * length
        deviation = (0.5 * (ratio - 1) * middle).clamp(min=BLUR / (side - 1))
        total = torch.zeros(len(down), BINS)
        for distance in (directions @ (normals / length).T).abs().unbind(1):
            total += torch.exp(-0.5 * ((distance[:, None] - middle) / deviation) ** 2)
        columns.append(total * solid_angle)
    return down * side + across, torch.cat(columns, 1)


class BandReader(nn.Module):
    """Class logits from the profiles across the bands of a folded pattern.

    Parameters
    ----------
    classes
        Number of outputs.
    side
        Cells along an edge of the folded pattern.
    width
        Channels.
    dropout
        Share of features dropped while training.
    """

    cells: Tensor
    weights: Tensor
    whole: Tensor

    def __init__(
        self, classes: int, *, side: int = 63, width: int = 80, dropout: float = 0.3
    ) -> None:
        super().__init__()
        cells, weights = triangle_weights(side)
        self.families = len(plane_families(MOST))
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("whole", weights.sum(0), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv1d(3 * self.families, width, 5, padding=2, bias=False),
            nn.BatchNorm1d(width), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(_Block(width, dilation) for dilation in (1, 2, 4, 8)))
        self.scale = nn.Conv1d(width, 1, 1)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(3 * width, 192), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(192, classes),
        )  # fmt: skip

    def profiles(self, mean: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Return profiles, and the logarithm of the pixels behind them, ``(n, family, bin)``.

        Parameters
        ----------
        mean, count
            Of folded patterns and the pixels behind them, shape ``(n, side, side)``.
        """
        mean, count = (x.flatten(1)[:, self.cells] for x in (mean, count))
        share = count / (count + 0.3)
        values = ((mean * share) @ self.weights) / (share @ self.weights + 1e-3)
        pixels = torch.log1p((count @ self.weights) / self.whole)
        shape = (-1, self.families, BINS)
        return values.reshape(shape), pixels.reshape(shape)

    def forward(self, mean: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits ``(n, class)``, and logits of the cell's scale ``(n, bin)``."""
        return self.read(*self.profiles(mean, count))

    def read(self, values: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same from profiles that were made before."""
        slopes = functional.pad(6 * values.diff(dim=-1), (0, 1))
        # Family by family, its three channels together.
        stacked = torch.stack([values, slopes, pixels], 2).flatten(1, 2)
        found = self.blocks(self.stem(stacked))
        scale = self.scale(found)[:, 0]
        there = (found * scale.softmax(-1)[:, None]).sum(-1)
        return self.head(torch.cat([found.amax(-1), found.mean(-1), there], 1)), scale


class _Block(nn.Module):
    """A dilated convolution and a mixing of channels, added to what comes in."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 1, bias=False), nn.BatchNorm1d(width),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.relu(inputs + self.body(inputs))


def scale_target(edges: Tensor, wavelengths: Tensor) -> Tensor:
    """Return where on the axis of the profiles the scale λ / 2a of cells lies, in bins.

    Parameters
    ----------
    edges, wavelengths
        [Å], any common shape.
    """
    ratio = math.log(WIDEST / NARROWEST) / (BINS - 1)
    return torch.log(wavelengths / (2 * edges) / NARROWEST) / ratio
