"""Networks for inference alone, with each normalisation inside its convolution.

In evaluation a batch normalisation multiplies and adds constants, which the weights of the
convolution before it can hold: less to do, the same logits within rounding.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .resnet import ConvolutionUnit


def fused(network: nn.Module) -> nn.Module:
    """Return a copy of a network in evaluation mode without normalisations where it can.

    Parameters
    ----------
    network
        Left as it is; its :class:`~.resnet.ConvolutionUnit` are fused in the copy.
    """
    with torch.inference_mode(False):
        alike = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        for unit in [m for m in alike.modules() if isinstance(m, ConvolutionUnit)]:
            unit[0] = fuse_conv_bn_eval(unit[0], unit[1])  # type: ignore[arg-type,type-var]
            unit[1] = nn.Identity()
        return alike


def versions(network: nn.Module) -> tuple[tuple[int, int], ...]:
    """Return what changes when a weight is replaced or changed in place."""
    return tuple(_version(t) for t in (*network.parameters(), *network.buffers()))


def _version(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version
