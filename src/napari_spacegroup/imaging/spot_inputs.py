"""Spots as the input of a network: nothing of the picture enters it but them.

Needs torch and pydantic alone, because training uses it on a bare GPU node.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from .spots import SPOTS, Correction, find_spots


class SpotContract(BaseModel):
    """What a network that reads lists of spots expects: nothing of the picture but spots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["spots"] = "spots"
    shape: tuple[int, int] = Field(
        (SPOTS + 1, 3), description="Spots and one row for the center; x, y and strength."
    )


def prepare_spots(
    patterns: Tensor,
    mask: Tensor | None = None,
    *,
    center: tuple[float, float] | None = None,
    correction: Correction | None = None,
) -> Tensor:
    """Return the spots of patterns as the input of a network.

    Parameters
    ----------
    patterns
        Shape ``(n, rows, columns)``, any intensity unit, positive or negative.
    mask
        True inside the screen, shape ``(rows, columns)``, or None.
    center, correction
        As for :func:`find_spots`.

    Returns
    -------
    inputs
        Shape ``(n, 1, SPOTS + 1, 3)``: x to the right, y up and strength of each spot, as in
        :class:`FoundSpots`; the last row has the center's distance from the middle of the
        picture in the same unit, and the symmetry.
    """
    found = find_spots(patterns, mask, center=center, correction=correction)
    rows, columns = patterns.shape[-2:]
    side = min(rows, columns)
    x = (found.center[:, 0] + 0.5 - columns / 2) / side
    y = (rows / 2 - found.center[:, 1] - 0.5) / side
    last = torch.stack([x, y, found.symmetry], dim=-1)[:, None]
    position = found.position
    if correction is not None:
        # Reflections are expected inside the picture's square. So large that what is corrected
        # into the square was inside of the picture: else some would seem to be absent.
        position = position * float(torch.linalg.matrix_norm(torch.tensor(correction), ord=2))
    spots = torch.cat([position, found.strength[..., None]], dim=-1)
    return torch.cat([spots, last], dim=1)[:, None]
