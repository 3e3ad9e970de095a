"""Tensor operations that several rooms share: filters, and the inputs of all networks."""

from .contracts import AnyContract, prepare_inputs
from .filters import gaussian_blur, resize
from .prepare import InputContract, prepare, remove_static
from .profiles import ProfileAxis, ProfileContract, prepare_profiles

__all__ = [
    "AnyContract",
    "InputContract",
    "ProfileAxis",
    "ProfileContract",
    "gaussian_blur",
    "prepare",
    "prepare_inputs",
    "prepare_profiles",
    "remove_static",
    "resize",
]
