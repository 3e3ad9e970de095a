"""Batches of simulated patterns, drawn on the device from a set of master patterns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..config import IndexingSpec
from ..imaging import InputContract, prepare
from ..simulate.detector import Appearance, Condition, GeometryRange, apply_condition
from ..simulate.projector import (
    DetectorGeometry,
    project,
    random_quaternions,
    rotation_matrices,
    sample_to_detector,
)
from .masterset import MasterSet


@dataclass(frozen=True)
class Batch:
    """Inputs of a network and what they show.

    Parameters
    ----------
    inputs
        Shape ``(n, 1, rows, columns)``.
    labels
        Index of the class, shape ``(n,)``.
    geometry, rotations
        How each was projected.
    """

    inputs: Tensor
    labels: Tensor
    geometry: DetectorGeometry
    rotations: Tensor


class TrainingBatches:
    """Endless randomised batches with all classes equally often.

    Within a class every structure of the set is drawn equally often: the balance between
    prototypes is struck where the set is made.

    Parameters
    ----------
    masters
        What to draw from.
    classes
        Space groups, in output order.
    geometry, appearance, contract
        Ranges of the randomisation and the network's input.
    generator
        Source of all random numbers; its device is where batches are made.
    mixed
        Share of patterns to which a second structure of the same class is added, in the same
        orientation and up to half as strong.
    """

    def __init__(
        self,
        masters: MasterSet,
        classes: Sequence[int],
        *,
        geometry: GeometryRange,
        appearance: Appearance,
        contract: InputContract,
        generator: torch.Generator,
        mixed: float = 0.0,
    ) -> None:
        self.mixed = mixed
        self.generator = generator
        self.device = generator.device
        self.patterns = masters.patterns.to(self.device, torch.float32)
        self.geometry = geometry.model_copy(update={"shape": contract.shape})
        self.appearance = appearance
        self.contract = contract
        groups = masters.space_groups
        self.members = [
            torch.as_tensor((groups == c).nonzero()[0], device=self.device) for c in classes
        ]

    def draw(self, count: int) -> Batch:
        """Return a batch of ``count`` patterns."""
        with torch.no_grad():
            labels = torch.randint(
                len(self.members), (count,), generator=self.generator, device=self.device
            )
            chosen = self._structures(labels)
            geometry = self.geometry.draw(count, self.generator)
            rotations = random_quaternions(count, self.generator)
            ideal = project(self.patterns[chosen], geometry, rotations)
            if self.mixed:
                second = project(self.patterns[self._structures(labels)], geometry, rotations)
                draw = torch.rand((2, count, 1, 1), generator=self.generator, device=self.device)
                ideal = ideal + (draw[0] < self.mixed) * 0.5 * draw[1] * second
            images, mask = self.appearance.apply(ideal, self.generator)
            inputs = prepare(images, self.contract, mask=mask)
        return Batch(inputs, labels, geometry, rotations)

    def _structures(self, labels: Tensor) -> Tensor:
        """Return a random structure of each class, shape ``(n,)``."""
        chosen = torch.empty_like(labels)
        for index, members in enumerate(self.members):
            here = (labels == index).nonzero()[:, 0]
            if len(here):
                draws = torch.randint(
                    len(members), (len(here),), generator=self.generator, device=self.device
                )
                chosen[here] = members[draws]
        return chosen


@dataclass(frozen=True)
class ConditionBatch:
    """Patterns under a named evaluation condition.

    Parameters
    ----------
    inputs
        Of a network, shape ``(n, 1, rows, columns)``.
    images
        The patterns themselves, shape ``(n, rows, columns)``.
    geometry, rotations
        How each was projected.
    """

    inputs: Tensor
    images: Tensor
    geometry: DetectorGeometry
    rotations: Tensor


def condition_batch(
    masters: MasterSet,
    indices: Tensor,
    condition: Condition,
    contract: InputContract,
    generator: torch.Generator,
) -> ConditionBatch:
    """Return patterns under a named evaluation condition.

    Parameters
    ----------
    masters
        What to project.
    indices
        Which master pattern for each pattern, shape ``(n,)``.
    """
    patterns = masters.patterns[indices].to(generator.device, torch.float32)
    geometry = GeometryRange.of(condition).draw(len(indices), generator)
    rotations = random_quaternions(len(indices), generator)
    ideal = project(patterns, geometry, rotations)
    images, mask = apply_condition(ideal, condition, generator)
    return ConditionBatch(prepare(images, contract, mask=mask), images, geometry, rotations)


def detector_to_crystal(geometry: DetectorGeometry, rotations: Tensor) -> Tensor:
    """Return the matrices from detector to crystal axes, shape ``(n, 3, 3)``."""
    return rotation_matrices(rotations) @ sample_to_detector(geometry).mT


def as_if_indexed(
    geometry: DetectorGeometry, rotations: Tensor, spec: IndexingSpec, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return pattern centers and orientations with errors such as a search makes.

    An orientation that is refined makes up for most of a wrong pattern center: the middle
    of the screen still looks along the right direction.

    Parameters
    ----------
    geometry, rotations
        The truth of ``n`` patterns on a square screen.
    spec
        Size of the errors.

    Returns
    -------
    centers
        Shape ``(n, 3)``.
    matrices
        Detector to crystal axes, shape ``(n, 3, 3)``.
    """
    count = len(rotations)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=generator.device)

    centers = geometry.pattern_center + spec.pattern_center_error * normal(count, 3)
    matrices = detector_to_crystal(geometry, rotations)
    matrices = matrices @ _turn_between(_middle(centers), _middle(geometry.pattern_center))
    vectors = math.radians(spec.orientation_error) * normal(count, 3)
    half = 0.5 * vectors
    small = torch.cat([torch.ones_like(half[:, :1]), half], 1)
    matrices = rotation_matrices(functional.normalize(small, dim=1)) @ matrices
    draws = torch.rand((count, 1, 1), generator=generator, device=generator.device)
    anything = rotation_matrices(random_quaternions(count, generator))
    return centers, torch.where(draws < spec.wrong_share, anything, matrices)


def _middle(centers: Tensor) -> Tensor:
    """Return the unit vectors to the middle of square screens, shape ``(n, 3)``."""
    pcx, pcy, pcz = centers.unbind(-1)
    return functional.normalize(
        torch.stack([(0.5 - pcx) / pcz, (pcy - 0.5) / pcz, torch.ones_like(pcz)], -1), dim=-1
    )


def _turn_between(first: Tensor, second: Tensor) -> Tensor:
    """Return the smallest rotations that take unit vectors to others, shape ``(n, 3, 3)``."""
    scalar = 1 + (first * second).sum(-1, keepdim=True)
    quaternions = torch.cat([scalar, torch.linalg.cross(first, second)], 1)
    return rotation_matrices(functional.normalize(quaternions, dim=1))


def sector_planes(
    geometry: DetectorGeometry, rotations: Tensor, angle: Tensor, distance: Tensor
) -> Tensor:
    """Return which cubic plane a line on the screen would be the band of.

    The auxiliary target of training: the plane through the source and the line, as its
    normal in crystal axes, folded into the sector ``x >= y >= z >= 0`` of m-3m and scaled
    to about unit deviation. A network that can say it has indexed the pattern, whatever
    the crystal is made of.

    Parameters
    ----------
    geometry, rotations
        Of a batch, ``n`` patterns on a square screen.
    angle, distance
        Lines ``x cos(angle) + y sin(angle) = distance``; x to the right, y down, from the
        centre of the screen in units of its side. Any common shape.

    Returns
    -------
    normals
        Shape ``(n, 3, *shape)``.
    """
    shape = angle.shape
    cosine, sine = torch.cos(angle).reshape(-1), torch.sin(angle).reshape(-1)
    pcx, pcy, pcz = (value[:, None] for value in geometry.pattern_center.unbind(-1))
    # Line through gnomonic (X, Y, 1): x = X pcz + pcx - 1/2 and y = pcy - 1/2 - Y pcz.
    across = cosine * pcz
    down = -sine * pcz
    offset = cosine * (pcx - 0.5) + sine * (pcy - 0.5) - distance.reshape(-1)
    line = torch.stack([across, down, offset], dim=1)
    matrices = rotation_matrices(rotations) @ sample_to_detector(geometry).mT
    normal = matrices @ line
    normal = normal / normal.norm(dim=1, keepdim=True)
    folded = normal.abs().sort(dim=1, descending=True)[0]
    # Mean and deviation of a folded direction over the sphere.
    mean = folded.new_tensor([0.85, 0.45, 0.19])[:, None]
    scaled: Tensor = (folded - mean) / folded.new_tensor([0.11, 0.18, 0.13])[:, None]
    return scaled.reshape((len(rotations), 3, *shape))
