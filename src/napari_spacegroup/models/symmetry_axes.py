"""The symmetry that one Kikuchi pattern shows, measured on the pattern itself.

Turned about a symmetry axis of the crystal, a pattern falls onto itself, wherever the part that
is turned is still on the screen. By Friedel's law every direction and its opposite look alike to
a few per cent, so that a mirror plane is a twofold axis along its normal, and the eleven Laue
classes are eleven groups of rotations.

Needs torch alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from .sector import limit_resolution, screen_rays

LAUE_CLASSES = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")
ORDERS = (2, 3, 4, 6)
LEAST_SHARE, SEEN_WELL = 0.1, 0.2
"""Share of the screen that must be seen twice for an axis to count at all, and for its correlation
to be the measure of the others."""
CHANCE = 0.15
"""Correlation that no symmetry is needed for."""
LEAST_EVIDENCE = -0.3
CHUNK = 96
"""Turns that are compared at a time: so many stay in a processor's cache."""


@dataclass(frozen=True)
class Axes:
    """The rotation axes of a Laue class.

    Parameters
    ----------
    directions
        Unit vectors, the principal axis along z and a secondary one along x, shape ``(k, 3)``.
    orders
        By the k-th part of a turn about each the class is symmetric, shape ``(k,)``; an axis
        of order four stands here with order two as well.
    """

    directions: Tensor
    orders: Tensor


def turns(axes: Tensor, angles: Tensor) -> Tensor:
    """Return the matrices of turns about unit vectors, shape ``(..., 3, 3)``.

    Parameters
    ----------
    axes
        Shape ``(..., 3)``.
    angles
        [radians], shape ``(...)``.
    """
    x, y, z = axes.unbind(-1)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3))
    sine, rest = angles.sin()[..., None, None], (1 - angles.cos())[..., None, None]
    matrices: Tensor = torch.eye(3, device=axes.device) + sine * cross + rest * (cross @ cross)
    return matrices


@cache
def symmetry_axes(laue: str) -> Axes:
    """Return the rotation axes of a Laue class but -1, which has none."""
    z, x, diagonal = torch.tensor([0.0, 0, 1]), torch.tensor([1.0, 0, 0]), torch.ones(3) / 3**0.5
    generators = {
        "2/m": [(z, 2)], "mmm": [(z, 2), (x, 2)], "4/m": [(z, 4)], "4/mmm": [(z, 4), (x, 2)],
        "-3": [(z, 3)], "-3m": [(z, 3), (x, 2)], "6/m": [(z, 6)], "6/mmm": [(z, 6), (x, 2)],
        "m-3": [(z, 2), (x, 2), (diagonal, 3)], "m-3m": [(z, 4), (diagonal, 3)],
    }[laue]  # fmt: skip
    steps = [turns(axis, torch.tensor(2 * math.pi / n)) for axis, n in generators]
    group = [torch.eye(3)]
    for element in group:  # grows on the way
        for step in steps:
            product = step @ element
            if not any(torch.allclose(product, known, atol=1e-4) for known in group):
                group.append(product)
    found: dict[tuple[float, ...], tuple[Tensor, int]] = {}
    for element in group[1:]:
        angle = math.acos(max(-1.0, (float(element.trace()) - 1) / 2))
        # The symmetric part of a turn has its axis for the largest eigenvalue.
        axis = torch.linalg.eigh(element + element.T).eigenvectors[:, 2]
        first = axis[axis.abs() > 1e-3][-1]
        axis = axis * torch.sign(first)
        order = round(2 * math.pi / angle)
        found[(order, *(round(v, 2) + 0.0 for v in axis.tolist()))] = (axis, order)
    return Axes(torch.stack([axis for axis, _ in found.values()]),
                torch.tensor([order for _, order in found.values()]))  # fmt: skip


def evidence(correlation: Tensor, share: Tensor, enough: float = CHANCE) -> Tensor:
    """Return what correlations say: more where more of the screen is compared.

    From ``enough`` on they speak for an axis, below it against.
    """
    found = share.sqrt() * (correlation - enough).clamp_min(LEAST_EVIDENCE)
    return torch.where(share > LEAST_SHARE, found, 0.0)


@dataclass(frozen=True)
class Screen:
    """A pattern made ready to be compared with itself.

    Parameters
    ----------
    picture
        The pattern and where it is valid, shape ``(1, 2, side, side)``.
    projection
        Detector axes to coordinates of the picture in -1 to 1, homogeneous, shape ``(3, 3)``.
    rays
        Directions that are compared, shape ``(m, 3)``.
    sums
        Weight, weighted value and weighted square there, shape ``(m, 3)``.
    """

    picture: Tensor
    projection: Tensor
    rays: Tensor
    sums: Tensor

    @classmethod
    def of(cls, image: Tensor, center: Tensor, angle: float, side: int) -> Screen:
        """Return the screen of a prepared pattern, blurred by an angle [degrees].

        Parameters
        ----------
        image
            Shape ``(1, 1, side, side)``; exact zeros lie outside the screen.
        center
            Pattern center, Bruker's convention, shape ``(1, 3)``.
        """
        inside = (image != 0).to(image)
        picture = torch.cat([limit_resolution(image, center, angle), inside], 1)
        x, y, z = center[0].tolist()
        projection = image.new_tensor([[2 * z, 0, 2 * x - 1], [0, -2 * z, 2 * y - 1], [0, 0, 1.0]])
        rays = screen_rays(center, side)[0]
        value, valid = _look(picture, rays @ projection.T)
        rays, value = rays[valid > 0.99], value[valid > 0.99]
        weight = rays[:, 2] ** 3  # equal areas of the sphere count alike
        weight = weight / weight.sum().clamp_min(1e-9)
        sums = torch.stack([weight, weight * value, weight * value * value], -1)
        return cls(picture, projection, rays, sums)

    def correlate(self, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the correlation with itself turned, and the share seen twice, shape ``(k,)``."""
        maps = (self.projection @ rotations).mT.contiguous()
        parts = [self._correlate(part) for part in maps.split(CHUNK)]
        return torch.cat([c for c, _ in parts]), torch.cat([s for _, s in parts])

    def agreement(self, rotations: Tensor, center: Tensor, side: int) -> Tensor:
        """Return the product of the pattern and its turned copies, averaged, ``(side, side)``.

        Parameters
        ----------
        rotations
            Shape ``(k, 3, 3)``.
        center
            Pattern center, shape ``(1, 3)``.
        side
            Pixels along an edge of what is returned.
        """
        rays = screen_rays(center, side)[0]
        value, valid = _look(self.picture, rays @ self.projection.T)
        turned, seen = _look(self.picture, rays @ (self.projection @ rotations).mT)
        weight = valid * seen
        mean = (value * turned * weight).sum(0) / weight.sum(0).clamp_min(0.5)
        return mean.reshape(side, side)

    def _correlate(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        value, valid = _look(self.picture, self.rays @ maps)
        value = value * valid
        share, first, first_square = (valid @ self.sums).unbind(-1)
        second, product = (value @ self.sums[:, :2]).unbind(-1)
        second_square = (value * value) @ self.sums[:, 0]
        total = share.clamp_min(1e-6)
        first, second = first / total, second / total
        spread = (first_square / total - first**2) * (second_square / total - second**2)
        both = product / total - first * second
        return both / spread.clamp_min(1e-9).sqrt(), share


def _look(picture: Tensor, homogeneous: Tensor) -> tuple[Tensor, Tensor]:
    """Return value and validity of the picture at projected directions, on either side of it."""
    places = homogeneous[..., :2] / homogeneous[..., 2:]
    places = places.nan_to_num(9.0).clamp(-9, 9)
    if places.ndim == 2:
        places = places[None]
    found = functional.grid_sample(picture, places[None], align_corners=False)[0]
    return (found[0, 0], found[1, 0]) if homogeneous.ndim == 2 else (found[0], found[1])
