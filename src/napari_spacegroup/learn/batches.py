"""Batches of simulated patterns, drawn on the device from a set of master patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
    ) -> None:
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
            chosen = torch.empty(count, dtype=torch.long, device=self.device)
            for index, members in enumerate(self.members):
                here = (labels == index).nonzero()[:, 0]
                if len(here):
                    draws = torch.randint(
                        len(members), (len(here),), generator=self.generator, device=self.device
                    )
                    chosen[here] = members[draws]
            geometry = self.geometry.draw(count, self.generator)
            rotations = random_quaternions(count, self.generator)
            ideal = project(self.patterns[chosen], geometry, rotations)
            images, mask = self.appearance.apply(ideal, self.generator)
            inputs = prepare(images, self.contract, mask=mask)
        return Batch(inputs, labels, geometry, rotations)


def condition_batch(
    masters: MasterSet,
    indices: Tensor,
    condition: Condition,
    contract: InputContract,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return inputs under a named evaluation condition, and the raw patterns.

    Parameters
    ----------
    masters
        What to project.
    indices
        Which master pattern for each pattern, shape ``(n,)``.
    """
    patterns = masters.patterns[indices].to(generator.device, torch.float32)
    geometry = GeometryRange.of(condition).draw(len(indices), generator)
    ideal = project(patterns, geometry, random_quaternions(len(indices), generator))
    images, mask = apply_condition(ideal, condition, generator)
    return prepare(images, contract, mask=mask), images


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
