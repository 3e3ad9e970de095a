"""Networks, their cards and where models are found. Needs torch and numpy alone."""

from .architectures import architecture_names, build
from .bandnet import BandNet
from .card import ModelCard
from .latticenet import LatticeNet
from .model import Model, read_model
from .papers import LollaResNet, ParkNet, ProfileGenerator
from .pattern_center import FoundCenter, find_pattern_center, square_centers
from .profilenet import ProfileNet
from .resnet import ResNet
from .sectornet import SectorNet
from .spot_indexing import IndexedSpots, index_cubic
from .spotnet import SpotNet
from .symmetrynet import SymmetryNet
from .zoo import check_model, find_model, list_models, load_model, model_folders, show_model

__all__ = [
    "BandNet",
    "FoundCenter",
    "IndexedSpots",
    "LatticeNet",
    "LollaResNet",
    "Model",
    "ModelCard",
    "ParkNet",
    "ProfileGenerator",
    "ProfileNet",
    "ResNet",
    "SectorNet",
    "SpotNet",
    "SymmetryNet",
    "architecture_names",
    "build",
    "check_model",
    "find_model",
    "find_pattern_center",
    "index_cubic",
    "list_models",
    "load_model",
    "model_folders",
    "read_model",
    "show_model",
    "square_centers",
]
