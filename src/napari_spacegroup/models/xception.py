"""Xception, the network of the EBSD paper. Needs torch alone."""

from __future__ import annotations

from torch import Tensor, nn

MIDDLE = 8
"""Blocks of the middle flow."""


class Xception(nn.Module):
    """Separable convolutions with short cuts: entry, middle and exit flow.

    Parameters
    ----------
    classes
        Number of outputs.
    inputs
        Channels of the input.
    width
        Channels of the first convolution, 32 in the paper; all others go with it.
    dropout
        Share dropped before the last layer.

    References
    ----------
    Chollet (2017), arXiv:1610.02357, figure 5; used by Kaufmann et al. (2020), Microsc.
    Microanal. 26, 447.
    """

    def __init__(
        self, classes: int, *, inputs: int = 1, width: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        w = width

        def unit(before: int, after: int, stride: int) -> list[nn.Module]:
            convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            return [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]

        entry = [
            _Block(2 * w, (4 * w, 4 * w), stride=2, rectifies_first=False),
            _Block(4 * w, (8 * w, 8 * w), stride=2),
            _Block(8 * w, (91 * w // 4, 91 * w // 4), stride=2),
        ]
        broad = 91 * w // 4  # 728 at the paper's width
        middle = [_Block(broad, (broad, broad, broad)) for _ in range(MIDDLE)]
        last = _Block(broad, (broad, 32 * w), stride=2)
        self.features = nn.Sequential(
            *unit(inputs, w, 2), *unit(w, 2 * w, 1), *entry, *middle, last,
            _Separable(32 * w, 48 * w), nn.ReLU(inplace=True),
            _Separable(48 * w, 64 * w), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(64 * w, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape ``(n, classes)``, of images ``(n, inputs, rows, columns)``."""
        features = self.features(images).mean(dim=(-2, -1))
        logits: Tensor = self.head(self.dropout(features))
        return logits


class _Separable(nn.Sequential):
    """A convolution of each channel by itself, then one across channels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
            nn.Conv2d(before, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )


class _Block(nn.Module):
    """Rectifiers and separable convolutions beside a short cut."""

    def __init__(
        self,
        before: int,
        widths: tuple[int, ...],
        *,
        stride: int = 1,
        rectifies_first: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = before
        for index, width in enumerate(widths):
            if index or rectifies_first:
                layers.append(nn.ReLU())
            layers.append(_Separable(inputs, width))
            inputs = width
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
        self.residual = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != inputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, inputs, 1, stride, bias=False), nn.BatchNorm2d(inputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        total: Tensor = self.residual(features) + self.shortcut(features)
        return total
