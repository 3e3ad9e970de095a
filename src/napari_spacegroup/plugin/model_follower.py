"""Between what a viewer shows and its map state: a scan gets a model of its technique.

Runs on the main thread and holds no widget. What to choose is decided in
:class:`~.model_state.ModelMemory`; here is noticed which scan counts, and who chose.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .layers import SCAN_KEY
from .live_state import format_of
from .model_state import PICTURES, ModelMemory, PatternKind, kind_of_scan

if TYPE_CHECKING:
    import napari.layers
    from napari.viewer import Viewer

    from .inspect_pattern import PatternController
    from .live_state import LiveState
    from .state import Choice, MapState


@dataclass(frozen=True)
class Subject:
    """The scan that a model is chosen for.

    Attributes
    ----------
    key
        A weak reference to its layer, or the path that is to be followed; None for no scan.
    kind
        What patterns it holds.
    """

    key: Hashable = None
    kind: PatternKind = PICTURES


class ModelFollower:
    """Let the model follow the scan that is selected, chosen or to be followed.

    Parameters
    ----------
    viewer
        Whose selection counts.
    state
        Whose model is chosen.
    live
        Whose path counts.
    pattern
        Knows which layer's patterns count.
    """

    def __init__(
        self, viewer: Viewer, state: MapState, live: LiveState, pattern: PatternController
    ) -> None:
        self.state = state
        self.memory = ModelMemory()
        self._viewer = weakref.ref(viewer)
        self._live = live
        self._pattern = pattern
        self._subject = Subject()
        self._later: Subject | None = None
        """What came to be looked at while a job was under way."""
        self.is_choosing = False
        """Whether the model is being chosen by itself right now."""
        viewer.layers.selection.events.active.connect(self._on_active)
        state.events.layer.connect(self._on_layer)
        state.events.model.connect(self._on_model)
        live.events.path.connect(self._on_path)
        for event in (state.events.job, state.events.is_live):
            event.connect(self._on_job)
        self._on_active()

    def take_models(self, models: Sequence[Choice]) -> None:
        """Let these be the models at hand; choose one where none of them is chosen."""
        state = self.state
        state.models = tuple(models)
        usable = [choice.key for choice in state.models if not choice.problem]
        if state.model in usable:
            self._follow()
            return
        first = usable[0] if usable else ""
        self.memory.start(first)
        self._put(self._wanted(self._subject, first))

    def remember(self, model: str) -> None:
        """Take a model that was chosen for other patterns than those of the current scan.

        It is chosen here too where it suits these.
        """
        chosen = next((choice for choice in self.state.models if choice.key == model), None)
        kind = None if chosen is None else chosen.kind
        if kind is None or kind.suits(self._subject.kind):
            self.state.model = model
        else:
            self.memory.remember(model)

    def _on_active(self, *_: Any) -> None:
        layer = self._pattern.layer_of_patterns()
        if layer is not None:
            self._look_at(_subject_of(layer))

    def _on_layer(self, name: str) -> None:
        viewer = self._viewer()
        if viewer is not None and name in viewer.layers:
            self._look_at(_subject_of(viewer.layers[name]))

    def _on_path(self, path: str) -> None:
        found = format_of(path)
        if found.kind is not None and not found.problem:
            self._look_at(Subject(path, found.kind))

    def _look_at(self, subject: Subject) -> None:
        if self.state.is_busy or self.state.is_live:
            self._later = subject
        elif subject != self._subject:
            self._subject = subject
            self.state.model_note = ""
            self._follow()

    def _on_job(self, *_: Any) -> None:
        later, self._later = self._later, None
        if later is not None:
            self._look_at(later)

    def _follow(self) -> None:
        before = self.state.model
        model = self._wanted(self._subject, before)
        if before and model != before:
            self._put(model)
            self.state.model_note = note(self.state, self._subject.kind)

    def _wanted(self, subject: Subject, current: str) -> str:
        return self.memory.model_for(subject.key, subject.kind, self.state.models, current)

    def _put(self, model: str) -> None:
        self.is_choosing = True
        try:
            self.state.model = model
        finally:
            self.is_choosing = False

    def _on_model(self, model: str) -> None:
        if not self.is_choosing:
            self.state.model_note = ""
            subject = self._subject
            self.memory.choose(model, self.state.models, subject.key, subject.kind)


def note(state: Any, kind: PatternKind) -> str:
    """Return one line on a model that was chosen by itself, for a state with ``model``."""
    chosen = state.chosen("model")
    name = state.model if chosen is None else chosen.label
    why = f", for {kind.words}" if kind.is_known else ""
    return f"Model changed to {name}{why}."


def _subject_of(layer: napari.layers.Layer) -> Subject:
    scan = layer.metadata.get(SCAN_KEY)
    return Subject(weakref.ref(layer), PICTURES if scan is None else kind_of_scan(scan))
