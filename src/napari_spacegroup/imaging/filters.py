"""Blur and resize of batches of images: the filters that simulation and reading share.

Needs torch and numpy alone.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional


def resize(images: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the central part of the right aspect ratio, resized without aliases.

    Area averaging where the image shrinks, bilinear interpolation where it grows.
    The angles that the picture shows stay the same along rows and columns.
    """
    rows, columns = images.shape[-2:]
    height = min(rows, round(columns * shape[0] / shape[1]))
    width = min(columns, round(rows * shape[1] / shape[0]))
    top, left = (rows - height) // 2, (columns - width) // 2
    part = images[..., top : top + height, left : left + width]
    if (height, width) == shape:
        return part
    if height >= shape[0]:
        return functional.interpolate(part[:, None], shape, mode="area")[:, 0]
    return functional.interpolate(part[:, None], shape, mode="bilinear", align_corners=False)[:, 0]


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Return the images blurred with zeros beyond the edge.

    Two products with banded matrices, which at these sizes beat a convolution.

    Parameters
    ----------
    images
        Shape ``(n, rows, columns)``.
    sigma
        Standard deviation [pixels].
    """
    rows, columns = images.shape[-2:]
    down, across = (
        _blur_matrix(size, sigma, images.dtype, images.device) for size in (rows, columns)
    )
    return down @ images @ across


@lru_cache(maxsize=32)
def _blur_matrix(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # kept, and used in training too
        index = torch.arange(size, device=device, dtype=dtype)
        distance = index[:, None] - index[None]
        kernel = torch.exp(-0.5 * (distance / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
        return kernel * (distance.abs() <= 4 * sigma)


def gaussian_blur_each(images: Tensor, sigmas: Tensor) -> Tensor:
    """Return images blurred, each by its own amount, with zeros beyond the edge.

    Parameters
    ----------
    images
        Shape ``(n, rows, columns)``.
    sigmas
        Standard deviations [pixels], shape ``(n,)``.
    """
    down, across = (_blur_matrices(size, sigmas.to(images)) for size in images.shape[-2:])
    return down @ images @ across


def _blur_matrices(size: int, sigmas: Tensor) -> Tensor:
    index = torch.arange(size, device=sigmas.device, dtype=sigmas.dtype)
    distance = (index[:, None] - index[None])[None] / sigmas[:, None, None]
    height = sigmas[:, None, None] * math.sqrt(2 * math.pi)
    return torch.exp(-0.5 * distance**2) / height * (distance.abs() <= 4)
