"""Master pattern specs from plain values, for the files that carry one.

The specs themselves stand with all others in :mod:`napari_spacegroup.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..config import DynamicalSpec, KinematicSpec, MasterSpec
from ..errors import SpecError

__all__ = ["DynamicalSpec", "KinematicSpec", "MasterSpec", "master_spec"]

_ADAPTER: TypeAdapter[KinematicSpec | DynamicalSpec] = TypeAdapter(MasterSpec)


def master_spec(values: Mapping[str, Any] | str) -> KinematicSpec | DynamicalSpec:
    """Return the spec that a mapping or a JSON text describes.

    Parameters
    ----------
    values
        Needs ``method``; everything else has a default.

    Raises
    ------
    SpecError
        If a key is unknown or a value out of bounds.
    """
    try:
        if isinstance(values, str):
            return _ADAPTER.validate_json(values)
        return _ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        raise SpecError(f"this is no master pattern spec: {error}") from error
