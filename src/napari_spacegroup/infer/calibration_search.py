"""Center and elliptic distortion of a scan's spot patterns, found from the patterns themselves.

The center is that of the pairs of spots. The ellipse is the one with which cubic lattices explain
most: one pattern alone is explained by a wrong ellipse as often as by the right one (a net that is
not square is another zone's), but patterns of crystals that lie differently agree on one alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import CalibrationSpec, ellipse_of
from ..errors import ScanError
from .tilt import cubic_misorientations
from .view import spread

if TYPE_CHECKING:
    from torch import Tensor

    from ..patterns.scan import PatternScan

SAMPLE, USED = 48, 16
"""Patterns whose spots are looked for; those with most spots whose lattices are."""

VIEWS, ANGLE = 6, 3.0
"""How many orientations must agree on an ellipse, and what makes two of them [degrees]."""

STEP, RINGS = 0.0125, 4
"""Grid of ellipses that are tried: half the log of the ratio up to 0.05, or 10.5 %."""

AGREEMENT = 0.003
"""How far each half of the patterns may be from all of them, in half the log of the ratio."""

CIRCLE = 1.003
"""What is rounder counts as a circle."""

STILL = 1.5
"""Largest deviation of a center that does not move over the scan, over 256 pixels of the side."""


@dataclass(frozen=True)
class FoundCalibration:
    """What patterns say of their own calibration.

    Parameters
    ----------
    calibration
        With a center where the beam stands still, else None for it; with an ellipse where one was
        found, else a circle. Never with a camera constant: a crystal that is not known can't say.
    center
        Column and row, the median of the patterns.
    center_spread
        Median deviation of a pattern's center from it [pixel].
    views
        Orientations that agree on the ellipse; 0 where none was found.
    remark
        One sentence on what was found and what was not.
    """

    calibration: CalibrationSpec
    center: tuple[float, float]
    center_spread: float
    views: int
    remark: str


def find_calibration(scan: PatternScan) -> FoundCalibration:
    """Return center and elliptic distortion of a scan's spot patterns.

    Looks at 48 patterns spread over the scan, for some seconds. An ellipse is found for cubic
    crystals alone, from patterns in at least six orientations that are 3° apart: of simulated
    patterns it is right within 0.15 % in ratio. A crystal that is not quite cubic is taken for a
    cubic one and a distorted camera, but only where it lies in the same way all over the scan:
    differently lying ones do not agree.

    Parameters
    ----------
    scan
        Spot patterns; a center of its own calibration is not looked at.

    Raises
    ------
    ScanError
        If no pattern has spots.
    """
    import torch

    from ..imaging.spots import find_spots

    chosen = spread(scan.n_patterns, SAMPLE)
    patterns = np.concatenate(
        [next(scan.batches(1, start=i, stop=i + 1))[1] for i in chosen.tolist()]
    ).astype(np.float32)
    is_usable = np.isfinite(patterns).all(axis=(1, 2)) & (np.ptp(patterns, axis=(1, 2)) > 0)
    mask = None if scan.mask is None else torch.from_numpy(scan.mask.astype(np.float32))
    if is_usable.any():
        with torch.inference_mode():
            found = find_spots(torch.from_numpy(patterns[is_usable]), mask)
        count = found.is_spot.sum(dim=1).numpy()
    if not is_usable.any() or count.max() < 2:
        raise ScanError(
            f"no pattern of {scan.name!r} shows two spots; give center and ellipse by hand"
        )
    has_spots = count >= 2
    centers = found.center.double().numpy()[has_spots]
    middle = np.median(centers, axis=0)
    apart = float(np.median(np.linalg.norm(centers - middle, axis=1)))
    is_still = apart <= STILL * min(scan.pattern_shape) / 256
    center = (float(middle[0]), float(middle[1]))
    most = np.argsort(-count, kind="stable")[:USED]
    ellipse, views = _find_ellipse(found.position[most], found.strength[most])
    remark = f"Center found, ± {apart:.1f} pixels over {len(centers)} patterns"
    if not is_still:
        remark += ": the beam moves, so it is found in each"
    if ellipse is not None and ellipse[0] < CIRCLE:
        ellipse = (1.0, 0.0)
        remark += f"; circles within 0.3 %, from {views} orientations"
    elif ellipse is None:
        remark += f"; no ellipse: that needs a cubic crystal in {VIEWS} orientations that agree"
    else:
        remark += f"; ellipse {ellipse[0]:.3f} at {ellipse[1]:.0f}° from {views} orientations"
    calibration = CalibrationSpec(
        center=center if is_still else None, ellipse=(1.0, 0.0) if ellipse is None else ellipse
    )
    return FoundCalibration(calibration, center, apart, 0 if ellipse is None else views, remark)


def _find_ellipse(position: Tensor, strength: Tensor) -> tuple[tuple[float, float] | None, int]:
    """Return ratio and direction, or None, and how many orientations agree on it."""
    import torch

    if len(position) < VIEWS:
        return None, len(position)
    tried = [np.zeros(2)]
    for ring in range(1, RINGS + 1):
        angles = np.arange(6 * ring) * (2 * np.pi / (6 * ring))
        tried += [ring * STEP * np.array([math.cos(a), math.sin(a)]) for a in angles]
    with torch.inference_mode():
        worth = np.array([_indexed(position, strength, s).evidence.numpy() for s in tried])
        worth = worth.clip(0, None)
        # What both halves of the patterns say, each alone, is no accident.
        halves = []
        for half in (slice(0, None, 2), slice(1, None, 2)):
            start = tried[int(worth[:, half].sum(axis=1).argmax())]
            halves.append(_refined(position[half], strength[half], start)[0])
        stretch, rotations = _refined(position, strength, (halves[0] + halves[1]) / 2)
    firsts: list[NDArray[np.float64]] = []
    for rotation in rotations:
        if not firsts or cubic_misorientations(firsts, rotation).min() > ANGLE:
            firsts.append(rotation)
    views = len(firsts)
    apart = max(float(np.linalg.norm(half - stretch)) for half in halves)
    is_within = np.linalg.norm(stretch) < (RINGS + 0.5) * STEP
    if views < VIEWS or apart > AGREEMENT or not is_within:
        return None, views
    (a, b), (c, d) = _matrix(stretch).tolist()
    ratio, angle = ellipse_of(((a, b), (c, d)))
    return (ratio, angle), views


def _refined(
    position: Tensor, strength: Tensor, start: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the stretch after which lattices show none any more, and their orientations."""
    stretch, rotations = start, list[NDArray[np.float64]]()
    for _ in range(4):
        errors, rotations = _left(_indexed(position, strength, stretch))
        if not len(errors):
            break
        stretch = stretch + np.median(errors, axis=0)
    return stretch, rotations


def _indexed(position: Tensor, strength: Tensor, stretch: NDArray[np.float64]) -> Any:
    """Return the lattices of spots after a stretch was taken out."""
    import torch

    from ..models.spot_indexing import index_cubic

    correction = torch.from_numpy(_matrix(-stretch)).to(position)
    return index_cubic(position @ correction.mT, strength)


def _left(indexed: Any) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the stretch that each lattice that is found still shows, and its orientation."""
    from ..models.spot_indexing import SURE

    is_sure = indexed.evidence.numpy() > SURE
    strains = indexed.strain.double().numpy()[is_sure]
    rotations = list(indexed.rotation.double().numpy()[is_sure])
    return np.array([_stretch(strain) for strain in strains]).reshape(-1, 2), rotations


def _matrix(stretch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric matrix of determinant 1 whose logarithm is ((a, b), (b, -a))."""
    size = float(np.hypot(*stretch))
    if size < 1e-12:
        return np.eye(2)
    a, b = stretch / size
    return math.cosh(size) * np.eye(2) + math.sinh(size) * np.array([[a, b], [b, -a]])


def _stretch(strain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (a, b) of a strain, without its rotation and its change of size."""
    (a, b), (c, d) = strain.tolist()
    ratio, angle = ellipse_of(((a, b), (c, d)))
    size, turn = math.log(ratio) / 2, math.radians(2 * angle)
    return np.array([size * math.cos(turn), size * math.sin(turn)])


__all__ = ["FoundCalibration", "find_calibration"]
