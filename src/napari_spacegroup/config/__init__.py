"""One frozen spec per verb: what can be asked, in which unit and within which bounds.

The command line, the docks and scripts fill in the same specs, and every result stores
the one that made it.
"""

from .base import Device, Range, Spec, quantity
from .classify import ClassifySpec
from .conditions import ConditionName, EbsdCondition, condition_names, ebsd_condition
from .ebsd_view import EbsdViewSpec
from .evaluate import EvaluateSpec
from .explain import ExplainMethod, ExplainSpec
from .follow import FollowSpec
from .master import DynamicalSpec, KinematicSpec, MasterSpec
from .microscope import FaultSpec, SimulatedMicroscopeSpec
from .simulate import EbsdOutput, MasterOutput, SimulateSpec
from .train import IndexingSpec, MicroscopeSpec, NetworkSpec, ScheduleSpec, TrainSpec

__all__ = [
    "ClassifySpec",
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
    "IndexingSpec",
    "KinematicSpec",
    "MasterOutput",
    "MasterSpec",
    "MicroscopeSpec",
    "NetworkSpec",
    "Range",
    "ScheduleSpec",
    "SimulateSpec",
    "SimulatedMicroscopeSpec",
    "Spec",
    "TrainSpec",
    "condition_names",
    "ebsd_condition",
    "quantity",
]
