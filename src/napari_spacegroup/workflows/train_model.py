"""``train``: master patterns and a spec give a model directory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ..config import TrainSpec
from ..jobs import CancelToken, Event, Log, Progress
from ..learn import TrainDone, TrainStep, train_events
from ..models import Model

log = logging.getLogger(__name__)


def train(
    spec: TrainSpec | str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """Train a network and return it as a model, saved in ``out``.

    Parameters
    ----------
    spec
        A spec, or the YAML file of one.
    out
        Folder for the model and its checkpoints.
    resume
        Go on from the checkpoint in ``out``, if there is one.
    cancel
        Ends training after the present batch and keeps what is learnt.
    on_event
        Called with ``Progress`` and ``Log`` events.

    Raises
    ------
    SpecError
        If the YAML is no valid spec.
    ModelError
        If a class has no structure, or the checkpoint is of another network.
    """
    if not isinstance(spec, TrainSpec):
        spec = TrainSpec.from_yaml(spec)
    for event in train_events(spec, out, resume=resume, cancel=cancel):
        if isinstance(event, TrainDone):
            return event.model
        if isinstance(event, TrainStep):
            words = f"loss {event.loss:.3f}, accuracy {event.accuracy:.3f}"
            log.info("step %d: %s, plane %.3f", event.step, words, event.plane_loss)
            if on_event is not None:
                on_event(Progress(event.step, event.steps, words))
            continue
        words = f"step {event.step}: held-out structures {event.accuracy:.1%}"
        log.info("%s", words)
        if on_event is not None:
            on_event(Log(words))
    raise AssertionError("train_events ends with TrainDone")
