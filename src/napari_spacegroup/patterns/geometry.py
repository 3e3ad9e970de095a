"""Where the detector stands, in one convention for every vendor.

Readers translate what a file says into a :class:`Geometry`; simulation and
verification read nothing else. A file that does not know its pattern center must not
look as if it did, so placeholders (-1, the 0.5 that readers fill in) become *unknown*.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError

logger = logging.getLogger(__name__)

PLACEHOLDER = (0.5, 0.5, 0.5)
"""What kikuchipy fills in where a file has no pattern center."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Pattern center and tilts of an EBSD detector.

    Parameters
    ----------
    pattern_center
        Shape ``(3,)`` for one center or ``(scan_y, scan_x, 3)`` for one per pixel, as
        (x, y, z) in Bruker's convention: x from the left in fractions of the detector
        width, y from the top and z (the detector distance) in fractions of its height.
    sample_tilt
        Tilt of the sample [degrees].
    detector_tilt
        Tilt of the detector about its horizontal axis [degrees].
    azimuthal
        Rotation of the detector about the sample's tilt axis normal [degrees].
    voltage
        Acceleration voltage [kV], or None where it is unknown.

    Raises
    ------
    ScanError
        If the pattern center has another shape, is not finite, or lies behind the
        detector (z not positive).

    References
    ----------
    kikuchipy, tutorial "Reference frames".
    """

    pattern_center: NDArray[np.float64]
    sample_tilt: float = 70.0
    detector_tilt: float = 0.0
    azimuthal: float = 0.0
    voltage: float | None = None

    def __post_init__(self) -> None:
        """Refuse centers that can't be."""
        center = np.asarray(self.pattern_center, dtype=np.float64)
        if center.shape[-1:] != (3,) or center.ndim not in (1, 3):
            raise ScanError(
                f"The pattern center has shape {center.shape}; need (3,) for one center or "
                "(scan_y, scan_x, 3) for one per pixel. Give x, y and z together."
            )
        if not is_known(center).all():
            raise ScanError(
                "The pattern center is not finite, a placeholder, or behind the detector; need "
                "fractions of the detector with z above 0. Leave the geometry None where the "
                "center is unknown."
            )
        object.__setattr__(self, "pattern_center", center)

    @property
    def is_per_pixel(self) -> bool:
        """Return whether every scan pixel has a center of its own."""
        return self.pattern_center.ndim == 3

    @property
    def mean_pattern_center(self) -> NDArray[np.float64]:
        """Return the center averaged over the scan, shape ``(3,)``."""
        mean: NDArray[np.float64] = self.pattern_center.reshape(-1, 3).mean(axis=0)
        return mean

    def at(self, y: int, x: int) -> NDArray[np.float64]:
        """Return the center of one scan pixel, shape ``(3,)``."""
        return self.pattern_center[y, x] if self.is_per_pixel else self.pattern_center

    def crop(self, y0: int, y1: int, x0: int, x1: int) -> Geometry:
        """Return the geometry of a rectangle of the scan."""
        if not self.is_per_pixel:
            return self
        return replace(self, pattern_center=self.pattern_center[y0:y1, x0:x1])


def is_known(pattern_center: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a pattern center is a measured one.

    Parameters
    ----------
    pattern_center
        Shape ``(..., 3)``, Bruker's convention.

    Returns
    -------
    known
        Shape ``(...)``. False where a component is not finite or -1, where z is not
        positive, and where all three are the placeholder 0.5.
    """
    center = np.asarray(pattern_center, dtype=np.float64)
    finite = np.isfinite(center).all(axis=-1)
    with np.errstate(invalid="ignore"):
        minus_one = (center == -1).any(axis=-1)
        behind = ~(center[..., 2] > 0)
        placeholder = (center == np.array(PLACEHOLDER)).all(axis=-1)
    known: NDArray[np.bool_] = finite & ~minus_one & ~behind & ~placeholder
    return known


def geometry_from_detector(
    detector: Any, scan_shape: tuple[int, int], voltage: float | None = None
) -> Geometry | None:
    """Return the geometry of a kikuchipy ``EBSDDetector``, or None if it is unknown.

    Parameters
    ----------
    detector
        Anything with ``pc`` (Bruker's convention, as kikuchipy keeps it whatever the
        vendor), ``sample_tilt``, ``tilt`` and ``azimuthal``.
    scan_shape
        (scan_y, scan_x), which a center per pixel must fit.
    voltage
        Acceleration voltage [kV].

    Returns
    -------
    geometry
        None where no pixel has a measured center. Single pixels without one get the
        mean of the others, which is logged.
    """
    center: NDArray[np.float64] = np.asarray(detector.pc, dtype=np.float64).reshape(-1, 3)
    known = is_known(center)
    if not known.any():
        return None
    if not known.all():
        logger.warning(
            "%d of %d pattern centers are unknown; they get the mean of the others",
            int((~known).sum()),
            known.size,
        )
        center = np.where(known[:, None], center, center[known].mean(axis=0))
    # Vendors often store one center once per pixel; once is enough.
    if len(center) > 1 and (center == center[0]).all():
        center = center[:1].copy()  # a view would keep all of them
    if len(center) == scan_shape[0] * scan_shape[1] and len(center) > 1:
        center = center.reshape(*scan_shape, 3)
    elif len(center) > 1:
        logger.warning("%d pattern centers do not fit the scan; their mean is used", len(center))
        center = center.mean(axis=0)
    else:
        center = center[0]
    return Geometry(
        pattern_center=center,
        sample_tilt=float(detector.sample_tilt),
        detector_tilt=float(detector.tilt),
        azimuthal=float(getattr(detector, "azimuthal", 0.0)),
        voltage=voltage,
    )
