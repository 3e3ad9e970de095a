"""A network that first finds the orientation, then looks at the symmetry.

Three steps: the orientation is found without knowing the crystal (:mod:`.indexing`), the
pattern is folded into the irreducible sector of m-3m (:mod:`.sector`), and a small
network reads the sector, in which a band of given indices always lies at the same place:
as a picture, and as profiles across the bands (:mod:`.band_profile`).
Orientation, the largest part of what makes two patterns differ, is then gone before
anything has to be learnt.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .band_profile import BandProfiles
from .indexing import CubicIndexer
from .resnet import ConvolutionUnit
from .sector import fold_patterns, fold_twice, limit_resolution, screen_rays, unpack_folded

TRUST_MIDDLE, TRUST_WIDTH = 0.18, 0.02
"""Explained share at which an orientation is trusted by half, and how fast that changes."""


class SectorNet(nn.Module):
    """Orientation search, folding, and a network that reads the sector.

    Parameters
    ----------
    classes
        Number of outputs.
    width
        Channels of the first stage.
    side
        Of the input.
    sector_side
        Pixels along an edge of the sector's square.
    templates
        Number of templates of the orientation search.
    template_side
        Pixels along an edge of a template.
    dropout
        Share of features dropped while training.
    bands
        Largest h² + k² + l² of the families whose band profiles are read beside the
        picture (:mod:`.band_profile`); 0 leaves the profiles out.
    is_fine
        Whether band profiles are read from a grid of twice the resolution, on which narrow bands
        are told apart; the picture is the same.
    blind
        Share of the training patterns whose picture is hidden from the head, so that the
        profiles learn to stand alone; half as often it is the profiles.
    resolution
        Standard deviation of the blur that patterns get before they are folded [degrees]; while
        training it is random, up to twice as large. 0 leaves them as they are.
    """

    templates: Tensor
    position: Tensor

    def __init__(
        self,
        classes: int,
        *,
        width: int = 16,
        side: int = 60,
        sector_side: int = 32,
        templates: int = 32,
        template_side: int = 48,
        dropout: float = 0.3,
        bands: int = 0,
        blind: float = 0.0,
        is_fine: bool = False,
        resolution: float = 0.0,
    ) -> None:
        super().__init__()
        self.side, self.sector_side, self.resolution = side, sector_side, resolution
        self.register_buffer("templates", torch.zeros(templates, template_side, template_side))
        step = torch.linspace(0, 1, sector_side)
        position = torch.stack(torch.meshgrid(step, step, indexing="ij"))[None]
        self.register_buffer("position", position, persistent=False)
        layers: list[nn.Module] = []
        channels = 4
        for stage in range(3):
            wide = width * 2**stage
            layers += [
                ConvolutionUnit(2, channels, wide, 3, 1 if stage == 0 else 2),
                ConvolutionUnit(2, wide, wide, 3, 1),
            ]
            channels = wide
        self.stages = nn.Sequential(*layers)
        features = channels * (sector_side // 4) ** 2
        self.is_fine = is_fine and bands > 0
        band_side = 2 * sector_side - 1 if self.is_fine else sector_side
        self.bands = BandProfiles(band_side, most=bands) if bands else None
        self.blind = blind if bands else 0.0
        if self.bands is not None:
            features += self.bands.outputs
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(features, 256), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(256, classes),
        )  # fmt: skip
        self._indexer: CubicIndexer | None = None
        # Other templates need another dictionary.
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
            lambda module, _: module.forget_indexer()
        )

    @property
    def indexer(self) -> CubicIndexer:
        """Return the orientation search; its dictionary is made at the first use."""
        known = self._indexer
        if known is None or known.templates.device != self.templates.device:
            known = self._indexer = shared_indexer(self.templates)
        return known

    def __getstate__(self) -> dict[str, Any]:
        """Leave the dictionary behind: it is a hundred megabytes and can be made anew."""
        return {**self.__dict__, "_indexer": None}

    def forget_indexer(self) -> None:
        """Make the dictionary anew at the next use: to be called after changing templates."""
        self._indexer = None

    def fold(self, images: Tensor, centers: Tensor, rotations: Tensor) -> Tensor:
        """Return patterns folded into the sector, shape ``(n, 2, sector, sector)``.

        Where band profiles are read from a finer grid, that grid, and in channels 2 and 3 of
        its first corner the picture: shape ``(n, 4, 2 * sector - 1, 2 * sector - 1)``.

        Parameters
        ----------
        images
            Shape ``(n, 1, side, side)``.
        centers
            Pattern centers, Bruker's convention, shape ``(n, 3)``.
        rotations
            Detector to crystal axes, shape ``(n, 3, 3)``.
        """
        # Half precision would move directions by more than a pixel.
        with torch.autocast(images.device.type, enabled=False):
            directions = screen_rays(centers, images.shape[-1]) @ rotations.mT
            if self.resolution:
                # Always the same, a network would learn to undo it.
                spread = 2 * torch.rand(len(images), device=images.device) if self.training else 1
                images = limit_resolution(images, centers, self.resolution * spread)
            if not self.is_fine:
                return fold_patterns(images, directions, self.sector_side)
            coarse, fine = fold_twice(images, directions, self.sector_side)
            rest = fine.shape[-1] - self.sector_side
            return torch.cat([fine, functional.pad(coarse, (0, rest, 0, rest))], 1)

    def read(self, folded: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``, of folded patterns."""
        position = self.position.expand(len(folded), -1, -1, -1)
        picture = folded
        if self.is_fine:
            picture = folded[:, 2:, : self.sector_side, : self.sector_side]
        features = self.stages(torch.cat([picture, position], 1)).flatten(1)
        if self.bands is not None:
            profiles = self.bands(*unpack_folded(folded[:, :2]))
            if self.training and self.blind:
                chance = torch.rand(len(folded), 1, device=folded.device)
                features = features * (chance > self.blind) / (1 - self.blind)
                profiles = profiles * (chance < 1 - self.blind / 2) / (1 - self.blind / 2)
            features = torch.cat([features, profiles], 1)
        return self.head(features)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, centers: Tensor) -> Tensor:
        """Return logits, shape ``(n, class)``.

        Where no cubic orientation explains the pattern they shrink towards 0, so that all
        classes become equally likely: nothing was recognised.

        Parameters
        ----------
        images
            Shape ``(n, 1, side, side)``; exact zeros lie outside the screen.
        centers
            Pattern centers, shape ``(n, 3)``, or ``(1, 3)`` for one that all share.
        """
        centers = centers.to(images).expand(len(images), 3)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            rotations, explained = self.indexer.index(images, centers)
            folded = self.fold(images, centers, rotations)
            trust = torch.sigmoid((explained - TRUST_MIDDLE) / TRUST_WIDTH)
        return self.read(folded) * trust[:, None]


_indexers: OrderedDict[tuple[str, str], CubicIndexer] = OrderedDict()
_lock = threading.Lock()
INDEXERS_KEPT = 2


def shared_indexer(templates: Tensor) -> CubicIndexer:
    """Return the orientation search with these templates, made once in a process.

    A warm worker is handed a new copy of the same model with every job.
    """
    digest = hashlib.blake2b(templates.detach().cpu().numpy().tobytes(), digest_size=16)
    key = (digest.hexdigest(), str(templates.device))
    with _lock:
        if key not in _indexers:
            _indexers[key] = CubicIndexer(templates.detach().clone())
        _indexers.move_to_end(key)
        while len(_indexers) > INDEXERS_KEPT:
            _indexers.popitem(last=False)
        return _indexers[key]
