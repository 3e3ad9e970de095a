"""The map of a followed scan before its first pixel, and where it says it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config import FollowSpec
from ..infer.classifier import Classifier
from ..infer.network import finest_level
from ..infer.provenance import map_provenance
from ..infer.spacegroup_map import SpaceGroupMap
from ..stream import ScanInfo


def empty_live_map(
    shape: tuple[int, int], info: ScanInfo | None, model: Classifier, name: str
) -> SpaceGroupMap:
    """Return a map of a shape with every pixel pending, with what the source knows."""
    return SpaceGroupMap.empty(
        shape,
        model.classes,
        step=None if info is None else info.step,
        step_unit="" if info is None else info.step_unit,
        model_name=model.card.name,
        scan_name=name,
        equivalence_sets=model.card.equivalence_sets,
        finest_level=finest_level(model.card),
    )


def live_provenance(
    info: ScanInfo, model: Classifier, spec: FollowSpec, name: str, path: Path | None
) -> dict[str, Any]:
    """Return where a map comes from; shape and fingerprint are known at its end."""
    return map_provenance(
        spec,
        model,
        {
            "name": name,
            "path": None if path is None else str(path),
            "technique": info.technique,
            "dtype": str(info.dtype),
        },
    )


def pattern_shape_of(info: ScanInfo | None) -> tuple[int, ...]:
    """Return the shape of a pattern, or nothing where nobody knows."""
    return () if info is None else info.pattern_shape


def copy_of(result: SpaceGroupMap) -> SpaceGroupMap:
    """Return a map that does not change when the other one grows."""
    return SpaceGroupMap(
        result.probabilities.copy(),
        result.status.copy(),
        result.classes,
        step=result.step,
        step_unit=result.step_unit,
        model_name=result.model_name,
        scan_name=result.scan_name,
        equivalence_sets=result.equivalence_sets,
        finest_level=result.finest_level,
        provenance=result.provenance,
    )


def line_shape(count: int, chunk: int) -> tuple[int, int]:
    """Return the shape of a map without rows that has room for so many pixels, in whole chunks."""
    return (1, -(-count // chunk) * chunk)
