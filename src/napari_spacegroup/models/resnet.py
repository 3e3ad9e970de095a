"""Residual networks of 18 to 152 layers, for pictures and for profiles, in one file.

He et al. (2016), arXiv:1512.03385, table 1. Needs torch alone.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

LAYERS: dict[int, tuple[str, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


def _convolution(dimensions: int) -> type[nn.Module]:
    return {1: nn.Conv1d, 2: nn.Conv2d}[dimensions]


def _normalisation(dimensions: int) -> type[nn.Module]:
    return {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[dimensions]


class ConvolutionUnit(nn.Sequential):
    """Convolution, batch normalisation and, if asked for, a rectifier."""

    def __init__(
        self,
        dimensions: int,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        rectify: bool = True,
    ) -> None:
        layers: list[nn.Module] = [
            _convolution(dimensions)(
                inputs, outputs, kernel, stride, padding=kernel // 2, bias=False
            ),
            _normalisation(dimensions)(outputs),
        ]
        if rectify:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class ResidualBlock(nn.Module):
    """A basic (3, 3) or a bottleneck (1, 3, 1) block with its short cut."""

    def __init__(self, dimensions: int, kind: str, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion(kind)
        if kind == "basic":
            self.residual = nn.Sequential(
                ConvolutionUnit(dimensions, inputs, width, 3, stride),
                ConvolutionUnit(dimensions, width, width, 3, rectify=False),
            )
        else:
            self.residual = nn.Sequential(
                ConvolutionUnit(dimensions, inputs, width, 1),
                ConvolutionUnit(dimensions, width, width, 3, stride),
                ConvolutionUnit(dimensions, width, outputs, 1, rectify=False),
            )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvolutionUnit(dimensions, inputs, outputs, 1, stride, rectify=False)
        self.rectifier = nn.ReLU(inplace=True)

    @staticmethod
    def expansion(kind: str) -> int:
        """Return how much wider the output of a block is than its inside."""
        return 1 if kind == "basic" else 4

    def forward(self, features: Tensor) -> Tensor:
        """Return features of shape ``(n, outputs, ...)``."""
        return self.rectifier(self.residual(features) + self.shortcut(features))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A residual network over pictures ``(n, c, h, w)`` or profiles ``(n, c, length)``.

    Parameters
    ----------
    depth
        18, 34, 50, 101 or 152 layers.
    classes
        Number of outputs.
    dimensions
        2 for pictures, 1 for profiles.
    inputs
        Channels of the input.
    width
        Channels of the first stage, 64 in the paper.
    small_stem
        A 3-wide stem that halves the input once instead of the 7-wide one that quarters
        it; for inputs of about 60 pixels.
    """

    def __init__(
        self,
        depth: int,
        classes: int,
        *,
        dimensions: int = 2,
        inputs: int = 1,
        width: int = 64,
        small_stem: bool = True,
    ) -> None:
        super().__init__()
        kind, blocks = LAYERS[depth]
        stem: list[nn.Module]
        if small_stem:
            stem = [ConvolutionUnit(dimensions, inputs, width, 5, 2)]
        else:
            pool: Any = nn.MaxPool2d if dimensions == 2 else nn.MaxPool1d
            stem = [ConvolutionUnit(dimensions, inputs, width, 7, 2), pool(3, 2, 1)]
        self.stem = nn.Sequential(*stem)
        channels = width
        stages: list[nn.Module] = []
        for index, count in enumerate(blocks):
            inside = width * 2**index
            layers: list[nn.Module] = []
            for position in range(count):
                stride = 2 if index > 0 and position == 0 else 1
                layers.append(ResidualBlock(dimensions, kind, channels, inside, stride))
                channels = inside * ResidualBlock.expansion(kind)
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape ``(n, classes)``."""
        features = self.stages(self.stem(images)).flatten(2)
        return self.head(features.mean(dim=-1))  # type: ignore[no-any-return]
