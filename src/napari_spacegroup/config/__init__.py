"""One frozen spec per verb: what can be asked, in which unit and within which bounds.

The command line, the docks and scripts fill in the same specs, and every result stores
the one that made it.
"""

from .base import Device, Range, Spec, quantity
from .calibration import CalibrationSpec, ellipse_matrix, ellipse_of
from .classify import ClassifySpec
from .combine import CombineMethod, CombineSpec, HolderSpec
from .conditions import ConditionName, EbsdCondition, condition_names, ebsd_condition
from .ebsd_view import EbsdViewSpec
from .evaluate import EvaluateSpec
from .explain import ExplainMethod, ExplainSpec
from .follow import FollowSpec
from .master import DynamicalSpec, KinematicSpec, MasterSpec
from .microscope import FaultSpec, SimulatedMicroscopeSpec
from .powder import GridSpec, PowderTrainSpec, ProfileNetworkSpec
from .simulate import (
    BlochIntensities,
    EbsdOutput,
    KinematicIntensities,
    MasterOutput,
    SadOutput,
    SimulateSpec,
    TwoBeamIntensities,
)
from .spots import SpotRangeSpec, sad_condition
from .train import (
    BaseTrainSpec,
    IndexingSpec,
    MicroscopeSpec,
    NetworkSpec,
    ScheduleSpec,
    TrainSpec,
    read_train_spec,
)
from .train_spots import LatticeNetworkSpec, SpotNetworkSpec, SpotTrainSpec
from .unlabelled import UnlabelledSpec

__all__ = [
    "BaseTrainSpec",
    "BlochIntensities",
    "CalibrationSpec",
    "ClassifySpec",
    "CombineMethod",
    "CombineSpec",
    "ConditionName",
    "Device",
    "DynamicalSpec",
    "EbsdCondition",
    "EbsdOutput",
    "EbsdViewSpec",
    "EvaluateSpec",
    "ExplainMethod",
    "ExplainSpec",
    "FaultSpec",
    "FollowSpec",
    "GridSpec",
    "HolderSpec",
    "IndexingSpec",
    "KinematicIntensities",
    "KinematicSpec",
    "LatticeNetworkSpec",
    "MasterOutput",
    "MasterSpec",
    "MicroscopeSpec",
    "NetworkSpec",
    "PowderTrainSpec",
    "ProfileNetworkSpec",
    "Range",
    "SadOutput",
    "ScheduleSpec",
    "SimulateSpec",
    "SimulatedMicroscopeSpec",
    "Spec",
    "SpotNetworkSpec",
    "SpotRangeSpec",
    "SpotTrainSpec",
    "TrainSpec",
    "TwoBeamIntensities",
    "UnlabelledSpec",
    "condition_names",
    "ebsd_condition",
    "ellipse_matrix",
    "ellipse_of",
    "quantity",
    "read_train_spec",
    "sad_condition",
]
