"""Which network a card names, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..errors import ModelError
from .bandnet import BandNet
from .latticenet import LatticeNet
from .papers import LollaResNet, ParkNet
from .profilenet import ProfileNet
from .resnet import LAYERS, ResNet
from .sectornet import SectorNet
from .spotnet import SpotNet
from .symmetrynet import SymmetryNet
from .xception import Xception

_MAKERS: dict[str, Callable[..., nn.Module]] = {
    "bandnet": BandNet,
    "latticenet": LatticeNet,
    "lolla_resnet18": LollaResNet,
    "park_cnn": ParkNet,
    "profilenet": ProfileNet,
    "sectornet": SectorNet,
    "spotnet": SpotNet,
    "symmetrynet": SymmetryNet,
    "xception": Xception,
}


def architecture_names() -> tuple[str, ...]:
    """Return the architectures that :func:`build` knows."""
    return (*_MAKERS, *(f"resnet{depth}" for depth in LAYERS))


def build(architecture: str, classes: int, **options: Any) -> nn.Module:
    """Return a new network.

    Parameters
    ----------
    architecture
        One of :func:`architecture_names`.
    classes
        Number of outputs.
    **options
        Of the constructor.

    Raises
    ------
    ModelError
        If the architecture or an option is unknown.
    """
    makers = dict(_MAKERS)
    for depth in LAYERS:
        makers[f"resnet{depth}"] = lambda classes, depth=depth, **rest: ResNet(
            depth, classes, **rest
        )
    if architecture not in makers:
        raise ModelError(
            f"unknown architecture {architecture!r}; known are {', '.join(makers)}; "
            "the model may come from a newer version of this package"
        )
    try:
        return makers[architecture](classes=classes, **options)
    except TypeError as error:
        raise ModelError(f"{architecture} does not take these options: {error}") from error
