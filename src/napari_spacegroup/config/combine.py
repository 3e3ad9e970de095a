"""What ``combine`` is asked: patterns of one crystal, and where the specimen holder stands."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Device, Range, Spec, quantity

CombineMethod = Literal["bayes", "mean"]


class HolderSpec(Spec):
    """A double-tilt holder: alpha turns all of it, beta sits in the cradle that alpha turns."""

    alpha: float = quantity(0.0, "degree", "Present tilt about the holder's axis.", ge=-90, le=90)
    beta: float = quantity(0.0, "degree", "Present tilt about the second axis.", ge=-90, le=90)
    alpha_range: Range = quantity((-30.0, 30.0), "degree", "What alpha can reach.")
    beta_range: Range = quantity((-30.0, 30.0), "degree", "What beta can reach.")
    axis: float = quantity(
        0.0, "degree", "Direction of the holder's axis in the picture, counterclockwise from its "
        "x to the right.", ge=-360, le=360,
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_position(self) -> Self:
        for name in ("alpha", "beta"):
            low, high = getattr(self, f"{name}_range")
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, outside of its range {low} to {high}"
                )
        return self


class CombineSpec(Spec):
    """What ``combine`` is asked."""

    model: str = Field(min_length=1, description="Bundled name, or a model directory.")
    method: CombineMethod = Field(
        "bayes", description="bayes multiplies likelihoods; mean averages probabilities, as in "
        "the paper on zone axes.",
    )  # fmt: skip
    independence: float | None = quantity(
        None, "1", "What each further pattern adds: 1 for independent patterns, less where one "
        "crystal misleads in all alike; null takes the model card's, or 1.", ge=0, le=1,
    )  # fmt: skip
    error_share: float = quantity(
        0.01, "1", "Chance that a pattern's answer says nothing, so that no pattern can veto.",
        gt=0, lt=1,
    )  # fmt: skip
    holder: HolderSpec = Field(default_factory=HolderSpec, description="The specimen holder.")
    axes: int = quantity(16, "1", "How many low-index zone axes may be suggested.", ge=1, le=60)
    device: Device = Field("auto", description="Torch device; auto takes a GPU if there is one.")
