"""Powder profiles drawn in batches: what a diffractometer makes of a list of lines.

Needs torch and numpy alone. Everything that differs from profile to profile is a tensor in
a :class:`ProfileConditions`, so that one call draws a batch of different samples and
instruments. Formulas: Young (1993), *The Rietveld Method*, chapters 1, 3 and 7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..imaging import ProfileContract
from .lineset import LineSet

WINDOWS = ((1.6, 9), (3.0, 16), (6.0, 30), (14.0, 70), (math.inf, 240))
"""Lines up to a width are drawn over so many points to either side [points]."""

CELL_WIDTH = 0.68
"""FWHM [points] of the Gaussian that stands for averaging over a cell of the grid."""


@dataclass(frozen=True)
class ProfileConditions:
    """Sample and instrument of each profile of a batch; every field has shape ``(n,)``.

    Parameters
    ----------
    wavelength
        The stronger line of a doublet [Å].
    second_ratio, second_share
        Wavelength of the weaker line over the stronger one, and its strength relative to it.
    polarization
        ``cos² 2θ`` of the monochromator; 1 for none, and for neutrons -1: no polarisation.
    caglioti_u, caglioti_v, caglioti_w
        Squared Gaussian FWHM over 2θ is ``U tan² θ + V tan θ + W`` [degrees²].
    size_width, strain_width
        Lorentzian FWHM over 2θ is ``size / cos θ + strain tan θ`` [degrees].
    zero_shift
        Added to all angles 2θ [degrees].
    displacement
        Height of the sample over the axis, over the radius: ``Δ2θ = -2 s cos θ`` [radians].
    texture
        March's r along the preferred axis; 1 for none, below 1 for platelets.
    stretch
        Factor on all spacings of the crystal.
    impurity
        Strongest line of the impurity relative to that of the sample.
    """

    wavelength: Tensor
    second_ratio: Tensor
    second_share: Tensor
    polarization: Tensor
    caglioti_u: Tensor
    caglioti_v: Tensor
    caglioti_w: Tensor
    size_width: Tensor
    strain_width: Tensor
    zero_shift: Tensor
    displacement: Tensor
    texture: Tensor
    stretch: Tensor
    impurity: Tensor

    @property
    def mean_wavelength(self) -> Tensor:
        """Return the mean over the doublet, which angles are converted with [Å]."""
        share = self.second_share
        return self.wavelength * (1 + share * self.second_ratio) / (1 + share)


class DeviceLines:
    """A set of lines on a torch device.

    Parameters
    ----------
    lines
        The set.
    radiation
        Which strengths are taken.
    device
        Where batches are drawn.
    """

    def __init__(self, lines: LineSet, radiation: str, device: torch.device) -> None:
        def tensor(array: NDArray[Any]) -> Tensor:
            return torch.as_tensor(array, device=device)

        strength = lines.xray if radiation == "xray" else lines.neutron
        self.q, self.strength = tensor(lines.q), tensor(strength)
        self.cosines = tensor(lines.cosines)
        self.starts, self.ends = tensor(lines.starts), tensor(lines.ends)

    def rows(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return which lines some crystals have, and which of the crystals each belongs to."""
        lengths = self.ends[chosen] - self.starts[chosen]
        owner = torch.repeat_interleave(torch.arange(len(chosen), device=chosen.device), lengths)
        first = lengths.cumsum(0) - lengths
        rows = torch.arange(len(owner), device=chosen.device) - first[owner]
        return rows + self.starts[chosen][owner], owner


def march_dollase(cosines: Tensor, texture: Tensor) -> Tensor:
    """Return the strength of families in a textured sample, mean 1 over all directions.

    Parameters
    ----------
    cosines
        Squared cosine between planes and preferred axis, shape ``(n, k)`` of each family.
    texture
        March's r, shape ``(n,)``.

    References
    ----------
    Dollase, W. A. (1986). J. Appl. Cryst. 19, 267-272.
    """
    r = texture[:, None]
    return ((r**2 * cosines + (1 - cosines) / r) ** -1.5).mean(1)


def draw_lines(
    lines: DeviceLines,
    chosen: Tensor,
    conditions: ProfileConditions,
    contract: ProfileContract,
) -> Tensor:
    """Return the peaks of profiles, without background and noise.

    Parameters
    ----------
    lines
        Where the crystals are.
    chosen
        Crystal of each profile, shape ``(n,)``.
    conditions
        Sample and instrument of each.
    contract
        The grid.

    Returns
    -------
    rates
        Intensity per degree 2θ on the points of the grid, the strongest point of each
        profile 1, shape ``(n, points)``.
    """
    rows, owner = lines.rows(chosen)
    q = lines.q[rows] / conditions.stretch[owner]
    strength = lines.strength[rows]
    textured = (conditions.texture != 1)[owner].nonzero()[:, 0]
    if len(textured):
        cosines = lines.cosines[rows[textured]].to(q) / 255
        strength = strength.clone()
        strength[textured] *= march_dollase(cosines, conditions.texture[owner[textured]])
    out = torch.zeros(len(chosen) * contract.points, dtype=q.dtype, device=q.device)
    first = conditions.wavelength
    _draw(out, q, strength, owner, first, conditions, contract)
    double = (conditions.second_share > 0)[owner].nonzero()[:, 0]
    if len(double):
        members = owner[double]
        weaker = strength[double] * conditions.second_share[members]
        second = first * conditions.second_ratio
        _draw(out, q[double], weaker, members, second, conditions, contract)
    profiles = out.reshape(len(chosen), contract.points)
    return profiles / profiles.amax(1, keepdim=True).clamp_min(1e-30)


def _draw(
    out: Tensor,
    q: Tensor,
    strength: Tensor,
    owner: Tensor,
    wavelength: Tensor,
    conditions: ProfileConditions,
    contract: ProfileContract,
) -> None:
    """Add the lines of one wavelength to flat profiles."""
    sine = q * wavelength[owner] / (4 * math.pi)
    seen = (sine < 0.996).nonzero()[:, 0]
    sine, owner, strength = sine[seen], owner[seen], strength[seen]
    theta = torch.asin(sine)
    cosine = torch.cos(theta)
    polarization = conditions.polarization[owner]
    flat = 1 + polarization.clamp_min(0) * torch.cos(2 * theta) ** 2
    strength = strength * torch.where(polarization < 0, 1.0, flat) / (sine**2 * cosine)
    width, share = _widths(theta, conditions, owner)
    shift = torch.deg2rad(conditions.zero_shift[owner])
    shift = shift - 2 * conditions.displacement[owner] * cosine
    # What the angle is taken for: the mean wavelength of the doublet.
    apparent = torch.sin(theta + 0.5 * shift).clamp_min(1e-6)
    mean = conditions.mean_wavelength[owner]
    index, slope = grid_index(apparent * 4 * math.pi / mean, contract)
    per_degree = slope * (2 * math.pi / mean * cosine) * math.pi / 180  # points a degree
    points = torch.sqrt((width * per_degree) ** 2 + CELL_WIDTH**2)
    height = strength * per_degree / points
    size = contract.points
    least = 0.0
    for most, half in WINDOWS:
        here = (points > least) & (points <= most) & (index > -half) & (index < size + half)
        part = here.nonzero()[:, 0]
        least = most
        if not len(part):
            continue
        offsets = torch.arange(-half, half + 1, device=q.device)
        middle = index[part].round()
        places = middle.long()[:, None] + offsets
        apart = (offsets - (index[part] - middle)[:, None]) / points[part, None]
        values = height[part, None] * _pseudo_voigt(apart, share[part, None])
        inside = (places >= 0) & (places < size)
        flat_places = (owner[part, None] * size + places.clamp(0, size - 1)).reshape(-1)
        out.index_add_(0, flat_places, torch.where(inside, values, 0.0).reshape(-1))


def _pseudo_voigt(apart: Tensor, share: Tensor) -> Tensor:
    """Return the profile of unit area and unit FWHM; ``share`` of it is Lorentzian."""
    squared = apart.square()
    gauss = torch.exp(squared * (-4 * math.log(2))) * (
        (1 - share) * (2 * math.sqrt(math.log(2) / math.pi))
    )
    return gauss.addcdiv_(share * (2 / math.pi), squared.mul_(4).add_(1))


def _widths(theta: Tensor, conditions: ProfileConditions, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Return FWHM [degrees] and Lorentzian share of lines.

    References
    ----------
    Thompson, Cox & Hastings (1987). J. Appl. Cryst. 20, 79-83.
    """
    tangent = torch.tan(theta)
    squared = conditions.caglioti_u[owner] * tangent**2
    squared = squared + conditions.caglioti_v[owner] * tangent + conditions.caglioti_w[owner]
    gauss = squared.clamp_min(1e-6).sqrt()
    lorentz = conditions.size_width[owner] / torch.cos(theta)
    lorentz = lorentz + conditions.strain_width[owner] * tangent
    width = (
        gauss**5 + 2.69269 * gauss**4 * lorentz + 2.42843 * gauss**3 * lorentz**2
        + 4.47163 * gauss**2 * lorentz**3 + 0.07842 * gauss * lorentz**4 + lorentz**5
    ) ** 0.2  # fmt: skip
    ratio = lorentz / width
    return width, (1.36603 * ratio - 0.47719 * ratio**2 + 0.11116 * ratio**3).clamp(0, 1)


def grid_index(q: Tensor, contract: ProfileContract) -> tuple[Tensor, Tensor]:
    """Return where q lies on the grid [points], and how many points one 1/Å takes there."""
    if contract.grid == "log_q":
        index = torch.log(q / contract.start) / contract.step
        return index, 1 / (q * contract.step)
    sine = (q * contract.wavelength / (4 * math.pi)).clamp(max=0.99999)
    angle = torch.rad2deg(2 * torch.asin(sine))
    slope = torch.rad2deg(contract.wavelength / (2 * math.pi) / torch.sqrt(1 - sine**2))
    return (angle - contract.start) / contract.step, slope / contract.step


def grid_angles(wavelength: Tensor, contract: ProfileContract) -> tuple[Tensor, Tensor]:
    """Return 2θ of the grid's points and the width of their cells [degrees].

    Parameters
    ----------
    wavelength
        Shape ``(n,)`` [Å].

    Returns
    -------
    angles, widths
        Shape ``(n, points)``; 180 and 0 where no angle reaches.
    """
    edges = torch.as_tensor(contract.edges(), dtype=torch.float32, device=wavelength.device)
    centre = torch.as_tensor(contract.q(), dtype=torch.float32, device=wavelength.device)
    factor = wavelength[:, None] / (4 * math.pi)
    angles = torch.rad2deg(2 * torch.asin((centre * factor).clamp(max=1)))
    limits = torch.rad2deg(2 * torch.asin((edges * factor).clamp(max=1)))
    return angles, limits.diff(dim=1)
