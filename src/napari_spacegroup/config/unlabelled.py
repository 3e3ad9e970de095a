"""What ``train`` is asked about patterns without labels that it takes along."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from .base import Spec, quantity


class UnlabelledSpec(Spec):
    """Scans without labels, and how training learns from them."""

    scans: tuple[Path, ...] = Field(
        min_length=1, description="Scans, measured or simulated, in any format that is read."
    )
    method: Literal["consistency", "adversarial", "propagation"] = Field(
        "consistency",
        description="consistency: what the averaged network is sure of must stay its answer when "
        "a pattern is disturbed. adversarial: a second network draws profiles, and the first tells "
        "them from real ones; for powder profiles. propagation: labels spread over similar "
        "profiles, and the network learns those that are certain; for powder profiles.",
    )
    weight: float = quantity(1.0, "1", "Of what is learnt without labels.", gt=0, le=100)
    share: float = quantity(
        1.0, "1", "Patterns without labels in a step, for each one with.", gt=0, le=16
    )
    threshold: float = quantity(
        0.9, "1", "consistency: least probability that counts as sure.", ge=0, lt=1
    )
    generator_rate: float = quantity(
        2e-4, "1", "adversarial: learning rate of the network that draws.", gt=0, le=1
    )
    most: int = quantity(
        20_000, "pattern", "Patterns kept of each scan, evenly spread over it.", ge=1, le=10**7
    )
    wavelength: float | None = quantity(
        None, "Å", "Of profiles over an angle whose file does not say it.", gt=0.01, lt=100
    )
