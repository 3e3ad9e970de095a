"""Which model reads the patterns of the dock *Combine*.

It is the model of the other docks as long as that suits the patterns that were added; a look at
a scan of another technique meanwhile must not read them all again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model_follower import note
from .model_state import PICTURES

if TYPE_CHECKING:
    from .combine_state import CombineState
    from .model_follower import ModelFollower
    from .model_state import PatternKind


KEY = "combine"


class CombineModel:
    """Choose the model of *Combine*, and take notice where the user does.

    Parameters
    ----------
    state
        Whose model is chosen.
    models
        The model of the other docks, and what the user chose before.
    """

    def __init__(self, state: CombineState, models: ModelFollower) -> None:
        self.state = state
        self._models = models
        self._kind = PICTURES
        self._is_choosing = False
        models.state.events.models.connect(self._take_models)
        models.state.events.model.connect(self._on_shared)
        models.state.events.model_note.connect(self._on_shared_note)
        state.events.model.connect(self._on_model)
        self.clear()

    def read(self, kind: PatternKind) -> bool:
        """Take note of what was added; return whether another model was chosen for it.

        The first patterns whose technique is known decide for all.
        """
        if self._kind.is_known or not kind.is_known:
            return False
        self._kind = kind
        before = self.state.model
        if self._suits(before):
            return False
        wanted = self._models.memory.model_for(KEY, kind, self.state.models, before)
        if wanted == before:
            return False
        self._put(wanted)
        self.state.model_note = note(self.state, kind)
        return True

    def clear(self) -> None:
        """Take the model of the other docks again: nothing is left of what was added."""
        self._kind = PICTURES
        self._take_models()
        self._put(self._models.state.model)

    def _take_models(self, *_: object) -> None:
        self.state.models = self._models.state.models

    def _on_shared(self, model: str) -> None:
        """Follow the other docks: with nothing added always, else where the user chose."""
        is_free = not self.state.rows or not self.state.model
        if is_free or (not self._models.is_choosing and self._suits(model)):
            self._put(model)

    def _on_shared_note(self, text: str) -> None:
        if not self.state.rows and self.state.model == self._models.state.model:
            self.state.model_note = text

    def _suits(self, model: str) -> bool:
        found = next((choice for choice in self.state.models if choice.key == model), None)
        return found is None or found.kind is None or found.kind.suits(self._kind)

    def _put(self, model: str) -> None:
        self._is_choosing = True
        try:
            self.state.model_note = ""
            self.state.model = model
        finally:
            self._is_choosing = False

    def _on_model(self, model: str) -> None:
        if not self._is_choosing:
            self.state.model_note = ""
            self._models.remember(model)
