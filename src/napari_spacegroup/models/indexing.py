"""Finding the orientation of a cubic crystal without knowing which crystal it is.

All cubic crystals have their bands and zone axes in the same directions; what differs is
how strong each is. A pattern of any of them is therefore, on the sphere, nearly a sum of
a few *templates* (the principal components of many master patterns, folded into the
sector of m-3m). The best orientation is the one at which such a sum explains most of the
pattern: searched over a grid of all orientations, then refined.

Needs torch alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..imaging.filters import gaussian_blur
from .sector import cubic_operations, sample_sector, screen_rays, sector_slopes

VIEW_SIDE = 32
VIEW_EXTENT = 0.75
"""Views of the coarse search: pixels, and half the width as a tangent (37 degrees)."""
VIEW_BLUR, VIEW_BACKGROUND = 0.8, 3.84
RIDGE = 0.02
"""Prior against fitting noise, as a share of the templates' intensity."""
ORIENTATIONS = 158_000
"""Points on all of SO(3): one in 24 lies in the cubic zone, none farther than 4 degrees."""


@dataclass(frozen=True)
class Effort:
    """How much is tried to find an orientation.

    Parameters
    ----------
    candidates
        Orientations of the grid that are refined.
    coarse_steps
        Steps that each of them takes on a blurred pattern.
    kept
        How many go on.
    fine_steps
        Steps that those take on the pattern itself.
    """

    candidates: int
    coarse_steps: int
    kept: int
    fine_steps: int


QUICK = Effort(candidates=16, coarse_steps=1, kept=3, fine_steps=2)
THOROUGH = Effort(candidates=128, coarse_steps=2, kept=10, fine_steps=3)
POOR_SCORE = 0.2
"""Below it a second, thorough search is made: right orientations of cubic crystals explain
more than that (98 % of them at the noise of the standard condition), wrong ones rarely 0.14."""


def uniform_rotations(count: int) -> Tensor:
    """Return quaternions spread evenly over all rotations, shape ``(count, 4)``.

    Super-Fibonacci spirals; Alexa (2022), IEEE/CVF CVPR, 8291-8300.
    """
    phi, psi = math.sqrt(2.0), 1.533751168755204288118041
    index = torch.arange(count, dtype=torch.float64) + 0.5
    share = index / count
    inner, outer = share.sqrt(), (1 - share).sqrt()
    alpha, beta = 2 * math.pi * index / phi, 2 * math.pi * index / psi
    quaternions = torch.stack(
        [inner * alpha.sin(), inner * alpha.cos(), outer * beta.sin(), outer * beta.cos()], -1
    )
    return quaternions.to(torch.float32)


def quaternion_matrices(quaternions: Tensor) -> Tensor:
    """Return rotation matrices of unit quaternions, scalar first, shape ``(n, 3, 3)``."""
    scalar, vector = quaternions[:, 0, None, None], quaternions[:, 1:]
    cross = _cross_matrices(vector)
    identity = torch.eye(3, dtype=quaternions.dtype, device=quaternions.device)
    return identity + 2 * scalar * cross + 2 * cross @ cross


def cubic_zone_rotations(count: int = ORIENTATIONS) -> Tensor:
    """Return rotations spread evenly over the fundamental zone of 432, shape ``(n, 3, 3)``."""
    matrices = quaternion_matrices(uniform_rotations(count))
    # Of the 24 equivalents the one with the smallest angle has the largest trace.
    rotations = cubic_operations()[:24]
    best = torch.einsum("gij,nji->ng", rotations, matrices).amax(1)
    own = matrices.diagonal(dim1=1, dim2=2).sum(1)
    zone: Tensor = matrices[own >= best - 1e-6]
    return zone


def misorientation(first: Tensor, second: Tensor) -> Tensor:
    """Return the smallest angle between rotations under cubic symmetry [degrees].

    Parameters
    ----------
    first, second
        Into crystal axes, shape ``(n, 3, 3)``.

    Returns
    -------
    angle
        Shape ``(n,)``.
    """
    rotations = cubic_operations()[:24].to(first)
    trace = torch.einsum("nij,gik,nkj->ng", first, rotations, second).amax(1)
    return torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))


class CubicIndexer:
    """The search for the orientation of patterns of unknown cubic crystals.

    Parameters
    ----------
    templates
        Principal components of folded master patterns, each times its standard
        deviation, strongest first; shape ``(k, side, side)``. The device of the search.
    components
        Templates of the coarse search.
    features
        Numbers that a view is reduced to in the coarse search.
    """

    def __init__(self, templates: Tensor, *, components: int = 16, features: int = 224) -> None:
        self.templates = templates.float()
        self.components = min(components, len(templates))
        self.rotations = cubic_zone_rotations().to(templates.device)
        step = (torch.arange(VIEW_SIDE, device=templates.device) + 0.5) / VIEW_SIDE
        step = (2 * step - 1) * VIEW_EXTENT
        across, up = torch.meshgrid(step, -step, indexing="xy")
        self.view_rays = torch.stack([across, up, torch.ones_like(up)], -1).reshape(-1, 3)
        self._build(features)

    @torch.no_grad()
    def _build(self, features: int) -> None:
        """Make the dictionary: for each orientation a basis of what it could look like."""
        chosen, pixels = self.templates[None, : self.components], VIEW_SIDE**2
        ridge = RIDGE * torch.eye(self.components, device=self.templates.device)

        def views(rotations: Tensor) -> Tensor:
            directions = torch.einsum("nij,pj->npi", rotations, self.view_rays)
            drawn = sample_sector(chosen, directions).reshape(-1, VIEW_SIDE, VIEW_SIDE)
            drawn = _band_pass(drawn).reshape(len(rotations), -1, pixels)
            drawn = drawn - drawn.mean(-1, keepdim=True)
            drawn = drawn / drawn.square().sum((1, 2), keepdim=True).sqrt()
            # With this factor the sum of squared products is the ridge regression's fit.
            root = torch.linalg.cholesky(drawn @ drawn.mT + ridge)
            whitened: Tensor = torch.linalg.solve_triangular(root, drawn, upper=False)
            return whitened

        sample = views(self.rotations[:: max(1, len(self.rotations) // 750)]).reshape(-1, pixels)
        vectors = torch.linalg.eigh(sample.mT @ sample).eigenvectors
        self.basis = vectors[:, -features:].contiguous()
        parts = [views(part) @ self.basis for part in self.rotations.split(256)]
        self.dictionary = torch.cat(parts).reshape(-1, features)

    def search(self, images: Tensor, centers: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return the best orientations of the grid.

        Parameters
        ----------
        images
            Shape ``(n, 1, side, side)``.
        centers
            Pattern centers, shape ``(n, 3)``.
        count
            How many orientations of each.

        Returns
        -------
        rotations
            Detector to crystal axes, shape ``(n, count, 3, 3)``, best first.
        scores
            Explained share of the view, shape ``(n, count)``.
        """
        views, turns = self._views(images, centers)
        reduced = functional.normalize(views - views.mean(1, keepdim=True), dim=1) @ self.basis
        fits = (reduced @ self.dictionary.mT).square_()
        scores = fits.reshape(len(images), len(self.rotations), self.components).sum(-1)
        scores, best = scores.topk(count, 1)
        return self.rotations[best] @ turns[:, None], scores

    def index(self, images: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the orientation of each pattern.

        Parameters
        ----------
        images
            Prepared patterns, shape ``(n, 1, side, side)``; exact zeros lie outside the
            screen.
        centers
            Pattern centers, Bruker's convention, shape ``(n, 3)``.

        Returns
        -------
        rotations
            Detector to crystal axes, shape ``(n, 3, 3)``.
        scores
            Share of the pattern's intensity that the templates explain there, 0 to 1,
            shape ``(n,)``.
        """
        found = []
        # So many patterns at once as processor caches like, or fill a GPU.
        size = 32 if images.device.type == "cpu" else 1024
        for part, places in zip(images.split(size), centers.split(size), strict=True):
            rotations, scores = self._index(part, places, QUICK)
            poor = (scores < POOR_SCORE).nonzero()[:, 0]
            for few in poor.split(size // 4) if len(poor) else ():
                again, better = self._index(part[few], places[few], THOROUGH)
                is_better = better > scores[few]
                rotations[few] = torch.where(is_better[:, None, None], again, rotations[few])
                scores[few] = torch.maximum(better, scores[few])
            found.append((rotations, scores))
        return torch.cat([pair[0] for pair in found]), torch.cat([pair[1] for pair in found])

    def _index(self, images: Tensor, centers: Tensor, effort: Effort) -> tuple[Tensor, Tensor]:
        rotations, scores = self.search(images, centers, effort.candidates)
        side = images.shape[-1]
        coarse = Screen.of(gaussian_blur(images[:, 0], side / 60)[:, None], centers, 18)
        for _ in range(effort.coarse_steps):
            rotations, scores = self.refine(coarse, rotations, 8)
        rotations = _take(rotations, scores.topk(effort.kept, 1).indices)
        middle = Screen.of(images, centers, 24)
        for _ in range(effort.fine_steps):
            rotations, scores = self.refine(middle, rotations, 12)
        rotations = _take(rotations, scores.argmax(1, keepdim=True))
        fine = Screen.of(images, centers, 30)
        rotations, _ = self.refine(fine, rotations, len(self.templates))
        return rotations[:, 0], self.score(fine, rotations, len(self.templates))[:, 0]

    def score(self, screen: Screen, rotations: Tensor, components: int) -> Tensor:
        """Return the explained share of patterns, shape ``(n, candidate)``."""
        return self._fit(screen, rotations, components)[2]

    def refine(self, screen: Screen, rotations: Tensor, components: int) -> tuple[Tensor, Tensor]:
        """Take one Gauss-Newton step; the scores are what it promises to reach."""
        fit = self._fit(screen, rotations, components)
        _, rest, slope = self._linearised(screen, rotations, fit)
        curve = slope.mT @ slope
        damping = 0.02 * curve.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + 1e-6
        curve = curve + damping * torch.eye(3, device=curve.device)
        push = (slope.mT @ rest[..., None])[..., 0]
        step = torch.linalg.solve(curve, push)
        gain = (step * push).sum(-1) / (screen.values.square().sum(-1)[:, None] + 1e-9)
        return self.turned(rotations, step), fit[2] + gain

    def linearise(self, screen: Screen, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return how the best fit of all templates changes with the orientation.

        Parameters
        ----------
        screen
            Of ``n`` patterns.
        rotations
            Detector to crystal axes, shape ``(n, candidate, 3, 3)``.

        Returns
        -------
        sheets
            Fitted sector sheets, shape ``(n * candidate, 1, side, side)``.
        rest
            Pattern less fit, shape ``(n, candidate, pixel)``.
        slope
            Change of the fit per rotation about each crystal axis [1/rad], shape
            ``(n, candidate, pixel, 3)``.
        """
        return self._linearised(
            screen, rotations, self._fit(screen, rotations, len(self.templates))
        )

    def draw(self, sheets: Tensor, screen: Screen, rotations: Tensor) -> Tensor:
        """Return what sector sheets look like on screens, shape ``(n, pixel)``."""
        return sample_sector(sheets, screen.rays @ rotations.mT)[:, 0]

    @staticmethod
    def turned(rotations: Tensor, steps: Tensor) -> Tensor:
        """Return orientations after small rotations [rad], each at most 3 degrees."""
        length = steps.norm(dim=-1, keepdim=True)
        return _turn_matrices(steps * (0.05 / length.clamp_min(0.05))) @ rotations

    def _linearised(
        self, screen: Screen, rotations: Tensor, fit: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights, fitted, _ = fit
        count, candidates, components = weights.shape
        side = self.templates.shape[-1]
        sheets = torch.einsum("nck,kab->ncab", weights, self.templates[:components])
        sheets = sheets.reshape(-1, 1, side, side)
        directions = (screen.rays[:, None] @ rotations.mT).flatten(0, 1)
        slope = sector_slopes(sheets[:, 0], directions)
        slope = slope.reshape(count, candidates, -1, 3)
        slope = slope * screen.inside[:, None, :, None]
        return sheets, screen.values[:, None] - fitted, slope

    def _fit(
        self, screen: Screen, rotations: Tensor, components: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return template weights, fitted pixels and explained share of each candidate."""
        count, candidates = rotations.shape[:2]
        points = screen.rays.shape[1]
        components = min(components, len(self.templates))
        directions = screen.rays[:, None] @ rotations.mT
        drawn = sample_sector(
            self.templates[None, :components], directions.reshape(1, -1, 3)
        )[0].reshape(components, count, candidates, points)  # fmt: skip
        drawn = drawn.permute(1, 2, 0, 3) * screen.inside[:, None, None]
        drawn = drawn - drawn.mean(-1, keepdim=True)
        square = drawn @ drawn.mT
        ridge = RIDGE * square.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + 1e-9
        square = square + ridge * torch.eye(components, device=square.device)
        product = (drawn @ screen.values[:, None, :, None])[..., 0]
        weights = torch.linalg.solve(square, product)
        fitted = (weights[..., None] * drawn).sum(-2)
        energy = screen.values.square().sum(-1)[:, None] + 1e-9
        return weights, fitted, (weights * product).sum(-1) / energy

    def _views(self, images: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
        """Return patterns as seen along the middle of their screen, and the turns to it."""
        pcx, pcy, pcz = centers.unbind(-1)
        middle = torch.stack([(0.5 - pcx) / pcz, (pcy - 0.5) / pcz, torch.ones_like(pcz)], -1)
        middle = functional.normalize(middle, dim=-1)
        upright = torch.zeros_like(middle)
        upright[:, 2] = 1.0
        cross = _cross_matrices(torch.linalg.cross(middle, upright))
        identity = torch.eye(3, device=centers.device)
        turns = identity + cross + cross @ cross / (1 + middle[:, 2])[:, None, None]
        seen = torch.einsum("nji,pj->npi", turns, self.view_rays)
        place = seen[..., :2] / seen[..., 2:]
        column = (place[..., 0] * pcz[:, None] + pcx[:, None]) * 2 - 1
        row = (pcy[:, None] - place[..., 1] * pcz[:, None]) * 2 - 1
        grid = torch.stack([column, row], -1).reshape(-1, VIEW_SIDE, VIEW_SIDE, 2)
        views = functional.grid_sample(images, grid, align_corners=False)[:, 0]
        return _band_pass(views).flatten(1), turns


@dataclass(frozen=True)
class Screen:
    """Patterns as lists of pixels.

    Parameters
    ----------
    values
        Intensities, 0 outside the screen, shape ``(n, pixel)``.
    inside
        1 inside the screen, same shape.
    rays
        Unit vectors to the pixels in detector axes, shape ``(n, pixel, 3)``.
    """

    values: Tensor
    inside: Tensor
    rays: Tensor

    @classmethod
    def of(cls, images: Tensor, centers: Tensor, side: int) -> Screen:
        """Return patterns binned to ``side`` pixels along an edge."""
        inside = functional.adaptive_avg_pool2d((images != 0).to(images.dtype), side) > 0.9
        values = functional.adaptive_avg_pool2d(images, side) * inside
        return cls(
            values.flatten(1), inside.to(images.dtype).flatten(1), screen_rays(centers, side)
        )


def _band_pass(views: Tensor) -> Tensor:
    return gaussian_blur(views, VIEW_BLUR) - gaussian_blur(views, VIEW_BACKGROUND)


def _take(rotations: Tensor, chosen: Tensor) -> Tensor:
    return torch.gather(rotations, 1, chosen[..., None, None].expand(-1, -1, 3, 3))


def _cross_matrices(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, -1).reshape(*vectors.shape[:-1], 3, 3)


def _turn_matrices(vectors: Tensor) -> Tensor:
    """Return the rotations by rotation vectors [rad], Rodrigues' formula."""
    angle = vectors.norm(dim=-1)[..., None, None] + 1e-9
    cross = _cross_matrices(vectors)
    identity = torch.eye(3, device=vectors.device)
    first, second = torch.sin(angle) / angle, (1 - torch.cos(angle)) / angle**2
    turn: Tensor = identity + first * cross + second * (cross @ cross)
    return turn
