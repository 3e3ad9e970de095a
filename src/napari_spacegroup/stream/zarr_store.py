"""A growing zarr array, version 2 or 3, in a folder.

Only the files say which chunks were written: the zarr library reads a missing chunk as
fill values without a word. So metadata and plain or zlib-packed chunks are read here; for
other codecs the library decodes the chunks that are there.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import itertools
import json
import logging
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ScanError
from ..patterns.options import ReadOptions
from ..patterns.profile_maps import ProfileMap
from ..patterns.storage import with_row
from .slots import SlotSource
from .source import ScanInfo, SourceError, SourceState
from .visit import BadPlacesError, BrokenPlaces, signature_of

logger = logging.getLogger(__name__)

Packing = Literal["none", "zlib", "gzip", "library"]


@dataclass(frozen=True)
class ZarrLayout:
    """What the metadata of an array say.

    Parameters
    ----------
    shape, chunks
        Of the array, three or four axes.
    dtype
        Type of one value, byte order included.
    fill
        What a missing chunk reads as.
    packing
        How a chunk is packed; ``library`` leaves it to zarr.
    prefix, separator
        How a chunk's file is named.
    is_profiles
        Whether the last axis but one is not in the store: profiles have no rows.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: float
    packing: Packing
    prefix: str
    separator: str
    is_profiles: bool = False

    def file_name(self, place: tuple[int, ...]) -> str:
        """Return the name of a chunk's file."""
        return self.prefix + self.separator.join(str(number) for number in self.stored(place))

    def stored(self, axes: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what belongs to the axes of the store, of one entry per axis."""
        return (*axes[:-2], axes[-1]) if self.is_profiles else axes

    def of_profiles(self) -> ZarrLayout:
        """Return the layout of profiles with their single row."""
        return replace(
            self, shape=with_row(self.shape), chunks=with_row(self.chunks), is_profiles=True
        )


def read_layout(folder: Path) -> ZarrLayout:
    """Return the layout of the zarr array in a folder.

    Raises
    ------
    FileNotFoundError
        If there are no metadata.
    ValueError
        If they are no whole JSON, or no array.
    """
    if (folder / "zarr.json").exists():
        return _version_3(json.loads((folder / "zarr.json").read_text(encoding="utf-8")))
    return _version_2(json.loads((folder / ".zarray").read_text(encoding="utf-8")))


def _version_2(values: dict[str, Any]) -> ZarrLayout:
    packer = values.get("compressor")
    known = packer is None or packer.get("id") in ("zlib", "gzip")
    is_plain = known and not values.get("filters") and values.get("order", "C") == "C"
    packing: Packing = "library"
    if is_plain:
        packing = "none" if packer is None else packer["id"]
    return ZarrLayout(
        tuple(values["shape"]), tuple(values["chunks"]), np.dtype(values["dtype"]),
        _fill(values.get("fill_value")), packing, "", values.get("dimension_separator", "."),
    )  # fmt: skip


def _version_3(values: dict[str, Any]) -> ZarrLayout:
    if values.get("node_type") != "array":
        raise ValueError(f"a zarr {values.get('node_type')}; need an array")
    encoding = values.get("chunk_key_encoding", {"name": "default"})
    is_default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
    codecs = values["codecs"]
    dtype = np.dtype(values["data_type"])
    packing: Packing = "library"
    if codecs and codecs[0]["name"] == "bytes" and len(codecs) <= 2:
        endian = codecs[0].get("configuration", {}).get("endian", "little")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
        if len(codecs) == 1:
            packing = "none"
        elif codecs[1]["name"] == "gzip":
            packing = "gzip"
    return ZarrLayout(
        tuple(values["shape"]), tuple(values["chunk_grid"]["configuration"]["chunk_shape"]),
        dtype, _fill(values.get("fill_value")), packing, f"c{separator}" if is_default else "",
        separator,
    )  # fmt: skip


def _fill(value: Any) -> float:
    return 0.0 if value is None else float(value)


class ZarrVisit:
    """The chunks of an array at one moment.

    Parameters
    ----------
    folder
        Of the array.
    layout
        Its metadata.
    broken
        Remembers chunks that can't be read.
    """

    leftover = 0

    def __init__(self, folder: Path, layout: ZarrLayout, broken: BrokenPlaces) -> None:
        self.folder = folder
        self.layout = layout
        self.broken = broken
        self.fill = layout.fill
        self.identity = repr((layout.shape[1:], layout.chunks, str(layout.dtype))).encode()
        self.lead = layout.shape[:-2]
        self.stored = int(np.prod(self.lead))

    def read(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Return the patterns in ascending places, shape ``(n, y, x)``."""
        layout = self.layout
        out = np.full((len(slots), *layout.shape[-2:]), layout.fill, layout.dtype.newbyteorder("="))
        where = np.stack(np.unravel_index(slots, self.lead), axis=1)
        chunks = np.array(layout.chunks[:-2])
        first, member = np.unique(where // chunks, axis=0, return_inverse=True)
        bad: list[int] = []
        for number, lead in enumerate(first.tolist()):
            mine = np.flatnonzero(member.ravel() == number)
            if not self._fill_in(out, mine, where[mine] % chunks, tuple(lead)):
                bad += slots[mine].tolist()
        if bad:
            raise BadPlacesError(np.array(sorted(bad)), "its chunk can't be read")
        return out

    def _fill_in(
        self,
        out: NDArray[Any],
        mine: NDArray[np.int64],
        inside: NDArray[np.int64],
        lead: tuple[int, ...],
    ) -> bool:
        """Copy the patterns of one chunk along the scan; False if it is broken for good."""
        height, width = out.shape[1:]
        rows, columns = self.layout.chunks[-2:]
        tiles = itertools.product(range(-(-height // rows)), range(-(-width // columns)))
        parts = []
        for tile in tiles:
            place = (*lead, *tile)
            try:
                chunk = read_chunk(self.folder, self.layout, place)
            except FileNotFoundError:
                return True  # not all of it is there yet
            except (OSError, ValueError, RuntimeError, EOFError, zlib.error) as error:
                logger.debug("chunk %s of %s: %s", place, self.folder, error)
                return not self.broken.is_hopeless(place, signature_of(self._file(place)))
            parts.append((tile, chunk))
        for (tile_row, tile_column), chunk in parts:
            y, x = tile_row * rows, tile_column * columns
            block = chunk[tuple(inside.T)]
            out[mine, y : y + rows, x : x + columns] = block[:, : height - y, : width - x]
        return True

    def _file(self, place: tuple[int, ...]) -> Path:
        return self.folder / self.layout.file_name(place)


def read_chunk(folder: Path, layout: ZarrLayout, place: tuple[int, ...]) -> NDArray[Any]:
    """Return a chunk of the array in a folder, in the shape of its chunks.

    Raises
    ------
    FileNotFoundError
        If it was not written.
    OSError, ValueError, RuntimeError, EOFError, zlib.error
        If it is not whole.
    """
    raw = (folder / layout.file_name(place)).read_bytes()
    if layout.packing == "library":
        return _by_library(folder, layout, place)
    if layout.packing != "none":
        raw = gzip.decompress(raw) if layout.packing == "gzip" else zlib.decompress(raw)
    expected = int(np.prod(layout.chunks)) * layout.dtype.itemsize
    if len(raw) != expected:
        raise ValueError(f"{len(raw)} bytes; need {expected}")
    return np.frombuffer(raw, dtype=layout.dtype).reshape(layout.chunks)


def _by_library(folder: Path, layout: ZarrLayout, place: tuple[int, ...]) -> NDArray[Any]:
    array: Any = _zarr(folder).open(str(folder), mode="r")
    region = tuple(
        slice(number * size, min((number + 1) * size, total))
        for number, size, total in zip(place, layout.chunks, layout.shape, strict=True)
    )
    part = np.asarray(array[layout.stored(region)])
    if layout.is_profiles:
        part = part[..., None, :]
    chunk = np.full(layout.chunks, layout.fill, dtype=layout.dtype)
    chunk[tuple(slice(size) for size in part.shape)] = part
    return chunk


class ZarrSource(SlotSource):
    """A growing zarr array of shape ``(n, y, x)`` or ``(scan_y, scan_x, y, x)``.

    Or one of powder profiles, ``(n, columns)`` or ``(scan_y, scan_x, columns)``, in a group that
    holds their axis too; see :mod:`napari_spacegroup.patterns.profile_maps`.

    Parameters
    ----------
    path
        Folder of the array, or of a group that holds it.
    dataset
        Name of the array in a group.
    told
        Wavelength, radiation, axis and `difc` of profiles, where the group does not say them.
    **options
        As for :class:`~napari_spacegroup.stream.slots.SlotSource`.

    Raises
    ------
    MissingPartError
        From ``poll``, if chunks are packed in a way that needs zarr, and it is not here.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dataset: str | None = None,
        told: ReadOptions | None = None,
        **options: Any,
    ) -> None:
        self.group = Path(path)
        self.told = replace(told or ReadOptions(), dataset=dataset)
        super().__init__(self.group / dataset if dataset else self.group, **options)

    def restart(self) -> None:
        """Forget everything and begin with whatever stands at the path now."""
        super().restart()
        self._broken = BrokenPlaces(self.settle_seconds, self._clock)
        self._profiles: ProfileMap | None = None
        self._has_looked = False

    def _visit(self) -> AbstractContextManager[ZarrVisit]:
        return self._opened()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[ZarrVisit]:
        folder = self._look_for_profiles()
        try:
            layout = read_layout(folder)
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(
                SourceState.DAMAGED, f"{folder} has no whole metadata of an array: {error}"
            ) from error
        if self._profiles is not None:
            layout = layout.of_profiles()
        if len(layout.shape) not in (3, 4) or len(layout.chunks) != len(layout.shape):
            raise SourceError(
                SourceState.DAMAGED,
                f"{folder} is an array of shape {layout.shape}; need (n, y, x) or (scan_y, "
                "scan_x, y, x), or powder profiles in a group with their axis.",
            )
        if layout.packing == "library":
            _zarr(folder)
        self._info = self._described(layout)
        yield ZarrVisit(folder, layout, self._broken)

    def _look_for_profiles(self) -> Path:
        """Return the folder of the array; of profiles, their axis is found first."""
        if self._profiles is not None:
            return self.group / self._profiles.name
        if self._has_looked or _node(self.group) == "array":
            return self.path
        from .zarr_profiles import find_zarr_profiles

        try:
            self._profiles = find_zarr_profiles(self.group, self.told)
        except ScanError as error:  # perhaps the axis is not written yet
            raise SourceError(SourceState.WAITING, str(error)) from error
        if self._profiles is not None:
            return self.group / self._profiles.name
        if _node(self.path) == "group":
            raise SourceError(
                SourceState.WAITING,
                f"{self.path} is a zarr group without powder profiles beside their axis; need "
                "these, or the name of the patterns (dataset).",
            )
        self._has_looked = _node(self.path) == "array"
        return self.path

    def _described(self, layout: ZarrLayout) -> ScanInfo:
        grid = self.asked_shape
        if len(layout.shape) == 4:
            grid = (layout.shape[0], layout.shape[1])
        total = layout.shape[0] if grid is None else self.order.length(grid)
        axis = None if self._profiles is None else self._profiles.axis
        return ScanInfo(
            (layout.shape[-2], layout.shape[-1]), layout.dtype.newbyteorder("="), grid, total,
            "unknown" if axis is None else "powder", axis=axis,
        )  # fmt: skip


def _node(folder: Path) -> str:
    """Return whether a folder says that it is an ``"array"`` or a ``"group"``; "" for neither."""
    for name, kind in ((".zarray", "array"), (".zgroup", "group")):
        if (folder / name).exists():
            return kind
    try:
        values = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(values.get("node_type", "")) if isinstance(values, dict) else ""


def _zarr(path: Path) -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise MissingPartError(
            f"The chunks of {path} are packed in a way that needs zarr, and zarr is not "
            "installed. Run: pip install zarr"
        ) from error
