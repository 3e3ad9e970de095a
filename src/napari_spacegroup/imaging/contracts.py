"""The input contracts of all techniques, and the one way from patterns to inputs.

A technique with an input of its own adds its contract to :data:`AnyContract`, told apart by
``kind`` (none means a picture, as in cards before there were others), and its branch to
:func:`prepare_inputs`. Each contract has a ``shape`` of two numbers, rows and columns of
the network's input.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Tag
from torch import Tensor

from .prepare import InputContract, prepare
from .profiles import ProfileAxis, ProfileContract, prepare_profiles
from .spot_inputs import SpotContract, prepare_spots
from .spots import Correction


def _kind(value: Any) -> str:
    kind = value.get("kind", "image") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind)


AnyContract: TypeAlias = Annotated[
    Annotated[InputContract, Tag("image")]
    | Annotated[ProfileContract, Tag("profile")]
    | Annotated[SpotContract, Tag("spots")],
    Discriminator(_kind),
]
"""What a network of any technique expects of a pattern."""


def prepare_inputs(
    patterns: Tensor,
    contract: AnyContract,
    *,
    static_background: Tensor | None = None,
    mask: Tensor | None = None,
    axis: ProfileAxis | None = None,
    center: tuple[float, float] | None = None,
    correction: Correction | None = None,
) -> Tensor:
    """Return the input of a network, shape ``(n, 1, *contract.shape)``, float32.

    Parameters
    ----------
    patterns
        Shape ``(n, rows, columns)``, any intensity unit; a profile has one row.
    contract
        What the network expects.
    static_background, mask
        Shape ``(rows, columns)``, or None.
    axis
        What the columns of a profile stand for; a picture has none.
    center, correction
        Of spot patterns, as for :func:`~.spots.find_spots`; other contracts take no notice.

    Raises
    ------
    ModelError
        If a profile has no axis, or one that does not fit it.
    """
    if isinstance(contract, ProfileContract):
        return prepare_profiles(patterns, contract, axis, background=static_background, mask=mask)
    if isinstance(contract, SpotContract):
        return prepare_spots(patterns, mask, center=center, correction=correction)
    return prepare(patterns, contract, static_background=static_background, mask=mask)
