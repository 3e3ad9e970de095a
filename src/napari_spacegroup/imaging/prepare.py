"""From any detector to the network's input: the same code for simulated and measured.

Needs torch and numpy alone, because training uses it on a bare GPU node. What a model
was trained with stands in its card as an :class:`InputContract`.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from .filters import gaussian_blur, resize


class InputContract(BaseModel):
    """What a network expects of a picture, such as an EBSD pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["image"] = Field("image", description="A picture.")
    shape: tuple[int, int] = Field((60, 60), description="Rows and columns of the input.")
    static_background: Literal["divide", "subtract", "none"] = Field(
        "divide", description="How a static background is removed where the scan has one."
    )
    background_sigma: float = Field(
        0.08, gt=0, le=1, description="Blur of the dynamic background, fraction of the height."
    )
    contrast_sigma: float = Field(
        0.15, gt=0, le=1, description="Window of the local contrast, fraction of the height."
    )
    clip: float = Field(
        4.0, gt=0, description="Largest absolute value after normalisation, standard deviations."
    )


def prepare(
    patterns: Tensor,
    contract: InputContract,
    *,
    static_background: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the input of a network.

    Static background, central square, antialiased resize, dynamic background, local
    contrast, clip; in this order. Pixels outside the mask are 0.

    Parameters
    ----------
    patterns
        Shape ``(n, rows, columns)``, any intensity unit.
    contract
        What the network expects.
    static_background
        Shape ``(rows, columns)``, or None.
    mask
        True (or 1) inside the screen; shape ``(rows, columns)`` or one per pattern, or None.

    Returns
    -------
    inputs
        Shape ``(n, 1, *contract.shape)``, float32, mean near 0 and standard deviation near 1.
    """
    images = patterns.to(torch.float32)
    if static_background is not None and contract.static_background != "none":
        images = remove_static(images, static_background.to(images), contract.static_background)
    inside = None
    if mask is not None:
        inside = mask.to(images)
        inside = inside[None] if inside.ndim == 2 else inside
        images = images * inside
        inside = resize(inside, contract.shape)
    images = resize(images, contract.shape)
    if inside is not None:
        images = images / inside.clamp_min(1e-3)
        inside = (inside > 0.5).to(images)
    height = contract.shape[0]
    detail = images - _local_mean(images, inside, contract.background_sigma * height)
    if inside is not None:
        detail = detail * inside
    deviation = torch.sqrt(_local_mean(detail**2, inside, contract.contrast_sigma * height))
    floor = 1e-3 * deviation.amax(dim=(1, 2), keepdim=True) + 1e-12
    normal = detail / (deviation + floor)
    if inside is not None:
        normal = normal * inside
    return normal.clamp(-contract.clip, contract.clip)[:, None]


def remove_static(patterns: Tensor, background: Tensor, operation: str) -> Tensor:
    """Return the patterns without their static background.

    Parameters
    ----------
    patterns, background
        Shapes ``(n, rows, columns)`` and ``(rows, columns)``.
    operation
        ``"divide"`` or ``"subtract"``. Dead pixels of the background count as its mean.
    """
    mean = background.mean()
    safe = torch.where(background > 0.02 * mean, background, mean)
    return patterns / safe if operation == "divide" else patterns - safe


def _local_mean(images: Tensor, inside: Tensor | None, sigma: float) -> Tensor:
    if inside is None:
        weight = gaussian_blur(torch.ones_like(images[:1]), sigma)
        return gaussian_blur(images, sigma) / weight
    weight = gaussian_blur(inside, sigma).clamp_min(1e-3)
    return gaussian_blur(images * inside, sigma) / weight
