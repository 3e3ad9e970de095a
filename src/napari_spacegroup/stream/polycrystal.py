"""The sample of the simulated microscope: grains of known symmetry and their patterns.

Patterns are drawn by the projector of :mod:`napari_spacegroup.simulate`, so that a truth
file and a model speak of the same geometry.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import DynamicalSpec, KinematicSpec, SimulatedMicroscopeSpec
from ..crystal.orientations import random_orientations
from ..crystal.phase import Phase
from ..errors import PhaseError

if TYPE_CHECKING:
    from ..simulate.masters import MasterPattern

BLOCK = 256
"""Patterns that are drawn at a time; each block has random numbers of its own."""

PREPARED_BYTES = 512 * 2**20
"""Most patterns that are drawn before the clock starts."""


@dataclass(frozen=True, eq=False)
class Polycrystal:
    """Grains on a scan grid.

    Parameters
    ----------
    grain
        Number of the grain at each pixel, shape ``(scan_y, scan_x)``.
    phase_of_grain
        Number of the phase of each grain, shape ``(grain,)``.
    orientations
        Sample-to-crystal rotation of each grain as a unit quaternion, scalar first,
        shape ``(grain, 4)``.
    """

    grain: NDArray[np.int32]
    phase_of_grain: NDArray[np.int32]
    orientations: NDArray[np.float64]

    @property
    def phase(self) -> NDArray[np.int32]:
        """Return the number of the phase at each pixel, shape ``(scan_y, scan_x)``."""
        return self.phase_of_grain[self.grain]


def grow_polycrystal(
    scan_shape: tuple[int, int], grains: int, phases: int, seed: int
) -> Polycrystal:
    """Return Voronoi grains with random orientations.

    Every phase gets its share of the grains: the first ``phases`` grains have one each.

    Parameters
    ----------
    scan_shape
        (scan_y, scan_x).
    grains
        Number of Voronoi centers; a tiny scan may not show all of them.
    phases
        Number of phases to distribute.
    seed
        Of all random numbers.
    """
    from scipy.spatial import cKDTree

    random = np.random.default_rng(seed)
    centers = random.uniform((0, 0), scan_shape, (grains, 2))
    y, x = np.mgrid[: scan_shape[0], : scan_shape[1]]
    _, nearest = cKDTree(centers).query(np.stack([y.ravel(), x.ravel()], axis=1))
    order = np.arange(grains) % phases
    return Polycrystal(
        np.asarray(nearest, dtype=np.int32).reshape(scan_shape),
        random.permutation(order).astype(np.int32),
        random_orientations(grains, random),
    )


def quick_master_spec(voltage: float = 20.0) -> DynamicalSpec | KinematicSpec:
    """Return the spec of master patterns that are good enough to look like a measurement.

    Coarser than what training uses: seconds per phase instead of minutes.
    """
    if importlib.util.find_spec("de_ebsd") is None:
        return KinematicSpec(voltage=voltage, half_size=100)
    return DynamicalSpec(
        voltage=voltage, d_min=0.7, half_size=75, energy_bins=1, electrons=5000, max_strong=30
    )


def read_phases(paths: Sequence[Path]) -> list[Phase]:
    """Return the phases of CIF files and of folders of them.

    Raises
    ------
    PhaseError
        If a folder holds no CIF file, or one can't be read.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.cif")) if path.is_dir() else [path]
        if not found:
            raise PhaseError(f"no CIF file in {path}; give a folder with one CIF per phase")
        files += found
    return [Phase.from_cif(file) for file in files]


class PatternMaker:
    """Draws the patterns of a polycrystal, the same ones every time.

    Parameters
    ----------
    spec
        Camera, noise and seed.
    crystal
        The sample.
    masters
        Master pattern of each phase.
    """

    def __init__(
        self, spec: SimulatedMicroscopeSpec, crystal: Polycrystal, masters: Sequence[MasterPattern]
    ) -> None:
        import torch

        self.spec = spec
        self.crystal = crystal
        wished = spec.device
        if wished == "auto":
            wished = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(wished)
        self._sheets = []
        for master in masters:
            # One hemisphere is enough where the other is its inverse.
            sheets = master.weighted()[: 1 if master.is_centrosymmetric else 2]
            self._sheets.append(torch.as_tensor(sheets, device=self._device)[None])
        self._is_wide = spec.format == "up2"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of a detector pixel: 16 bits for up2, else 8."""
        return np.dtype(np.uint16 if self._is_wide else np.uint8)

    def background(self) -> NDArray[np.float32]:
        """Return the smooth background, shape ``pattern_shape``, about 1 high."""
        rows, columns = self.spec.pattern_shape
        y = (np.arange(rows) + 0.5) / rows - self.spec.pattern_center[1]
        x = (np.arange(columns) + 0.5) / columns - self.spec.pattern_center[0]
        hill = np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 0.35**2))
        return (2 * hill - 1).astype(np.float32)

    def static_background(self) -> NDArray[Any]:
        """Return what the camera sees without diffraction, as it would store it."""
        return self._stored(self.spec.background * self.background())

    def __call__(self, pixels: NDArray[np.int64], seed: tuple[int, ...]) -> NDArray[Any]:
        """Return patterns of scan pixels.

        Parameters
        ----------
        pixels
            Row-major, shape ``(n,)``.
        seed
            Decides the noise.

        Returns
        -------
        patterns
            Shape ``(n, detector_y, detector_x)``, uint8 or uint16.
        """
        import torch

        from ..simulate.detector import blur_normalised, standardise
        from ..simulate.projector import DetectorGeometry, project

        spec = self.spec
        out = np.empty((len(pixels), *spec.pattern_shape), dtype=np.float32)
        grain = self.crystal.grain.ravel()[pixels]
        phase = self.crystal.phase_of_grain[grain]
        for number in np.unique(phase):
            mine = np.flatnonzero(phase == number)
            grains, member = np.unique(grain[mine], return_inverse=True)
            # The pattern of a grain is the same everywhere but for its noise.
            geometry = DetectorGeometry.fixed(
                spec.pattern_shape, spec.pattern_center, sample_tilt=spec.sample_tilt,
                count=len(grains), device=self._device,
            )  # fmt: skip
            rotations = torch.as_tensor(
                self.crystal.orientations[grains], dtype=torch.float32, device=self._device
            )
            images = project(self._sheets[int(number)], geometry, rotations)
            if spec.blur > 0:
                images = blur_normalised(standardise(images), spec.blur)
            images = standardise(images)
            out[mine] = images.cpu().numpy()[member.ravel()]
        noise = np.random.default_rng([spec.seed, *seed]).standard_normal(out.shape, np.float32)
        out += spec.noise * noise
        out += spec.background * self.background()
        return self._stored(out)

    def _stored(self, values: NDArray[np.float32]) -> NDArray[Any]:
        spread = 1 + self.spec.noise + self.spec.background
        scaled = 128 + values * (100 / (2 * spread))
        # Never 0: a camera has an offset, and 0 is what was not written.
        if self._is_wide:
            return np.clip(np.round(256 * scaled), 1, 65_535).astype(np.uint16)
        return np.clip(np.round(scaled), 1, 255).astype(np.uint8)


class PatternStore:
    """Patterns by number, drawn in blocks before they are needed.

    Parameters
    ----------
    make
        Draws the patterns of pixels from a seed.
    pixels
        Pixel of each pattern in the order of the scan, shape ``(n,)``.
    """

    def __init__(
        self,
        make: Callable[[NDArray[np.int64], tuple[int, ...]], NDArray[Any]],
        pixels: NDArray[np.int64],
    ) -> None:
        self._make = make
        self._pixels = pixels
        self._blocks: dict[tuple[int, int], NDArray[Any]] = {}

    def prepare(self, on_progress: Callable[[int, int], None] | None = None) -> int:
        """Draw patterns ahead, as many as `PREPARED_BYTES` hold; return how many."""
        count = used = 0
        for number in range(-(-len(self._pixels) // BLOCK)):
            block = self._block(number, 0)
            self._blocks[(number, 0)] = block
            count += len(block)
            used += block.nbytes
            if on_progress is not None:
                on_progress(count, len(self._pixels))
            if used >= PREPARED_BYTES:
                break
        return count

    def get(self, start: int, stop: int, generation: int = 0) -> NDArray[Any]:
        """Return patterns ``start`` to ``stop`` of the scan, shape ``(n, y, x)``.

        Parameters
        ----------
        start, stop
            Numbers in the order of the scan.
        generation
            How often the scan was begun anew; each has noise of its own.
        """
        parts = []
        while start < stop:
            number, offset = divmod(start, BLOCK)
            block = self._blocks.get((number, generation))
            if block is None:
                block = self._block(number, generation)
                if sum(b.nbytes for b in self._blocks.values()) < PREPARED_BYTES:
                    self._blocks[(number, generation)] = block
            part = block[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return np.concatenate(parts)

    def _block(self, number: int, generation: int) -> NDArray[Any]:
        pixels = self._pixels[number * BLOCK : (number + 1) * BLOCK]
        return self._make(pixels, (generation, number))
