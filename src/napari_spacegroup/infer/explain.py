"""Why a model says what it says of a pattern: where it looked, and what lies there.

The bands and zone axes are those of the orientation that the model itself found, for any
cubic crystal: their places do not depend on the cell.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

if TYPE_CHECKING:
    from ..config import ExplainMethod as Method
    from ..models.model import Model

ZONE_AXES = ((0, 0, 1), (0, 1, 1), (1, 1, 1), (0, 1, 2), (1, 1, 2), (0, 1, 3), (1, 1, 3), (1, 2, 2))
"""Families of directions that are marked, the most prominent first."""

BANDS = ((1, 1, 1), (0, 0, 1), (0, 1, 1), (1, 1, 3))
"""Families of planes whose traces are drawn."""

NEAR = 5.0
"""What is nearer to a zone axis than this [degrees] counts as its surroundings."""


@dataclass(frozen=True)
class Mark:
    """A zone axis on the screen.

    Parameters
    ----------
    name
        Such as ``[112]``, the family.
    x, y
        Column and row of the detector [pixel].
    """

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Trace:
    """The middle of a band on the screen.

    Parameters
    ----------
    name
        Such as ``{111}``.
    start, stop
        Column and row of its ends [pixel].
    """

    name: str
    start: tuple[float, float]
    stop: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a model looked on one pattern.

    Parameters
    ----------
    space_group
        The class that was asked about.
    classes, probabilities
        What the model says, shape ``(class,)``.
    pattern
        As measured, shape ``(detector_y, detector_x)``.
    seen
        As the network sees it, in the pixels of the detector, NaN where it does not look.
    heat
        Importance, largest value 1, same shape; NaN where the model does not look.
    method
        How; see :func:`~napari_spacegroup.models.attribution.attribute`.
    rotation
        Detector to crystal axes, shape ``(3, 3)``; None for a model without orientations.
    sector, coverage
        Importance in the sector of m-3m and the share of pixels behind it, or None; rows
        follow y / x, columns z / x of directions with x >= y >= z.
    zone_axes, bands
        On the detector; empty without an orientation. Of a model that measures symmetry: axes
        by their order, and the traces of mirror planes.
    """

    space_group: int
    classes: tuple[int, ...]
    probabilities: NDArray[np.float32]
    pattern: NDArray[Any]
    seen: NDArray[np.float32]
    heat: NDArray[np.float32]
    method: str
    rotation: NDArray[np.float64] | None = None
    sector: NDArray[np.float32] | None = None
    coverage: NDArray[np.float32] | None = None
    zone_axes: tuple[Mark, ...] = ()
    bands: tuple[Trace, ...] = ()

    @property
    def probability(self) -> float:
        """Return the probability of the class that was asked about."""
        return float(self.probabilities[self.classes.index(self.space_group)])


def explain_pattern(
    model: Model,
    pattern: NDArray[Any],
    *,
    space_group: int | None = None,
    method: Method = "integrated_gradients",
    pattern_center: NDArray[np.float64] | None = None,
    static_background: NDArray[Any] | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Explanation:
    """Return where a model looks on one pattern.

    Parameters
    ----------
    model
        A loaded model.
    pattern
        Shape ``(detector_y, detector_x)``.
    space_group
        The class that is asked about; the likeliest one if not given.
    method
        See :func:`~napari_spacegroup.models.attribution.attribute`.
    pattern_center, static_background, mask
        As for :meth:`~napari_spacegroup.models.Model.predict`.

    Raises
    ------
    ModelError
        If the space group is not among the classes, or the network can't be explained.
    """
    import torch

    from ..models import SymmetryNet
    from ..models.attribution import attribute
    from ..models.pattern_center import square_centers

    if space_group is not None and space_group not in model.classes:
        known = ", ".join(map(str, model.classes))
        raise ModelError(
            f"model {model.name!r} does not tell space group {space_group}; choose one of {known}"
        )
    inputs = model.prepare(pattern[None], static_background=static_background, mask=mask)
    centers = None
    if model.needs_pattern_center:
        if pattern_center is None:
            pattern_center = np.asarray(
                model.find_pattern_center(
                    pattern[None], static_background=static_background, mask=mask
                ).center
            )
        centers = square_centers(pattern_center, pattern.shape).to(inputs)
    probabilities = model.probabilities(inputs, centers)[0].cpu().numpy()
    index = int(probabilities.argmax())
    if space_group is not None:
        index = model.classes.index(space_group)
    if isinstance(model.network, SymmetryNet) and centers is not None:
        return _by_symmetry(model, pattern, inputs, centers, probabilities, index)
    found = attribute(model, inputs.clone(), centers, torch.tensor([index]), method)
    rows, columns = pattern.shape
    heat = _on_detector(found.heat[0].cpu().numpy(), (rows, columns)).clip(0)
    seen = _on_detector(inputs[0, 0].cpu().numpy(), (rows, columns))
    explanation: dict[str, Any] = {}
    if found.rotations is not None and found.sheets is not None and found.coverage is not None:
        rotation = found.rotations[0].double().cpu().numpy()
        center = np.asarray(centers, dtype=np.float64).reshape(-1, 3)[0]
        marks, traces = cubic_geometry(rotation, center, (rows, columns))
        explanation = {
            "rotation": rotation, "sector": found.sheets[0].cpu().numpy(),
            "coverage": found.coverage[0].cpu().numpy(), "zone_axes": marks, "bands": traces,
        }  # fmt: skip
    return Explanation(
        model.classes[index], tuple(model.classes), probabilities, pattern, seen, heat, method,
        **explanation,
    )  # fmt: skip


def _by_symmetry(
    model: Model,
    pattern: NDArray[Any],
    inputs: Any,
    centers: Any,
    probabilities: NDArray[np.float32],
    index: int,
) -> Explanation:
    """Return the axes of a Laue class on a pattern and where the pattern agrees with itself."""
    from ..crystal.levels import level_name
    from .explain_symmetry import shown_symmetry

    rows, columns = pattern.shape
    group = model.classes[index]
    shown = shown_symmetry(inputs, centers, level_name(group, "laue_class"))
    center = np.asarray(centers, dtype=np.float64).reshape(-1, 3)[0]
    marks, traces = [], []
    for order, axis in shown.axes:
        x, y, z = axis if axis[2] > 0 else -axis
        place = _pixel(x / z, y / z, center, (rows, columns)) if z > 1e-6 else None
        if place is not None and _is_inside(*place, (rows, columns)):
            marks.append(Mark(str(order), *place))
        ends = _clipped(axis, center, (rows, columns)) if order % 2 == 0 else None
        if ends is not None:
            traces.append(Trace("m", *ends))
    return Explanation(
        group, tuple(model.classes), probabilities, pattern,
        _on_detector(inputs[0, 0].cpu().numpy(), (rows, columns)),
        _on_detector(shown.agreement, (rows, columns)).clip(0), "self_symmetry",
        zone_axes=tuple(marks), bands=tuple(traces),
    )  # fmt: skip


def cubic_geometry(
    rotation: NDArray[np.float64], center: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[tuple[Mark, ...], tuple[Trace, ...]]:
    """Return where zone axes and the middles of bands of a cubic crystal lie.

    Parameters
    ----------
    rotation
        Detector to crystal axes; on the detector x points to the right, y up, z from the
        source to the screen.
    center
        Pattern center in fractions of the central square, Bruker's convention.
    shape
        Rows and columns of the detector; the square has the shorter one as its side.
    """
    marks, traces = [], []
    for family in ZONE_AXES:
        for direction in directions_of(family):
            for sign in (1, -1):
                x, y, z = rotation.T @ (sign * direction)
                place = _pixel(x / z, y / z, center, shape) if z > 1e-6 else None
                if place is not None and _is_inside(*place, shape):
                    marks.append(Mark(f"[{''.join(map(str, family))}]", *place))
    for family in BANDS:
        for normal in directions_of(family):
            ends = _clipped(rotation.T @ normal, center, shape)
            if ends is not None:
                traces.append(Trace(f"{{{''.join(map(str, family))}}}", *ends))
    return tuple(marks), tuple(traces)


def directions_of(family: tuple[int, int, int]) -> list[NDArray[np.float64]]:
    """Return the directions of a cubic family, one of each opposite pair."""
    found = set()
    for order in itertools.permutations(family):
        for signs in itertools.product((1, -1), repeat=3):
            found.add(tuple(s * x for s, x in zip(signs, order, strict=True)))
    return [np.array(d, float) for d in sorted(found) if d > (0, 0, 0)]


def _pixel(
    across: float, up: float, center: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[float, float]:
    """Return column and row where a ray ``(across, up, 1)`` meets the detector."""
    side = min(shape)
    column = (across * center[2] + center[0]) * side + (shape[1] - side) // 2 - 0.5
    row = (center[1] - up * center[2]) * side + (shape[0] - side) // 2 - 0.5
    return float(column), float(row)


def _is_inside(column: float, row: float, shape: tuple[int, int]) -> bool:
    return -0.5 <= column <= shape[1] - 0.5 and -0.5 <= row <= shape[0] - 0.5


def _clipped(
    normal: NDArray[np.float64], center: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the ends of the line of points on the detector whose rays lie in a plane."""
    a, b, c = (float(value) for value in normal)
    if np.hypot(a, b) < 1e-9:
        return None
    foot = -c / (a * a + b * b) * np.array([a, b])
    along = np.array([-b, a]) / np.hypot(a, b)
    start = np.array(_pixel(float(foot[0]), float(foot[1]), center, shape))
    beside = foot + along
    step = np.array(_pixel(float(beside[0]), float(beside[1]), center, shape)) - start
    low, high = -np.inf, np.inf  # the part of the line within columns, then within rows
    for place, change, size in zip(start, step, shape[::-1], strict=True):
        if abs(change) < 1e-12:
            if not -0.5 <= place <= size - 0.5:
                return None
            continue
        ends = sorted(((-0.5 - place) / change, (size - 0.5 - place) / change))
        low, high = max(low, ends[0]), min(high, ends[1])
    if low >= high:
        return None
    first, last = start + low * step, start + high * step
    return (float(first[0]), float(first[1])), (float(last[0]), float(last[1]))


def _on_detector(heat: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return values on the central square in pixels of the whole detector, NaN beyond it."""
    from scipy.ndimage import zoom

    side = min(shape)
    found = np.full(shape, np.nan, dtype=np.float32)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    large = zoom(heat, side / heat.shape[0], order=1, grid_mode=True, mode="nearest")
    found[top : top + side, left : left + side] = large
    return found
