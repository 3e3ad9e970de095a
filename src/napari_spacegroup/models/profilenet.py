"""Our network for powder profiles: convolutions find lines, attention relates them.

On an axis of ln q a larger cell moves all lines alike, so that a convolution knows the
ratios of a lattice wherever they stand. The first layers see single lines and cost little;
attention at the coarse end sees the whole profile at once. Sized for training on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ProfileNet(nn.Module):
    """Convolutional stages of halved length, transformer blocks, two kinds of pooling.

    Parameters
    ----------
    classes
        Number of outputs.
    points
        Length of the profiles.
    widths
        Channels of the stages; each but the first halves the length.
    blocks
        Residual blocks of each stage.
    stem
        Stride of the first convolution; its kernel is four times as long.
    layers
        Transformer blocks at the end.
    heads
        Of attention.
    dropout
        Share of features dropped before the last layer.
    """

    def __init__(
        self,
        classes: int,
        points: int = 2048,
        widths: Sequence[int] = (32, 64, 96, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        stem: int = 4,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        first = widths[0]
        stages: list[nn.Module] = [
            nn.Conv1d(1, first, 4 * stem - 1, stem, 2 * stem - 1, bias=False),
            nn.BatchNorm1d(first),
            nn.ReLU(),
        ]
        length = (points - 1) // stem + 1
        before = first
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for index in range(count):
                stride = 2 if number and not index else 1
                stages.append(_Block(before, width, stride))
                length = (length - 1) // stride + 1
                before = width
        self.stages = nn.Sequential(*stages)
        self.place = nn.Parameter(torch.randn(1, length, before) * 0.02)
        self.layers = nn.ModuleList([_Attention(before, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(2 * before)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * before, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(n, class)`` of profiles ``(n, 1, 1, points)``."""
        found = self.stages(inputs.reshape(inputs.shape[0], 1, -1))
        tokens = found.transpose(1, 2) + self.place
        for layer in self.layers:
            tokens = layer(tokens)
        pooled = torch.cat([tokens.mean(1), tokens.amax(1)], 1)
        logits: Tensor = self.head(self.dropout(self.norm(pooled)))
        return logits


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, width, 7, stride, 3, bias=False)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Conv1d(width, width, 7, 1, 3, bias=False)
        self.second_norm = nn.BatchNorm1d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Sequential(
                nn.AvgPool1d(stride, stride, ceil_mode=True),
                nn.Conv1d(before, width, 1, bias=False),
                nn.BatchNorm1d(width),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        found = functional.relu(self.first_norm(self.first(inputs)))
        total: Tensor = self.second_norm(self.second(found)) + self.shortcut(inputs)
        return functional.relu(total)


class _Attention(nn.Module):
    """A transformer block: every token looks at all, then by itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.second_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        shape = (count, length, 3, self.heads, width // self.heads)
        query, key, value = self.queries(self.norm(tokens)).reshape(shape).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(seen.transpose(1, 2).reshape(count, length, width))
        wide = functional.gelu(self.widen(self.second_norm(tokens)))
        total: Tensor = tokens + self.narrow(wide)
        return total
