"""A residual network that looks at Kikuchi bands in Radon space, quick on two CPU cores.

A Kikuchi band is a straight line across the whole screen: no small filter sees it under
noise, but one sum along the line does. The network therefore starts with a fixed Radon
transform (as Hough indexing does), in which a band is a local peak whose profile along
the distance axis holds its width and contrast, and convolutions read that.

It is trained with a second task: to say for each cell of its coarse grid which crystal
plane a line of that position would be. The labels are free, since the simulation knows
the orientation, and there are a hundred of them per pattern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .resnet import ConvolutionUnit, ResidualBlock


class RadonTransform(nn.Module):
    """Sum a picture along straight lines.

    Parameters
    ----------
    side
        Rows and columns of the picture.
    angles
        Line directions over half a turn.
    distances
        Bins of the signed distance from the centre, over ±0.625 of the side.
    wrap
        Angles repeated beyond each end, with the distance axis flipped: a line turned by
        half a turn is the same line with the opposite sign of its distance.
    """

    matrix: Tensor
    full_length: Tensor

    def __init__(
        self, side: int = 60, *, angles: int = 72, distances: int = 60, wrap: int = 8
    ) -> None:
        super().__init__()
        self.side, self.angles, self.distances, self.wrap = side, angles, distances, wrap
        matrix = _radon_matrix(side, angles, distances)
        # Derived from the sizes above, so it is not stored with the weights.
        self.register_buffer("matrix", matrix, persistent=False)
        self.register_buffer("full_length", matrix.sum(0), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return sinograms in which white noise is about equally strong everywhere.

        Parameters
        ----------
        images
            Shape ``(n, 1, side, side)``; exact zeros lie outside the screen.

        Returns
        -------
        sinograms
            Shape ``(n, 1, distances, angles + 2 * wrap)``.
        """
        flat = images.flatten(1)
        # The offset keeps short chords in the corners from shouting.
        sums = (flat @ self.matrix) * torch.rsqrt(self._lengths(flat != 0) + 4.0)
        sinogram = sums.reshape(-1, 1, self.distances, self.angles)
        flipped = sinogram.flip(2)
        if not self.wrap:
            return sinogram
        return torch.cat([flipped[..., -self.wrap :], sinogram, flipped[..., : self.wrap]], -1)

    def _lengths(self, inside: Tensor) -> Tensor:
        """Return the length of each line inside the screen, shape ``(n or 1, lines)``."""
        share = inside.float().mean(1)
        if bool((share > 0.98).all()):
            return self.full_length[None]
        # A batch holds few different screens: one matrix product for each of them.
        weights = torch.arange(1, inside.shape[1] + 1, device=inside.device) % 8191
        keys, which = torch.unique((inside * weights).sum(1), return_inverse=True)
        first = torch.stack([(which == k).nonzero()[0, 0] for k in range(len(keys))])
        return (inside[first].to(self.matrix.dtype) @ self.matrix)[which]

    def lines(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return the angle [rad] and distance [sides] of positions in a sinogram."""
        angle = (columns - self.wrap) * (math.pi / self.angles)
        distance = (2 * rows / (self.distances - 1) - 1) * 0.625
        return angle, distance


def _radon_matrix(side: int, angles: int, distances: int) -> Tensor:
    """Return the matrix from pixels to line sums, shape ``(side², distances * angles)``.

    Each pixel is cut in 3 x 3 parts, each shared between the two nearest distances.
    """
    centre = (torch.arange(3 * side) + 0.5) / (3 * side) - 0.5
    index = torch.arange(3 * side) // 3
    pixel = (index[:, None] * side + index[None]).reshape(-1)
    matrix = torch.zeros(side * side, distances, angles)
    for a in range(angles):
        angle = math.pi * a / angles
        offset = math.cos(angle) * centre[None] + math.sin(angle) * centre[:, None]
        position = (offset.reshape(-1) / 0.625 + 1) / 2 * (distances - 1)
        low = position.floor().long()
        share = position - low
        for bins, weight in ((low, 1 - share), (low + 1, share)):
            ok = (bins >= 0) & (bins < distances)
            cells = pixel[ok] * distances + bins[ok]
            sums = torch.bincount(cells, weight[ok] / 9, minlength=side * side * distances)
            matrix[:, :, a] += sums.reshape(side * side, distances)
    return matrix.reshape(side * side, distances * angles)


class BandNet(nn.Module):
    """Radon transform, residual stages, a class head and a plane head.

    Parameters
    ----------
    classes
        Number of outputs.
    widths
        Channels of each stage; every stage after the first halves the grid.
    blocks
        Residual blocks of each stage.
    side, angles, distances
        Sizes of the input and of the Radon transform.
    plane_stage
        Stage whose cells say which plane they see.
    """

    def __init__(
        self,
        classes: int,
        *,
        widths: Sequence[int] = (24, 48, 96, 160),
        blocks: Sequence[int] = (1, 1, 1, 1),
        side: int = 60,
        angles: int = 72,
        distances: int = 60,
        plane_stage: int = 2,
    ) -> None:
        super().__init__()
        self.radon = RadonTransform(side, angles=angles, distances=distances)
        self.stem = ConvolutionUnit(2, 1, widths[0], 5, 2)
        stages: list[nn.Module] = []
        channels = widths[0]
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            layers: list[nn.Module] = []
            for position in range(count):
                stride = 2 if index > 0 and position == 0 else 1
                layers.append(ResidualBlock(2, "basic", channels, width, stride))
                channels = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.plane_stage = plane_stage
        self.plane_head = nn.Conv2d(widths[plane_stage], 3, 1)
        self.head = nn.Linear(2 * channels, classes)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last features and those that the plane head reads."""
        sinogram = self.radon(images).contiguous(memory_format=torch.channels_last)
        features = self.stem(sinogram)
        middle = features
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index == self.plane_stage:
                middle = features
        return features, middle

    def classify(self, features: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``, from the last features."""
        flat = features.flatten(2)
        return self.head(torch.cat([flat.mean(-1), flat.amax(-1)], dim=-1))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``."""
        return self.classify(self.features(images)[0])

    def with_planes(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and plane normals, shape ``(n, 3, rows, columns)`` of the grid."""
        features, middle = self.features(images)
        return self.classify(features), self.plane_head(middle)

    def plane_lines(self, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Return angle [rad] and distance [sides] of each cell of the plane head's grid.

        Parameters
        ----------
        rows, columns
            Size of that grid.

        Returns
        -------
        angle, distance
            Each shape ``(rows, columns)``.
        """
        device = self.radon.matrix.device
        step = 2 ** (self.plane_stage + 1)
        row = (torch.arange(rows, device=device) * step)[:, None].expand(rows, columns)
        column = (torch.arange(columns, device=device) * step)[None].expand(rows, columns)
        return self.radon.lines(row, column)
