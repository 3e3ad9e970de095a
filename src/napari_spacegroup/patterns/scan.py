"""A scan: patterns on a grid, with what the file knows about them.

Readers make a :class:`PatternScan`, every verb takes one. It holds no patterns: `data`
is a lazy view for display, :meth:`PatternScan.batches` streams for work.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from .calibrated import calibrated
from .checks import check_scan
from .fingerprint import scan_fingerprint
from .geometry import Geometry
from .mask import detect_mask
from .source import (
    SLAB_BYTES,
    CroppedSource,
    DaskSource,
    PatternSource,
    as_dask,
    let_go,
    source_of,
)

if TYPE_CHECKING:
    from ..config import CalibrationSpec
    from ..imaging import ProfileAxis

logger = logging.getLogger(__name__)

Technique = Literal["ebsd", "sad", "powder", "unknown"]


@dataclass(frozen=True, eq=False)
class PatternScan:
    """Diffraction patterns on a scan grid; see :func:`~.read.read` and :meth:`from_array`.

    Parameters
    ----------
    data
        Lazy, shape ``(scan_y, scan_x, detector_y, detector_x)``.
    name
        What to call it.
    technique
        How the patterns were made, as far as the source says.
    step
        (y, x) distance of scan pixels in `step_unit`, or None where it is unknown.
    step_unit
        ``"um"``, ``"nm"``, ... or ``""``.
    static_background
        Shape ``(detector_y, detector_x)``, or None.
    geometry
        Detector geometry, or None where the pattern center is unknown.
    path
        File or folder that the patterns come from.
    mask
        Shape ``(detector_y, detector_x)``, True inside the screen; None for all of it.
    metadata
        What else the file says: ``reader``, ``voltage`` [kV], ``scan_names`` and so on.
    present
        Shape ``(scan_y, scan_x)``, False where the file does not hold the pattern yet
        or any more (an interrupted scan); None if all are there.
    source
        Where batches are read; made from `data` if not given.
    navigation
        Overview image that the file brings along, shape ``(scan_y, scan_x)``.
    axis
        What the columns of powder profiles stand for; None for pictures.
    calibration
        Of spot patterns: center, camera constant and elliptic distortion, as far as they are
        known; None for nothing. See :meth:`with_calibration`.

    Raises
    ------
    ScanError
        If an array has the wrong shape or type, or there are no patterns.
    """

    data: da.Array
    name: str = "scan"
    technique: Technique = "unknown"
    step: tuple[float, float] | None = None
    step_unit: str = ""
    static_background: NDArray[Any] | None = None
    geometry: Geometry | None = None
    path: Path | None = None
    mask: NDArray[np.bool_] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    present: NDArray[np.bool_] | None = None
    source: PatternSource | None = field(default=None, repr=False)
    navigation: NDArray[Any] | None = field(default=None, repr=False)
    axis: ProfileAxis | None = field(default=None, repr=False)
    calibration: CalibrationSpec | None = None

    def __post_init__(self) -> None:
        """Check shapes and types; nothing is read."""
        check_scan(self)
        if self.source is None:
            object.__setattr__(self, "source", DaskSource(self.data))

    @property
    def scan_shape(self) -> tuple[int, int]:
        """Return (scan_y, scan_x)."""
        return (int(self.data.shape[0]), int(self.data.shape[1]))

    @property
    def pattern_shape(self) -> tuple[int, int]:
        """Return (detector_y, detector_x)."""
        return (int(self.data.shape[2]), int(self.data.shape[3]))

    @property
    def n_patterns(self) -> int:
        """Return the number of scan pixels."""
        return self.scan_shape[0] * self.scan_shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of one detector pixel."""
        return self._source.dtype

    @property
    def _source(self) -> PatternSource:
        if self.source is None:  # __post_init__ sets it
            raise ScanError(f"The scan {self.name!r} has no source; build it with from_array.")
        return self.source

    def pattern(self, y: int, x: int) -> NDArray[Any]:
        """Return one pattern, shape ``(detector_y, detector_x)``.

        Raises
        ------
        ScanError
            If the pixel is outside the scan.
        """
        scan_y, scan_x = self.scan_shape
        if not (0 <= y < scan_y and 0 <= x < scan_x):
            raise ScanError(
                f"Pixel (y, x) = ({y}, {x}) is outside the scan {self.name!r} of {scan_y} x "
                f"{scan_x}; need 0 <= y < {scan_y} and 0 <= x < {scan_x}."
            )
        index = y * scan_x + x
        pattern: NDArray[Any] = self._read(index, index + 1)[0]
        return pattern

    def batches(
        self, size: int, *, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Stream patterns in row-major order, in constant memory.

        Storage is read in whole chunks where they fit in 64 MiB, so that no chunk is
        unpacked twice.

        Parameters
        ----------
        size
            Patterns per batch; the last one may be shorter.
        start, stop
            Flat indices of the first pattern and after the last one; all by default.

        Yields
        ------
        start
            Flat index of the first pattern.
        patterns
            Shape ``(n, detector_y, detector_x)``, as stored. Patterns that are not
            `present` are 0 or NaN.

        Raises
        ------
        ScanError
            If the size is not positive, or the file can't be read any more.
        """
        if size < 1:
            raise ScanError(f"Batches of {size} patterns; need at least 1.")
        source = self._source
        total = self.n_patterns if stop is None else min(stop, self.n_patterns)
        pattern_bytes = max(1, int(np.prod(self.pattern_shape)) * source.dtype.itemsize)
        unit = source.granularity
        slab = max(1, SLAB_BYTES // 4 // pattern_bytes)
        if unit * pattern_bytes <= 4 * SLAB_BYTES:
            slab = max(unit, slab // unit * unit)
        position = start
        pending = np.empty((0, *self.pattern_shape), dtype=source.dtype)
        while position < total:
            # Slabs end where they would if everything were read.
            end = min(total, (position // slab + 1) * slab)
            block = self._read(position, end)
            pending = np.concatenate([pending, block]) if len(pending) else block
            position = end
            whole = len(pending) if position >= total else len(pending) // size * size
            for i in range(0, whole, size):
                batch = pending[i : min(i + size, whole)]
                yield start, batch
                start += len(batch)
            # A copy, so that the remainder does not keep the whole slab alive.
            pending = pending[whole:].copy()

    def let_go(self) -> None:
        """Close the file; the next read opens it again and sees what stands there then."""
        let_go(self._source)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        try:
            return self._source.read(start, stop)
        except (OSError, EOFError, KeyError, ValueError) as error:
            if isinstance(error, ScanError):
                raise
            raise ScanError(
                f"Patterns {start} to {stop} of {self.name!r} can't be read from "
                f"{self.path or 'the array'}: {error}. Need the file unchanged and complete; "
                "check the disk, then open the scan again."
            ) from error

    def navigation_image(self) -> NDArray[np.float32]:
        """Return the mean intensity of every pattern, shape ``(scan_y, scan_x)``.

        Streams the whole scan unless the file brings an overview image along. Counts
        pixels inside the mask only; NaN where a pattern is not present.
        """
        if self.navigation is not None:
            return np.asarray(self.navigation, dtype=np.float32)
        out = np.full(self.n_patterns, np.nan, dtype=np.float32)
        for start, means in self.navigation_blocks():
            out[start : start + len(means)] = means
        return out.reshape(self.scan_shape)

    def navigation_blocks(self, size: int = 1024) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Stream the navigation image: flat start index and mean intensities.

        For callers that show progress or cancel; :meth:`navigation_image` is the sum.
        """
        present = None if self.present is None else self.present.ravel()
        for start, patterns in self.batches(size):
            flat = patterns.reshape(len(patterns), -1)
            if self.mask is not None:
                flat = flat[:, self.mask.ravel()]
            means = flat.mean(axis=1, dtype=np.float64).astype(np.float32)
            if present is not None:
                means[~present[start : start + len(means)]] = np.nan
            yield start, means

    def sample(self, count: int) -> NDArray[Any]:
        """Return at most `count` present patterns spread over the scan, shape (n, y, x)."""
        candidates = np.arange(self.n_patterns)
        if self.present is not None:
            candidates = candidates[self.present.ravel()]
        if len(candidates) == 0:
            return np.empty((0, *self.pattern_shape), dtype=self.dtype)
        picks = np.unique(np.linspace(0, len(candidates) - 1, count).round().astype(int))
        return np.concatenate([self._read(i, i + 1) for i in candidates[picks].tolist()])

    def detect_mask(self) -> NDArray[np.bool_] | None:
        """Return the round screen that the patterns show, or None if it fills the frame.

        Looks at the static background, else at 24 patterns spread over the scan.
        """
        if self.axis is not None:
            return None
        if self.static_background is not None:
            found = detect_mask(self.static_background)
            if found is not None:
                return found
        return detect_mask(self.sample(24))

    def crop(self, y0: int, y1: int, x0: int, x1: int) -> PatternScan:
        """Return a rectangle of the scan, rows `y0` to `y1`, columns `x0` to `x1`.

        Raises
        ------
        ScanError
            If the rectangle is empty or leaves the scan.
        """
        scan_y, scan_x = self.scan_shape
        if not (0 <= y0 < y1 <= scan_y and 0 <= x0 < x1 <= scan_x):
            raise ScanError(
                f"Crop y {y0}:{y1}, x {x0}:{x1} of the scan {self.name!r} of {scan_y} x {scan_x}; "
                "need a rectangle of at least one pixel inside it."
            )
        window = (slice(y0, y1), slice(x0, x1))
        before = self.metadata.get("crop", (0, 0, 0, 0))
        absolute = (y0 + before[0], y1 + before[0], x0 + before[2], x1 + before[2])
        return replace(
            self,
            data=self.data[window],
            source=CroppedSource(self._source, y0, y1, x0, x1),
            geometry=None if self.geometry is None else self.geometry.crop(y0, y1, x0, x1),
            present=None if self.present is None else self.present[window],
            navigation=None if self.navigation is None else self.navigation[window],
            metadata={**self.metadata, "crop": absolute},
        )

    def fingerprint(self) -> str:
        """Return a cheap hash of the scan, 32 hexadecimal digits.

        Covers path, size and time of the file, shape, type, and the first and last
        pattern; not every pattern, so it tells files apart but is no proof of integrity.
        """
        return scan_fingerprint(self)

    def with_calibration(
        self, calibration: CalibrationSpec | None = None, **changes: Any
    ) -> PatternScan:
        """Return the scan with another calibration of its spot patterns.

        Parameters
        ----------
        calibration
            Instead of the present one; None changes that one.
        **changes
            Fields of :class:`~napari_spacegroup.config.CalibrationSpec`: `center`,
            `camera_constant`, `ellipse`.

        Raises
        ------
        SpecError
            If a value makes no sense.
        ScanError
            If the center lies far beyond the patterns.

        Examples
        --------
        >>> scan = scan.with_calibration(center=(131.0, 120.5))  # doctest: +SKIP
        """
        return replace(self, calibration=calibrated(self.calibration, calibration, changes))

    @classmethod
    def from_source(cls, source: PatternSource, **fields: Any) -> PatternScan:
        """Return a scan of a source; `fields` are those of the class."""
        if 0 in source.shape:
            raise ScanError(
                f"{fields.get('name', 'The scan')} has shape {source.shape}: zero patterns; need "
                "at least one. Check that the scan was saved."
            )
        return cls(data=as_dask(source), source=source, **fields)

    @classmethod
    def from_array(
        cls,
        array: Any,
        *,
        name: str | None = None,
        scan_size: Sequence[int] | None = None,
        **fields: Any,
    ) -> PatternScan:
        """Return a scan of patterns that are already an array.

        Parameters
        ----------
        array
            Shape ``(y, x)`` of one detector frame, ``(n, y, x)`` or ``(scan_y, scan_x,
            y, x)``: numpy, dask, zarr, an HDF5 dataset; or a napari Image layer, a
            hyperspy or kikuchipy signal (their steps, units and geometry are kept), or
            a PatternScan, which comes back.
        name
            What to call it; a layer or signal has a name already.
        scan_size
            (scan_y, scan_x) of a stack of n patterns; without it a stack is one line.
        **fields
            Other fields of the class, such as `step` or `mask`.

        Returns
        -------
        scan
            Nothing is read or computed.

        Raises
        ------
        ScanError
            If this is not an array of patterns.
        """
        from .convert import array_and_fields

        if isinstance(array, PatternScan):
            named = fields if name is None else {**fields, "name": name}
            return replace(array, **named) if named else array
        values, found = array_and_fields(array)
        if isinstance(values, PatternScan):
            return cls.from_array(values, name=name, **fields)
        merged: dict[str, Any] = {"name": "array", **found, **fields}
        if name is not None:
            merged["name"] = name
        return cls.from_source(source_of(values, scan_size, merged["name"]), **merged)
