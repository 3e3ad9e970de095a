"""Profiles across the bands of each family of planes, on one common scale.

A band of the planes {hkl} is bounded at ``|sin| = n |hkl| λ / 2a`` from its middle, n
counting the orders. Divided by ``|hkl|`` that is the same number for all families, so on a
logarithmic axis the edges of every family lie at ``log n`` plus one shift that is the cell
of the crystal. A convolution along that axis then sees which orders of which family are
there, which is what tells P, I, F and the glide planes apart, in the same way for every
cell: it need not learn each lattice parameter anew.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sector import sector_directions

NARROWEST, WIDEST = 0.004, 0.1
"""Range of the axis: λ / 2a of a = 8.7 Å at 30 kV (λ = 0.0698 Å), to the fourth order of
a = 2.5 Å at 10 kV (λ = 0.122 Å). Of larger cells the higher orders are seen."""

BLUR = 0.6
"""Least deviation of the kernel that averages [cells of the sector]."""


def plane_families(most: int) -> list[tuple[int, int, int]]:
    """Return the indices h >= k >= l without common divisor, h² + k² + l² up to ``most``."""
    edge = range(math.isqrt(most) + 1)
    found = []
    for h, k, m in itertools.product(edge, repeat=3):
        if h >= k >= m and 0 < h * h + k * k + m * m <= most and math.gcd(h, k, m) == 1:
            found.append((h, k, m))
    return sorted(found, key=lambda hkl: (sum(x * x for x in hkl), hkl))


def plane_normals(family: tuple[int, int, int]) -> Tensor:
    """Return the normals of a family in m-3m, one of each opposite pair, shape ``(n, 3)``."""
    found = set()
    for order in itertools.permutations(family):
        for signs in itertools.product((1, -1), repeat=3):
            found.add(tuple(s * x for s, x in zip(signs, order, strict=True)))
    return torch.tensor(sorted(n for n in found if n > (0, 0, 0)), dtype=torch.float32)


def averaging_matrix(side: int, families: list[tuple[int, int, int]], bins: int) -> Tensor:
    """Return the weight of each cell of the sector in each bin of each profile.

    Returns
    -------
    weights
        Shape ``(side * side, family * bin)``; the solid angle of a cell is in it.
    """
    directions = sector_directions(side)
    solid_angle = (directions[..., 0] ** 3).reshape(-1, 1)
    flat = directions.reshape(-1, 3)
    scale = torch.logspace(math.log10(NARROWEST), math.log10(WIDEST), bins)
    ratio = (WIDEST / NARROWEST) ** (1 / (bins - 1))
    columns = []
    for family in families:
        normals = plane_normals(family)
        length = float(normals[0].norm())
        distance = (flat @ (normals / length).T).abs()
        middle = scale * length
        deviation = (0.5 * (ratio - 1) * middle).clamp(min=BLUR / (side - 1))
        kernel = torch.exp(-0.5 * ((distance[:, :, None] - middle) / deviation) ** 2)
        columns.append(kernel.sum(1) * solid_angle)
    return torch.cat(columns, 1)


class BandProfiles(nn.Module):
    """Averages folded patterns along the bands and reads the profiles.

    Parameters
    ----------
    side
        Cells along an edge of the sector.
    most
        Largest h² + k² + l² of a family.
    width
        Channels.
    bins
        Of each profile.
    """

    weights: Tensor

    def __init__(self, side: int, *, most: int = 38, width: int = 64, bins: int = 40) -> None:
        super().__init__()
        families = plane_families(most)
        self.shape = (len(families), bins)
        self.outputs = 2 * width
        self.register_buffer("weights", averaging_matrix(side, families, bins), persistent=False)
        layers: list[nn.Module] = []
        channels = 2 * len(families)
        for _ in range(3):
            layers += [nn.Conv1d(channels, width, 5, padding=2, bias=False),
                       nn.BatchNorm1d(width), nn.ReLU()]  # fmt: skip
            channels = width
        self.layers = nn.Sequential(*layers)

    def profiles(self, mean: Tensor, count: Tensor) -> Tensor:
        """Return the profiles, shape ``(n, family, bin)``.

        Parameters
        ----------
        mean, count
            Of folded patterns and the pixels behind them, shape ``(n, side, side)``.
        """
        share = (count / (count + 0.3)).flatten(1)
        sums = (mean.flatten(1) * share) @ self.weights
        found: Tensor = (sums / (share @ self.weights + 1e-3)).reshape(-1, *self.shape)
        return found

    def forward(self, mean: Tensor, count: Tensor) -> Tensor:
        """Return features, shape ``(n, outputs)``, whatever the scale of the crystal's cell."""
        profiles = self.profiles(mean, count)
        slopes = functional.pad(4 * profiles.diff(dim=-1), (0, 1))
        read = self.layers(torch.cat([profiles, slopes], 1))
        return torch.cat([read.amax(-1), read.mean(-1)], 1)
