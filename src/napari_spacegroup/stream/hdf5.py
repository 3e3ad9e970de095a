"""Growing HDF5 files: written with SWMR, or opened and closed again by their writer.

The file is opened for each poll and never held, so that a writer which opens it for
every batch is not locked out. Headers are read by the vendors' readers of
:mod:`napari_spacegroup.patterns`, from a small twin of the file without its patterns:
those readers open files themselves, and can't do so under SWMR.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..patterns.options import ReadOptions
from ..patterns.profile_maps import find_profiles_hdf5
from ..patterns.source import read_grid
from ..patterns.storage import ProfileRows
from ..patterns.vendor import EMSOFT_PATTERNS, PATTERN_NAMES, manufacturer_of
from .slots import SlotSource
from .source import ScanInfo, SourceError, SourceState
from .visit import BadPlacesError, BrokenPlaces, runs

logger = logging.getLogger(__name__)

TWIN_BYTES = 64 * 2**20
"""Largest dataset that is copied into the twin; larger ones are patterns or images."""

UNREADABLE = (OSError, RuntimeError, KeyError, ValueError)
"""What h5py raises on files that are being written, or broken."""


@dataclass(frozen=True, eq=False)
class Hdf5Layout:
    """Which dataset holds the patterns.

    Parameters
    ----------
    dataset
        Its name.
    pixels
        Pixel of each stored pattern, -1 for none, shape ``(n,)``; None if they lie row
        by row.
    is_fixed
        Whether the header says how large the scan is; else the dataset does.
    is_profiles
        Whether it holds powder profiles, which have no rows.
    """

    dataset: str
    pixels: NDArray[np.int64] | None = None
    is_fixed: bool = False
    is_profiles: bool = False

    def of(self, file: h5py.File) -> Any:
        """Return the dataset, profiles with a single row."""
        dataset = file[self.dataset]
        return ProfileRows(dataset) if self.is_profiles else dataset


class Hdf5Visit:
    """A dataset of an open file.

    Parameters
    ----------
    dataset
        Of h5py, shape ``(n, y, x)`` or ``(scan_y, scan_x, y, x)``.
    broken
        Remembers places that can't be read.
    """

    leftover = 0

    def __init__(self, dataset: Any, broken: BrokenPlaces) -> None:
        self.dataset = dataset
        shape = dataset.shape
        self.columns = shape[1] if len(shape) == 4 else 0
        self.stored = int(shape[0] * (self.columns or 1))
        self.pattern_shape = (int(shape[-2]), int(shape[-1]))
        self.dtype = dataset.dtype.newbyteorder("=")
        self.fill = float(dataset.fillvalue)
        self.broken = broken
        self.identity = repr((dataset.name, shape[1:], str(dataset.dtype))).encode()

    def read(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """Return the patterns in ascending places, shape ``(n, y, x)``."""
        out = np.full((len(slots), *self.pattern_shape), self.fill, dtype=self.dtype)
        bad: list[int] = []
        for at, start, stop in runs(slots):
            try:
                out[at : at + stop - start] = self._block(start, stop)
            except UNREADABLE as error:
                logger.debug("patterns %d to %d: %s", start, stop, error)
                for slot in range(start, stop):
                    try:
                        out[at + slot - start] = self._block(slot, slot + 1)[0]
                    except UNREADABLE:
                        if self.broken.is_hopeless(slot, None):
                            bad.append(slot)
        if bad:
            raise BadPlacesError(np.array(bad), "its chunk in the file can't be read")
        return out

    def _block(self, start: int, stop: int) -> NDArray[Any]:
        if self.columns:
            return read_grid(self.dataset, self.columns, start, stop)
        block: NDArray[Any] = self.dataset[start:stop]
        return block


class Hdf5Source(SlotSource):
    """A growing HDF5 file of kikuchipy, EDAX, Bruker, Oxford, EMsoft, or of your own.

    Powder profiles beside their axis are found in it; see
    :mod:`napari_spacegroup.patterns.profile_maps`.

    Parameters
    ----------
    path
        The file.
    dataset
        Name of the patterns in a file of no known vendor, shape ``(n, y, x)`` or
        ``(scan_y, scan_x, y, x)``, or of profiles; its first axis may grow.
    told
        Wavelength, radiation, axis and `difc` of profiles, where the file does not say them.
    ignores_locks
        Whether to read a file that another program holds open for writing without SWMR.
        HDF5 does not promise that such a read finds anything sensible; patterns are
        believed only after the writer passed them, and errors are retried.
    **options
        As for :class:`~napari_spacegroup.stream.slots.SlotSource`.
    """

    _layout: Hdf5Layout | None = None

    def __init__(
        self,
        path: str | Path,
        *,
        dataset: str | None = None,
        ignores_locks: bool = False,
        told: ReadOptions | None = None,
        **options: Any,
    ) -> None:
        self.dataset = dataset
        self.told = replace(told or ReadOptions(), dataset=dataset)
        self.ignores_locks = ignores_locks
        super().__init__(path, **options)

    def restart(self) -> None:
        """Forget everything and begin with whatever stands at the path now."""
        super().restart()
        self._layout = None
        self._broken = BrokenPlaces(self.settle_seconds, self._clock)

    def _visit(self) -> AbstractContextManager[Hdf5Visit]:
        return self._opened()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Hdf5Visit]:
        file = self._open_file()
        try:
            try:
                if self._layout is None:
                    self._layout, self._info = self._begin(file)
                dataset = self._layout.of(file)
                visit = Hdf5Visit(dataset, self._broken)
                if self._info is not None and not self._layout.is_fixed:
                    self._info = _grown(self._info, dataset, self.asked_shape)
            except UNREADABLE as error:
                raise self._unreadable(error) from error
            yield visit
        finally:
            with contextlib.suppress(*UNREADABLE):
                file.close()

    def _open_file(self) -> h5py.File:
        locking = False if self.ignores_locks else None
        try:
            return h5py.File(self.path, "r", swmr=has_swmr_writer(self.path), locking=locking)
        except FileNotFoundError:
            raise
        except BlockingIOError as error:
            raise SourceError(
                SourceState.WAITING if self._info is None else SourceState.IDLE,
                f"another program holds {self.path} open for writing; waiting until it lets go. "
                "Let it write with SWMR, or follow with ignores_locks.",
            ) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> SourceError:
        words = str(error).strip("'\"") or type(error).__name__
        return SourceError(
            SourceState.DAMAGED,
            f"{self.path} can't be read ({words}); it may be in the middle of a write. The "
            f"{self._ledger.delivered} patterns that had arrived stay valid.",
        )

    def _pixels(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        pixels = None if self._layout is None else self._layout.pixels
        if pixels is None:
            return slots
        return np.where(slots < len(pixels), pixels[np.minimum(slots, len(pixels) - 1)], -1)

    def _begin(self, file: h5py.File) -> tuple[Hdf5Layout, ScanInfo]:
        manufacturer = manufacturer_of(file)
        is_known = manufacturer in PATTERN_NAMES or manufacturer == "emsoft"
        if self.dataset is None and is_known:
            return self._begin_vendor(file, manufacturer)
        profiles = self._profiles(file)
        if profiles is not None:
            return profiles
        name = self.dataset
        if name is None or not isinstance(file.get(name), h5py.Dataset):
            raise SourceError(
                SourceState.WAITING,
                f"{self.path} names no vendor and has "
                f"{'no dataset ' + repr(name) if name else 'no header'} yet; need a file of "
                "kikuchipy, EDAX, Bruker, Oxford or EMsoft, powder profiles beside their axis, or "
                "the name of the patterns (dataset).",
            )
        dataset = file[name]
        if len(dataset.shape) not in (3, 4) or dataset.dtype.kind not in "uif":
            raise SourceError(
                SourceState.DAMAGED,
                f"{self.path} holds {dataset.dtype} of shape {dataset.shape} in {name!r}; need "
                "numbers of shape (n, y, x) or (scan_y, scan_x, y, x).",
            )
        shape = (int(dataset.shape[-2]), int(dataset.shape[-1]))
        info = ScanInfo(shape, dataset.dtype.newbyteorder("="), self.asked_shape)
        return Hdf5Layout(name), info

    def _begin_vendor(self, file: h5py.File, manufacturer: str) -> tuple[Hdf5Layout, ScanInfo]:
        from ..patterns.read import read

        with tempfile.TemporaryDirectory(prefix="napari-spacegroup-") as folder:
            twin = Path(folder, self.path.name)
            _write_twin(file, twin, manufacturer)
            try:
                scan = read(twin, mask=None)
            except ScanError as error:
                logger.debug("%s: %s", self.path, error)
                words = str(error).replace(str(twin), str(self.path))
                raise SourceError(SourceState.WAITING, f"no whole header yet: {words}") from error
            source: Any = scan.source
            dataset, order = source.array.dataset, source.order
            source.array.close()
        pixels = None
        if order is not None:
            pixels = np.full(len(file[dataset]), -1, dtype=np.int64)
            pixels[order[order >= 0]] = np.flatnonzero(order >= 0)
        info = ScanInfo(
            scan.pattern_shape, scan.dtype, scan.scan_shape, self.order.length(scan.scan_shape),
            scan.technique, scan.step, scan.step_unit, scan.static_background, scan.geometry,
        )  # fmt: skip
        return Hdf5Layout(dataset, pixels, is_fixed=True), info

    def _profiles(self, file: h5py.File) -> tuple[Hdf5Layout, ScanInfo] | None:
        """Return where powder profiles lie in a file, None if it holds none."""
        try:
            found = find_profiles_hdf5(file, self.told, str(self.path))
        except ScanError as error:  # perhaps the axis is not written yet
            raise SourceError(SourceState.WAITING, str(error)) from error
        if found is None:
            return None
        dtype, columns = file[found.name].dtype.newbyteorder("="), len(found.axis.values)
        info = ScanInfo(
            (1, columns), dtype, self.asked_shape, technique="powder", axis=found.axis
        )  # fmt: skip
        return Hdf5Layout(found.name, is_profiles=True), info


def has_swmr_writer(path: Path) -> bool:
    """Return whether a file is being written with SWMR.

    Such a file must be opened with SWMR, and no other should be: HDF5 does not notice
    then that a file was cut off, and reads zeros beyond its end.

    Raises
    ------
    OSError
        If it is, and shorter than it says: a copy that is still under way.

    References
    ----------
    HDF5 file format specification 3.0, section II.A: byte 11 of a superblock of version
    2 or 3 holds the consistency flags, bit 2 of which is the SWMR
    writer's, and bytes 28 to 35 the length of the file.
    """
    with path.open("rb") as file:
        head = file.read(48)
        size = os.fstat(file.fileno()).st_size
    if len(head) < 12 or head[:8] != b"\x89HDF\r\n\x1a\n" or head[8] < 2:
        return False
    if not head[11] & 0x04:
        return False
    # HDF5 tries for minutes to make sense of what is not there, so ask first.
    (end,) = struct.unpack_from("<Q", head.ljust(48, b"\0"), 28)
    if len(head) < 48 or (head[9] == 8 and size < end):
        raise OSError(f"{size} of {end} bytes are there")
    return True


def _grown(info: ScanInfo, dataset: Any, asked_shape: tuple[int, int] | None) -> ScanInfo:
    """Return what a dataset of no vendor says about the size of the scan now."""
    rows, is_open = int(dataset.shape[0]), dataset.maxshape[0] != dataset.shape[0]
    if len(dataset.shape) == 4:
        columns = int(dataset.shape[1])
        return replace(
            info, scan_shape=(rows, columns), n_patterns=None if is_open else rows * columns
        )
    if asked_shape is not None:
        return replace(info, n_patterns=asked_shape[0] * asked_shape[1])
    return replace(info, n_patterns=None if is_open else rows)


def _write_twin(file: h5py.File, path: Path, manufacturer: str) -> None:
    """Write everything but the patterns to another file; of these, only their shape."""
    names = {*PATTERN_NAMES.get(manufacturer, ()), EMSOFT_PATTERNS.rsplit("/", 1)[-1]}

    def copy(group: h5py.Group, target: h5py.Group) -> None:
        for key, value in group.attrs.items():
            target.attrs[key] = value
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                copy(item, target.create_group(name))
            elif name in names or item.nbytes > TWIN_BYTES:
                if 0 in item.shape:
                    raise ValueError(f"{item.name} holds no pattern yet")
                # Data in another file, which need not be there: only the shape is read.
                elsewhere = [("patterns.raw", 0, h5py.h5f.UNLIMITED)]
                target.create_dataset(name, item.shape, item.dtype, external=elsewhere)
            else:
                file.copy(item, target, name)

    with h5py.File(path, "w") as twin:
        copy(file, twin)
