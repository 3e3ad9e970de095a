"""What the camera does to an ideal pattern, and how training varies it.

Needs torch, numpy and pydantic alone. :func:`apply_condition` draws the fixed yardsticks
of evaluation (``clean``, ``standard``, ``hard``), which the room ``config`` defines;
:class:`Appearance` is the wider range that training draws from, with one strength per
effect so that an ablation can switch each off.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from ..config import ConditionName, ebsd_condition
from ..imaging.filters import gaussian_blur
from .projector import DetectorGeometry

Condition = ConditionName
Draw = Callable[..., Tensor]


class GeometryRange(BaseModel):
    """The range of detector positions that patterns are drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, int] = Field((60, 60), description="Rows and columns.")
    pcx: tuple[float, float] = Field((0.4, 0.6), description="Pattern center x, fraction.")
    pcy: tuple[float, float] = Field((0.15, 0.45), description="Pattern center y from the top.")
    pcz: tuple[float, float] = Field((0.45, 0.75), description="Screen distance over height.")
    sample_tilt: tuple[float, float] = Field((69.0, 71.0), description="Sample tilt, degrees.")
    detector_tilt: tuple[float, float] = Field((0.0, 0.0), description="Camera tilt, degrees.")
    azimuthal: tuple[float, float] = Field((0.0, 0.0), description="Camera azimuth, degrees.")

    @classmethod
    def of(cls, condition: Condition) -> GeometryRange:
        """Return the range of a named evaluation condition."""
        asked = ebsd_condition(condition)
        return cls(
            shape=asked.pattern_shape, pcx=asked.pattern_center_x, pcy=asked.pattern_center_y,
            pcz=asked.pattern_center_z, sample_tilt=asked.sample_tilt,
        )  # fmt: skip

    def draw(self, count: int, generator: torch.Generator) -> DetectorGeometry:
        """Return ``count`` geometries, uniform in the range."""

        def uniform(bounds: tuple[float, float]) -> Tensor:
            low, high = bounds
            return low + (high - low) * torch.rand(
                count, generator=generator, device=generator.device
            )

        center = torch.stack([uniform(self.pcx), uniform(self.pcy), uniform(self.pcz)], dim=-1)
        return DetectorGeometry(
            self.shape, center, uniform(self.sample_tilt), uniform(self.detector_tilt),
            uniform(self.azimuthal), torch.zeros(count, device=generator.device),
        )  # fmt: skip


TRAINING_GEOMETRY = GeometryRange(
    pcx=(0.35, 0.65), pcy=(0.1, 0.6), pcz=(0.4, 0.85), sample_tilt=(67.0, 73.0),
    detector_tilt=(-6.0, 12.0), azimuthal=(-3.0, 3.0),
)  # fmt: skip


def standardise(patterns: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return patterns of mean 0 and standard deviation 1 (inside the mask)."""
    if mask is None:
        mean = patterns.mean(dim=(1, 2), keepdim=True)
        return (patterns - mean) / (patterns.std(dim=(1, 2), keepdim=True) + 1e-6)
    count = mask.sum(dim=(1, 2), keepdim=True).clamp_min(1)
    mean = (patterns * mask).sum(dim=(1, 2), keepdim=True) / count
    variance = ((patterns - mean) ** 2 * mask).sum(dim=(1, 2), keepdim=True) / count
    return (patterns - mean) / (variance.sqrt() + 1e-6) * mask


def apply_condition(
    patterns: Tensor, condition: Condition, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Return patterns as a named evaluation condition sees them.

    What each condition holds is defined in :mod:`napari_spacegroup.config`, once; the
    smooth background is twice as strong as the pattern.

    Parameters
    ----------
    patterns
        Ideal patterns, shape ``(n, rows, columns)``.

    Returns
    -------
    patterns
        Same shape.
    mask
        True inside the screen, shape ``(rows, columns)``, or None.
    """
    asked = ebsd_condition(condition)
    images = standardise(blur_normalised(standardise(patterns), asked.blur))
    if asked.noise > 0:
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        images = images + asked.noise * noise
    if asked.has_background:
        images = images + 2.0 * smooth_background(images, generator)
    if not asked.has_circular_screen:
        return images, None
    rows, columns = images.shape[-2:]
    mask = circle(rows, columns, images)
    return images * mask, mask > 0


def blur_normalised(images: Tensor, sigma: float) -> Tensor:
    """Return the images blurred, the edges weighted by what they hold."""
    return gaussian_blur(images, sigma) / gaussian_blur(torch.ones_like(images[:1]), sigma)


def circle(rows: int, columns: int, like: Tensor, radius: float = 0.5) -> Tensor:
    """Return 1 inside the largest circle of the detector and 0 outside."""
    y = (torch.arange(rows, device=like.device) + 0.5 - rows / 2) / min(rows, columns)
    x = (torch.arange(columns, device=like.device) + 0.5 - columns / 2) / min(rows, columns)
    return ((y[:, None] ** 2 + x[None] ** 2) <= radius**2).to(like)


def smooth_background(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return random broad hills of about unit height, as a scattering background."""
    count, rows, columns = images.shape
    rand = torch.rand((5, count, 1, 1), generator=generator, device=images.device)
    y = torch.linspace(-1, 1, rows, device=images.device)[None, :, None]
    x = torch.linspace(-1, 1, columns, device=images.device)[None, None, :]
    width = 0.6 + 0.8 * rand[2]
    hill = torch.exp(-((x - (rand[0] - 0.5)) ** 2 + (y - (rand[1] - 0.5)) ** 2) / (2 * width**2))
    slope = (rand[3] - 0.5) * x + (rand[4] - 0.5) * y
    return 2 * hill - 1 + slope


class Appearance(BaseModel):
    """Randomisation of everything that a simulation can't know about a camera.

    Each strength is the largest amount drawn; 0 switches the effect off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise: float = Field(1.5, ge=0, description="Noise over signal, standard deviations.")
    clean_share: float = Field(0.1, ge=0, le=1, description="Share of patterns without noise.")
    blur: float = Field(1.2, ge=0, description="Gaussian blur, pixels.")
    spectrum: float = Field(0.7, ge=0, description="Smooth change of the radial spectrum, log.")
    asymmetry: float = Field(1.2, ge=0, description="Gain above against below the mean, log.")
    excess_deficiency: float = Field(1.0, ge=0, description="Vertical derivative added.")
    gain_field: float = Field(0.6, ge=0, description="Multiplicative random field, log.")
    offset_field: float = Field(0.6, ge=0, description="Additive random field.")
    background: float = Field(3.0, ge=0, description="Smooth background over signal.")
    screen_share: float = Field(0.4, ge=0, le=1, description="Share with a circular screen.")
    bad_pixels: float = Field(0.01, ge=0, le=1, description="Largest share of bad pixels.")
    saturation_share: float = Field(0.1, ge=0, le=1, description="Share with clipped highlights.")

    def apply(self, patterns: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return randomised patterns and their masks.

        Parameters
        ----------
        patterns
            Ideal patterns, shape ``(n, rows, columns)``.

        Returns
        -------
        patterns, mask
            Shape ``(n, rows, columns)``; the mask is 1 inside the screen.
        """
        count, rows, columns = patterns.shape
        device = patterns.device

        def rand(*size: int) -> Tensor:
            return torch.rand(size or (count, 1, 1), generator=generator, device=device)

        def randn(*size: int) -> Tensor:
            return torch.randn(size or (count, 1, 1), generator=generator, device=device)

        images = standardise(patterns)
        if self.asymmetry > 0:
            gain = torch.exp(0.5 * self.asymmetry * (2 * rand() - 1))
            images = torch.where(images > 0, images * gain, images / gain)
        if self.excess_deficiency > 0:
            images = images + self.excess_deficiency * (2 * rand() - 1) * _vertical_slope(images)
        if self.spectrum > 0 or self.blur > 0:
            images = self._filter(images, rand, randn)
        images = standardise(images)
        if self.gain_field > 0:
            field = random_field(images, generator)
            images = images * torch.exp(self.gain_field * rand() * field)
        if self.offset_field > 0:
            images = images + self.offset_field * rand() * random_field(images, generator)
        images = standardise(images)
        if self.saturation_share > 0:
            limit = torch.where(rand() < self.saturation_share, 0.8 + 1.2 * rand(), 1e6)
            images = torch.minimum(images, limit)
        if self.noise > 0:
            level = self.noise * rand() * (rand() >= self.clean_share)
            # Shot noise grows with the signal; readout noise does not.
            poisson = torch.sqrt((1 + 0.3 * rand() * images).clamp_min(0.1))
            noise = randn(count, rows, columns)
            images = images + level * noise * poisson
        if self.background > 0:
            images = images + self.background * rand() * smooth_background(images, generator)
        if self.bad_pixels > 0:
            bad = rand(count, rows, columns) < self.bad_pixels * rand() * (rand() < 0.3)
            images = torch.where(bad, 4 * randn(), images)
        mask = torch.ones_like(images)
        if self.screen_share > 0:
            radius = 0.46 + 0.08 * rand(1).item()
            screen = circle(rows, columns, images, radius)
            mask = torch.where(rand() < self.screen_share, screen, mask)
        return images * mask, mask

    def _filter(self, images: Tensor, rand: Draw, randn: Draw) -> Tensor:
        count, rows, columns = images.shape
        fy = torch.fft.fftfreq(rows, device=images.device)[:, None]
        fx = torch.fft.rfftfreq(columns, device=images.device)[None]
        radius = torch.sqrt(fy**2 + fx**2)
        knots = 7
        curve = self.spectrum * randn(count, 1, knots)
        curve = functional.interpolate(curve, 65, mode="linear", align_corners=True)[:, 0]
        log_radius = (torch.log2(radius.clamp_min(0.5 / rows)) + math.log2(rows) + 1) / (
            math.log2(rows) + 0.5
        )
        index = (log_radius.clamp(0, 1) * 64).round().long()
        factor = torch.exp(curve[:, index.reshape(-1)].reshape(count, *radius.shape))
        sigma = self.blur * rand() ** 2
        factor = factor * torch.exp(-2 * (math.pi * sigma * radius) ** 2)
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * factor, s=(rows, columns))
        return filtered


def _vertical_slope(images: Tensor) -> Tensor:
    return functional.pad(images[:, 2:] - images[:, :-2], (0, 0, 1, 1)) * 0.5


def random_field(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return smooth random fields with features of 4 to 10 pixels, unit deviation."""
    count, rows, columns = images.shape
    cells = int(torch.randint(6, 17, (1,), generator=generator, device=images.device).item())
    coarse = torch.randn(count, 1, cells, cells, generator=generator, device=images.device)
    field = functional.interpolate(coarse, (rows, columns), mode="bicubic", align_corners=True)
    return standardise(field[:, 0])
