"""Where a result comes from: spec, versions, data and model, as values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .._version import __version__
from ..config import Spec

_PARTS = ("numpy", "torch", "h5py", "dask", "kikuchipy", "orix", "diffsims", "de-ebsd")


def versions() -> dict[str, str]:
    """Return the versions of this package and of those that shape a result."""
    found = {"napari-spacegroup": __version__}
    for part in _PARTS:
        try:
            found[part] = version(part)
        except PackageNotFoundError:
            continue
    return found


def map_provenance(spec: Spec, model: Any, scan: dict[str, Any]) -> dict[str, Any]:
    """Return where a map comes from.

    Parameters
    ----------
    spec
        What was asked.
    model
        The model, with its card.
    scan
        What is known of the scan.
    """
    return {
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "seed": None,  # nothing here is random
        "created": now(),
        "versions": versions(),
        "device": str(model.device),
        "model": {
            "name": model.card.name,
            "sha256": model.card.sha256,
            "package_version": model.card.package_version,
            "looks_at_positions": getattr(model, "looks_at_positions", False),
        },
        "scan": scan,
    }


def now() -> str:
    """Return date and time, UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def as_plain(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Numpy values and tuples become plain ones, numbers that are not finite None, and what
    JSON does not know its text.
    """
    if isinstance(value, Mapping):
        return {str(key): as_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return as_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
