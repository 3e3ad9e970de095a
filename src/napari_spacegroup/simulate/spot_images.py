"""Spot patterns as a camera or a negative shows them, drawn on the device that trains.

Needs torch, numpy and pydantic alone. :func:`draw_spots` is geometry and optics;
:class:`SpotAppearance` is everything else that a simulation can't know, with one strength per
effect so that an ablation can switch each off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from ..imaging.filters import gaussian_blur
from .spots import Spots, electron_wavelength


@dataclass(frozen=True)
class SpotCamera:
    """Where the direct beam falls and how spots look, one row per pattern.

    Parameters
    ----------
    shape
        Rows and columns.
    center
        Of the pattern, shape ``(n, 2)``: x from the left over the width, y from the top over
        the height.
    camera_constant
        Wavelength times camera length over pixel size, shape ``(n,)`` [pixel Å].
    spot_radius
        Standard deviation of a Gaussian spot, or radius of a disk, shape ``(n,)`` [pixel].
    is_disk
        Shape ``(n,)``.
    ellipticity, ellipse_angle
        Long over short axis less 1, shape ``(n,)``, and its direction, shape ``(n,)``
        [radians] from x to y.
    barrel
        Relative change of the distance at half the height, shape ``(n,)``; negative for a
        barrel, positive for a cushion.
    """

    shape: tuple[int, int]
    center: Tensor
    camera_constant: Tensor
    spot_radius: Tensor
    is_disk: Tensor
    ellipticity: Tensor
    ellipse_angle: Tensor
    barrel: Tensor

    @classmethod
    def fixed(
        cls,
        count: int,
        shape: tuple[int, int] = (256, 256),
        *,
        camera_constant: float = 100.0,
        center: tuple[float, float] = (0.5, 0.5),
        spot_radius: float = 1.5,
        is_disk: bool = False,
        ellipticity: float = 0.0,
        ellipse_angle: float = 0.0,
        barrel: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> SpotCamera:
        """Return one camera repeated ``count`` times."""

        def column(value: float) -> Tensor:
            return torch.full((count,), float(value), device=device)

        return cls(
            shape, torch.tensor(center, device=device).expand(count, 2), column(camera_constant),
            column(spot_radius), torch.full((count,), is_disk, device=device),
            column(ellipticity), column(ellipse_angle), column(barrel),
        )  # fmt: skip


def camera_constant(voltage: float, camera_length: float, pixel_size: float) -> float:
    """Return how many pixels 1/Å makes: ``λL / pixel``.

    The small-angle form: a spot at 50 mrad is 0.1 % farther out.

    Parameters
    ----------
    voltage
        [kV].
    camera_length
        [mm].
    pixel_size
        [mm].

    Examples
    --------
    >>> round(camera_constant(200.0, 800.0, 0.1), 1)
    200.6
    """
    return float(electron_wavelength(voltage)) * camera_length / pixel_size


def pixel_positions(positions: Tensor, owner: Tensor, camera: SpotCamera) -> Tensor:
    """Return where reciprocal vectors fall.

    Parameters
    ----------
    positions
        x to the right and y up, shape ``(m, 2)`` [1/Å].
    owner
        Pattern of each, shape ``(m,)``.

    Returns
    -------
    pixels
        Column and row, shape ``(m, 2)``; whole numbers are the centers of pixels.
    """
    rows, columns = camera.shape
    offset = positions * camera.camera_constant[owner, None]
    cosine, sine = torch.cos(camera.ellipse_angle)[owner], torch.sin(camera.ellipse_angle)[owner]
    long = torch.sqrt(1 + camera.ellipticity)[owner]
    along = (offset[:, 0] * cosine + offset[:, 1] * sine) * long
    across = (offset[:, 1] * cosine - offset[:, 0] * sine) / long
    offset = torch.stack([along * cosine - across * sine, along * sine + across * cosine], dim=-1)
    distance = offset.norm(dim=-1, keepdim=True) / (rows / 2)
    offset = offset * (1 + camera.barrel[owner, None] * distance**2)
    x = camera.center[owner, 0] * columns - 0.5 + offset[:, 0]
    y = camera.center[owner, 1] * rows - 0.5 - offset[:, 1]
    return torch.stack([x, y], dim=-1)


def draw_spots(spots: Spots, camera: SpotCamera, intensity: Tensor | None = None) -> Tensor:
    """Return images of the spots alone, each spot's pixels summing to its intensity.

    Parameters
    ----------
    spots
        Of all patterns.
    camera
        One row per pattern.
    intensity
        Instead of the spots' own, shape ``(m,)``.

    Returns
    -------
    images
        Shape ``(n, rows, columns)``; black where there is no spot. What falls outside is
        lost.
    """
    pixels = pixel_positions(spots.position, spots.pattern, camera)
    strength = spots.intensity if intensity is None else intensity
    return stamp(pixels, spots.pattern, strength, spots.count, camera)


def stamp(
    pixels: Tensor, owner: Tensor, strength: Tensor, count: int, camera: SpotCamera
) -> Tensor:
    """Return images with a spot at each place; see :func:`draw_spots`."""
    rows, columns = camera.shape
    # Gaussians are cut at three deviations, disks fade over one pixel at their rim.
    reach = torch.where(camera.is_disk, camera.spot_radius + 1, 3 * camera.spot_radius)
    half = math.ceil(float(reach.max())) if count else 1
    near = (
        (pixels[:, 0] > -half) & (pixels[:, 0] < columns - 1 + half)
        & (pixels[:, 1] > -half) & (pixels[:, 1] < rows - 1 + half)
    ).nonzero()[:, 0]  # fmt: skip
    pixels, owner, strength = pixels[near], owner[near], strength[near]
    step = torch.arange(-half, half + 1, device=pixels.device)
    column = pixels[:, 0].round().long()[:, None] + step
    row = pixels[:, 1].round().long()[:, None] + step
    across = (column - pixels[:, :1]).to(pixels.dtype)
    down = (row - pixels[:, 1:]).to(pixels.dtype)
    radius = camera.spot_radius[owner, None]
    gaussian = (
        torch.exp(-0.5 * (down / radius) ** 2)[:, :, None]
        * torch.exp(-0.5 * (across / radius) ** 2)[:, None, :]
    )
    shape = gaussian
    if bool(camera.is_disk.any()):
        distance = torch.sqrt(down[:, :, None] ** 2 + across[:, None, :] ** 2)
        disk = (radius[:, :, None] + 0.5 - distance).clamp(0, 1)
        shape = torch.where(camera.is_disk[owner, None, None], disk, gaussian)
    shape = shape / shape.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    inside = ((row >= 0) & (row < rows))[:, :, None] & ((column >= 0) & (column < columns))[:, None]
    value = shape * strength[:, None, None] * inside
    place = (
        owner[:, None, None] * (rows * columns)
        + row.clamp(0, rows - 1)[:, :, None] * columns
        + column.clamp(0, columns - 1)[:, None, :]
    )
    images = torch.zeros(count * rows * columns, device=pixels.device, dtype=pixels.dtype)
    images.index_add_(0, place.reshape(-1), value.reshape(-1))
    return images.reshape(count, rows, columns)


class SpotAppearance(BaseModel):
    """Randomisation of what lies between the crystal and the stored picture.

    Each strength is the largest amount drawn, a share how many patterns have the effect; 0
    switches it off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    direct_beam: float = Field(30.0, ge=0, description="Direct beam over the strongest spot.")
    beam_stop_share: float = Field(0.3, ge=0, le=1, description="Share with a beam stop.")
    background: float = Field(0.5, ge=0, description="Center of the background over the spots.")
    halo: float = Field(0.3, ge=0, le=1, description="Share of electrons scattered by a little.")
    contrast: float = Field(
        0.7, ge=0, le=1, description="How far the picture may be from linear: exponent above 1 - c."
    )
    noise: float = Field(0.05, ge=0, description="Deviation of the noise over the spots' height.")
    saturation_share: float = Field(0.5, ge=0, le=1, description="Share with a clipped top.")
    blooming: float = Field(0.2, ge=0, description="Charge that runs along a column.")
    bad_pixels: float = Field(0.001, ge=0, le=1, description="Largest share of bad pixels.")
    screen_share: float = Field(0.2, ge=0, le=1, description="Share with missing corners.")
    negative_share: float = Field(0.2, ge=0, le=1, description="Share of negatives.")

    def apply(self, images: Tensor, camera: SpotCamera, generator: torch.Generator) -> Tensor:
        """Return pictures.

        Parameters
        ----------
        images
            Spots alone, without the direct beam, shape ``(n, rows, columns)``.
        camera
            That they were drawn with.
        generator
            Of all that is random.
        """
        count, rows, columns = images.shape
        device = images.device

        def rand(*size: int) -> Tensor:
            return torch.rand(size or (count, 1, 1), generator=generator, device=device)

        height = images.amax(dim=(1, 2), keepdim=True)
        images = images / torch.where(height > 0, height, torch.ones_like(height))
        x, y, distance = _places(camera)
        radius = camera.spot_radius[:, None, None]
        if self.direct_beam > 0:
            wide = radius * (1 + rand())
            beam = torch.exp(-0.5 * (x / wide) ** 2) * torch.exp(-0.5 * (y / wide) ** 2)
            images = images + torch.exp(math.log(self.direct_beam + 1) * rand()) * beam
        if self.halo > 0:
            small = functional.avg_pool2d(images[:, None], 4)[:, 0]
            blurred = gaussian_blur(small, 0.01 * rows) + gaussian_blur(small, 0.03 * rows)
            wide_halo = functional.interpolate(
                blurred[:, None], (rows, columns), mode="bilinear", align_corners=False
            )[:, 0]
            images = images + 4 * self.halo * rand() * wide_halo
        if self.background > 0:
            reach = rows * (0.03 + 0.2 * rand())
            steep = 1 / (1 + (distance / reach) ** 2)
            flat = 0.3 * rand()
            images = images + self.background * rand() * (steep + flat)
        if self.blooming > 0:
            excess = (images - 1).clamp_min(0).sum(dim=1, keepdim=True) / rows
            images = images + self.blooming * excess * (rand() < 0.15)
        if self.saturation_share > 0:
            limit = torch.where(rand() < self.saturation_share, 0.3 + 1.2 * rand(), 1e6)
            images = torch.minimum(images, limit)
        if self.contrast > 0:
            exponent = 1 - self.contrast * rand() * (rand() < 0.6)
            images = images.clamp_min(0) ** exponent
        if self.noise > 0:
            level = self.noise * rand() ** 2
            grain = torch.randn(images.shape, generator=generator, device=device)
            images = images + level * torch.sqrt(0.2 + images.clamp(0, 4)) * grain
        if self.bad_pixels > 0:
            most = max(int(self.bad_pixels * rows * columns), 1)
            place = (rand(count, most) * (rows * columns)).long().clamp_max(rows * columns - 1)
            is_bad = rand(count, most) < (rand() * (rand() < 0.2))[:, 0]
            flat = images.flatten(1)
            value = torch.where(is_bad, 1.5 * rand(count, most), flat.gather(1, place))
            images = flat.scatter(1, place, value).reshape(images.shape)
        if self.beam_stop_share > 0:
            images = images * ~self._beam_stop(x, y, camera, rand)
        if self.screen_share > 0:
            middle = torch.hypot(
                torch.arange(columns, device=device)[None, None] - columns / 2,
                torch.arange(rows, device=device)[None, :, None] - rows / 2,
            )
            dark = middle > 0.5 * max(rows, columns) * (1 + 0.1 * rand())
            images = images * ~(dark & (rand() < self.screen_share))
        if self.negative_share > 0:
            top = images.amax(dim=(1, 2), keepdim=True)
            images = torch.where(rand() < self.negative_share, top - images, images)
        return images

    def _beam_stop(self, x: Tensor, y: Tensor, camera: SpotCamera, rand: object) -> Tensor:
        """Return where a bar from the rim to the center, with a round end, lies."""
        assert callable(rand)
        rows = camera.shape[0]
        angle = 2 * math.pi * rand()
        along = x * torch.cos(angle) + y * torch.sin(angle)
        across = y * torch.cos(angle) - x * torch.sin(angle)
        half = rows * (0.008 + 0.017 * rand())
        bar = (across.abs() < half) & (along > 0)
        disk = x**2 + y**2 < (half * (1 + rand())) ** 2
        stopped: Tensor = (bar | disk) & (rand() < self.beam_stop_share)
        return stopped


def _places(camera: SpotCamera) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, y (down) and distance from the direct beam [pixel], ``(n, rows, columns)``."""
    rows, columns = camera.shape
    like = camera.center
    column = torch.arange(columns, device=like.device, dtype=like.dtype) + 0.5
    row = torch.arange(rows, device=like.device, dtype=like.dtype) + 0.5
    x = (column[None] - camera.center[:, :1] * columns)[:, None, :]
    y = (row[None] - camera.center[:, 1:] * rows)[:, :, None]
    return x, y, torch.sqrt(x**2 + y**2)
