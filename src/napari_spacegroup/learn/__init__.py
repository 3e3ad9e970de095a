"""Training, metrics and calibration. Needs torch, numpy and pydantic alone."""

from .batches import TrainingBatches, condition_batch
from .masterset import MasterRecord, MasterSet, split_by_prototype
from .metrics import coverage_risk, expected_calibration_error, fit_temperature
from .supply import LabelledBatch, Supply, supply_of
from .train import TrainDone, TrainEvent, TrainStep, Validation, train_events
from .unlabelled import UnlabelledScan

__all__ = [
    "LabelledBatch",
    "MasterRecord",
    "MasterSet",
    "Supply",
    "TrainDone",
    "TrainEvent",
    "TrainStep",
    "TrainingBatches",
    "UnlabelledScan",
    "Validation",
    "condition_batch",
    "coverage_risk",
    "expected_calibration_error",
    "fit_temperature",
    "split_by_prototype",
    "supply_of",
    "train_events",
]
