"""What was added to the dock *Combine*, what was read of it, and what it says together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .model_state import PICTURES, PatternKind, kind_of_scan, why_not

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..patterns import PatternScan
    from ..workflows.combine_patterns import Combination, PatternEvidence
    from .provider import ModelProvider
    from .state import Choice


@dataclass(frozen=True, eq=False)
class Source:
    """Patterns that were added together.

    Parameters
    ----------
    name
        What the list calls them.
    scan
        Gives the scan, on the helper thread.
    region
        Which of its pixels, shape ``(scan_y, scan_x)``; None for all.
    """

    name: str
    scan: Callable[[], PatternScan]
    region: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read of a source.

    Parameters
    ----------
    kind
        What patterns they are.
    patterns
        What the model says of each; empty where it was not asked.
    problem
        Why it was not asked; empty if it was.
    """

    kind: PatternKind = PICTURES
    patterns: list[PatternEvidence] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Joined:
    """What ticked sources say.

    Parameters
    ----------
    combination
        Of all patterns of the ticked ones; None where nothing is ticked.
    ends
        By key of a ticked one: how many patterns are in up to its end.
    alone
        By key of any: its own probabilities, shape ``(class,)``.
    classes
        Space groups.
    """

    combination: Combination | None
    ends: dict[int, int]
    alone: dict[int, NDArray[np.float64]]
    classes: tuple[int, ...]


def read_source(source: Source, provider: ModelProvider, model: Choice) -> Reading:
    """Return what a model says of patterns; one of another technique is not asked. Slow."""
    scan = source.scan()
    kind = kind_of_scan(scan)
    problem = why_not(model.label, model.kind, kind)
    if problem:
        return Reading(kind, problem=problem)
    loaded = provider.load(model.key, "inspect")
    return Reading(kind, provider.evidence(loaded, scan, source.region))
