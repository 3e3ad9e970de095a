"""Ring patterns to profiles: azimuthal integration with pyFAI, one profile a frame.

Rings of a polycrystal, as one photograph or as frames of a 4D-STEM scan, become a scan of powder
profiles over ``q = 4π sin θ / λ``, which the models of powder profiles read. Nothing is integrated
before it is asked for, so a scan of any size passes through in constant memory.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from ..config import CalibrationSpec
from ..errors import MissingPartError, ScanError
from .scan import PatternScan

if TYPE_CHECKING:
    from ..config.calibration import Matrix
    from .source import PatternSource

SAMPLE = 24
"""Patterns whose mean is looked at for center and beam."""

DETAIL = 0.03
"""Structures wider than this share of the picture are left out when the center is sought."""

BEAM = 0.15
"""The direct beam, or the edge of its stop, ends within this share of the radius."""


def ring_profiles(
    scan: PatternScan,
    *,
    camera_constant: float | None = None,
    center: tuple[float, float] | None = None,
    inner: float | None = None,
    columns: int | None = None,
) -> PatternScan:
    """Return the profiles of ring patterns, one of each pattern.

    Parameters
    ----------
    scan
        Ring patterns; what its mask leaves out (a beam stop) is not counted.
    camera_constant
        Wavelength times camera length over pixel size [pixel Å]: the radius of a ring times its
        lattice spacing. From a scale bar of ``s`` 1/Å that is ``p`` pixels long, it is ``p / s``.
        That of the scan's calibration where None.
    center
        Column and row of the rings' center, whole numbers at pixel centers. Where None that of the
        scan's calibration, else found from the mean of some patterns (:func:`find_ring_center`).
    inner
        Radius at which the profiles begin [pixel]; behind the direct beam where None.
    columns
        Points of a profile; one per pixel of radius where None.

    Returns
    -------
    profiles
        Integrated after an elliptic distortion that the scan's calibration knows was taken out.
        Patterns of shape ``(1, columns)``, mean counts per pixel at each q [1/Å], not corrected
        for the solid angle. Small angles are assumed: q is ``2π`` radius over camera constant.

    Raises
    ------
    ScanError
        If a number is impossible, or no pixel is left.
    MissingPartError
        If pyFAI is not installed.

    References
    ----------
    Ashiotis et al. (2015), J. Appl. Cryst. 48, 510-519 (pyFAI).
    """
    told = CalibrationSpec() if scan.calibration is None else scan.calibration
    camera_constant = told.camera_constant if camera_constant is None else camera_constant
    center = told.center if center is None else center
    if camera_constant is None or not (math.isfinite(camera_constant) and camera_constant > 0):
        raise ScanError(
            f"a camera constant of {camera_constant} pixel Å; need the radius of a ring in pixels "
            "times its lattice spacing in Å"
        )
    rows, across = scan.pattern_shape
    if min(rows, across) < 16:
        raise ScanError(
            f"patterns of {rows} x {across} pixels; rings need pictures, 16 pixels a side at least"
        )
    mean = scan.sample(SAMPLE).astype(np.float64).mean(axis=0)
    if center is None:
        center = find_ring_center(mean, scan.mask)
    reach = _reach(center, (rows, across))
    first = _behind_beam(mean, center, scan.mask) if inner is None else inner
    if not 0 <= first < reach - 3:
        raise ScanError(
            f"profiles from {first:.1f} pixels around column {center[0]:.1f}, row {center[1]:.1f}, "
            f"but the rings end at {reach:.1f}; give another center or inner radius"
        )
    count = max(16, round(reach - first)) if columns is None else columns
    from ..imaging import ProfileAxis

    distortion = None if told.is_round else told.distortion
    source = RingSource(scan._source, center, (first, reach), count, scan.mask, distortion)
    q = np.asarray(2 * math.pi * source.radii / camera_constant, np.float64)
    axis = ProfileAxis(q, "q")
    return PatternScan.from_source(
        source, name=scan.name, technique="powder", axis=axis, path=scan.path, step=scan.step,
        step_unit=scan.step_unit, present=scan.present, navigation=scan.navigation,
        metadata={**scan.metadata, "ring_center": center, "camera_constant": camera_constant,
                  "ellipse": told.ellipse},
    )  # fmt: skip


def find_ring_center(
    pattern: NDArray[Any], mask: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Return the center of a ring pattern: column and row, whole numbers at pixel centers.

    The point about which the picture is most like itself turned by 180°, then the one about which
    the rings are sharpest.

    Parameters
    ----------
    pattern
        Shape ``(rows, columns)``.
    mask
        True where the pattern counts, or None.

    Raises
    ------
    ScanError
        If the pattern is constant or not finite.
    """
    image = np.asarray(pattern, np.float64)
    inside = np.ones(image.shape, bool) if mask is None else np.asarray(mask, bool)
    if not np.isfinite(image[inside]).all() or np.ptp(image[inside]) == 0:
        raise ScanError("the pattern is constant or not finite; it has no rings to find")
    flat = _detail(image, inside)
    shape = [2 * n for n in image.shape]
    spectrum = np.fft.rfft2(flat, shape)
    weight = np.fft.rfft2(inside.astype(float), shape)
    alike = np.fft.irfft2(spectrum**2, shape)
    pairs = np.fft.irfft2(weight**2, shape)
    weight_of = np.sqrt(np.maximum(pairs, 1))
    score = np.where(pairs > 0.1 * pairs.max(), alike / weight_of, -np.inf)
    row, column = np.unravel_index(int(score.argmax()), score.shape)
    start = np.array([column / 2, row / 2])
    down, across = np.mgrid[: image.shape[0], : image.shape[1]]

    def blur(place: NDArray[np.float64]) -> float:
        radius = np.hypot(across - place[0], down - place[1])[inside]
        bins = np.minimum(radius, min(image.shape))
        low = np.floor(bins).astype(int)
        share = bins - low
        values = flat[inside]
        sums, counts = (
            np.bincount(low, (1 - share) * w) + np.bincount(low + 1, share * w)[: low.max() + 1]
            for w in (values, np.ones_like(values))
        )
        return -float((sums**2 / np.maximum(counts, 1)).sum())

    simplex = start + np.array([[0, 0], [1.5, 0], [0, 1.5]])
    options = {"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-9, "maxiter": 80}
    best = optimize.minimize(blur, start, method="Nelder-Mead", options=options).x
    return float(best[0]), float(best[1])


class RingSource:
    """Profiles of the patterns of another source, integrated when they are read.

    Parameters
    ----------
    parent
        Ring patterns.
    center
        Column and row.
    reach
        First and last radius [pixel].
    columns
        Points of a profile.
    mask
        True where a pattern counts, or None.
    distortion
        Of offsets from the center (x right, y up), taken out before integrating, or None.
    """

    def __init__(
        self,
        parent: PatternSource,
        center: tuple[float, float],
        reach: tuple[float, float],
        columns: int,
        mask: NDArray[np.bool_] | None,
        distortion: Matrix | None = None,
    ) -> None:
        self.distortion = distortion
        self.parent, self.center, self.reach, self.columns = parent, center, reach, columns
        self.mask = mask
        step = (reach[1] - reach[0]) / columns
        self.radii = reach[0] + step * (np.arange(columns) + 0.5)
        self._integrator: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave pyFAI's tables behind: they are made anew where they are needed."""
        return {**self.__dict__, "_integrator": None}

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return (scan_y, scan_x, 1, columns)."""
        return (*self.parent.shape[:2], 1, self.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return single precision."""
        return np.dtype(np.float32)

    @property
    def granularity(self) -> int:
        """Return that of the ring patterns."""
        return self.parent.granularity

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return profiles ``start`` to ``stop``, shape ``(n, 1, columns)``."""
        frames = self.parent.read(start, stop)
        if self._integrator is None:
            self._integrator = _integrator(self.center)
        found = np.empty((len(frames), 1, self.columns), np.float32)
        outside = None if self.mask is None else (~self.mask).astype(np.int8)
        if self.distortion is not None:
            inside = np.ones(frames.shape[1:]) if self.mask is None else self.mask.astype(float)
            outside = (self._straight(inside) < 0.999).astype(np.int8)
        for frame, profile in zip(frames, found, strict=True):
            if self.distortion is not None:
                frame = self._straight(frame)
            profile[0] = self._integrator.integrate1d_ng(
                np.asarray(frame, np.float32), self.columns, mask=outside, unit="r_mm",
                radial_range=[r / 1000 for r in self.reach], correctSolidAngle=False, dummy=0.0,
                method=("full", "csr", "cython"),
            ).intensity  # fmt: skip
        return found

    def _straight(self, frame: NDArray[Any]) -> NDArray[np.float64]:
        """Return a frame whose rings are circles, 0 where it had nothing to show."""
        if self.distortion is None:
            return np.asarray(frame, float)
        (xx, xy), (_, yy) = self.distortion
        matrix = np.array([[yy, -xy], [-xy, xx]])  # on (row, column), rows count downwards
        center = np.array(self.center)[::-1]
        # Of determinant 1: counts per pixel stay what they are.
        moved = ndimage.affine_transform(
            np.asarray(frame, float), matrix, center - matrix @ center, order=1, cval=0.0
        )
        return np.asarray(moved, float)


def _integrator(center: tuple[float, float]) -> Any:
    """Return pyFAI's integrator for pixels of 1 µm, whose millimetres are a thousand pixels."""
    logging.getLogger("silx.opencl").setLevel(logging.ERROR)  # warns that there is no OpenCL
    try:
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator
    except ImportError as error:
        raise MissingPartError(
            "ring patterns are integrated by pyFAI, which is not installed here; "
            "pip install 'napari-spacegroup[rings]'"
        ) from error
    pixel = 1e-6
    return AzimuthalIntegrator(
        dist=1.0, poni1=(center[1] + 0.5) * pixel, poni2=(center[0] + 0.5) * pixel,
        pixel1=pixel, pixel2=pixel, wavelength=1e-10,
    )  # fmt: skip


def _detail(image: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the picture without what is wider than rings, every region with like contrast."""
    sigma = DETAIL * min(image.shape)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(values * inside, sigma), float)

    weight = np.maximum(mean(np.ones_like(image)), 1e-3)
    fine = ndimage.gaussian_filter(np.where(inside, image, mean(image) / weight), 0.7)
    flat = fine - mean(fine) / weight
    spread = np.sqrt(mean(flat**2) / weight)
    return np.asarray(np.where(inside, flat / (spread + 0.05 * spread.max()), 0.0), float)


def _reach(center: tuple[float, float], shape: tuple[int, int]) -> float:
    """Return the largest radius of which a quarter of the circle lies on the picture [pixel]."""
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius = math.hypot(*shape)
    while radius > 4:
        x = center[0] + radius * np.cos(angles)
        y = center[1] + radius * np.sin(angles)
        on = (x >= 0) & (y >= 0) & (x <= shape[1] - 1) & (y <= shape[0] - 1)
        if on.mean() >= 0.25:
            break
        radius -= 1
    return radius


def _behind_beam(
    mean: NDArray[np.float64], center: tuple[float, float], mask: NDArray[np.bool_] | None
) -> float:
    """Return the radius of the first minimum behind the direct beam or its stop [pixel]."""
    inside = np.ones(mean.shape, bool) if mask is None else mask
    down, across = np.mgrid[: mean.shape[0], : mean.shape[1]]
    radius = np.round(np.hypot(across - center[0], down - center[1])).astype(int)
    last = int(_reach(center, (mean.shape[0], mean.shape[1])))
    sums = np.bincount(radius[inside], mean[inside], minlength=last + 1)
    counts = np.bincount(radius[inside], minlength=last + 1)
    profile = ndimage.gaussian_filter1d((sums / np.maximum(counts, 1))[: last + 1], 1.5)
    begun = int(profile[: max(int(BEAM * last), 3)].argmax())
    rising = np.flatnonzero(np.diff(profile[begun:]) > 0)
    return float(begun + (rising[0] if len(rising) else 0))
