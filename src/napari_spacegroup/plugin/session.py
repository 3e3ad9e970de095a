"""All that belongs to one viewer: its states, controllers, worker thread and bridge.

Two docks of one viewer share a session, two viewers share nothing. Threads run only while
a dock is open; closing the last one, or the window, ends them.
"""

from __future__ import annotations

import weakref
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from .aide import Aide, Answer
from .bridge import Bridge
from .calibrate_controller import CalibrateController
from .calibrate_state import CalibrateState
from .classify import ClassifyController
from .combine_controller import CombineController
from .combine_state import CombineState
from .inspect_pattern import QUESTION, PatternController
from .live import LiveController
from .live_state import LiveState
from .model_follower import ModelFollower
from .provider import make_provider
from .running import JobEvent
from .simulate_controller import SimulateController
from .simulate_state import SimulateState
from .state import MapState, PatternState
from .train_controller import TrainController
from .train_state import TrainState
from .workers import WORKER, choose_place, models_folder, place, places, worker

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .provider import ModelProvider

SECONDS_AT_QUIT = 10.0


class Session:
    """What the docks of one viewer share.

    Parameters
    ----------
    viewer
        Kept weakly.
    provider
        Models and devices; the installed ones if None.
    """

    def __init__(self, viewer: Viewer, provider: ModelProvider | None = None) -> None:
        self.provider = make_provider() if provider is None else provider
        self.map_state = MapState()
        self.pattern_state = PatternState()
        self._bridge = Bridge(self._deliver)
        self._aide = Aide(self._bridge.post)
        self._starter = Aide(self._bridge.post)
        self.classify = ClassifyController(viewer, self.map_state, self.provider, self._bridge)
        self.pattern = PatternController(
            viewer,
            self.pattern_state,
            self.map_state,
            self.classify.presenter,
            self.provider,
            self._aide,
        )
        self.live_state = LiveState()
        self.models = ModelFollower(viewer, self.map_state, self.live_state, self.pattern)
        self.train = TrainController(TrainState(), worker, models_folder(), self._on_trained)
        self.simulate = SimulateController(SimulateState(), self.pattern_state, worker)
        self.combine = CombineController(
            viewer, CombineState(), self.pattern, self.models, self.provider
        )
        self.calibrate = CalibrateController(viewer, CalibrateState(), self.pattern)
        self.calibrate.used.connect(self.combine.read_again)
        self.live = LiveController(
            self.live_state, self.map_state, self.classify.presenter, self.provider, self._bridge
        )
        self.map_state.places, self.map_state.place = places(), place()
        self.map_state.events.place.connect(self._on_place)
        self._docks: dict[int, str] = {}
        self._tokens = count(1)

    def open_dock(self, name: str) -> int:
        """Take note that a dock, such as ``"map"``, is open; return its token."""
        token = next(self._tokens)
        self._docks[token] = name
        self.pattern.start()
        if not self.map_state.models:
            self.map_state.say("Looking for models")
            self._aide.ask("models", self.provider.models)
            self._aide.ask("devices", self.provider.devices)
        if name not in ("pattern", "combine"):
            self._starter.ask(WORKER, self.provider.warm_up)
        return token

    def close_dock(self, token: int) -> None:
        """Take note that a dock is gone; the last one of the map takes its job with it."""
        name = self._docks.pop(token, "")
        if name == "map" and "map" not in self._docks.values():
            self.classify.abandon()
        if name == "train" and "train" not in self._docks.values():
            self.train.abandon()
        if name == "live" and "live" not in self._docks.values():
            self.live.abandon()
        if name == "simulate" and "simulate" not in self._docks.values():
            self.simulate.close()
        if name == "pattern" and "pattern" not in self._docks.values():
            self.calibrate.close()
        if name == "combine" and "combine" not in self._docks.values():
            self.combine.close()
        if not self._docks:
            self.pattern.stop()
            self._aide.close(timeout=0.0)
            self._starter.close(timeout=0.0)

    def close(self, timeout: float = SECONDS_AT_QUIT) -> None:
        """End all threads, waiting up to ``timeout`` [s] for each."""
        self._docks.clear()
        self.pattern.stop()
        self._bridge.drop()
        self.classify.abandon(timeout)
        self.live.abandon(timeout)
        self.train.close(timeout)
        self.simulate.close(timeout)
        self.combine.close(timeout)
        self.calibrate.close(timeout)
        self._aide.close(timeout)
        self._starter.close(timeout)

    def _deliver(self, values: list[Any]) -> None:
        jobs = [value for value in values if isinstance(value, JobEvent)]
        self.classify.receive(jobs)
        self.live.receive(jobs)
        for answer in values:
            if not isinstance(answer, Answer):
                continue
            aide = self._starter if answer.kind == WORKER else self._aide
            if not aide.is_latest(answer):
                continue
            if answer.kind == QUESTION:
                self.pattern.receive(answer)
            elif answer.error is not None:
                self.map_state.say(f"No {answer.kind}: {answer.error}", is_alert=True)
            elif answer.kind == "models":
                self._on_models(answer.value)
            elif answer.kind == "devices":
                self.map_state.devices = answer.value

    def _on_place(self, chosen: str) -> None:
        """Let the next jobs run elsewhere."""
        state = self.map_state
        try:
            choose_place(chosen)
        except SpecError as error:
            state.say(str(error), is_alert=True)
        state.places = places()
        if state.place != place():
            state.place = place()
        elif self._docks:
            self._starter.ask(WORKER, self.provider.warm_up)

    def _on_trained(self, folder: Path) -> None:
        """Let the other docks find a new model."""
        del folder
        self._aide.ask("models", self.provider.models)

    def _on_models(self, models: Any) -> None:
        self.models.take_models(models)
        if self.map_state.message == "Looking for models":
            self.map_state.say("")


_sessions: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()


def session_of(viewer: Viewer) -> Session:
    """Return the session of a viewer, made when it is first asked for."""
    viewer = plain_viewer(viewer)
    session = _sessions.get(viewer)
    if session is None:
        session = _sessions[viewer] = Session(viewer)
        _close_at_quit()
    return session


def plain_viewer(viewer: Viewer) -> Viewer:
    """Return the viewer itself: napari hands plugins a short-lived proxy of it."""
    plain: Viewer = getattr(viewer, "__wrapped__", viewer)
    return plain


_is_connected = False


def _close_at_quit() -> None:
    from qtpy.QtWidgets import QApplication

    global _is_connected
    application = QApplication.instance()
    if application is not None and not _is_connected:
        application.aboutToQuit.connect(_close_all)
        _is_connected = True


def _close_all() -> None:
    for session in list(_sessions.values()):
        session.close()
