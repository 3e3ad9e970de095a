from . import (
    config,
    crystal,
    errors,
    infer,
    jobs,
    learn,
    models,
    patterns,
    simulate,
    stream,
    workflows,
)
from ._version import __version__
from .config import (
    ClassifySpec,
    EvaluateSpec,
    ExplainSpec,
    FollowSpec,
    SimulateSpec,
    TrainSpec,
)
from .crystal import Phase
from .errors import (
    CancelledError,
    MissingPartError,
    ModelError,
    PhaseError,
    ResultError,
    ScanError,
    SpaceGroupError,
    SpecError,
)
from .infer import SpaceGroupMap, load_map
from .jobs import CancelToken
from .models import check_model, list_models, load_model
from .patterns import PatternScan, read
from .workflows import classify, demo, evaluate, explain, follow, train

__all__ = [
    "CancelToken",
    "CancelledError",
    "ClassifySpec",
    "EvaluateSpec",
    "ExplainSpec",
    "FollowSpec",
    "MissingPartError",
    "ModelError",
    "PatternScan",
    "Phase",
    "PhaseError",
    "ResultError",
    "ScanError",
    "SimulateSpec",
    "SpaceGroupError",
    "SpaceGroupMap",
    "SpecError",
    "TrainSpec",
    "__version__",
    "check_model",
    "classify",
    "config",
    "crystal",
    "demo",
    "errors",
    "evaluate",
    "explain",
    "follow",
    "infer",
    "jobs",
    "learn",
    "list_models",
    "load_map",
    "load_model",
    "models",
    "patterns",
    "read",
    "simulate",
    "stream",
    "train",
    "workflows",
]
