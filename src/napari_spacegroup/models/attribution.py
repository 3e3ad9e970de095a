"""Where on a pattern a network looks: class-activation maps and gradients, through captum.

Grad-CAM, plain and guided: Selvaraju et al. (2017), arXiv:1610.02391. HiResCAM: Draelos &
Carin (2020), arXiv:2011.08891. Integrated gradients: Sundararajan et al. (2017),
arXiv:1703.01365. A network that folds patterns into the sector of
m-3m is asked in the sector, so that the answer is one on crystal directions, and is then
drawn back on the screen; one that works on a Radon transform is asked there, and its
answer is spread along the lines.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import ExplainMethod as Method
from ..errors import MissingPartError, ModelError
from .bandnet import BandNet
from .model import Model
from .sector import sample_sector, screen_rays, unpack_folded
from .sectornet import SectorNet

STEPS = 24
"""Of the path of integrated gradients."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """Where a network looked.

    Parameters
    ----------
    heat
        On its input, largest value 1, shape ``(n, side, side)``.
    sheets
        The same in the sector of m-3m, shape ``(n, sector, sector)``; None for a network
        that does not fold.
    coverage
        Share of the input's pixels behind each cell of the sector, same shape, or None.
    rotations
        Detector to crystal axes, shape ``(n, 3, 3)``, or None.
    """

    heat: Tensor
    sheets: Tensor | None = None
    coverage: Tensor | None = None
    rotations: Tensor | None = None


def attribute(
    model: Model, inputs: Tensor, centers: Tensor | None, targets: Tensor, method: Method
) -> Attribution:
    """Return where a model looks to see classes in patterns.

    Parameters
    ----------
    model
        A network for pictures.
    inputs
        As :meth:`~.model.Model.prepare` makes them, shape ``(n, 1, side, side)``.
    centers
        Pattern centers of the square, Bruker's convention, shape ``(n, 3)`` or ``(1, 3)``;
        None for a network that does not use them.
    targets
        Index of the class that is asked about, shape ``(n,)``.
    method
        ``"integrated_gradients"``: how much each place of the input adds to the class, on the
        way from an even grey; it sees all of the network, band profiles too.
        ``"grad_cam"``: which places of the last convolution speak for the class, each
        channel weighted by its mean gradient; ``"hires_cam"``: by its gradient at that
        place, which is right for a head that looks at each place on its own, as that of a
        sectornet, and the same where the head averages over the places.
        ``"guided_grad_cam"``: the second times the gradient that passes rectifiers forward
        and back.

    Raises
    ------
    ModelError
        If the network has no last convolution over pictures.
    MissingPartError
        If captum is not installed.
    """
    network = _copy_for_hooks(model.network)
    if isinstance(network, SectorNet):
        if centers is None:
            raise ModelError(f"model {model.name!r} needs a pattern center to be explained")
        return _in_sector(network, inputs, centers, targets, method)
    stages: Any = getattr(network, "stages", None)
    if stages is None:
        raise ModelError(
            f"model {model.name!r} ({model.card.architecture}) has no stages of convolutions; "
            "explain a sectornet, bandnet or resnet"
        )
    found = _attributed(network, stages[-1], inputs, targets, method)
    if isinstance(network, BandNet) and method in ("grad_cam", "hires_cam"):
        found = _along_lines(network, found)
    else:
        found = functional.interpolate(found, inputs.shape[-2:], mode="bilinear")
    return Attribution(_scaled(found[:, 0]) * (inputs[:, 0] != 0))


def _copy_for_hooks(network: nn.Module) -> nn.Module:
    """Return a copy whose rectifiers work out of place, as captum's hooks need."""
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return copied


class _Reader(nn.Module):
    """The part of a SectorNet behind the folding."""

    def __init__(self, network: SectorNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, folded: Tensor) -> Tensor:
        return self.network.read(folded)


def _in_sector(
    network: SectorNet, inputs: Tensor, centers: Tensor, targets: Tensor, method: Method
) -> Attribution:
    centers = centers.to(inputs).expand(len(inputs), 3)
    with torch.no_grad():
        rotations, _ = network.indexer.index(inputs, centers)
        folded = network.fold(inputs, centers, rotations)
    sheets = _attributed(_Reader(network), network.stages[-1], folded, targets, method)[:, 0]
    sheets = functional.interpolate(sheets[:, None], folded.shape[-2:], mode="bilinear")[:, 0]
    _, count = unpack_folded(folded)
    seen = count > 0.5
    sheets = _scaled(0.5 * (sheets + sheets.mT) * seen)
    directions = screen_rays(centers, inputs.shape[-1]) @ rotations.mT
    heat = sample_sector(sheets[:, None], directions)[:, 0].reshape(inputs[:, 0].shape)
    return Attribution(
        heat * (inputs[:, 0] != 0), sheets, count / count.sum((1, 2), keepdim=True), rotations
    )


def _attributed(
    network: nn.Module, layer: nn.Module, inputs: Tensor, targets: Tensor, method: Method
) -> Tensor:
    """Return what speaks for the targets, shape ``(n, 1, rows, columns)``."""
    captum = _captum()
    found: Tensor
    if method == "integrated_gradients":
        asked = inputs.detach().clone().requires_grad_()
        path = captum.IntegratedGradients(network)
        found = path.attribute(asked, _grey(inputs), target=targets, n_steps=STEPS)
        return found.detach()[:, :1].clamp(min=0)
    if method == "hires_cam":
        found = captum.LayerGradientXActivation(network, layer).attribute(inputs, target=targets)
        return found.detach().sum(1, keepdim=True).clamp(min=0)
    places = (
        captum.LayerGradCam(network, layer)
        .attribute(inputs, target=targets, relu_attributions=True)
        .detach()
    )
    if method == "grad_cam":
        return places  # type: ignore[no-any-return]
    places = functional.interpolate(places, inputs.shape[-2:], mode="bilinear")
    asked = inputs.detach().clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks", UserWarning)  # that is meant
        slopes = captum.GuidedBackprop(network).attribute(asked, target=targets).detach()
    sharp: Tensor = slopes[:, :1].abs() * places
    return sharp


def _grey(inputs: Tensor) -> Tensor:
    """Return inputs without a pattern: the mean intensity is 0, further channels stay."""
    grey = inputs.detach().clone()
    grey[:, :1] = 0
    return grey


def _along_lines(network: BandNet, found: Tensor) -> Tensor:
    """Spread what was found on a sinogram along its lines."""
    radon = network.radon
    size = (radon.distances, radon.angles + 2 * radon.wrap)
    lines = functional.interpolate(found, size, mode="bilinear")
    inner = lines[..., radon.wrap : radon.wrap + radon.angles] if radon.wrap else lines
    spread = inner.flatten(1) @ radon.matrix.T
    return spread.reshape(-1, 1, radon.side, radon.side)


def _scaled(heat: Tensor) -> Tensor:
    heat = heat.clamp(min=0)
    return heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise MissingPartError(
            "explain needs captum, which is not installed; pip install captum"
        ) from error
    return captum.attr
