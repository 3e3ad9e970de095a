"""From any powder profile to the network's input: axis, grid, background, scale.

A profile is a picture of one row whose columns stand for angles or lattice spacings; a
:class:`ProfileAxis` says which, a :class:`ProfileContract` what the network expects.
Needs torch and numpy alone; simulated and measured profiles take the same path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional

from ..errors import ModelError

AxisKind = Literal["two_theta", "q", "d"]
Radiation = Literal["xray", "neutron", "unknown"]
_WORDS = {"xray": "X-rays", "neutron": "neutrons"}
SMOOTH = 5
"""Points [grid] averaged before the background is looked for, so that noise does not set it."""


K_ALPHA = (
    (1.540598, 1.544426), (1.788996, 1.792835), (0.709317, 0.713607), (1.936041, 1.939973),
    (2.289746, 2.293652), (0.559422, 0.563813),
)  # fmt: skip
"""Kα1 and Kα2 [Å] of Cu, Co, Mo, Fe, Cr (Hölzer et al. 1997; Mo, Ag: Bearden 1967) and Ag."""


@dataclass(frozen=True, eq=False)
class ProfileAxis:
    """What the columns of a profile stand for.

    Parameters
    ----------
    values
        Shape ``(columns,)``, strictly rising or falling: scattering angle 2θ [degrees],
        ``q = 4π sin θ / λ`` [1/Å], or lattice spacing d [Å].
    kind
        Which of them.
    wavelength
        [Å], the mean of a doublet; needed for angles.
    radiation
        What was scattered, where it is known.

    Raises
    ------
    ModelError
        If the values are not monotonic, positive and possible.
    """

    values: NDArray[np.float64]
    kind: AxisKind = "two_theta"
    wavelength: float | None = None
    radiation: Radiation = "unknown"

    def __post_init__(self) -> None:
        """Check order, range and wavelength."""
        values = np.asarray(self.values, dtype=np.float64)
        object.__setattr__(self, "values", values)
        steps = np.diff(values)
        if values.ndim != 1 or len(values) < 3 or not np.isfinite(values).all():
            raise ModelError(
                f"a profile axis of shape {values.shape}; need three finite values at least"
            )
        if not ((steps > 0).all() or (steps < 0).all()):
            raise ModelError(
                "the axis of the profile does not rise or fall throughout; sort the file by its "
                "first column and drop repeated rows"
            )
        highest = 180.0 if self.kind == "two_theta" else math.inf
        if values.min() < 0 or values.max() > highest or (self.kind == "d" and values.min() <= 0):
            raise ModelError(
                f"the axis of the profile ({self.kind}) goes from {values.min():g} to "
                f"{values.max():g}; angles lie from 0 to 180 degrees, q and d above 0"
            )
        if self.wavelength is not None and not 0.01 < self.wavelength < 100:
            raise ModelError(f"a wavelength of {self.wavelength:g} Å; need one from 0.01 to 100 Å")

    def q(self) -> NDArray[np.float64]:
        """Return ``4π sin θ / λ`` [1/Å] of every column.

        Raises
        ------
        ModelError
            If the axis holds angles and no wavelength is known.
        """
        if self.kind == "q":
            return self.values
        if self.kind == "d":
            return np.asarray(2 * math.pi / self.values, np.float64)
        if self.wavelength is None:
            raise ModelError(
                "the profile is measured over 2θ and does not say its wavelength; give it, such as "
                "read(path, wavelength=1.5418) for Cu Kα"
            )
        return np.asarray(
            4 * math.pi / self.wavelength * np.sin(np.radians(self.values / 2)), np.float64
        )


class ProfileContract(BaseModel):
    """What a network expects of a powder profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["profile"] = Field("profile", description="A powder profile.")
    radiation: Literal["xray", "neutron"] = Field("xray", description="What is scattered.")
    grid: Literal["log_q", "two_theta"] = Field(
        "log_q", description="What is equally spaced: the logarithm of q, or the angle."
    )
    start: float = Field(0.4, gt=0, description="First point [1/Å or degrees].")
    stop: float = Field(6.2, gt=0, description="Last point [1/Å or degrees].")
    points: int = Field(2048, ge=64, le=65536, description="Points of the input.")
    wavelength: float = Field(
        1.54184, gt=0, description="To which angles are converted [Å]; for a grid of angles."
    )
    background: int = Field(
        81, ge=0, description="Width of the background filter [points]; 0 keeps the background."
    )
    power: float = Field(0.5, gt=0, le=1, description="Exponent that lifts weak peaks.")
    outside: float = Field(-0.25, description="Value of points that were not measured.")

    @model_validator(mode="after")
    def _check_range(self) -> ProfileContract:
        if self.stop <= self.start:
            raise ValueError(f"the grid goes from {self.start} to {self.stop}; need it to rise")
        if self.grid == "two_theta" and self.stop >= 180:
            raise ValueError(f"the grid ends at {self.stop} degrees; need less than 180")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns of the network's input."""
        return (1, self.points)

    @property
    def step(self) -> float:
        """Return the distance of two points: of ln q, or of 2θ [degrees]."""
        if self.grid == "log_q":
            return math.log(self.stop / self.start) / (self.points - 1)
        return (self.stop - self.start) / (self.points - 1)

    def edges(self) -> NDArray[np.float64]:
        """Return q [1/Å] of the edges of the grid's cells, shape ``(points + 1,)``."""
        index = np.arange(self.points + 1) - 0.5
        if self.grid == "log_q":
            return np.asarray(self.start * np.exp(self.step * index), np.float64)
        angle = np.radians(np.clip(self.start + self.step * index, 1e-6, 180.0) / 2)
        return np.asarray(4 * math.pi / self.wavelength * np.sin(angle), np.float64)

    def q(self) -> NDArray[np.float64]:
        """Return q [1/Å] of the points, shape ``(points,)``."""
        index = np.arange(self.points)
        if self.grid == "log_q":
            return np.asarray(self.start * np.exp(self.step * index), np.float64)
        angle = np.radians((self.start + self.step * index) / 2)
        return np.asarray(4 * math.pi / self.wavelength * np.sin(angle), np.float64)


def prepare_profiles(
    patterns: Tensor,
    contract: ProfileContract,
    axis: ProfileAxis | None,
    *,
    background: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the input of a network, shape ``(n, 1, 1, points)``.

    Parameters
    ----------
    patterns
        Shape ``(n, 1, columns)``.
    contract
        What the network expects.
    axis
        What the columns stand for.
    background
        Shape ``(1, columns)``, subtracted; or None.
    mask
        True where columns may be used, shape ``(1, columns)``; or None. Columns left out are
        bridged.

    Raises
    ------
    ModelError
        If there is no axis, it does not fit the columns, it is of another radiation, or
        hardly any of it lies on the network's grid.
    """
    if axis is None:
        raise ModelError(
            "a powder profile needs its axis; read it with napari_spacegroup.read, or build the "
            "scan with patterns.from_profiles(values, two_theta=..., wavelength=...)"
        )
    if patterns.ndim != 3 or patterns.shape[1] != 1 or patterns.shape[2] != len(axis.values):
        raise ModelError(
            f"profiles of shape {tuple(patterns.shape)} and an axis of {len(axis.values)} values; "
            "need profiles of shape (n, 1, columns) and one value for each column"
        )
    if axis.radiation not in ("unknown", contract.radiation):
        raise ModelError(
            f"the profile was measured with {_WORDS[axis.radiation]}, the model is for "
            f"{_WORDS[contract.radiation]}; choose a model for {_WORDS[axis.radiation]}"
        )
    profiles = patterns[:, 0].to(torch.float32)
    if background is not None:
        profiles = profiles - background.to(profiles).reshape(1, -1)
    q = axis.q()
    if mask is not None:
        kept = mask.reshape(-1).to(torch.bool).cpu().numpy()
        profiles, q = profiles[:, torch.as_tensor(kept, device=profiles.device)], q[kept]
    values, inside = resample(profiles, q, contract)
    return scaled(values, inside.expand_as(values), contract)[:, None, None]


def resample(
    profiles: Tensor, q: NDArray[np.float64], contract: ProfileContract
) -> tuple[Tensor, Tensor]:
    """Return profiles on the network's grid: the mean over each of its cells.

    The profile is taken as linear between its points and integrated exactly, so that a
    finer measurement loses no counts and a coarser one is interpolated.

    Parameters
    ----------
    profiles
        Shape ``(n, columns)``.
    q
        [1/Å], strictly rising or falling, shape ``(columns,)``.

    Returns
    -------
    values
        Shape ``(n, points)``, 0 where nothing was measured.
    inside
        Shape ``(points,)``, True where the cell's centre was measured.

    Raises
    ------
    ModelError
        If less than 32 points of the grid were measured.
    """
    if q[0] > q[-1]:
        q, profiles = q[::-1].copy(), profiles.flip(-1)
    edges, centre = contract.edges(), contract.q()
    inside = (centre >= q[0]) & (centre <= q[-1])
    if inside.sum() < 32:
        raise ModelError(
            f"the profile covers q from {q[0]:.3g} to {q[-1]:.3g} 1/Å, the model needs "
            f"{centre[0]:.3g} to {centre[-1]:.3g}; check the wavelength, and that angles are "
            "2θ in degrees"
        )
    # Edges beyond the measurement end there; the cell is then averaged over what there is.
    limits = np.clip(edges, q[0], q[-1])
    left = np.clip(np.searchsorted(q, limits, side="right") - 1, 0, len(q) - 2)
    precise = torch.float32 if profiles.device.type == "mps" else torch.float64

    def tensor(array: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(array, dtype=precise, device=profiles.device)

    counts = profiles.to(precise)
    width = tensor(np.diff(q))
    areas = 0.5 * (counts[:, 1:] + counts[:, :-1]) * width
    total = functional.pad(areas.cumsum(1), (1, 0))
    index = torch.as_tensor(left, device=profiles.device)
    into = tensor(limits - q[left])
    slope = (counts[:, index + 1] - counts[:, index]) / width[index]
    integral = total[:, index] + into * (counts[:, index] + 0.5 * slope * into)
    widths = tensor(np.maximum(np.diff(limits), 1e-12))
    values = (integral[:, 1:] - integral[:, :-1]) / widths
    here = torch.as_tensor(inside, device=profiles.device)
    return torch.where(here, values, 0.0).to(torch.float32), here


def scaled(values: Tensor, inside: Tensor, contract: ProfileContract) -> Tensor:
    """Return profiles without background, from 0 to 1, weak peaks lifted.

    Parameters
    ----------
    values
        On the grid, shape ``(n, points)``.
    inside
        Where they were measured, same shape.
    contract
        What the network expects.
    """
    if contract.background:
        values = values - _lower_envelope(values, inside, contract.background)
    values = torch.where(inside, values, 0.0).clamp_min(0)
    top = values.amax(-1, keepdim=True).clamp_min(1e-12)
    lifted = (values / top) ** contract.power
    return torch.where(inside, lifted, contract.outside)


def _lower_envelope(values: Tensor, inside: Tensor, width: int) -> Tensor:
    """Return the opening of profiles by a window, smoothed: what lies under the peaks."""
    big = values.amax(-1, keepdim=True)
    filled = torch.where(inside, values, big)[:, None]
    weight = inside.to(values)[:, None]
    small = _box(filled * weight, SMOOTH) / _box(weight, SMOOTH).clamp_min(1e-3)
    small = torch.where(weight > 0, small, big[:, None])
    half = width // 2
    eroded = -functional.max_pool1d(-small, 2 * half + 1, 1, half)
    eroded = torch.where(weight > 0, eroded, -big[:, None].abs() - 1)
    opened = functional.max_pool1d(eroded, 2 * half + 1, 1, half)
    opened = torch.where(weight > 0, opened, 0.0)
    smooth = _box(opened * weight, width) / _box(weight, width).clamp_min(1e-3)
    return torch.minimum(smooth, small)[:, 0]


def _box(values: Tensor, width: int) -> Tensor:
    """Return running means, shape ``(n, 1, points)``; zeros lie beyond the ends."""
    half = width // 2
    if width <= 8:
        return functional.avg_pool1d(values, 2 * half + 1, 1, half, count_include_pad=True)
    # Sums from the start: the cost does not grow with the width.
    padded = functional.pad(values, (half + 1, half)).double().cumsum(-1)
    found = (padded[..., 2 * half + 1 :] - padded[..., : -2 * half - 1]) / (2 * half + 1)
    return found.to(values.dtype)
