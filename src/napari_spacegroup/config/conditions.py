"""The named conditions under which models are evaluated.

They are the same for every model, so that two figures can be compared; a change of a
number here changes the meaning of every published figure and belongs in the changelog.
``docs/conventions.md`` shows them as a table.
"""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import SpecError
from .base import Range, Spec, quantity

ConditionName = Literal["clean", "standard", "hard"]


class EbsdCondition(Spec):
    """How the EBSD patterns of an evaluation are drawn; orientations are uniform on SO(3)."""

    name: ConditionName
    pattern_shape: tuple[int, int] = quantity((60, 60), "pixel", "Rows and columns of a pattern.")
    pattern_center_x: Range = quantity(
        (0.4, 0.6), "detector width", "Pattern center from the left, Bruker convention."
    )
    pattern_center_y: Range = quantity(
        (0.15, 0.45), "detector height", "Pattern center from the top, Bruker convention."
    )
    pattern_center_z: Range = quantity(
        (0.45, 0.75), "detector height", "Sample-to-screen distance, Bruker convention."
    )
    sample_tilt: Range = quantity((69.0, 71.0), "degree", "Tilt of the sample to the beam.")
    voltage: Range = quantity((15.0, 25.0), "kV", "Beam energy.")
    has_background: bool = quantity(
        True, "1", "Whether a smooth background lies under the pattern."
    )
    blur: float = quantity(0.5, "pixel", "Standard deviation of a Gaussian blur.", ge=0)
    noise: float = quantity(
        1.0, "pattern", "Standard deviation of Gaussian noise, in that of the pattern.", ge=0
    )
    has_circular_screen: bool = quantity(
        False, "1", "Whether pixels outside the inscribed circle are dark."
    )


_EBSD = {
    "clean": EbsdCondition(name="clean", noise=0.0, has_background=False),
    "standard": EbsdCondition(name="standard"),
    "hard": EbsdCondition(name="hard", noise=2.0, has_circular_screen=True),
}


def condition_names() -> tuple[str, ...]:
    """Return the names of the conditions, from easy to hard."""
    return get_args(ConditionName)


def ebsd_condition(name: str) -> EbsdCondition:
    """Return the EBSD condition of that name.

    Raises
    ------
    SpecError
        If there is no condition of that name.
    """
    if name not in _EBSD:
        raise SpecError(f"no condition {name!r}; choose one of {', '.join(condition_names())}")
    return _EBSD[name]
