"""The networks of two papers on powder profiles, as they describe them.

Both take profiles of any length and one channel, and know nothing of our grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ParkNet(nn.Sequential):
    """Three pairs of convolution and average pooling, then two dense layers.

    80 filters of 100, 50 and 25 points with strides 5, 5 and 2; the paper gives the first two
    strides. Dropout of 30 %. The paper does not give the widths of the dense layers in its
    text; they are 2,300 and 1,150 here for 230 classes, ten and five times the classes.

    Parameters
    ----------
    classes
        Number of outputs.
    points
        Length of the profiles, 10,001 in the paper.
    dropout
        Share dropped.

    References
    ----------
    Park et al. (2017). IUCrJ 4, 486-494.
    """

    def __init__(self, classes: int, points: int = 10_001, dropout: float = 0.3) -> None:
        layers: list[nn.Module] = []
        channels = 1
        for kernel, stride in ((100, 5), (50, 5), (25, 2)):
            layers += [
                nn.Conv1d(channels, 80, kernel, stride, padding=kernel // 2), nn.ReLU(),
                nn.Dropout(dropout), nn.AvgPool1d(3, 2, ceil_mode=True),
            ]  # fmt: skip
            channels = 80
        with torch.no_grad():
            length = nn.Sequential(*layers).eval()(torch.zeros(1, 1, points)).numel()
        super().__init__(
            _AsProfile(), *layers,
            nn.Flatten(), nn.Linear(length, 10 * classes), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(10 * classes, 5 * classes), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(5 * classes, classes),
        )  # fmt: skip


class LollaResNet(nn.Module):
    """A one-dimensional ResNet-18 with layer normalisation, GELU and adaptive max pooling.

    Parameters
    ----------
    classes
        Number of outputs.
    points
        Length of the profiles; any will do.
    dropout
        Share dropped in each block, 0.1 in the paper.
    width
        Channels of the first stage.

    References
    ----------
    Lolla et al. (2022). J. Appl. Cryst. 55, 882-889.
    """

    def __init__(
        self, classes: int, points: int = 0, dropout: float = 0.1, width: int = 64
    ) -> None:
        super().__init__()
        del points
        self.stem = nn.Conv1d(1, width, 7, 2, 3)
        self.stem_norm = _ChannelNorm(width)
        stages: list[nn.Module] = []
        before = width
        for index in range(4):
            after = width * 2**index
            stages += [_Residual(before, after, 2 if index else 1, dropout),
                       _Residual(after, after, 1, dropout)]  # fmt: skip
            before = after
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveMaxPool1d(1)
        self.head = nn.Linear(before, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits of profiles ``(n, 1, 1, points)``."""
        profiles = inputs.reshape(inputs.shape[0], 1, -1)
        found = functional.gelu(self.stem_norm(self.stem(profiles)))
        found = self.stages(functional.max_pool1d(found, 3, 2, 1))
        logits: Tensor = self.head(self.pool(found)[..., 0])
        return logits


class _Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(before, after, 3, stride, 1), _ChannelNorm(after), nn.GELU(),
            nn.Dropout(dropout), nn.Conv1d(after, after, 3, 1, 1), _ChannelNorm(after),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Conv1d(before, after, 1, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.gelu(self.body(inputs) + self.shortcut(inputs))


class _ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of ``(n, channel, length)``.

    Written out: transposing to and fro costs a quarter of the time of a step on a CPU.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        apart = inputs - inputs.mean(1, keepdim=True)
        spread = torch.rsqrt(apart.square().mean(1, keepdim=True) + self.eps)
        return apart * spread * self.weight[:, None] + self.bias[:, None]


class _AsProfile(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(inputs.shape[0], 1, -1)


class ProfileGenerator(nn.Module):
    """Draws profiles from random numbers: transposed convolutions, each four times as long.

    Batch normalisation, leaky ReLU of slope 0.2 and a sigmoid at the end as in the paper; it
    gives widths and kernels in a figure alone, so those are ours.

    Parameters
    ----------
    points
        Length of the profiles.
    latent
        Random numbers of each.
    width
        Channels before the last layer.

    References
    ----------
    Lolla et al. (2022). J. Appl. Cryst. 55, 882-889, section 2.4.1.
    """

    def __init__(self, points: int, latent: int = 100, width: int = 16) -> None:
        super().__init__()
        self.points, self.latent = points, latent
        doublings = max(1, math.ceil(math.log(points / 8, 4)))
        channels = [width * 2 ** max(0, doublings - 1 - i) for i in range(doublings)]
        layers: list[nn.Module] = [nn.ConvTranspose1d(latent, channels[0], 8)]
        for before, after in zip(channels, [*channels[1:], 1], strict=True):
            layers += [
                nn.BatchNorm1d(before), nn.LeakyReLU(0.2),
                nn.ConvTranspose1d(before, after, 8, 4, 2),
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, noise: Tensor) -> Tensor:
        """Return profiles from 0 to 1, shape ``(n, 1, 1, points)``, of noise ``(n, latent)``."""
        drawn: Tensor = self.layers(noise[..., None])
        return drawn[:, :, None, : self.points]
