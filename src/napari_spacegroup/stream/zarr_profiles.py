"""Powder profiles in a zarr group: which of its arrays they are, and which their axis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..patterns.options import ReadOptions
from ..patterns.profile_maps import ProfileMap, StoredArray, find_profiles
from .zarr_store import ZarrLayout, read_chunk, read_layout


class ZarrArray:
    """An array in a folder, as far as finding profiles asks of it.

    Parameters
    ----------
    folder
        Of the array.
    layout
        Its metadata.
    """

    def __init__(self, folder: Path, layout: ZarrLayout) -> None:
        self.folder = folder
        self.layout = layout
        self.shape = layout.shape
        self.dtype = layout.dtype

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Return what is written beside it."""
        try:
            if (self.folder / "zarr.json").exists():
                text = (self.folder / "zarr.json").read_text(encoding="utf-8")
                found = json.loads(text).get("attributes", {})
            else:
                found = json.loads((self.folder / ".zattrs").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, Mapping) else {}

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return values of a vector, the fill value where its chunks are not there yet."""
        (total,), (size,) = self.shape, self.layout.chunks
        values = np.full(-(-total // size) * size, self.layout.fill, self.dtype)
        for place in range(-(-total // size)):
            try:
                chunk = read_chunk(self.folder, self.layout, (place,))
            except FileNotFoundError:
                continue
            values[place * size : (place + 1) * size] = chunk
        found: NDArray[Any] = values[:total][key]
        return found


def find_zarr_profiles(folder: Path, told: ReadOptions) -> ProfileMap | None:
    """Return the profiles of a group, None if it holds none.

    Parameters
    ----------
    folder
        Of the group; its arrays are the folders in it.
    told
        As for :func:`~napari_spacegroup.patterns.profile_maps.find_profiles`.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ScanError
        If several arrays may be the profiles, or the axis is none.
    """
    arrays: dict[str, StoredArray] = {}
    for part in sorted(folder.iterdir()):
        try:
            arrays[part.name] = ZarrArray(part, read_layout(part))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no array, or not whole yet
    return find_profiles(arrays, told, str(folder))
