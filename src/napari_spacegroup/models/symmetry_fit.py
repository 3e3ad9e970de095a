"""The orientation in which a pattern shows the symmetry of each Laue class best.

The pattern is turned about every direction first (:func:`map_axes`); where that speaks for axes,
each Laue class is laid, and turned until all of its axes agree with the pattern best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from .symmetry_axes import (
    CHANCE,
    LAUE_CLASSES,
    ORDERS,
    SEEN_WELL,
    Screen,
    evidence,
    symmetry_axes,
    turns,
)

GRID = 64
"""Axes tried along an edge of the square that holds the hemisphere: some 2.3 degrees apart."""
COARSE_SIDE, FINE_SIDE = 28, 40
"""Points along an edge of the screen that are compared, in the search and in the refinement."""
BLIND_ANGLE, COARSE_ANGLE, FINE_ANGLE = 2.4, 1.8, 1.5
"""Blur of the pattern [degrees]: while all axes are tried, a grid misses sharper peaks, and in
the first and second half of a refinement."""
SEARCH_PART, PART = 0.4, 0.45
"""Of the correlation about the best axis: what another axis must reach to speak for symmetry, in
the search and at the end. Nearly symmetric crystals reach less, noise lowers all alike."""
TURN_STEP = 2.0
"""Between the turns about the principal axis that are tried [degrees]."""
REFINED_AXES, APART = 22, 6.0
"""Axes of order two and three that are refined one by one, and how far apart they are [degrees]."""
PRINCIPAL_AXES = 10
"""Principal axes that are tried of each Laue class."""
PAIR_ERROR = 2.5
"""Of the angle between two axes that were found [degrees]."""
TRIED, REFINED, STEPS, FIRST_STEP = 60, 5, 4, 1.5
"""Orientations that are looked at and that are refined, in how many steps, and the first of them
[degrees]."""
UNIAXIAL = {"2/m", "4/m", "-3", "6/m"}


@dataclass(frozen=True)
class LaueFit:
    """How well a pattern shows the symmetry of a Laue class in its best orientation.

    Parameters
    ----------
    rotation
        Axes of the class to detector axes, shape ``(3, 3)``.
    correlation
        Of the pattern with itself turned about each axis, -1 to 1, shape ``(k,)``.
    share
        Of the screen that is seen twice then, shape ``(k,)``.
    enough
        Correlation from which an axis speaks for the class.
    """

    rotation: Tensor
    correlation: Tensor
    share: Tensor
    enough: float = CHANCE

    @property
    def evidence(self) -> float:
        """Return how much speaks for the class, a sum over its axes."""
        return float(evidence(self.correlation, self.share, self.enough).sum())

    def axes(self, laue: str) -> Tensor:
        """Return the axes of the class in detector axes, shape ``(k, 3)``."""
        return symmetry_axes(laue).directions @ self.rotation.T


@cache
def _directions() -> Tensor:
    """Return the axes that are tried: a square Lambert grid of the hemisphere."""
    step = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    column, row = step[None].expand(GRID, GRID), step[:, None].expand(GRID, GRID)
    wide = row.abs() <= column.abs()
    major, minor = torch.where(wide, column, row), torch.where(wide, row, column)
    angle = minor / major * (math.pi / 4)
    radius = major * (2 - major**2).sqrt()
    along, across = radius * angle.cos(), radius * angle.sin()
    x, y = torch.where(wide, along, across), torch.where(wide, across, along)
    return torch.stack([x, y, 1 - major**2], -1).reshape(-1, 3)


def _grid_places(directions: Tensor) -> Tensor:
    """Return where directions lie on the grid of axes, in -1 to 1, shape ``(..., 2)``."""
    x, y, z = torch.where(directions[..., 2:] < 0, -directions, directions).unbind(-1)
    radius = ((x * x + y * y) / (1 + z)).sqrt()
    wide = y.abs() <= x.abs()
    major, minor = torch.where(wide, x, y), torch.where(wide, y, x)
    along = radius * torch.where(major < 0, -1.0, 1.0)
    slope = torch.where(major == 0, 0.0, minor / major)
    across = along * slope.atan() * (4 / math.pi)
    return torch.stack([torch.where(wide, along, across), torch.where(wide, across, along)], -1)


@cache
def _all_turns(order: int) -> Tensor:
    axes = _directions()
    return turns(axes, torch.full((len(axes),), 2 * math.pi / order))


@dataclass(frozen=True)
class SymmetryMap:
    """What turning a pattern about every direction gives.

    Parameters
    ----------
    correlation, share
        For the four orders and all axes, shape ``(4, GRID ** 2)``.
    """

    correlation: Tensor
    share: Tensor

    @property
    def evidence(self) -> Tensor:
        """Return the evidence for each order and axis, shape ``(4, GRID ** 2)``."""
        return evidence(self.correlation, self.share)

    @property
    def best(self) -> float:
        """Return the highest correlation where enough of the screen is compared."""
        return float(torch.where(self.share > SEEN_WELL, self.correlation, 0.0).max())


def map_axes(screen: Screen) -> SymmetryMap:
    """Return the correlation of a pattern with itself for all axes and orders.

    A fourfold axis is a twofold one, and a sixfold one both twofold and threefold: they are
    looked for where those have most evidence.
    """
    axes = _directions()
    correlation = torch.zeros(len(ORDERS), len(axes))
    share = torch.zeros(len(ORDERS), len(axes))
    for row, order in enumerate(ORDERS):
        if order < 4:
            chosen = torch.arange(len(axes))
        else:
            parts = evidence(correlation, share)
            total = parts[0] if order == 4 else parts[0].clamp_min(0) + parts[1]
            chosen = total.topk(len(axes) // 6).indices
        found = screen.correlate(_all_turns(order)[chosen])
        correlation[row, chosen], share[row, chosen] = found
    return SymmetryMap(correlation, share)


def fit_laue_classes(image: Tensor, center: Tensor) -> tuple[SymmetryMap, dict[str, LaueFit]]:
    """Return the map of axes, and the best orientation of every Laue class but -1.

    Parameters
    ----------
    image
        Prepared pattern, shape ``(1, 1, side, side)``; exact zeros lie outside the screen.
    center
        Pattern center, Bruker's convention, shape ``(1, 3)``.
    """
    blind, coarse, fine = (
        Screen.of(image, center, angle, side)
        for angle, side in ((BLIND_ANGLE, COARSE_SIDE), (COARSE_ANGLE, COARSE_SIDE),
                            (FINE_ANGLE, FINE_SIDE))
    )  # fmt: skip
    found = map_axes(blind)
    single = {order: _refined_axes(coarse, fine, found, order) for order in (2, 3)}
    fits = {laue: _strongest_fit(single[order]) for laue, order in (("2/m", 2), ("-3", 3))}
    search, enough = (
        max(CHANCE, part * best)
        for part, best in ((SEARCH_PART, found.best), (PART, max(map(_best, fits.values()))))
    )
    for laue in LAUE_CLASSES[1:]:
        if laue in fits:
            fits[laue] = replace(fits[laue], enough=enough)
            continue
        starts = _starts(found, laue, search, single)
        fits[laue] = refine_fit(coarse, fine, laue, starts, search, enough)
    return found, {laue: fits[laue] for laue in LAUE_CLASSES[1:]}


def _refined_axes(
    coarse: Screen, fine: Screen, found: SymmetryMap, order: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the strongest axes of order two or three, refined one by one, the best first.

    Returns
    -------
    axes, correlation, share
        Shapes ``(REFINED_AXES, 3)`` and ``(REFINED_AXES,)``.
    """
    axes = _strongest(found.evidence[ORDERS.index(order)], REFINED_AXES)
    angle = torch.tensor(2 * math.pi / order)
    step = math.radians(FIRST_STEP)
    for number in range(STEPS):
        across = functional.normalize(torch.linalg.cross(axes, _helpers(axes)), dim=-1)
        up = torch.linalg.cross(axes, across)
        moves = [torch.zeros_like(axes), across, up, -across, -up]
        tried = functional.normalize(axes[:, None] + step * torch.stack(moves, 1), dim=-1)
        screen = coarse if number < STEPS // 2 else fine
        matrices = turns(tried, angle.expand(tried.shape[:2]))
        weighed = evidence(*screen.correlate(matrices.flatten(0, 1))).reshape(tried.shape[:2])
        axes = tried[torch.arange(len(axes)), weighed.argmax(1)]
        step *= 0.6
    correlation, share = fine.correlate(turns(axes, angle.expand(len(axes))))
    ranked = evidence(correlation, share).argsort(descending=True)
    return axes[ranked], correlation[ranked], share[ranked]


def _strongest_fit(single: tuple[Tensor, Tensor, Tensor]) -> LaueFit:
    """Return the fit of the class that has one axis, the strongest one."""
    axes, correlation, share = single
    return LaueFit(_frames(axes[:1], 1)[0], correlation[:1], share[:1])


def _best(found: LaueFit) -> float:
    return float(torch.where(found.share > SEEN_WELL, found.correlation, 0.0).max())


def _starts(
    found: SymmetryMap,
    laue: str,
    enough: float,
    single: dict[int, tuple[Tensor, Tensor, Tensor]],
) -> Tensor:
    """Return the most promising orientations of a class by the map, shape ``(k, 3, 3)``."""
    axes = symmetry_axes(laue)
    rows = torch.tensor([ORDERS.index(int(n)) for n in axes.orders])
    orders = axes.orders[axes.directions[:, 2] > 0.99]
    principal = single[3 if 3 in orders.tolist() else 2][0][:PRINCIPAL_AXES]
    frames = _frames(principal, 1 if laue in UNIAXIAL else 0)
    frames = torch.cat([frames, *_by_pairs(laue, {n: axes for n, (axes, *_) in single.items()})])
    directions = (frames @ axes.directions.T).mT.contiguous()
    places = _grid_places(directions).reshape(1, 1, -1, 2)
    maps = evidence(found.correlation, found.share, enough).reshape(1, len(ORDERS), GRID, GRID)
    values = functional.grid_sample(maps, places, align_corners=False, padding_mode="border")
    values = values[0, :, 0].reshape(len(ORDERS), len(frames), -1)
    score = values[rows, :, torch.arange(len(rows))].sum(0)
    return frames[_distinct(directions, score.argsort(descending=True)[:TRIED].tolist())]


def _distinct(directions: Tensor, ranked: list[int]) -> list[int]:
    """Return the first orientations whose axes are not those of an earlier one."""
    chosen: list[int] = []
    for k in ranked:
        # The worst of its axes must lie apart from all axes of each earlier one.
        worst = (directions[k] @ directions[chosen].mT).abs().amax(-1).amin(-1)
        if not chosen or float(worst.max()) < math.cos(math.radians(APART)):
            chosen.append(k)
        if len(chosen) == REFINED:
            break
    return chosen


def _by_pairs(laue: str, single: dict[int, Tensor]) -> list[Tensor]:
    """Return the orientations in which two axes of a class are two that were found."""
    frames = []
    for first, second, cosine, basis in _pairs(laue):
        u, v = (single[n] for n in (first, second))
        between = u @ v.T
        near = (between.abs().clamp(max=1).acos() - math.acos(cosine)).abs()
        i, j = (near < math.radians(PAIR_ERROR)).nonzero(as_tuple=True)
        sign = torch.where(between[i, j] < 0, -1.0, 1.0)
        frames.append(_triads(u[i], v[j] * sign[:, None]) @ basis.T)
    return frames


@cache
def _pairs(laue: str) -> list[tuple[int, int, float, Tensor]]:
    """Return the kinds of pairs of axes of a class: orders, cosine between them, and a basis.

    An axis of order four or six stands for what it is besides, two or three.
    """
    axes = symmetry_axes(laue)
    kinds: dict[tuple[int, int, int], tuple[int, int, float, Tensor]] = {}
    plain = axes.orders < 4
    directions, orders = axes.directions[plain], axes.orders[plain].tolist()
    for a, first in zip(directions, orders, strict=True):
        for b, second in zip(directions, orders, strict=True):
            cosine = float(a @ b)
            if first > second or abs(cosine) > 0.99:
                continue
            b = b if cosine >= 0 else -b
            key = (first, second, round(math.degrees(math.acos(abs(cosine)))))
            basis = _triads(a[None], b[None])[0]
            kinds.setdefault(key, (first, second, abs(cosine), basis))
    return list(kinds.values())


def _triads(first: Tensor, second: Tensor) -> Tensor:
    """Return bases with the first direction along x and the second in the plane of x and y."""
    z = functional.normalize(torch.linalg.cross(first, second), dim=-1)
    return torch.stack([first, torch.linalg.cross(z, first), z], -1)


def _strongest(total: Tensor, count: int) -> Tensor:
    """Return the axes of most evidence that lie apart, shape ``(count, 3)``."""
    axes, left, chosen = _directions(), total.clone(), []
    for _ in range(count):
        axis = axes[int(left.argmax())]
        chosen.append(axis)
        left[(axes @ axis).abs() > math.cos(math.radians(APART))] = -torch.inf
    return torch.stack(chosen)


def _helpers(axes: Tensor) -> Tensor:
    """Return directions that are not along the axes, shape ``(n, 3)``."""
    return torch.eye(3)[(axes[:, 2].abs() < 0.9).long() * 2]


def _frames(principal: Tensor, turned: int) -> Tensor:
    """Return orientations with z along axes, in all turns about them, or in so many."""
    x = functional.normalize(torch.linalg.cross(_helpers(principal), principal), dim=-1)
    bases = torch.stack([x, torch.linalg.cross(principal, x), principal], -1)
    angles = torch.deg2rad(torch.arange(0, 180, TURN_STEP))[: turned or None]
    z = torch.tensor([0.0, 0, 1]).expand(len(angles), 3)
    return (bases[:, None] @ turns(z, angles)[None]).flatten(0, 1)


def refine_fit(
    coarse: Screen, fine: Screen, laue: str, frames: Tensor, search: float, enough: float
) -> LaueFit:
    """Return the best of some orientations after small turns.

    Parameters
    ----------
    coarse, fine
        The pattern for the first half of the steps, and for the rest.
    laue
        A Laue class.
    frames
        Orientations to begin with, shape ``(k, 3, 3)``.
    search, enough
        Correlation from which an axis speaks for the class, in both.
    """
    axes = symmetry_axes(laue)
    angles = 2 * math.pi / axes.orders
    unit = torch.cat([torch.eye(3)[:1], torch.eye(3), -torch.eye(3)])
    step = math.radians(FIRST_STEP)
    for number in range(STEPS):
        sizes = torch.tensor([0.0] + [step] * 6)
        tried = turns(unit, sizes) @ frames[:, None]
        directions = tried @ axes.directions.T
        matrices = turns(directions.mT, angles.expand(*tried.shape[:2], -1))
        screen, asked = (coarse, search) if number < STEPS // 2 else (fine, enough)
        weighed = evidence(*screen.correlate(matrices.flatten(0, 2)), asked)
        best = weighed.reshape(*tried.shape[:2], -1).sum(-1).argmax(1)
        frames = tried[torch.arange(len(frames)), best]
        step *= 0.6
    matrices = turns((frames @ axes.directions.T).mT, angles.expand(len(frames), -1))
    correlation, share = (
        v.reshape(len(frames), -1) for v in fine.correlate(matrices.flatten(0, 1))
    )
    first = int(evidence(correlation, share, enough).sum(-1).argmax())
    return LaueFit(frames[first], correlation[first], share[first], enough)
