"""Draw batches of EBSD patterns from master patterns, on the device that trains.

Needs torch and numpy alone. The geometry is kikuchipy's (pattern center in Bruker's
convention, ``EBSDDetector`` angles), and the result agrees with
``EBSDMasterPattern.get_patterns`` to rounding; see ``docs/conventions.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class DetectorGeometry:
    """Where the screen stands, one row per pattern.

    Parameters
    ----------
    shape
        Rows and columns of the detector.
    pattern_center
        Bruker's convention, fractions, shape ``(n, 3)``: x from the left edge over the
        width, y from the top edge over the height, screen distance over the height.
    sample_tilt, detector_tilt, azimuthal, twist
        Angles [degrees], each shape ``(n,)``.
    """

    shape: tuple[int, int]
    pattern_center: Tensor
    sample_tilt: Tensor
    detector_tilt: Tensor
    azimuthal: Tensor
    twist: Tensor

    @classmethod
    def fixed(
        cls,
        shape: tuple[int, int],
        pattern_center: tuple[float, float, float],
        *,
        sample_tilt: float = 70.0,
        detector_tilt: float = 0.0,
        azimuthal: float = 0.0,
        twist: float = 0.0,
        count: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> DetectorGeometry:
        """Return one geometry repeated ``count`` times."""

        def column(value: float) -> Tensor:
            return torch.full((count,), value, device=device, dtype=dtype)

        center = torch.tensor(pattern_center, device=device, dtype=dtype).expand(count, 3)
        return cls(
            shape, center, column(sample_tilt), column(detector_tilt), column(azimuthal),
            column(twist),
        )  # fmt: skip


def random_quaternions(count: int, generator: torch.Generator) -> Tensor:
    """Return rotations that are uniform on SO(3), shape ``(count, 4)``, scalar first."""
    quaternions = torch.randn(count, 4, generator=generator, device=generator.device)
    length: Tensor = quaternions.norm(dim=1, keepdim=True)
    return quaternions / length


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Return the matrices, shape ``(n, 3, 3)``, that rotate vectors as orix does.

    Parameters
    ----------
    quaternions
        Unit quaternions, scalar first, shape ``(n, 4)``.
    """
    a, b, c, d = quaternions.unbind(-1)
    return torch.stack(
        [
            1 - 2 * (c * c + d * d), 2 * (b * c - a * d), 2 * (b * d + a * c),
            2 * (b * c + a * d), 1 - 2 * (b * b + d * d), 2 * (c * d - a * b),
            2 * (b * d - a * c), 2 * (c * d + a * b), 1 - 2 * (b * b + c * c),
        ],
        dim=-1,
    ).reshape(-1, 3, 3)  # fmt: skip


def sample_to_detector(geometry: DetectorGeometry) -> Tensor:
    """Return the passive sample-to-detector matrices, shape ``(n, 3, 3)``.

    Rows are the detector axes in sample coordinates, turned in turn by sample tilt,
    detector tilt, azimuthal and twist about the axes as they then stand, which is the
    order of kikuchipy's ``EBSDDetector.sample_to_detector``.
    """
    basis = torch.tensor(
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
        device=geometry.pattern_center.device,
        dtype=geometry.pattern_center.dtype,
    ).expand(len(geometry.pattern_center), 3, 3)
    turns = (
        (0, -geometry.sample_tilt),
        (0, geometry.detector_tilt),
        (1, -geometry.azimuthal),
        (2, -geometry.twist),
    )
    for axis, degrees in turns:
        angle = torch.deg2rad(degrees)[:, None, None]
        pivot = basis[:, axis : axis + 1].expand(-1, 3, -1)
        along = (basis * pivot).sum(-1, keepdim=True)
        turned = torch.linalg.cross(pivot, basis) * torch.sin(angle)
        basis = basis * torch.cos(angle) + turned + pivot * along * (1 - torch.cos(angle))
    return basis


def pixel_directions(geometry: DetectorGeometry, rotations: Tensor) -> tuple[Tensor, ...]:
    """Return the crystal direction that each pixel sees.

    Parameters
    ----------
    geometry
        One row per pattern.
    rotations
        Sample-to-crystal rotations as orix quaternions, shape ``(n, 4)``.

    Returns
    -------
    x, y, z
        Each shape ``(n, rows, columns)``; not normalised.
    """
    rows, columns = geometry.shape
    pcx, pcy, pcz = (value[:, None] for value in geometry.pattern_center.unbind(-1))
    across = (torch.arange(columns, device=pcx.device, dtype=pcx.dtype) + 0.5) / columns
    down = (torch.arange(rows, device=pcx.device, dtype=pcx.dtype) + 0.5) / rows
    gnomonic_x = (across - pcx) * (columns / rows) / pcz
    gnomonic_y = (pcy - down) / pcz
    matrices = rotation_matrices(rotations.to(pcx)) @ sample_to_detector(geometry).mT
    return tuple(
        matrices[:, i, 0, None, None] * gnomonic_x[:, None, :]
        + matrices[:, i, 1, None, None] * gnomonic_y[:, :, None]
        + matrices[:, i, 2, None, None]
        for i in range(3)
    )


def lambert_coordinates(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the square Lambert coordinates in -1..1 of directions of any length.

    ``sqrt(1 - |z|)`` is written as ``hypot(x, y) / sqrt(1 + |z|)``, which keeps single
    precision near the poles.
    """
    flat = x * x + y * y
    norm = torch.sqrt(flat + z * z)
    radius = torch.sqrt(flat / (norm * (norm + z.abs())))
    wide = y.abs() <= x.abs()
    major = torch.where(wide, x, y)
    minor = torch.where(wide, y, x)
    slope = minor / torch.where(major == 0, torch.ones_like(major), major)
    along = radius * torch.sign(major)
    across = along * torch.atan(slope) * (4 / torch.pi)
    return torch.where(wide, along, across), torch.where(wide, across, along)


def project(masters: Tensor, geometry: DetectorGeometry, rotations: Tensor) -> Tensor:
    """Return the patterns that a detector sees.

    Parameters
    ----------
    masters
        Master pattern of each pattern, square Lambert projection, shape
        ``(n, hemisphere, m, m)``. One hemisphere is enough for a crystal with an
        inversion center. A first axis of 1 serves all patterns.
    geometry
        One row per pattern.
    rotations
        Sample-to-crystal rotations as orix quaternions, scalar first, shape ``(n, 4)``.

    Returns
    -------
    patterns
        Shape ``(n, rows, columns)``, in the intensities of the master pattern, by
        bilinear interpolation as in kikuchipy.
    """
    x, y, z = pixel_directions(geometry, rotations)
    below = z < 0
    size = masters.shape[-1]
    if masters.shape[1] == 1:
        sign = torch.where(below, -1.0, 1.0).to(x.dtype)
        column, row = lambert_coordinates(x * sign, y * sign, z * sign)
        sheet = masters
    else:
        column, row = lambert_coordinates(x, y, z)
        # Both hemispheres on one sheet, side by side: one gather instead of two.
        sheet = torch.cat([masters[:, :1], masters[:, 1:]], dim=-1)
        pixel = (column + 1) * 0.5 * (size - 1) + below * size
        column = pixel * (2 / (2 * size - 1)) - 1
    grid = torch.stack([column, row], dim=-1)
    if len(sheet) == 1 and len(grid) > 1:
        count, rows, columns = grid.shape[:3]
        tall = grid.reshape(1, count * rows, columns, 2)
        drawn = functional.grid_sample(sheet, tall, mode="bilinear", align_corners=True)
        return drawn.reshape(count, rows, columns)
    return functional.grid_sample(sheet, grid, mode="bilinear", align_corners=True)[:, 0]
