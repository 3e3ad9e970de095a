"""Which model a scan gets by itself: one of its technique, unless the user chose otherwise.

Knows neither Qt nor napari nor torch; :class:`~.model_follower.ModelFollower` tells it what
happens in a viewer.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..patterns import PatternScan
    from .state import Choice

_WORDS = {"ebsd": "EBSD patterns", "sad": "spot patterns", "unknown": "pictures"}
_PROFILES = {"xray": "X-ray profiles", "neutron": "neutron profiles"}


@dataclass(frozen=True)
class PatternKind:
    """What kind of patterns a scan holds, or a model is for.

    Attributes
    ----------
    technique
        ``"ebsd"``, ``"sad"``, ``"powder"``; ``"unknown"`` for pictures of which nobody says how
        they were made.
    radiation
        Of profiles: ``"xray"``, ``"neutron"``, or ``"unknown"``.
    """

    technique: str = "unknown"
    radiation: str = "unknown"

    @property
    def is_known(self) -> bool:
        """Whether the technique is known."""
        return self.technique != "unknown"

    @property
    def words(self) -> str:
        """What people call such patterns."""
        if self.technique == "powder":
            return _PROFILES.get(self.radiation, "powder profiles")
        return _WORDS.get(self.technique, self.technique)

    def suits(self, patterns: PatternKind) -> bool:
        """Return whether a model of this kind can be asked of such patterns."""
        if not patterns.is_known:
            return self.technique != "powder"  # which needs an axis, and pictures have none
        is_same = self.radiation == patterns.radiation
        is_open = "unknown" in (self.radiation, patterns.radiation)
        return self.technique == patterns.technique and (is_same or is_open)


PICTURES = PatternKind()
EBSD = PatternKind("ebsd")


def kind_of_scan(scan: PatternScan) -> PatternKind:
    """Return what patterns a scan holds, as far as its file says."""
    if scan.axis is None:
        return PatternKind(scan.technique)
    return PatternKind("powder", scan.axis.radiation)


def kind_of_model(card: Any) -> PatternKind | None:
    """Return what patterns a model is for, by its card; None for a model without one."""
    technique = getattr(card, "technique", None)
    if technique is None:
        return None
    return PatternKind(technique, getattr(card.input, "radiation", "unknown"))


def why_not(name: str, wanted: PatternKind | None, found: PatternKind | None) -> str:
    """Return why a model can't be asked of patterns; empty if it can.

    Parameters
    ----------
    name
        Of the model.
    wanted, found
        What the model is for and what the patterns are; None suits all.
    """
    if wanted is None or found is None or wanted.suits(found):
        return ""
    return f"{name} is for {wanted.words}, not for {found.words}: choose a model for those."


class ModelMemory:
    """Remembers what the user chose, and says which model a scan gets by itself.

    A model that the user chose is never taken away from a scan that it suits. It comes back
    with the technique that it is for.
    """

    def __init__(self) -> None:
        self._manual = ""
        """What would be chosen if nothing had ever been chosen by itself."""
        self._by_hand: list[str] = []
        """The latest first."""
        self._kept: dict[Hashable, str] = {}
        """By scan: what the user chose for it where its technique does not ask for that."""

    def start(self, model: str) -> None:
        """Take the model that stands there before anybody chooses."""
        self._manual = model

    def remember(self, model: str) -> None:
        """Take note that the user chose a model, for whatever it is for."""
        self._by_hand = [model, *(name for name in self._by_hand if name != model)]

    def choose(
        self, model: str, models: Sequence[Choice], key: Hashable, patterns: PatternKind
    ) -> None:
        """Take note that the user chose a model while a scan was looked at.

        Parameters
        ----------
        model
            Its key.
        models
            Those at hand.
        key, patterns
            Of the scan.
        """
        self.remember(model)
        self._manual = model
        if patterns.is_known and _suits(model, models, patterns):
            self._kept.pop(key, None)
        else:
            self._kept[key] = model

    def model_for(
        self, key: Hashable, patterns: PatternKind, models: Sequence[Choice], current: str
    ) -> str:
        """Return the model that a scan gets.

        Parameters
        ----------
        key, patterns
            Of the scan.
        models
            Those at hand.
        current
            The model that is chosen now; it stays where no other one would be better.
        """
        usable = [choice.key for choice in models if not choice.problem]
        kept = self._kept.get(key, "")
        if patterns.is_known:
            wanted = [*self._by_hand, self._manual, *_ordered(models)]
            wanted = [name for name in wanted if _suits(name, models, patterns)]
            wanted.insert(0, kept)
        elif current == self._manual:
            wanted = []
        else:  # the model of another scan: where it can read these too, it does no harm
            wanted = [name for name in (current, self._manual) if _suits(name, models, patterns)]
            wanted.insert(0, kept)
        return next((name for name in wanted if name in usable), current)


def _suits(name: str, models: Sequence[Choice], patterns: PatternKind) -> bool:
    found = next((choice for choice in models if choice.key == name), None)
    return found is not None and (found.kind is None or found.kind.suits(patterns))


def _ordered(models: Sequence[Choice]) -> list[str]:
    """Return models, those first that may be chosen where nobody says anything.

    The package's own know more groups than those that somebody trained for one alloy; and most
    profiles that do not say what they were measured with were measured with X-rays.
    """

    def place(choice: Choice) -> tuple[bool, bool]:
        is_neutron = choice.kind is not None and choice.kind.radiation == "neutron"
        return choice.is_own, is_neutron

    return [choice.key for choice in sorted(models, key=place)]
