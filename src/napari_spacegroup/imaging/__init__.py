"""Tensor operations on images that several rooms share: filters and the network's input."""

from .filters import gaussian_blur, resize
from .prepare import InputContract, prepare, remove_static

__all__ = ["InputContract", "gaussian_blur", "prepare", "remove_static", "resize"]
