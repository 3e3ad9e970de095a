"""A microscope that is not there: it writes a scan as fast as asked, and fails on demand.

The same object serves tests, which advance it pattern by pattern without any clock, and
the command ``napari-spacegroup microscope``, which runs it at a real rate.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..config import SimulatedMicroscopeSpec
from ..config.microscope import FaultSpec
from ..errors import ResultError
from ..jobs import CancelToken
from .order import ScanOrder
from .writers import ScanHeader, ScanWriter, writer_for

logger = logging.getLogger(__name__)

TICK = 0.01
"""Seconds between two writes at a real rate."""

PatternSupply = Callable[[int, int, int], NDArray[Any]]
"""Returns patterns ``start`` to ``stop`` in scan order of a generation (see restart)."""


class WrittenState(IntEnum):
    """What the simulated microscope did at a pixel."""

    NEVER = 0
    WHOLE = 1
    REPEATED = 2
    SKIPPED = 3
    GARBAGE = 4
    CUT = 5


@dataclass(frozen=True)
class MicroscopeReport:
    """What a run of the simulated microscope came to.

    Parameters
    ----------
    written
        Patterns written, those of a restarted scan included.
    seconds
        From the first to the last, pauses left out.
    is_finished
        Whether the scan ended as a whole.
    """

    written: int
    seconds: float
    is_finished: bool

    @property
    def rate(self) -> float:
        """Return patterns per second as they really came."""
        return self.written / self.seconds if self.seconds > 0 else 0.0


class SimulatedMicroscope:
    """Writes a scan step by step, with faults.

    Parameters
    ----------
    spec
        Scan, format, rate and faults.
    path
        What to write.
    supply
        The patterns, shape ``(n, detector_y, detector_x)``.
    dtype
        Type of a detector pixel.
    voltage
        Beam energy for the header [kV].
    background
        Static background for the header; a smooth one by default.
    """

    def __init__(
        self,
        spec: SimulatedMicroscopeSpec,
        path: str | Path,
        supply: PatternSupply,
        *,
        dtype: np.dtype[Any],
        voltage: float = 20.0,
        background: NDArray[Any] | None = None,
    ) -> None:
        self.spec = spec
        self.path = Path(path)
        self._supply = supply
        if background is None:
            line = np.arange(1, 1 + int(np.prod(spec.pattern_shape))) % 200
            background = line.reshape(spec.pattern_shape)
        header = ScanHeader(
            spec.scan_shape, spec.pattern_shape, np.dtype(dtype), spec.step, spec.pattern_center,
            spec.sample_tilt, voltage, background.astype(dtype),
        )  # fmt: skip
        self.writer: ScanWriter = writer_for(spec.format, self.path, header, is_swmr=spec.swmr)
        order = ScanOrder(spec.scan_order)
        self.pixels = order.pixel_of(np.arange(spec.n_patterns, dtype=np.int64), spec.scan_shape)
        self.state = np.zeros(spec.n_patterns, dtype=np.uint8)
        self.position = 0
        """Number of the next pattern of the scan."""
        self.generation = 0
        """How often the scan was begun anew."""
        self.written = 0
        """Patterns written in all."""
        self.pause_seconds = 0.0
        """How long the microscope wants to wait before the next :meth:`advance`."""
        self.is_over = False
        self.is_finished = False
        self._faults = sorted(spec.faults, key=lambda fault: fault.at)
        self._has_begun = False

    def begin(self) -> None:
        """Write the header.

        Raises
        ------
        ResultError
            If it can't be written.
        """
        try:
            self.writer.begin()
        except OSError as error:
            raise ResultError(
                f"could not write {self.path}: {error.strerror or error}; free some space or write "
                "elsewhere"
            ) from error
        self._has_begun = True

    def advance(self, count: int) -> int:
        """Write the next patterns; stops early at a pause and at the end.

        Parameters
        ----------
        count
            Most patterns to go on by; skipped ones count.

        Returns
        -------
        done
            By how many the scan went on.

        Raises
        ------
        ResultError
            If the disk refuses.
        """
        if not self._has_begun:
            self.begin()
        self.pause_seconds = 0.0
        done = 0
        try:
            while done < count and not self.is_over:
                fault = self._faults[0] if self._faults else None
                if fault is not None and fault.at == self.position:
                    self._faults.pop(0)
                    logger.info("%s: %s at pattern %d", self.path, fault.kind, fault.at)
                    done += self._fail(fault)
                    if fault.kind == "pause":
                        break
                    continue
                limit = self.spec.n_patterns if fault is None else fault.at
                stop = min(self.position + count - done, limit)
                done += stop - self.position
                self._write(self._supply(self.position, stop, self.generation), WrittenState.WHOLE)
                if self.position == self.spec.n_patterns:
                    self.is_over = self.is_finished = True
                    self.writer.close()
        except OSError as error:
            raise ResultError(
                f"could not write {self.path}: {error.strerror or error}; free some space or write "
                "elsewhere"
            ) from error
        return done

    def run(
        self,
        cancel: CancelToken | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> MicroscopeReport:
        """Write the whole scan at the rate of the spec.

        Parameters
        ----------
        cancel
            Ends the scan where it stands.
        on_progress
            Called with the position and the size of the scan.
        """
        cancel = cancel or CancelToken()
        wake = threading.Event()
        forget = cancel.on_cancel(wake.set)
        if not self._has_begun:
            self.begin()
        begun = time.perf_counter()
        idle, went = 0.0, 0
        try:
            while not self.is_over and not cancel.is_cancelled:
                due = int((time.perf_counter() - begun - idle) * self.spec.rate) + 1 - went
                went += self.advance(due) if due > 0 else 0
                if on_progress is not None:
                    on_progress(self.position, self.spec.n_patterns)
                if self.pause_seconds:
                    wake.wait(self.pause_seconds)
                    idle += self.pause_seconds
                    self.pause_seconds = 0.0
                elif not self.is_over:
                    wake.wait(TICK)
        finally:
            forget()
            self.writer.close()
        seconds = time.perf_counter() - begun - idle
        return MicroscopeReport(self.written, seconds, self.is_finished)

    def start(self, cancel: CancelToken | None = None) -> threading.Thread:
        """Run on a thread of its own, which is returned; cancel and join it to end."""
        thread = threading.Thread(target=self.run, args=(cancel,), name="microscope", daemon=True)
        thread.start()
        return thread

    def _next(self, count: int) -> NDArray[np.int64]:
        return self.pixels[self.position : self.position + count]

    def _write(self, patterns: NDArray[Any], state: WrittenState) -> None:
        pixels = self._next(len(patterns))
        if len(pixels):
            self.writer.write(pixels, patterns)
        self.state[pixels] = state
        self.position += len(pixels)
        self.written += len(pixels)

    def _fail(self, fault: FaultSpec) -> int:
        """Do one fault; return by how many patterns the scan went on."""
        before = self.position
        count = min(fault.count, self.spec.n_patterns - before)
        if fault.kind == "pause":
            self.pause_seconds = fault.seconds
        elif fault.kind == "stop":
            self._end()
        elif fault.kind == "truncate":
            pixel = int(self._next(1)[0])
            self.writer.cut(pixel, self._supply(before, before + 1, self.generation)[0])
            self.state[pixel] = WrittenState.CUT
            self._end()
        elif fault.kind == "repeat":
            one = self._supply(before - 1, before, self.generation)
            self._write(np.repeat(one, count, axis=0), WrittenState.REPEATED)
        elif fault.kind == "skip":
            pixels = self._next(count)
            self.writer.skip(pixels)
            self.state[pixels] = WrittenState.SKIPPED
            self.position += count
        elif fault.kind == "restart":
            self.writer.begin()
            self.generation += 1
            self.position = 0
            self.state[:] = WrittenState.NEVER
            return 0
        elif fault.kind == "delete":
            self.writer.delete()
            self.state[:] = WrittenState.NEVER
            self._end()
        else:
            self._spoil(count)
        if self.position == self.spec.n_patterns:
            self.is_finished = True
            self._end()
        return self.position - before

    def _spoil(self, count: int) -> None:
        random = np.random.default_rng([self.spec.seed, self.position])
        size = int(np.prod(self.spec.pattern_shape)) * self.writer.header.dtype.itemsize
        for pixel in self._next(count).tolist():
            self.writer.spoil(pixel, random.bytes(size))
            self.state[pixel] = WrittenState.GARBAGE
        self.position += count
        self.written += count

    def _end(self) -> None:
        self.is_over = True
        self.writer.close()


def save_truth(path: str | Path, microscope: SimulatedMicroscope, fields: dict[str, Any]) -> None:
    """Write what is known of a simulated scan to an HDF5 file.

    Parameters
    ----------
    path
        The file, replaced if it exists.
    microscope
        What was written where (dataset ``state``, see :class:`WrittenState`).
    fields
        Datasets to add, and attributes where the value is a text.

    Raises
    ------
    ResultError
        If it can't be written.
    """
    import h5py

    spec = microscope.spec
    try:
        with h5py.File(path, "w") as file:
            file.attrs["format"] = "napari-spacegroup truth"
            file.attrs["format_version"] = 1
            file.attrs["version"] = __version__
            file.attrs["spec"] = json.dumps(spec.model_dump(mode="json"))
            file.attrs["restarts"] = microscope.generation
            file.attrs["states"] = json.dumps({s.name.lower(): int(s) for s in WrittenState})
            file["state"] = microscope.state.reshape(spec.scan_shape)
            file["pattern_center"] = np.array(spec.pattern_center)
            for name, value in fields.items():
                if isinstance(value, str):
                    file.attrs[name] = value
                else:
                    file[name] = value
    except OSError as error:
        raise ResultError(
            f"could not write {path}: {error.strerror or error}; free some space or write elsewhere"
        ) from error
