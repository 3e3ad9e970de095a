"""Measure a spot pattern: center, spots, spacings, and the cubic lattice that explains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CalibrationSpec, ellipse_of
from ..errors import ScanError

LOWEST = 12
"""Largest index of the zone axis that a pattern is named after."""

NEAR = 6.0
"""How far the beam may be from the zone axis that a pattern is named after [degrees]."""


@dataclass(frozen=True, eq=False)
class PatternMeasurement:
    """What a spot pattern shows.

    Parameters
    ----------
    center
        Column and row of the point of symmetry, whole numbers at pixel centers.
    spots
        Column and row of each spot in the picture as it is, strongest first, shape ``(n, 2)``.
    strength
        Of each over the background, the strongest 1, shape ``(n,)``.
    symmetry
        Share of the spots' strength with a partner opposite of it; near 1 on a zone axis.
    camera_constant
        [pixel Å], or None if the scale is not known.
    spacings
        Of each spot, d [Å], shape ``(n,)``; None without a camera constant.
    evidence
        Log likelihood ratio of the cubic lattice against spots at random places.
    hkl
        Of each spot on that lattice, shape ``(n, 3)``; zeros for spots that are not on it. None
        where no cubic lattice explains the pattern.
    rotation
        Crystal frame to picture, shape ``(3, 3)``, or None.
    lattice_parameter
        Of the sparsest cubic lattice that explains the spots [Å]; None without scale or lattice.
        From one zone axis alone this can be a fraction of the crystal's own.
    axis
        Zone axis near the beam, with its angle to it in degrees; None if there is none.
    left_ellipse
        Ratio and direction of the elliptic distortion that the cubic lattice still shows after
        the correction, as in :class:`~napari_spacegroup.config.CalibrationSpec`; None without a
        lattice. A crystal that is not quite cubic shows one too.
    """

    center: tuple[float, float]
    spots: NDArray[np.float64]
    strength: NDArray[np.float64]
    symmetry: float
    camera_constant: float | None
    spacings: NDArray[np.float64] | None
    evidence: float
    hkl: NDArray[np.int64] | None
    rotation: NDArray[np.float64] | None
    lattice_parameter: float | None
    axis: tuple[tuple[int, int, int], float] | None
    left_ellipse: tuple[float, float] | None = None


def measure_pattern(
    pattern: NDArray[Any],
    *,
    camera_constant: float | None = None,
    mask: NDArray[np.bool_] | None = None,
    calibration: CalibrationSpec | None = None,
) -> PatternMeasurement:
    """Return the center and the spots of a pattern, and its cubic lattice if it has one.

    Parameters
    ----------
    pattern
        Shape ``(rows, columns)``, bright or dark spots.
    camera_constant
        Wavelength times camera length over pixel size [pixel Å]: the radius of a spot times
        its spacing. From a scale bar of ``s`` 1/Å that is ``p`` pixels long, it is ``p / s``.
    mask
        True inside the screen, shape ``(rows, columns)``, or None.
    calibration
        Center, camera constant and elliptic distortion, each where it is known, such as
        ``scan.calibration``. A camera constant of its own goes first.

    Raises
    ------
    ScanError
        If it is no picture, or is constant.
    """
    import torch

    from ..imaging.spots import find_spots
    from ..models.spot_indexing import SURE, index_cubic

    image = np.asarray(pattern, dtype=np.float32)
    if image.ndim != 2 or min(image.shape) < 16:
        raise ScanError(
            f"got a pattern of shape {image.shape}; need rows and columns, at least 16 of each"
        )
    if not np.isfinite(image).all() or image.min() == image.max():
        raise ScanError("the pattern is constant or not finite; nothing can be measured on it")
    side = min(image.shape)
    told = CalibrationSpec() if calibration is None else calibration
    if camera_constant is None:
        camera_constant = told.camera_constant
    inside = None if mask is None else torch.from_numpy(np.asarray(mask, dtype=np.float32))
    with torch.inference_mode():
        found = find_spots(
            torch.from_numpy(image)[None], inside, center=told.center,
            correction=None if told.is_round else told.correction,
        )  # fmt: skip
        indexed = index_cubic(found.position, found.strength)
    is_spot = found.is_spot[0].numpy()
    offset = found.position[0].double().numpy()[is_spot] * side
    center = found.center[0].double().numpy()
    spots = center + (offset @ np.array(told.distortion)) * [1, -1]  # symmetric matrix
    radius = np.linalg.norm(offset, axis=1)
    spacings = None
    if camera_constant is not None:
        spacings = camera_constant / np.maximum(radius, 1e-6)
    evidence = float(indexed.evidence[0])
    hkl = rotation = lattice = axis = left = None
    if evidence > SURE:
        on_lattice = indexed.weight[0].numpy()[is_spot] > 0.5
        hkl = indexed.hkl[0].numpy()[is_spot].round().astype(np.int64) * on_lattice[:, None]
        rotation = indexed.rotation[0].double().numpy()
        axis = near_axis(rotation[2])
        (a, b), (c, d) = indexed.strain[0].tolist()
        left = ellipse_of(((a, b), (c, d)))
        if camera_constant is not None:
            lattice = camera_constant / (float(indexed.spacing[0]) * side)
    return PatternMeasurement(
        (float(center[0]), float(center[1])), spots,
        found.strength[0].double().numpy()[is_spot], float(found.symmetry[0]), camera_constant,
        spacings, evidence, hkl, rotation, lattice, axis, left,
    )  # fmt: skip


def near_axis(beam: NDArray[np.float64]) -> tuple[tuple[int, int, int], float] | None:
    """Return the lowest direction near one of a cubic crystal, and the angle [degrees].

    The lower the indices the farther it may be: half of :data:`NEAR` at the length √8 of the
    indices, a quarter at √32.
    """
    unit = np.asarray(beam, dtype=np.float64) / np.linalg.norm(beam)
    reach = np.arange(-LOWEST, LOWEST + 1)
    box = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    square = (box**2).sum(axis=1)
    box = box[(square > 0) & (square <= LOWEST**2)]
    box = box[np.gcd.reduce(box, axis=1) == 1]
    length = np.linalg.norm(box, axis=1)
    angle = np.degrees(np.arccos(np.clip(box @ unit / length, -1, 1)))
    near = np.flatnonzero(angle < NEAR * np.sqrt(2) / length)
    if not len(near):
        return None
    best = near[(length + angle / NEAR)[near].argmin()]
    u, v, w = (int(x) for x in box[best])
    return (u, v, w), float(angle[best])


__all__ = ["PatternMeasurement", "measure_pattern", "near_axis"]
