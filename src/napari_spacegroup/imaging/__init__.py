"""Tensor operations that several rooms share: filters, and the inputs of all networks."""

from .contracts import AnyContract, prepare_inputs
from .filters import gaussian_blur, resize
from .prepare import InputContract, prepare, remove_static
from .profiles import ProfileAxis, ProfileContract, prepare_profiles
from .spot_inputs import SpotContract, prepare_spots
from .spots import FoundSpots, find_spots

__all__ = [
    "AnyContract",
    "FoundSpots",
    "InputContract",
    "ProfileAxis",
    "ProfileContract",
    "SpotContract",
    "find_spots",
    "gaussian_blur",
    "prepare",
    "prepare_inputs",
    "prepare_profiles",
    "prepare_spots",
    "remove_static",
    "resize",
]
