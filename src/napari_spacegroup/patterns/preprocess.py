"""The preprocessing of measured patterns, which is that of the simulated ones."""

from ..imaging import InputContract, prepare, remove_static, resize

__all__ = ["InputContract", "prepare", "remove_static", "resize"]
